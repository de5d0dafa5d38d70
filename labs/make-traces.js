/**
 * Makes the traces of the lab, always the same ones: `node labs/make-traces.js`. Each pattern is a few lines; a course that wants
 * another adds a function here, or writes a `.rep` file by any other means.
 *
 * The last three are the beginnings of recorded programs, with calloc and memalign turned into malloc.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'

/** Operations kept of a recording. */
const RECORDED = 12_000

class Trace {
  lines = []
  ids = 0
  /** CS:APP's: 1 for utilization and throughput, 0 for neither. */
  weight = 1
  #live = new Map()
  #payload = 0
  #peak = 0

  malloc(size) {
    const id = this.ids++
    this.lines.push(`a ${id} ${size}`)
    this.#resize(id, size)
    return id
  }

  realloc(id, size) {
    this.lines.push(`r ${id} ${size}`)
    this.#resize(id, size)
  }

  free(id) {
    this.lines.push(`f ${id}`)
    this.#resize(id, 0)
    this.#live.delete(id)
  }

  freeAll() {
    for (const id of [...this.#live.keys()]) this.free(id)
  }

  write(name) {
    const text = `${this.#peak}\n${this.ids}\n${this.lines.length}\n${this.weight}\n${this.lines.join('\n')}\n`
    if (text.length < 20_000) writeFileSync(new URL(`traces/${name}.rep`, import.meta.url), text)
    else
      writeFileSync(new URL(`traces/${name}.rep.gz`, import.meta.url), gzipSync(text, { level: 9 }))
  }

  #resize(id, size) {
    this.#payload += size - (this.#live.get(id) ?? 0)
    this.#live.set(id, size)
    this.#peak = Math.max(this.#peak, this.#payload)
  }
}

/** Marsaglia's xorshift: the same numbers on every machine. */
let state = 2463534242
function below(limit) {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % limit
}

/** A size between the two, small ones more often. */
function size(least, most) {
  return Math.round(least * (most / least) ** (below(1000) / 999))
}

const patterns = {
  /** Small enough to follow with a pencil. */
  hello(trace) {
    const [a, b, c] = [trace.malloc(24), trace.malloc(100), trace.malloc(8)]
    trace.free(b)
    const d = trace.malloc(40)
    trace.realloc(a, 60)
    const e = trace.malloc(16)
    for (const id of [c, a, d, e]) trace.free(id)
  },
  /** Calls and returns: the last block in is the first out. */
  stack(trace) {
    const stack = []
    while (trace.lines.length < 4000) {
      for (let n = 5 + below(60); n > 0; n--) stack.push(trace.malloc(size(8, 600)))
      for (let n = 5 + below(60); n > 0 && stack.length > 0; n--) trace.free(stack.pop())
    }
    trace.freeAll()
  },
  /** Messages: the first block in is the first out. */
  queue(trace) {
    const queue = []
    while (trace.lines.length < 4000) {
      queue.push(trace.malloc(size(8, 600)))
      if (queue.length > 80 + below(40)) trace.free(queue.shift())
    }
    trace.freeAll()
  },
  /** From few large blocks to many small ones, in the same memory. */
  split(trace) {
    for (let bytes = 16_384; bytes >= 64; bytes /= 2) {
      const ids = Array.from({ length: 131_072 / bytes / 2 }, () => trace.malloc(bytes - 24))
      for (const id of ids) trace.free(id)
    }
  },
  /** From many small blocks to few large ones, in the same memory. */
  merge(trace) {
    for (let bytes = 64; bytes <= 16_384; bytes *= 2) {
      const ids = Array.from({ length: 131_072 / bytes / 2 }, () => trace.malloc(bytes - 24))
      // Every other block first: its neighbours are in use when it is freed.
      for (const odd of [0, 1])
        for (const [i, id] of ids.entries()) if (i % 2 === odd) trace.free(id)
    }
  },
  /** Small blocks that stay keep large holes apart; the next requests are a little larger than the holes. */
  comb(trace) {
    for (let round = 0; round < 3; round++) {
      const holes = []
      for (let i = 0; i < 600; i++) {
        trace.malloc(40)
        holes.push(trace.malloc(300))
      }
      for (const id of holes) trace.free(id)
      for (let i = 0; i < 300; i++) trace.malloc(340)
      trace.freeAll()
    }
  },
  /** Any block may go at any time. */
  random(trace) {
    const live = []
    while (trace.lines.length < 6000) {
      if (below(100) < 52 && live.length < 600) live.push(trace.malloc(1 + below(2000)))
      else if (live.length > 0) {
        const [id] = live.splice(below(live.length), 1)
        trace.free(id)
      }
    }
    trace.freeAll()
  },
  /** One text that grows by lines, among small blocks that come and go. */
  grow(trace) {
    const text = trace.malloc(512)
    const small = []
    for (let bytes = 640; bytes <= 160_000; bytes += 128) {
      trace.realloc(text, bytes)
      small.push(trace.malloc(size(16, 128)))
      if (small.length > 20) trace.free(small.shift())
    }
    trace.freeAll()
  },
  /** Arrays that grow by half when they are full, and are cut to size when they are done. */
  buffers(trace) {
    const done = []
    while (trace.lines.length < 5000) {
      const id = trace.malloc(64)
      const wanted = size(64, 20_000)
      for (let room = 96; room < wanted * 1.5; room = Math.ceil(room * 1.5)) {
        trace.realloc(id, room)
        // What an element is made of is allocated on the way.
        if (below(3) === 0) trace.free(trace.malloc(size(16, 200)))
      }
      trace.realloc(id, wanted)
      done.push(id)
      if (done.length > 40) trace.free(done.splice(below(done.length), 1)[0])
    }
    trace.freeAll()
  },
  /** Calls at the edges of what is allowed, and sizes at the edges of what allocators round to. Not measured. */
  edges(trace) {
    trace.weight = 0
    trace.lines.push('f -1')
    for (const id of [trace.malloc(1), trace.malloc(2), trace.malloc(3)]) trace.free(id)
    // A realloc of a block that is not there is a malloc.
    const text = trace.ids++
    trace.realloc(text, 1)
    for (let bytes = 2; bytes <= 80; bytes++) trace.realloc(text, bytes)
    for (let bytes = 79; bytes >= 1; bytes--) trace.realloc(text, bytes)
    // Around the sizes of classes, and of what a header is added to.
    for (let power = 8; power <= 8192; power *= 2) {
      const ids = []
      for (const more of [-17, -16, -9, -8, -5, -4, -1, 0, 1, 4, 8, 16]) {
        if (power + more > 0) ids.push([trace.malloc(power + more), power + more])
      }
      for (const [i, [id, bytes]] of ids.entries()) {
        if (i % 3 === 0) trace.free(id)
        else trace.realloc(id, bytes + (i % 3 === 1 ? 1 : -1))
      }
      trace.free(trace.malloc(power))
    }
    // A long list of small blocks, which a function that calls itself for each would not survive.
    const small = Array.from({ length: 600 }, () => trace.malloc(16))
    for (const [i, id] of small.entries()) if (i % 2 === 1) trace.free(id)
    trace.free(trace.malloc(5000))
    trace.freeAll()
  }
}

for (const [name, pattern] of Object.entries(patterns)) {
  const trace = new Trace()
  pattern(trace)
  trace.write(name)
}

for (const name of ['cc1', 'sqlite', 'vim']) {
  const text = gunzipSync(
    readFileSync(new URL(`../traces/${name}.rep.gz`, import.meta.url))
  ).toString()
  const trace = new Trace()
  const ids = new Map()
  for (const line of text
    .split('\n')
    .filter(line => /^[acmrf]/.test(line))
    .slice(0, RECORDED)) {
    const [operation, id, ...numbers] = line.split(' ')
    const bytes = operation === 'c' ? numbers[0] * numbers[1] : Number(numbers.at(-1))
    if (operation === 'f') trace.free(ids.get(id))
    else if (operation === 'r') trace.realloc(ids.get(id), bytes)
    else ids.set(id, trace.malloc(Math.max(1, bytes)))
  }
  trace.write(name)
}

/**
 * Generates traces from patterns: those that ship with the lab, and from a seed those of a course
 * or of one student. The same seed gives the same traces on every machine.
 */

import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { temporaryFolder } from '../grade/interrupt.js'

/** Traces with less text, in bytes, are not compressed, so that they can be read. */
const SHORT = 20_000

/** Builds the text of a `.rep` file, call by call. */
export class TraceText {
  readonly lines: string[] = []
  ids = 0
  /** The weight as in CS:APP: 1 for utilization and throughput, 0 for neither. */
  weight = 1
  readonly #live = new Map<number, number>()
  #payload = 0
  #peak = 0

  malloc(size: number): number {
    const id = this.ids++
    this.lines.push(`a ${id} ${size}`)
    this.#resize(id, size)
    return id
  }

  calloc(count: number, size: number): number {
    const id = this.ids++
    this.lines.push(`c ${id} ${count} ${size}`)
    this.#resize(id, count * size)
    return id
  }

  realloc(id: number, size: number): void {
    this.lines.push(`r ${id} ${size}`)
    this.#resize(id, size)
  }

  reallocToNothing(id: number): void {
    this.realloc(id, 0)
    this.#live.delete(id)
  }

  free(id: number): void {
    this.lines.push(`f ${id}`)
    this.#resize(id, 0)
    this.#live.delete(id)
  }

  freeNull(): void {
    this.lines.push('f -1')
  }

  freeAll(): void {
    for (const id of [...this.#live.keys()]) this.free(id)
  }

  toString(): string {
    const head = [this.#peak, this.ids, this.lines.length, this.weight]
    return `${[...head, ...this.lines].join('\n')}\n`
  }

  #resize(id: number, size: number): void {
    this.#payload += size - (this.#live.get(id) ?? 0)
    this.#live.set(id, size)
    this.#peak = Math.max(this.#peak, this.#payload)
  }
}

interface Random {
  /** Returns an integer from 0 to `limit - 1`. */
  below(limit: number): number
  /** Returns a size from `least` to `most`; small ones are more frequent. */
  size(least: number, most: number): number
}

type Pattern = (trace: TraceText, random: Random) => void

/** Marsaglia's xorshift, which gives the same numbers on every machine. */
function randomFrom(seed: number): Random {
  let state = seed
  const below = (limit: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
  const size = (least: number, most: number) =>
    Math.round(least * (most / least) ** (below(1000) / 999))
  return { below, size }
}

const patterns: Readonly<Record<string, Pattern>> = {
  /** Short enough to follow with a pencil. */
  hello(trace) {
    const [a, b, c] = [trace.malloc(24), trace.malloc(100), trace.malloc(8)]
    trace.free(b)
    const d = trace.malloc(40)
    trace.realloc(a, 60)
    const e = trace.malloc(16)
    for (const id of [c, a, d, e]) trace.free(id)
  },
  /** Like calls and returns: last in, first out. */
  stack(trace, { below, size }) {
    const stack: number[] = []
    while (trace.lines.length < 4000) {
      for (let n = 5 + below(60); n > 0; n--) stack.push(trace.malloc(size(8, 600)))
      for (let n = 5 + below(60); n > 0 && stack.length > 0; n--) trace.free(stack.pop() ?? 0)
    }
    trace.freeAll()
  },
  /** Like messages: first in, first out. */
  queue(trace, { below, size }) {
    const queue: number[] = []
    while (trace.lines.length < 4000) {
      queue.push(trace.malloc(size(8, 600)))
      if (queue.length > 80 + below(40)) trace.free(queue.shift() ?? 0)
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
      // Free every other block first: its neighbours are still in use.
      for (const odd of [0, 1])
        for (const [i, id] of ids.entries()) if (i % 2 === odd) trace.free(id)
    }
  },
  /** Small blocks separate large holes; the next requests are slightly larger than the holes. */
  comb(trace) {
    for (let round = 0; round < 3; round++) {
      const holes: number[] = []
      for (let i = 0; i < 600; i++) {
        trace.malloc(40)
        holes.push(trace.malloc(300))
      }
      for (const id of holes) trace.free(id)
      for (let i = 0; i < 300; i++) trace.malloc(340)
      trace.freeAll()
    }
  },
  /** Blocks are freed in random order. */
  random(trace, { below }) {
    const live: number[] = []
    while (trace.lines.length < 6000) {
      if (below(100) < 52 && live.length < 600) live.push(trace.malloc(1 + below(2000)))
      else if (live.length > 0) {
        const [id = 0] = live.splice(below(live.length), 1)
        trace.free(id)
      }
    }
    trace.freeAll()
  },
  /** One text that grows line by line, among short-lived small blocks. */
  grow(trace, { size }) {
    const text = trace.malloc(512)
    const small: number[] = []
    for (let bytes = 640; bytes <= 160_000; bytes += 128) {
      trace.realloc(text, bytes)
      small.push(trace.malloc(size(16, 128)))
      if (small.length > 20) trace.free(small.shift() ?? 0)
    }
    trace.freeAll()
  },
  /** Arrays that grow by half when they are full, and are cut to size in the end. */
  buffers(trace, { below, size }) {
    const done: number[] = []
    while (trace.lines.length < 5000) {
      const id = trace.malloc(64)
      const wanted = size(64, 20_000)
      for (let room = 96; room < wanted * 1.5; room = Math.ceil(room * 1.5)) {
        trace.realloc(id, room)
        // Elements allocate memory too.
        if (below(3) === 0) trace.free(trace.malloc(size(16, 200)))
      }
      trace.realloc(id, wanted)
      done.push(id)
      const [freed = 0] = done.length > 40 ? done.splice(below(done.length), 1) : [-1]
      if (freed !== -1) trace.free(freed)
    }
    trace.freeAll()
  },
  /** Zeroed tables, in memory that was used before. */
  calloc(trace, { below, size }) {
    const live: number[] = [trace.calloc(0, 8), trace.calloc(1, 1), trace.calloc(3, 5)]
    while (trace.lines.length < 4000) {
      if (below(100) < 55) {
        const bytes = size(4, 64)
        live.push(below(2) === 0 ? trace.malloc(bytes * 4) : trace.calloc(1 + below(40), bytes))
      } else if (live.length > 0) {
        const [id = 0] = live.splice(below(live.length), 1)
        trace.free(id)
      }
    }
    trace.freeAll()
  },
  /**
   * Edge cases of the interface, and sizes around those that allocators round to. Not measured.
   */
  edges(trace) {
    trace.weight = 0
    trace.freeNull()
    for (const id of [trace.malloc(0), trace.malloc(1), trace.malloc(2), trace.malloc(3)])
      trace.free(id)
    // realloc of size 0 may return 0 or an empty block; the old block is freed in any case.
    trace.reallocToNothing(trace.malloc(24))
    trace.reallocToNothing(trace.malloc(1000))
    // The realloc of a new id is a realloc of NULL.
    const text = trace.ids++
    trace.realloc(text, 1)
    for (let bytes = 2; bytes <= 80; bytes++) trace.realloc(text, bytes)
    for (let bytes = 79; bytes >= 1; bytes--) trace.realloc(text, bytes)
    // Sizes around those of size classes, with and without headers.
    for (let power = 8; power <= 8192; power *= 2) {
      const ids: (readonly [id: number, bytes: number])[] = []
      for (const more of [-17, -16, -9, -8, -5, -4, -1, 0, 1, 4, 8, 16]) {
        if (power + more > 0) ids.push([trace.malloc(power + more), power + more])
      }
      for (const [i, [id, bytes]] of ids.entries()) {
        if (i % 3 === 0) trace.free(id)
        else trace.realloc(id, bytes + (i % 3 === 1 ? 1 : -1))
      }
      trace.free(trace.malloc(power))
    }
    // A long list of small blocks: a function that recurses for each would overflow the stack.
    const small = Array.from({ length: 600 }, () => trace.malloc(16))
    for (const [i, id] of small.entries()) if (i % 2 === 1) trace.free(id)
    trace.free(trace.malloc(5000))
    trace.freeAll()
  }
}

/** The patterns with random numbers, which depend on the seed. */
const DRAWN = ['stack', 'queue', 'random', 'grow', 'buffers', 'calloc']

/** The seed of the traces that ship. */
const SHIPPED = 2463534242

/** Returns the texts of the traces that ship, by name. */
export function shippedTraces(): Map<string, string> {
  return tracesOf(SHIPPED, Object.keys(patterns))
}

/**
 * Returns the texts of traces that depend on `seed`, which may be any text. They have the names of
 * the shipped traces that they replace.
 */
export function seededTraces(seed: string): Map<string, string> {
  const number = createHash('sha256').update(seed).digest().readUInt32LE()
  return tracesOf(number === 0 ? 1 : number, DRAWN)
}

function tracesOf(seed: number, names: readonly string[]): Map<string, string> {
  const random = randomFrom(seed)
  const texts = new Map<string, string>()
  for (const [name, pattern] of Object.entries(patterns)) {
    const trace = new TraceText()
    pattern(trace, random)
    if (names.includes(name)) texts.set(name, trace.toString())
  }
  return texts
}

/** Writes traces into a folder, long ones gzipped. Returns their paths. */
export function writeTraces(folder: string, texts: ReadonlyMap<string, string>): string[] {
  mkdirSync(folder, { recursive: true })
  return [...texts].map(([name, text]) => {
    const isShort = text.length < SHORT
    const path = join(folder, isShort ? `${name}.rep` : `${name}.rep.gz`)
    writeFileSync(path, isShort ? text : gzipSync(text, { level: 9 }))
    return path
  })
}

export interface SeededPaths {
  readonly paths: readonly string[]
  /** Deletes the traces that were written. */
  remove(): void
}

/**
 * Replaces the traces that have a seeded variant: writes the variants, and returns the paths of
 * all traces.
 */
export function withSeed(paths: readonly string[], seed: string): SeededPaths {
  const { path: folder, remove } = temporaryFolder()
  const made = new Map(writeTraces(folder, seededTraces(seed)).map(path => [traceName(path), path]))
  return {
    paths: paths.map(path => made.get(traceName(path)) ?? path),
    remove
  }
}

/** Returns the file name of a trace, without its extension. */
export function traceName(path: string): string {
  return basename(path).replace(/\.rep(\.gz)?$/, '')
}

/**
 * The process that test/sharing/kills.test.ts kills, and the one that judges what it left.
 * `library` is the URL of the compiled heap.
 *
 *     node load.mjs run library path seed options n
 *         makes calls on a heap file in an endless loop, counts them in path.journal, and prints
 *         "working" after n calls
 *     node load.mjs open library path
 *         opens the file; prints "opening" before, and "opened" after
 *     node load.mjs judge library path seed options …
 *         opens each file, and compares it with the same calls on private memory
 *
 * The journal is a heap file with two counters: calls begun and calls completed. The calls depend
 * on the seed only, and an allocator does the same on any memory. So the state after any call can
 * be reproduced.
 */
import { writeSync } from 'node:fs'

const [, , mode, library, ...words] = process.argv
const { Heap } = await import(library)
/** The size of the file in bytes, which includes the head. */
const SIZE = Number(process.env.OFFHEAP_LOAD_SIZE ?? 2 ** 21)
const HEAD = 65536

/** A pseudorandom sequence of calls on a heap. */
class Load {
  constructor(heap, seed) {
    this.heap = heap
    this.seed = seed
    /** Live blocks in order of allocation: [pointer, value of all its bytes]. */
    this.live = []
    this.calls = 0
  }

  random(below) {
    this.seed = (this.seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }

  /** Makes one call. Returns the pointer to the block that it may have changed, else 0. */
  step() {
    const { heap, live } = this
    const kind = this.random(16)
    const size = this.random(8) === 0 ? this.random(5000) : this.random(250)
    const which = this.random(Math.max(1, live.length))
    const mark = 1 + (this.calls++ % 255)
    const keep = pointer => {
      if (pointer === 0) return
      live.push([pointer, mark])
      heap.u8.fill(mark, pointer, pointer + heap.usableSize(pointer))
    }
    if (kind < 7 || live.length === 0) keep(heap.malloc(size))
    else if (kind === 7) keep(heap.calloc(size, 1))
    else if (kind === 8) keep(heap.alignedAlloc(16 << this.random(6), size))
    else {
      const [[pointer, old]] = live.splice(which, 1)
      if (kind < 12) {
        const moved = heap.realloc(pointer, size + 1)
        if (moved !== 0) keep(moved)
        else live.push([pointer, old])
      } else heap.free(pointer)
      return pointer
    }
    return 0
  }
}

const used = heap =>
  [...heap.blocks()]
    .filter(block => block.used)
    .map(block => block.pointer)
    .join(' ')

function run(path, seed, options, tells) {
  const heap = Heap.open(path, { size: SIZE, create: true, ...options })
  const journal = Heap.open(`${path}.journal`, { size: 2 * HEAD, create: true })
  journal.root = journal.calloc(2, 4)
  const at = journal.root / 4
  const load = new Load(heap, seed)
  for (;;) {
    journal.i32[at] = load.calls + 1
    load.step()
    journal.i32[at + 1] = load.calls
    if (load.calls === tells) writeSync(1, 'working\n')
  }
}

function judge(path, seed, options) {
  const journal = Heap.open(`${path}.journal`)
  const [begun, done] = journal.i32.subarray(journal.root / 4, journal.root / 4 + 2)
  journal.close()
  const load = new Load(Heap.format(new ArrayBuffer(SIZE - HEAD), options), seed)
  while (load.calls < done) load.step()
  const before = used(load.heap)
  const live = [...load.live]
  const touched = begun > done ? load.step() : 0
  const heap = Heap.open(path)
  heap.check()
  const found = used(heap)
  if (heap.recovered === undefined) return `${path}: was not recovered`
  if (found !== before && found !== used(load.heap))
    return `${path}: after ${done} of ${begun} calls, the wrong blocks are used`
  for (const [pointer, mark] of live) {
    if (pointer === touched || !heap.owns(pointer)) continue
    const view = heap.view(pointer)
    if (view.some(byte => byte !== mark))
      return `${path}: after ${done} calls, the block at ${pointer} has changed`
  }
  const { blocks, milliseconds } = heap.recovered
  heap.close()
  return { done, blocks, milliseconds }
}

if (mode === 'run') run(words[0], Number(words[1]), JSON.parse(words[2]), Number(words[3]))
else if (mode === 'open') {
  writeSync(1, 'opening\n')
  const heap = Heap.open(words[0])
  writeSync(1, `opened ${heap.recovered?.milliseconds}\n`)
  heap.close()
} else {
  for (let i = 0; i < words.length; i += 3) {
    writeSync(
      1,
      `${JSON.stringify(judge(words[i], Number(words[i + 1]), JSON.parse(words[i + 2])))}\n`
    )
  }
}

/**
 * The load of workers and processes on a shared heap while others are terminated: they allocate,
 * resize and free each other's blocks. An entry of the ledger is a pointer to a block. The first
 * word of the block is its length in words; all other words hold its pointer. A thread that takes a
 * pointer out of the ledger owns the block.
 *
 *     node ledger.mjs library path index seed
 *         works on the heap in an existing file, whose root is a block with COUNTS counters and the
 *         ledger
 *     node ledger.mjs library path look
 *         checks the whole heap in an endless loop
 */
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const COUNTS = 16

/** The counters and the ledger in the block at a pointer. */
export function partsOf(heap, pointer) {
  const words = heap.i32.subarray(pointer / 4, (pointer + heap.usableSize(pointer)) / 4)
  return { counts: words.subarray(0, COUNTS), ledger: words.subarray(COUNTS) }
}

/** Works in an endless loop, and counts its operations in `counts[index]`. */
export function work(heap, { counts, ledger }, index, seed) {
  const { i32 } = heap
  let state = seed
  const random = below => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) % below
  }
  const verify = pointer => {
    const count = i32[pointer / 4]
    if (!(count > 0 && pointer + count * 4 <= i32.byteLength))
      throw new Error(`a block of ${count} words at ${pointer}`)
    for (let i = 1; i < count; i++)
      if (i32[pointer / 4 + i] !== pointer) throw new Error(`a block was overwritten: ${pointer}`)
    return count
  }
  for (;;) {
    const entry = random(ledger.length)
    const pointer = Atomics.exchange(ledger, entry, 0)
    let next = 0
    const count = random(8) === 0 ? 1 + random(2000) : 1 + random(60)
    if (pointer === 0) {
      next = heap.malloc(count * 4)
    } else {
      const had = verify(pointer)
      if (random(3) === 0) {
        next = heap.realloc(pointer, count * 4)
        for (let i = 1; next !== 0 && i < Math.min(had, count); i++)
          if (i32[next / 4 + i] !== pointer) throw new Error('realloc lost a word')
        if (next === 0) heap.free(pointer)
      } else heap.free(pointer)
    }
    if (next !== 0) {
      i32[next / 4] = count
      i32.fill(next, next / 4 + 1, next / 4 + count)
      if (Atomics.compareExchange(ledger, entry, 0, next) !== 0) heap.free(next)
    }
    Atomics.add(counts, index, 1)
  }
}

/**
 * Compares the heap with the ledger while no thread works on it, and frees all blocks of the
 * ledger. Returns a message if something is wrong, else the number of blocks without an owner.
 */
export function judge(heap, { ledger }) {
  heap.check()
  const used = new Set([...heap.blocks()].filter(block => block.used).map(block => block.pointer))
  const known = [...ledger].filter(pointer => pointer !== 0)
  if (new Set(known).size !== known.length) return 'a block is in the ledger twice'
  for (const pointer of known) {
    if (!used.has(pointer)) return `lost: ${pointer}`
    for (let i = 1; i < heap.i32[pointer / 4]; i++)
      if (heap.i32[pointer / 4 + i] !== pointer) return `overwritten: ${pointer}`
    heap.free(pointer)
  }
  ledger.fill(0)
  heap.check()
  return heap.stats().blocks
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , library, path, index, seed] = process.argv
  const { Heap } = await import(library)
  const heap = Heap.open(path, { shared: true })
  if (index === 'look') {
    writeSync(1, 'ready\n')
    for (;;) heap.check()
  }
  const parts = partsOf(heap, heap.root)
  writeSync(1, 'ready\n')
  work(heap, parts, Number(index), Number(seed))
}

/** Every single bit of a heap's header and index, turned over: attach refuses the heap, or it works. */
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements } from '../../lib/index.js'
import { attempt } from './outcome.js'

/** A small heap in use, with free blocks of several sizes. */
function inUse(options: HeapOptions, bytes: number): Heap {
  const heap = Heap.format(new ArrayBuffer(bytes), options)
  const pointers = [20, 100, 12, 60, 200, 12, 30, 12, 44, 150, 12].map(size => heap.malloc(size))
  for (const [i, pointer] of pointers.entries()) if (i % 2 === 1) heap.free(pointer)
  return heap
}

/** Uses a heap; every call ends well, for nothing was written over it since it was verified. */
function work(heap: Heap): void {
  const pointers: number[] = []
  for (let i = 0; i < 40; i++) {
    pointers.push(heap.malloc((i * 37) % 250), heap.alignedAlloc(32, i))
    if (i % 3 === 0) heap.free(pointers.shift() ?? 0)
    if (i % 4 === 0) pointers[0] = heap.realloc(pointers[0] ?? 0, i * 5 + 1) || (pointers[0] ?? 0)
  }
  for (const pointer of pointers) heap.free(pointer)
  heap.check()
}

// A hardened heap looks at memory that it never used when it first uses it, and so is not among them.
const kinds: HeapOptions[] = placements.flatMap(placement => [
  { placement, quickLists: false },
  { placement, quickLists: true }
])

describe.each(kinds)('%j', options => {
  test.each([1, 4])('every bit of the header and the index of a heap of %i KiB', kibibytes => {
    const { buffer } = inUse(options, 1024 * kibibytes)
    const bits = (Heap.attach(buffer).stats().metadata - 4) * 8
    let refused = 0
    for (let bit = 0; bit < bits; bit++) {
      const copy = buffer.slice(0)
      new Uint8Array(copy)[bit >> 3] ^= 1 << (bit & 7)
      const { value, code } = attempt('attach', () => Heap.attach(copy))
      if (value instanceof Heap) {
        try {
          work(value)
        } catch (error) {
          throw new Error(`bit ${bit & 31} of word ${bit >> 5}`, { cause: error })
        }
      } else {
        expect(['ERR_OFFHEAP_CORRUPT', 'ERR_OFFHEAP_NOT_A_HEAP']).toContain(code)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(bits / 10)
  })
})

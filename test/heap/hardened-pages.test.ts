/** Pages of a hardened heap that were given back: which they are is noted apart from all else, and everything stays watched. */
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectError } from './support.js'

const KiB = 2 ** 10
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

describe.each(placements)('a hardened %s heap', placement => {
  test.each([64, 128, 256, 512, 1024, 2048])('of %i KiB, full to its last byte, gives its middle back', size => {
    using heap = Heap.map({ size: size * KiB, hardened: true, quarantine: 0, placement })
    const fence = heap.malloc(8)
    const middle = heap.malloc(heap.stats().largestFree - 4000)
    const last: number[] = []
    for (let pointer = heap.malloc(8); pointer !== 0; pointer = heap.malloc(8)) last.push(pointer)
    expect(last.length).toBeGreaterThan(50)
    heap.view(middle).fill(1)
    heap.free(middle)
    expect(heap.trim()).toBeGreaterThan(16 * KiB)
    heap.check()
    for (const pointer of [fence, ...last]) expect(heap.owns(pointer)).toBe(true)
    for (const at of [5000, 9000, 20_000]) {
      heap.u8[middle + at] = 1
      expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${middle + at} was written, in free memory`))
      heap.u8[middle + at] = 0
    }
    heap.check()
    for (const pointer of [fence, ...last]) heap.free(pointer)
    heap.check()
    expect(heap.stats()).toMatchObject({ used: 0, freeBlocks: 0 })
  })
})

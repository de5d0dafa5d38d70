/**
 * Returned pages of a hardened heap: they are recorded separately, and all bytes are still
 * verified.
 */
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectError } from '../heap/support.js'

const KiB = 2 ** 10
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

const MiB = 2 ** 20

/** A heap with a used block, free memory whose pages were returned, and another used block. */
function holed(quarantine = 0): { heap: Heap; block: number; hole: number } {
  const heap = Heap.map({ size: 4 * MiB, hardened: true, quarantine })
  const [block, hole] = [heap.malloc(1000), heap.malloc(500_000)]
  heap.malloc(10)
  heap.view(block).fill(7)
  heap.view(hole).fill(1)
  heap.free(hole)
  expect(heap.trim()).toBeGreaterThan(400_000)
  heap.check()
  return { heap, block, hole }
}

describe('pages returned to the system', () => {
  test.each([4000, 20_000, 100_000, 400_000])(
    'are used again by a block that grows into them, to %i bytes',
    bytes => {
      const { heap, block } = holed()
      using _ = heap
      expect(heap.realloc(block, bytes)).toBe(block)
      heap.check()
      expect(
        heap
          .view(block)
          .subarray(0, 1000)
          .every(byte => byte === 7)
      ).toBe(true)
      heap.view(block).fill(9)
      heap.check()
      heap.free(block)
      heap.check()
    }
  )

  test.each([
    ['malloc', (heap: Heap) => heap.malloc(300_000)],
    ['calloc', (heap: Heap) => heap.calloc(300_000, 1)],
    ['realloc', (heap: Heap, block: number) => heap.realloc(block, 300_000)]
  ])('are watched anew once %s has found that something wrote there', (_, action) => {
    const { heap, block, hole } = holed()
    using _heap = heap
    const at = hole + 100_000
    heap.u8[at] = 1
    expectError(
      () => action(heap, block),
      CORRUPT,
      new RegExp(`byte ${at} was written, in free memory`)
    )
    heap.check()
    const again = action(heap, block)
    expect(again).toBeGreaterThan(0)
    heap.check()
    heap.free(again)
    heap.check()
  })

  test('are verified again after a quarantined block left, even if something wrote there', () => {
    const { heap, hole } = holed(MiB)
    using _ = heap
    const other = heap.malloc(700_000)
    heap.u8[hole + 100_000] = 1
    const message = new RegExp(
      `byte ${hole + 100_000} was written after it was freed: it is byte 100000 of`
    )
    expectError(() => heap.free(other), CORRUPT, message)
    heap.check()
    heap.free(other)
    heap.check()
  })

  test('stay zero when a quarantined block leaves', () => {
    const { heap, hole } = holed(MiB)
    using _ = heap
    heap.free(heap.malloc(700_000))
    expect(heap.stats()).toMatchObject({ quarantinedBlocks: 1, freeBlocks: 1 })
    expect(heap.u8.subarray(hole + 100_000, hole + 400_000).every(byte => byte === 0)).toBe(true)
    heap.check()
  })

  test.each([
    ['malloc', (heap: Heap) => heap.malloc(300_001)],
    ['calloc', (heap: Heap) => heap.calloc(300_001, 1)],
    ['alignedAlloc', (heap: Heap) => heap.alignedAlloc(4096, 300_001)]
  ])('are used again by %s, and then hold what is written, and are watched again', (_, action) => {
    const { heap, hole } = holed()
    using _heap = heap
    const pointer = action(heap)
    expect(pointer - hole).toBeLessThan(4096)
    heap.check()
    heap.view(pointer).fill(9)
    heap.check()
    heap.free(pointer)
    heap.check()
    heap.u8[pointer + 100_000] = 0
    expectError(
      () => heap.check(),
      CORRUPT,
      new RegExp(`byte ${pointer + 100_000} was written, in free memory`)
    )
  })
})

describe.each(placements)('a hardened %s heap', placement => {
  test.each([64, 128, 256, 512, 1024, 2048])(
    'of %i KiB, full to its last byte, can return its middle',
    size => {
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
        expectError(
          () => heap.check(),
          CORRUPT,
          new RegExp(`byte ${middle + at} was written, in free memory`)
        )
        heap.u8[middle + at] = 0
      }
      heap.check()
      for (const pointer of [fence, ...last]) heap.free(pointer)
      heap.check()
      expect(heap.stats()).toMatchObject({ used: 0, freeBlocks: 0 })
    }
  )
})

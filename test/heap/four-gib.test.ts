/**
 * Used blocks of about 4 GiB in a heap with slabs, whose sizes reach into the highest bits of a
 * header. The memory is mapped and hardly touched. Node 20 wraps at most 4 GiB.
 */
import { describe, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { expectError, whySkipped } from './support.js'

const GiB = 2 ** 30
const SIZE = 6 * GiB
const LINE = 4 * GiB
/** Sizes around 4 GiB. */
const amounts = [
  -1032, -40, -24, -20, -16, -12, -8, -4, 0, 4, 8, 12, 100, 500, 1012, 1016, 1020, 1028, 1036, 1044,
  4096
]

const why = whySkipped(SIZE)

/** Expects a used block with room for this many bytes. */
function expectUsed(heap: Heap, pointer: number, bytes: number): void {
  expect(heap.owns(pointer)).toBe(true)
  expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(bytes)
  if (bytes < LINE - 1024 || bytes > LINE + 4000)
    expect(heap.usableSize(pointer)).toBeLessThan(bytes + 16)
  expect([...heap.blocks()].find(block => block.pointer === pointer)).toMatchObject({ used: true })
  expect(heap.stats()).toMatchObject({ quarantined: 0, slabs: 0 })
}

describe.skipIf(why !== '')(`a heap of 6 GiB with slabs${why && ` (${why})`}`, () => {
  test('allocates and frees such blocks', () => {
    using heap = Heap.map({ size: SIZE, slabs: true })
    for (const bytes of amounts.map(amount => LINE + amount)) {
      const pointer = heap.malloc(bytes)
      const fence = heap.malloc(2000)
      expectUsed(heap, pointer, bytes)
      expectUsed(heap, fence, 2000)
      heap.free(pointer)
      expect(heap.owns(pointer)).toBe(false)
      expectError(() => heap.free(pointer), 'ERR_OFFHEAP_DOUBLE_FREE')
      expect(heap.stats()).toMatchObject({ freeBlocks: 1 })
      heap.free(fence)
      expect(heap.stats().used).toBe(0)
    }
    heap.malloc(LINE + 8)
    heap.check()
  })

  test('grows and shrinks blocks to such sizes', () => {
    using heap = Heap.map({ size: SIZE, slabs: true })
    for (const bytes of amounts.map(amount => LINE + amount)) {
      const pointer = heap.malloc(5 * GiB)
      const fence = heap.malloc(2000)
      expect(heap.realloc(pointer, bytes)).toBe(pointer)
      expectUsed(heap, pointer, bytes)
      expect(heap.realloc(pointer, 3 * GiB)).toBe(pointer)
      expect(heap.realloc(pointer, bytes)).toBe(pointer)
      expectUsed(heap, pointer, bytes)
      heap.free(pointer)
      heap.free(fence)
    }
    heap.check()
  })

  test('does not split a hole into such a block', () => {
    for (const amount of [-16, -12, -8]) {
      using heap = Heap.map({ size: SIZE, slabs: true })
      const halves = [heap.malloc(LINE / 2 - 4), heap.malloc(LINE / 2 - 4)]
      heap.malloc(2000)
      for (const half of halves) heap.free(half)
      expect([...heap.freeBlocks()].map(({ size }) => size)).toEqual([LINE])
      const pointer = heap.malloc(LINE + amount)
      if (pointer !== 0) expectUsed(heap, pointer, LINE + amount)
      heap.check()
    }
  })

  test('aligns such blocks', () => {
    using heap = Heap.map({ size: SIZE, slabs: true })
    heap.malloc(2000)
    for (const bytes of amounts.map(amount => LINE + amount)) {
      const pointer = heap.alignedAlloc(65536, bytes)
      expect(pointer % 65536).toBe(0)
      expectUsed(heap, pointer, bytes)
      heap.free(pointer)
    }
    heap.check()
  })
})

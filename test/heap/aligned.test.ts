/** alignedAlloc: every power of two, from every place where a block can be found. */
import { describe, expect, test } from 'vitest'
import { Heap, Region } from '../../lib/index.js'
import { call, expectNull, expectRefusal, newHeap, row, sketch } from './support.js'

const powers = Array.from({ length: 21 }, (_, power) => 2 ** power)

describe('alignedAlloc', () => {
  test.each(powers)(
    'allocates at multiples of %i bytes, from the wilderness and from free blocks',
    alignment => {
      const heap = newHeap(8 * 2 ** 20)
      heap.malloc(40)
      const fresh = heap.alignedAlloc(alignment, 100)
      expect(fresh % alignment).toBe(0)
      expect(fresh).toBeGreaterThan(0)
      expect(heap.usableSize(fresh)).toBeGreaterThanOrEqual(100)
      heap.check()
      const hole = heap.malloc(2.5 * 2 ** 20)
      heap.malloc(40)
      heap.free(hole)
      const reused = heap.alignedAlloc(alignment, 1000)
      expect(reused % alignment).toBe(0)
      expect(reused).toBeLessThan(hole + 2.5 * 2 ** 20)
      heap.check()
      heap.u8.fill(1, reused, reused + 1000)
      heap.u8.fill(2, fresh, fresh + 100)
      heap.check()
      heap.free(fresh)
      heap.free(reused)
      heap.check()
    }
  )

  test.each([
    0,
    -8,
    3,
    6,
    12,
    24,
    1000,
    2 ** 20 + 1,
    2 ** 31 - 1,
    2 ** 49 + 1,
    2 ** 52 - 1,
    0.5,
    1.5,
    Number.NaN,
    Infinity
  ])('refuses the alignment %d', alignment => {
    const heap = newHeap()
    expectRefusal(
      heap,
      () => call(heap, 'alignedAlloc', alignment, 8),
      'ERR_OUT_OF_RANGE',
      /"alignment".*power of two/
    )
  })

  test.each([['8'], [8n], [null], [undefined], [{}], [Symbol('8')]])(
    'rejects an alignment of the wrong type (%#)',
    value => {
      const heap = newHeap()
      expectRefusal(
        heap,
        () => call(heap, 'alignedAlloc', value, 8),
        'ERR_INVALID_ARG_TYPE',
        /"alignment"/
      )
    }
  )

  test.each([2 ** 16, 2 ** 20, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 52])(
    'returns 0 for %d bytes, which are more than the heap has',
    alignment => {
      const heap = newHeap()
      heap.malloc(100)
      expectNull(heap, () => heap.alignedAlloc(alignment, 8))
      expectNull(heap, () => heap.alignedAlloc(alignment, 2 ** 53 - 1))
    }
  )

  test('frees the gap before an aligned block and the remainder after it', () => {
    const heap = newHeap()
    heap.malloc(40)
    const pointer = heap.alignedAlloc(1024, 100)
    expect(sketch(heap)).toMatch(/^u48 f\d+ u104$/)
    const { used, peakUsed, blocks } = heap.stats()
    expect({ used, peakUsed, blocks }).toEqual({ used: 48 + 104, peakUsed: 48 + 104, blocks: 2 })
    heap.free(pointer)
    expect(sketch(heap)).toBe('u48')
    heap.check()
  })

  test('leaves no gap if the payload is already aligned', () => {
    const heap = newHeap()
    const probe = heap.malloc(40)
    heap.free(probe)
    const alignment = probe & -probe
    expect(heap.alignedAlloc(alignment, 40)).toBe(probe)
    expect(sketch(heap)).toBe('u48')
    heap.check()
  })

  test('finds a block that is large enough only because of its place', () => {
    const heap = newHeap(8192)
    heap.malloc(40)
    const page = heap.alignedAlloc(4096, 200)
    const pin = heap.malloc(40)
    heap.malloc(heap.stats().wilderness - 4)
    const [front] = [...heap.blocks()].filter(({ used }) => !used)
    heap.malloc((front?.size ?? 0) - 4)
    heap.free(page)
    expect(heap.stats().freeBlocks).toBe(1)
    expect(heap.alignedAlloc(4096, 200)).toBe(page)
    expectNull(heap, () => heap.alignedAlloc(4096, 200))
    expect(heap.owns(pin)).toBe(true)
  })

  test('aligns the address in memory as well, up to the alignment of the region', () => {
    using region = Region.map(2 ** 20)
    const heap = Heap.format(region)
    const pointer = heap.alignedAlloc(region.pageSize, 8)
    expect((region.address + BigInt(pointer)) % BigInt(region.pageSize)).toBe(0n)
  })

  test('realloc keeps the place of an aligned block if possible, but not its alignment', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 1)
    heap.free(a)
    const pointer = heap.alignedAlloc(256, 100)
    heap.u8.fill(7, pointer, pointer + 100)
    expect(heap.realloc(pointer, 200)).toBe(pointer)
    expect(heap.u8.subarray(pointer, pointer + 100).every(byte => byte === 7)).toBe(true)
    heap.check()
  })
})

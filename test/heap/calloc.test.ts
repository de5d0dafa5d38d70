/** calloc: clears memory that was used before, and does not touch memory that is zero already. */
import { describe, expect, test } from 'vitest'
import { Heap, Region } from '../../lib/index.js'
import { call, expectNull, expectRefusal, newHeap, row } from './support.js'

function isZero(heap: Heap, pointer: number, length: number): boolean {
  return heap.u8.subarray(pointer, pointer + length).every(byte => byte === 0)
}

describe('calloc', () => {
  test.each([
    [2 ** 31, 2 ** 31],
    [2 ** 32, 2 ** 32],
    [2 ** 27, 2 ** 26],
    [2 ** 53 - 1, 2 ** 53 - 1],
    [2, 2 ** 52],
    [2 ** 32, 1],
    [2 ** 32 + 1, 2 ** 32 + 1]
  ])('refuses %d * %d', (count, size) => {
    const heap = newHeap()
    heap.malloc(100)
    expectNull(heap, () => heap.calloc(count, size))
  })

  test('names the wrong argument', () => {
    const heap = newHeap()
    expectRefusal(heap, () => call(heap, 'calloc', -1, 8), 'ERR_OUT_OF_RANGE', /"count"/)
    expectRefusal(heap, () => call(heap, 'calloc', 8, -1), 'ERR_OUT_OF_RANGE', /"size"/)
    expectRefusal(heap, () => call(heap, 'calloc', 0, '8'), 'ERR_INVALID_ARG_TYPE', /"size"/)
  })

  test.each([1, 12, 20, 60, 100, 124, 132, 1000, 5000])(
    'clears %i bytes that were used before',
    size => {
      const heap = newHeap()
      const [, block = 0, neighbour = 0] = row(heap, 3, size)
      heap.view(block).fill(0xee)
      heap.view(neighbour).fill(0xee)
      heap.free(block)
      expect(heap.calloc(size, 1)).toBe(block)
      expect(isZero(heap, block, size)).toBe(true)
      expect(heap.view(neighbour).every(byte => byte === 0xee)).toBe(true)
    }
  )

  test('clears a block that became wilderness and is part of a larger one', () => {
    const heap = newHeap()
    const first = heap.malloc(1000)
    heap.view(first).fill(0xee)
    heap.free(first)
    expect(heap.stats().blocks).toBe(0)
    expect(heap.calloc(500, 8)).toBe(first)
    expect(isZero(heap, first, 4000)).toBe(true)
  })

  test('clears memory that was dirty when the heap was formatted', () => {
    const buffer = new ArrayBuffer(65536)
    new Uint8Array(buffer).fill(0xee)
    const heap = Heap.format(buffer)
    const { largestFree } = heap.stats()
    const pointer = heap.calloc(largestFree, 1)
    expect(isZero(heap, pointer, largestFree)).toBe(true)
    heap.check()
  })

  test('clears gaps that alignedAlloc left and bytes that realloc freed', () => {
    const heap = newHeap()
    heap.alignedAlloc(4096, 10)
    const grown = heap.malloc(5000)
    heap.view(grown).fill(0xee)
    heap.realloc(grown, 10)
    const pointer = heap.calloc(4900, 1)
    expect(isZero(heap, pointer, 4900)).toBe(true)
  })

  test('clears memory after reset', () => {
    using heap = Heap.map(2 ** 20)
    const first = heap.malloc(100_000)
    heap.view(first).fill(0xee)
    heap.reset()
    expect(heap.calloc(200_000, 1)).toBe(first)
    expect(isZero(heap, first, 200_000)).toBe(true)
  })

  test('does not touch pages that are already zero', () => {
    using heap = Heap.map(64 * 2 ** 20)
    const before = heap.stats().residentBytes
    const pointer = heap.calloc(32 * 2 ** 20, 1)
    expect(heap.stats().residentBytes - before).toBeLessThanOrEqual(2 ** 20)
    expect(isZero(heap, pointer, 2 ** 20)).toBe(true)
  })

  test('clears only the part of a block that was used before', () => {
    using heap = Heap.map(64 * 2 ** 20)
    const dirty = heap.malloc(2 ** 20)
    heap.view(dirty).fill(0xee)
    heap.free(dirty)
    const before = heap.stats().residentBytes
    expect(heap.calloc(32 * 2 ** 20, 1)).toBe(dirty)
    expect(heap.stats().residentBytes - before).toBeLessThanOrEqual(2 ** 20)
    expect(isZero(heap, dirty, 2 * 2 ** 20)).toBe(true)
  })

  test('does not assume that a region of the caller is zero', () => {
    using region = Region.map(2 ** 20)
    new Uint8Array(region.buffer).fill(0xee)
    const heap = Heap.format(region)
    const pointer = heap.calloc(2 ** 19, 1)
    expect(isZero(heap, pointer, 2 ** 19)).toBe(true)
  })

  test('clears memory after attach', () => {
    using heap = Heap.map(2 ** 20)
    const dirty = heap.malloc(10_000)
    heap.view(dirty).fill(0xee)
    heap.free(dirty)
    const other = Heap.attach(heap.buffer)
    expect(other.calloc(20_000, 1)).toBe(dirty)
    expect(isZero(other, dirty, 20_000)).toBe(true)
  })

  test('allocZeroed returns exactly the requested length, all zero', () => {
    const heap = newHeap()
    const dirty = heap.alloc(1000).fill(0xee)
    heap.free(dirty)
    const bytes = heap.allocZeroed(999)
    expect(bytes).toHaveLength(999)
    expect(bytes.byteOffset).toBe(dirty.byteOffset)
    expect(bytes.every(byte => byte === 0)).toBe(true)
  })
})

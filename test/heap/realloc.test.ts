/** realloc: where the block is moved, which bytes are kept, and the heap around it. */
import { describe, expect, test } from 'vitest'
import {
  call,
  expectFilled,
  expectNull,
  expectRefusal,
  fill,
  newHeap,
  row,
  sketch
} from './support.js'

describe('realloc, as in C,', () => {
  test('with NULL is malloc', () => {
    const heap = newHeap()
    const pointer = heap.realloc(0, 100)
    expect(heap.usableSize(pointer)).toBe(100)
    expect(heap.usableSize(heap.realloc(0, 0))).toBe(12)
    heap.check()
  })

  test('to 0 bytes frees, and returns NULL', () => {
    const heap = newHeap()
    const [, b = 0] = row(heap, 3)
    expect(heap.realloc(b, 0)).toBe(0)
    expect(heap.owns(b)).toBe(false)
    expect(sketch(heap)).toBe('u48 f48 u48 u48')
    heap.check()
  })

  test('checks the size before the pointer, and both before any change', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 3)
    expectRefusal(heap, () => call(heap, 'realloc', a, -1), 'ERR_OUT_OF_RANGE', /"size"/)
    expectRefusal(
      heap,
      () => call(heap, 'realloc', a + 8, 100),
      'ERR_OFFHEAP_INVALID_POINTER',
      /^realloc/
    )
    expectRefusal(
      heap,
      () => call(heap, 'realloc', a + 8, 2 ** 40),
      'ERR_OFFHEAP_INVALID_POINTER',
      /^realloc/
    )
  })
})

describe('realloc to a larger size', () => {
  test('within the block changes nothing', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 2, 37)
    const before = heap.u8.slice()
    expect(heap.realloc(a, 44)).toBe(a)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })

  test('grows into a free right neighbour, which is split', () => {
    const heap = newHeap()
    const [a = 0, b = 0] = row(heap, 3, 100)
    fill(heap, a)
    heap.free(b)
    expect(heap.realloc(a, 160)).toBe(a)
    expect(sketch(heap)).toBe('u168 f40 u104 u104')
    expectFilled(heap, a, 100)
    heap.check()
  })

  test('grows into a whole free right neighbour if the remainder is too small', () => {
    const heap = newHeap()
    const [a = 0, b = 0, c = 0] = row(heap, 3, 100)
    fill(heap, a)
    fill(heap, c)
    heap.free(b)
    expect(heap.realloc(a, 196)).toBe(a)
    expect(sketch(heap)).toBe('u208 u104 u104')
    expect(heap.usableSize(a)).toBe(204)
    expectFilled(heap, a, 100)
    expectFilled(heap, c, 100)
    heap.check()
    heap.free(c)
    heap.free(a)
    expect(sketch(heap)).toBe('f312 u104')
    heap.check()
  })

  test('grows into a free right neighbour that fits exactly', () => {
    const heap = newHeap()
    const [a = 0, b = 0] = row(heap, 3, 100)
    heap.free(b)
    expect(heap.realloc(a, 204)).toBe(a)
    expect(sketch(heap)).toBe('u208 u104 u104')
    heap.check()
  })

  test('grows into the wilderness, up to its last byte', () => {
    const heap = newHeap()
    const pointer = heap.malloc(100)
    fill(heap, pointer)
    const { largestFree } = heap.stats()
    expect(heap.realloc(pointer, 5000)).toBe(pointer)
    expect(heap.realloc(pointer, 104 + largestFree)).toBe(pointer)
    expect(heap.stats().free).toBe(0)
    expectFilled(heap, pointer, 100)
    expectNull(heap, () => heap.realloc(pointer, 104 + largestFree + 1))
    heap.check()
  })

  test('moves the block with its contents if the right neighbour is used or too small', () => {
    const heap = newHeap()
    const [a = 0, b = 0, c = 0] = row(heap, 4, 100)
    fill(heap, a)
    heap.free(b)
    const moved = heap.realloc(a, 300)
    expect(moved).toBeGreaterThan(c)
    expectFilled(heap, moved, 100)
    expect(sketch(heap)).toBe('f208 u104 u104 u104 u304')
    heap.check()
    expect(heap.malloc(200)).toBe(a)
  })

  test('moves to the lowest place that fits, even right before itself', () => {
    const heap = newHeap()
    const left = heap.malloc(200)
    const block = heap.malloc(60)
    heap.malloc(60)
    fill(heap, block)
    heap.free(left)
    expect(heap.realloc(block, 150)).toBe(left)
    expectFilled(heap, left, 60)
    expect(sketch(heap)).toBe('u160 f112 u64')
    heap.check()
  })
})

describe('realloc without memory', () => {
  test('leaves the block unchanged, whatever its left neighbour is', () => {
    const heap = newHeap(4096)
    const [left, block, right] = [100, 100, 100].map(size => heap.malloc(size))
    heap.malloc(heap.stats().largestFree)
    fill(heap, block)
    heap.free(left)
    heap.free(right)
    expectNull(heap, () => heap.realloc(block, 205))
    expectNull(heap, () => heap.realloc(block, 2 ** 40))
    expectFilled(heap, block, 100)
    expect(heap.usableSize(block)).toBe(100)
    expect(heap.realloc(block, 204)).toBe(block)
  })

  test('moves to a free left neighbour that is large enough by itself', () => {
    const heap = newHeap(4096)
    const [left, block] = [200, 100].map(size => heap.malloc(size))
    heap.malloc(heap.stats().largestFree)
    fill(heap, block)
    heap.free(left)
    expect(heap.realloc(block, 180)).toBe(left)
    expectFilled(heap, left, 100)
    expect(sketch(heap)).toMatch(/^u184 f128 u\d+$/)
    heap.check()
  })
})

describe('realloc to a smaller size', () => {
  test('splits off the end', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 2, 100)
    fill(heap, a)
    expect(heap.realloc(a, 40)).toBe(a)
    expect(sketch(heap)).toBe('u48 f56 u104 u104')
    expectFilled(heap, a, 40)
    heap.check()
  })

  test('merges the end with a free right neighbour', () => {
    const heap = newHeap()
    const [a = 0, b = 0] = row(heap, 2, 100)
    heap.free(b)
    expect(heap.realloc(a, 40)).toBe(a)
    expect(sketch(heap)).toBe('u48 f160 u104')
    heap.check()
  })

  test('returns the end to the wilderness', () => {
    const heap = newHeap()
    const pointer = heap.malloc(1000)
    expect(heap.realloc(pointer, 0x28)).toBe(pointer)
    expect(sketch(heap)).toBe('u48')
    expect(heap.realloc(pointer, 36)).toBe(pointer)
    expect(sketch(heap)).toBe('u40')
    heap.check()
  })

  test('keeps 8 bytes before a used block', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 2, 100)
    expect(heap.realloc(a, 92)).toBe(a)
    expect(sketch(heap)).toBe('u104 u104 u104')
    expect(heap.usableSize(a)).toBe(100)
    heap.check()
  })

  test('gives 8 bytes to a free block', () => {
    const heap = newHeap()
    const [a = 0, b = 0] = row(heap, 2, 100)
    heap.free(b)
    expect(heap.realloc(a, 92)).toBe(a)
    expect(sketch(heap)).toBe('u96 f112 u104')
    heap.check()
    expect(heap.malloc(108)).toBe(b - 8)
    expect(sketch(heap)).toBe('u96 u112 u104')
    heap.check()
  })
})

test('a chain of moves leaks nothing: the old block is freed every time', () => {
  const heap = newHeap(2 ** 20)
  let pointer = heap.malloc(8)
  const pins: number[] = []
  for (let size = 16; size < 2 ** 15; size *= 2) {
    pins.push(heap.malloc(8))
    pointer = heap.realloc(pointer, size)
    heap.check()
  }
  expect(heap.stats().blocks).toBe(pins.length + 1)
  for (const pin of pins) heap.free(pin)
  heap.free(pointer)
  expect(heap.stats()).toMatchObject({ used: 0, blocks: 0, freeBlocks: 0 })
  heap.check()
})

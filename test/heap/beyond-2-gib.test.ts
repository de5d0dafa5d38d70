/**
 * Pointers of 2 GiB and more, which don't fit in a signed 32-bit number, in heaps that every Node
 * can map; large.test.ts goes beyond 4 GiB. The memory before them is one block, which is never
 * touched.
 */
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions } from '../../lib/index.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { expectError, expectFilled, fill, whySkipped } from './support.js'

const GiB = 2 ** 30
const LINE = 2 * GiB
const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'
const DOUBLE = 'ERR_OFFHEAP_DOUBLE_FREE'

/** The bytes used for a request of 100 bytes: a block, or a slot of its class. */
const kinds: [name: string, options: HeapOptions, room: number][] = [
  ['a heap of 3 GiB', {}, 100],
  ['one with slabs', { slabs: true }, 128]
]

/** A heap with a single block before the 2 GiB. */
function upToTheLine(options: HeapOptions): Heap {
  const heap = Heap.map({ size: 3 * GiB, ...options })
  heap.malloc(LINE - heap.stats().top)
  return heap
}

/** A block beyond 2 GiB. */
function beyond(heap: Heap, bytes: number): number {
  const pointer = heap.malloc(bytes)
  expect(pointer).toBeGreaterThanOrEqual(LINE)
  return pointer
}

const why = whySkipped(3 * GiB)

describe.skipIf(why !== '').each(kinds)(`%s${why && ` (${why})`}`, (_, options, room) => {
  test('finds its blocks beyond 2 GiB by pointer and by view', () => {
    using heap = upToTheLine(options)
    const [pointer, next] = [beyond(heap, 100), heap.malloc(200)]
    fill(heap, pointer)
    for (const reference of [pointer, heap.view(pointer)]) {
      expect(heap.owns(reference)).toBe(true)
      expect(heap.usableSize(reference)).toBe(room)
    }
    heap.root = pointer
    expect(heap.root).toBe(pointer)
    expect(heap.realloc(pointer, 90)).toBe(pointer)
    const moved = heap.realloc(pointer, 500)
    expect(moved).toBeGreaterThan(next)
    expectFilled(heap, moved, 90)
    heap.free(moved)
    heap.free(heap.view(next))
    for (const gone of [pointer, next, moved]) {
      expect(heap.owns(gone)).toBe(false)
      expectError(() => heap.free(gone), DOUBLE)
    }
    heap.check()
  })

  test('refuses wrong pointers beyond 2 GiB, whatever the bytes there look like', () => {
    using heap = upToTheLine(options)
    const pointer = beyond(heap, 4000)
    const fence = heap.malloc(200)
    // The whole payload looks like headers of used blocks, side by side.
    for (let word = pointer / 4; word < fence / 4 - 1; word++)
      heap.i32[word] = headerOf(4, USED | PREVIOUS_USED)
    for (const bytes of [1, 2, 4, 12, 20, 0.5]) {
      expect(heap.owns(pointer + bytes)).toBe(false)
    }
    for (const bytes of [1, 2, 4, 12, 20]) {
      expectError(() => heap.free(pointer + bytes), INVALID, /multiple of 8/)
    }
    expect(heap.owns(heap.u8.subarray(pointer + 4))).toBe(false)
    expectError(() => heap.free(3 * GiB), INVALID, /outside the heap/)
    expectError(() => heap.free(pointer + 4 * GiB), INVALID, /outside the heap/)
    expectError(() => heap.free(-pointer), 'ERR_OUT_OF_RANGE')
    expect(heap.owns(-pointer)).toBe(false)
    heap.check()
  })

  test('serves a request of 2 GiB and more, to the last byte', () => {
    using heap = Heap.map({ size: 3 * GiB, ...options })
    const { largestFree } = heap.stats()
    expect(largestFree).toBeGreaterThan(2.9 * GiB)
    for (const bytes of [LINE, LINE + 4, largestFree]) {
      const pointer = heap.malloc(bytes)
      expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(bytes)
      heap.free(pointer)
    }
    for (const bytes of [largestFree + 1, 3 * GiB - 4, 3 * GiB, 3 * GiB + 1])
      expect(heap.malloc(bytes)).toBe(0)
    const first = heap.alloc(LINE)
    expect(first.length).toBe(LINE)
    expect(heap.realloc(first, LINE + GiB / 2)).toBe(first.byteOffset)
    heap.check()
  })
})

test('a pointer plus a multiple of 4 GiB is not a pointer', () => {
  const heap = Heap.format(new ArrayBuffer(65536))
  const pointer = heap.malloc(100)
  for (const other of [pointer + 2 ** 32, pointer + 2 ** 33, pointer + 2 ** 40]) {
    expect(heap.owns(other)).toBe(false)
    for (const call of [
      () => heap.free(other),
      () => heap.realloc(other, 8),
      () => heap.view(other)
    ]) {
      expectError(call, INVALID, /outside the heap/)
    }
  }
  expect(heap.owns(pointer)).toBe(true)
})

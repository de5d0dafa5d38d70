/**
 * A heap in a SharedArrayBuffer behaves as in an ArrayBuffer: the same pointers, bytes and errors.
 */
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements } from '../../lib/index.js'
import { expectError } from './support.js'

const kinds: HeapOptions[] = placements.flatMap(placement => [
  { placement, slabs: false },
  { placement, slabs: true },
  { placement, hardened: true }
])

describe.each(kinds)('a heap on a SharedArrayBuffer, %j', options => {
  test('returns the same pointers as one on an ArrayBuffer', () => {
    const heaps = [
      Heap.format(new SharedArrayBuffer(2 ** 17), options),
      Heap.format(new ArrayBuffer(2 ** 17), options)
    ].map(heap => {
      const pointers = Array.from({ length: 100 }, (_, i) => heap.malloc((i * 37) % 300))
      for (const [i, pointer] of pointers.entries()) if (i % 3 === 0) heap.free(pointer)
      pointers.push(heap.calloc(10, 10), heap.alignedAlloc(256, 50), heap.realloc(pointers[1], 500))
      heap.check()
      return { pointers, stats: heap.stats() }
    })
    expect(heaps[0]).toEqual(heaps[1])
  })
})

test('views cover the shared memory, and stand for their blocks', () => {
  const heap = Heap.format(new SharedArrayBuffer(65536))
  const views = [
    heap.alloc(100),
    heap.allocZeroed(100),
    heap.allocBuffer(100),
    heap.allocArray(Float64Array, 10)
  ]
  for (const view of views) {
    expect(view.buffer).toBe(heap.buffer)
    expect(heap.owns(view)).toBe(true)
    heap.free(view)
  }
  expect(Buffer.isBuffer(views[2])).toBe(true)
  expectError(() => heap.free(new Uint8Array(new SharedArrayBuffer(8))), 'ERR_OFFHEAP_FOREIGN_VIEW')
  expect(heap.stats().blocks).toBe(0)
})

test('another heap object on the same memory sees the same blocks, as another thread does', () => {
  const heap = Heap.format(new SharedArrayBuffer(65536))
  const pointer = heap.malloc(100)
  heap.root = pointer
  const other = Heap.attach(heap.buffer)
  expect(other.root).toBe(pointer)
  other.free(pointer)
  expect(heap.owns(pointer)).toBe(false)
})

test('close() leaves the memory as it is, and empties the views of the heap', () => {
  const heap = Heap.format(new SharedArrayBuffer(65536))
  const pointer = heap.malloc(8)
  heap.close()
  expect([heap.u8.length, heap.dataView.byteLength]).toEqual([0, 0])
  expectError(() => heap.malloc(8), 'ERR_OFFHEAP_CLOSED')
  expect(Heap.attach(heap.buffer).owns(pointer)).toBe(true)
})

test('trimThreshold needs pages, which a SharedArrayBuffer does not have', () => {
  const format = (): unknown => Heap.format(new SharedArrayBuffer(65536), { trimThreshold: 4096 })
  expectError(format, 'ERR_INVALID_ARG_TYPE', /must be a Region/)
})

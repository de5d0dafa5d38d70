/**
 * What heaps of every kind publish through diagnostics_channel, and that publishing changes
 * nothing.
 */
import { afterEach, describe, expect, test } from 'vitest'
import { Heap, type HeapOptions } from '../../lib/index.js'
import { listen, stopListening } from '../memory/told.js'
import { errorOf } from './support.js'

const MiB = 2 ** 20

const kinds: [name: string, options: HeapOptions][] = [
  ['an ordinary heap', {}],
  ['a heap with slabs', { slabs: true }],
  ['a hardened heap', { hardened: true }]
]

afterEach(stopListening)

describe.each(kinds)('%s', (_, options) => {
  test('publishes growth by the MiB, in the middle of any call', () => {
    using heap = Heap.map({ size: 64 * MiB, ...options })
    // A freed slot, or a block in quarantine.
    heap.free(heap.malloc(100))
    heap.malloc(200)
    const told = listen()
    const large = heap.malloc(5 * MiB)
    expect(told).toEqual([{ name: 'grow', message: { heap, highWater: heap.stats().highWater } }])
    expect(heap.realloc(large, 10 * MiB)).toBe(large)
    expect(told.slice(1)).toEqual([
      { name: 'grow', message: { heap, highWater: heap.stats().highWater } }
    ])
    heap.check()
    expect(told).toHaveLength(2)
  })

  test('publishes how much it returned to the system', () => {
    using heap = Heap.map({ size: 32 * MiB, ...options })
    const large = heap.malloc(4 * MiB)
    heap.malloc(100)
    heap.view(large).fill(1)
    heap.free(large)
    const told = listen()
    const gone = heap.trim()
    expect(gone).toBeGreaterThan(3 * MiB)
    expect(told).toEqual([{ name: 'trim', message: { heap, bytes: expect.any(Number) } }])
    expect(told[0]?.message.bytes).toBeGreaterThanOrEqual(gone)
    expect(told[0]?.message.bytes).toBeLessThan(5 * MiB)
  })

  test('publishes the requested size when out of memory', () => {
    const heap = Heap.format(new ArrayBuffer(65536), options)
    const pointer = heap.malloc(10)
    heap.malloc(10)
    const told = listen()
    expect(heap.malloc(65535)).toBe(0)
    expect(heap.malloc(2 ** 40)).toBe(0)
    expect(heap.calloc(300, 300)).toBe(0)
    expect(heap.calloc(2 ** 40, 2 ** 40)).toBe(0)
    expect(heap.alignedAlloc(64, 65535)).toBe(0)
    expect(heap.alignedAlloc(2 ** 40, 8)).toBe(0)
    expect(heap.realloc(pointer, 65534)).toBe(0)
    expect(() => heap.allocArray(Float64Array, 10_000)).toThrow('80000 bytes')
    expect(told.map(({ name }) => name)).toEqual(Array(8).fill('out-of-memory'))
    const requested = told.map(({ message }) => message.requested)
    expect(requested.toSpliced(3, 1)).toEqual([65535, 2 ** 40, 90_000, 65535, 8, 65534, 80_000])
    expect(requested[3]).toBeGreaterThan(2 ** 50)
  })

  test('publishes every wrong pointer once, with the error that is thrown', () => {
    const heap = Heap.format(new ArrayBuffer(65536), options)
    const pointer = heap.malloc(100)
    heap.malloc(100)
    for (const call of [
      () => heap.free(pointer + 8),
      () => heap.realloc(pointer + 8, 10),
      () => heap.realloc(pointer + 8, 0),
      () => heap.view(pointer + 8),
      () => heap.usableSize(pointer + 8),
      () => (heap.root = pointer + 8)
    ]) {
      const told = listen()
      const error = errorOf(call)
      expect(error.code).toBe('ERR_OFFHEAP_INVALID_POINTER')
      expect(told).toEqual([{ name: 'fault', message: { heap, error } }])
    }
  })

  test('publishes what check() finds', () => {
    const heap = Heap.format(new ArrayBuffer(65536), options)
    heap.malloc(100)
    heap.i32[5] += 2
    const told = listen()
    const error = errorOf(() => heap.check())
    expect(told).toEqual([{ name: 'fault', message: { heap, error } }])
  })

  test('publishes no fault for a closed heap or an invalid argument', () => {
    const heap = Heap.format(new ArrayBuffer(65536), options)
    const told = listen()
    errorOf(() => heap.malloc(-1))
    errorOf(() => heap.free(0.5))
    heap.close()
    for (const call of [
      () => heap.malloc(1),
      () => heap.free(8),
      () => heap.view(8),
      () => heap.check()
    ]) {
      expect(errorOf(call).code).toBe('ERR_OFFHEAP_CLOSED')
    }
    expect(told).toEqual([])
  })
})

describe('a hardened heap', () => {
  test('publishes damage once, whichever call finds it', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { hardened: true })
    const pointer = heap.malloc(100)
    for (const call of [
      () => heap.free(pointer),
      () => heap.realloc(pointer, 500),
      () => heap.realloc(pointer, 0)
    ]) {
      heap.u8[pointer + 100] ^= 1
      const told = listen()
      const error = errorOf(call)
      expect(error.code).toBe('ERR_OFFHEAP_CORRUPT')
      expect(told).toEqual([{ name: 'fault', message: { heap, error } }])
    }
  })

  test('publishes an overwritten header, whichever call finds it', () => {
    using heap = Heap.map({ size: MiB, hardened: true })
    const pointer = heap.malloc(100)
    heap.i32[20] ^= 1
    for (const call of [
      () => heap.malloc(10),
      () => heap.free(pointer),
      () => heap.realloc(pointer, 500),
      () => heap.view(pointer),
      () => heap.usableSize(pointer),
      () => (heap.root = 0),
      () => heap.trim(),
      () => heap.check()
    ]) {
      const told = listen()
      const error = errorOf(call)
      expect(error.message).toMatch(/header/)
      expect(told).toEqual([{ name: 'fault', message: { heap, error } }])
    }
  })
})

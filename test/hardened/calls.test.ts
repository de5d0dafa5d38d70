/**
 * Calls that work in a hardened heap as in any other: arguments, views, zeroed memory, alignment,
 * the root, the end of the heap.
 */
import { describe, expect, test } from 'vitest'
import { Heap, placements, Region } from '../../lib/index.js'
import {
  call,
  expectError,
  expectFilled,
  expectNull,
  expectRefusal,
  fill
} from '../heap/support.js'

const CLOSED = 'ERR_OFFHEAP_CLOSED'
const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'

function hardened(bytes = 65536, quarantine?: number): Heap {
  return Heap.format(new ArrayBuffer(bytes), {
    hardened: true,
    ...(quarantine === undefined ? {} : { quarantine })
  })
}

function isZero(heap: Heap, pointer: number): boolean {
  return heap.view(pointer).every(byte => byte === 0)
}

describe('a hardened heap', () => {
  test.each([-1, 0.5, Number.NaN, 2 ** 53, '8', null, undefined])('rejects a size of %s', value => {
    const heap = hardened()
    const pointer = heap.malloc(8)
    const code = typeof value === 'number' ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE'
    expectRefusal(heap, () => call(heap, 'malloc', value), code)
    expectRefusal(heap, () => call(heap, 'calloc', value, 1), code, /"count"/)
    expectRefusal(heap, () => call(heap, 'calloc', 1, value), code, /"size"/)
    expectRefusal(heap, () => call(heap, 'alignedAlloc', 64, value), code)
    expectRefusal(heap, () => call(heap, 'alignedAlloc', value, 64), code, /"alignment"/)
    expectRefusal(heap, () => call(heap, 'realloc', pointer, value), code)
  })

  test('returns 0 when out of memory, and changes nothing', () => {
    const heap = hardened()
    const pointer = heap.malloc(100)
    heap.malloc(100)
    fill(heap, pointer)
    for (const bytes of [
      heap.stats().largestFree + 1,
      65535,
      65536,
      65537,
      2 ** 31,
      2 ** 33,
      2 ** 53 - 1
    ]) {
      expectNull(heap, () => heap.malloc(bytes))
      expectNull(heap, () => heap.calloc(bytes, 1))
      expectNull(heap, () => heap.alignedAlloc(64, bytes))
      expectNull(heap, () => heap.alignedAlloc(8, bytes))
      expectNull(heap, () => heap.realloc(pointer, bytes))
    }
    expectNull(heap, () => heap.calloc(2 ** 50, 2 ** 50))
    for (const alignment of [65536, 2 ** 20, 2 ** 52])
      expectNull(heap, () => heap.alignedAlloc(alignment, 8))
    expectFilled(heap, pointer, 100)
  })

  test('clears memory where other blocks were before, and where only a part was', () => {
    const heap = hardened(65536, 0)
    const fence = heap.malloc(8)
    const used = heap.malloc(1000)
    heap.view(used).fill(0xff)
    heap.free(used)
    // Begins in memory that was used and ends in memory that never was.
    const across = heap.calloc(500, 10)
    expect(across).toBe(used)
    expect(isZero(heap, across)).toBe(true)
    heap.view(across).fill(0xff)
    const behind = heap.calloc(1, 3000)
    expect(isZero(heap, behind)).toBe(true)
    heap.free(across)
    const inside = heap.allocZeroed(333)
    expect(inside.byteOffset).toBe(across)
    expect(inside.every(byte => byte === 0)).toBe(true)
    expect(heap.calloc(0, 0)).toBeGreaterThan(0)
    heap.check()
    heap.free(fence)
  })

  test.each(placements)('aligns blocks, with %s, and verifies the bytes in the gaps', placement => {
    for (const alignment of [1, 2, 8, 16, 32, 64, 128, 1024, 4096, 16384]) {
      const heap = Heap.format(new ArrayBuffer(2 ** 17), { hardened: true, placement })
      heap.malloc(10)
      const pointers = Array.from({ length: 3 }, (_, i) => heap.alignedAlloc(alignment, 50 + i))
      for (const pointer of pointers) {
        expect(pointer).toBeGreaterThan(0)
        expect(pointer % Math.max(alignment, 32)).toBe(0)
      }
      expect(pointers.map(pointer => heap.usableSize(pointer))).toEqual([50, 51, 52])
      heap.check()
      for (const pointer of pointers) heap.free(pointer)
      heap.check()
      expect(heap.stats().blocks).toBe(1)
    }
  })

  test('finds its blocks by pointer and by view, and nothing else', () => {
    const heap = hardened()
    const [pointer, other] = [heap.malloc(100), heap.malloc(100)]
    for (const block of [pointer, heap.view(pointer), new DataView(heap.buffer, pointer, 1)]) {
      expect(heap.owns(block)).toBe(true)
      expect(heap.usableSize(block)).toBe(100)
    }
    heap.free(other)
    for (const none of [
      other,
      heap.u8.subarray(other),
      heap.u8.subarray(pointer + 32),
      new Uint8Array(65536).subarray(pointer),
      pointer + 1,
      pointer + 0.5,
      pointer + 16,
      -pointer,
      0,
      Number.NaN,
      Infinity,
      'text',
      null,
      undefined,
      { byteOffset: pointer }
    ]) {
      expect(heap.owns(none)).toBe(false)
    }
  })

  test('has a root, which is one of its blocks or 0', () => {
    const heap = hardened()
    expect(heap.root).toBe(0)
    const pointer = heap.malloc(10)
    heap.root = pointer
    expect(heap.root).toBe(pointer)
    expectRefusal(heap, () => (heap.root = pointer + 32), INVALID)
    expect(heap.root).toBe(pointer)
    heap.root = 0
    expect(heap.root).toBe(0)
    heap.root = pointer
    heap.reset()
    expect(heap.root).toBe(0)
  })

  test('is as new after reset', () => {
    const heap = hardened()
    const work = (): unknown => {
      const pointers = Array.from({ length: 20 }, (_, i) => heap.malloc(i * 30))
      for (const pointer of pointers.filter((_, i) => i % 2 === 1)) heap.free(pointer)
      heap.check()
      return [pointers, heap.stats(), [...heap.blocks()]]
    }
    const empty = heap.stats()
    const before = work()
    for (const { pointer, used } of heap.blocks()) if (used) heap.view(pointer).fill(0xff)
    heap.reset()
    expect(heap.stats()).toEqual(empty)
    expect([...heap.blocks(), ...heap.freeBlocks()]).toEqual([])
    heap.check()
    expect(work()).toEqual(before)
  })

  test.each([true, false])('throws ERR_OFFHEAP_CLOSED for every call (mapped: %s)', mapped => {
    using region = Region.map(65536)
    const heap = mapped
      ? Heap.map({ size: 65536, hardened: true })
      : Heap.format(region, { hardened: true })
    const pointer = heap.malloc(10)
    heap.close()
    expect(heap.closed).toBe(true)
    for (const action of [
      () => heap.malloc(1),
      () => heap.malloc(2 ** 40),
      () => heap.calloc(1, 1),
      () => heap.alignedAlloc(64, 1),
      () => heap.alloc(1),
      () => heap.realloc(0, 1),
      () => heap.realloc(pointer, 1),
      () => heap.realloc(pointer, 0),
      () => heap.free(pointer),
      () => heap.free(0),
      () => heap.view(pointer),
      () => heap.usableSize(pointer),
      () => heap.owns(pointer),
      () => heap.root,
      () => (heap.root = 0),
      () => (heap.root = pointer),
      () => heap.stats(),
      () => [...heap.blocks()],
      () => [...heap.freeBlocks()],
      () => heap.check(),
      () => heap.trim(),
      () => heap.reset()
    ]) {
      expectError(action, CLOSED)
    }
    heap.close()
    expect(region.closed).toBe(false)
  })
})

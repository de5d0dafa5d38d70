/** Views of blocks, and the whole heap as typed arrays. */
import { describe, expect, test } from 'vitest'
import { Heap, type TypedArrayConstructor } from '../../lib/index.js'
import { call, expectError, expectRefusal, newHeap, row } from './support.js'

/** A class that claims a size for its elements. */
function elementsOf(bytes: number): unknown {
  return Object.assign(() => {}, { BYTES_PER_ELEMENT: bytes })
}

describe('blocks as views', () => {
  test('alloc returns a Uint8Array over the block, of exactly the length', () => {
    const heap = newHeap()
    const bytes = heap.alloc(100)
    expect(bytes.constructor).toBe(Uint8Array)
    expect(bytes.buffer).toBe(heap.buffer)
    expect(bytes).toHaveLength(100)
    bytes.fill(7)
    expect(heap.u8[bytes.byteOffset + 99]).toBe(7)
    heap.check()
  })

  test('allocBuffer returns a Node Buffer over the block', () => {
    const heap = newHeap()
    const buffer = heap.allocBuffer(100)
    expect(Buffer.isBuffer(buffer)).toBe(true)
    expect(buffer).toHaveLength(100)
    expect(buffer.buffer).toBe(heap.buffer)
    buffer.write('in the heap')
    expect(Buffer.from(heap.view(buffer)).toString('utf8', 0, 11)).toBe('in the heap')
    heap.free(buffer)
    heap.check()
  })

  function expectArray<View extends Uint8Array | Int16Array | Float64Array>(
    type: TypedArrayConstructor<View>
  ): void {
    const heap = newHeap()
    const array = heap.allocArray(type, 10)
    expect(array).toBeInstanceOf(type)
    expect(array).toHaveLength(10)
    array.fill(3)
    expect(heap.usableSize(array)).toBeGreaterThanOrEqual(10 * type.BYTES_PER_ELEMENT)
    heap.free(array)
    expect(heap.stats().blocks).toBe(0)
    heap.check()
  }

  test('allocArray creates arrays of every class of numbers', () => {
    expectArray(Uint8Array)
    expectArray(Int16Array)
    expectArray(Float64Array)
    for (const type of [
      Int8Array,
      Uint8ClampedArray,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array
    ]) {
      const heap = newHeap()
      expect(call(heap, 'allocArray', type, 10)).toBeInstanceOf(type)
      expect(heap.stats().used).toBeGreaterThanOrEqual(10 * type.BYTES_PER_ELEMENT)
      heap.check()
    }
  })

  test('allocArray creates arrays of 64-bit integers', () => {
    const heap = newHeap()
    const array = heap.allocArray(BigInt64Array, 4)
    array[3] = -5n
    expect(heap.i64[array.byteOffset / 8 + 3]).toBe(-5n)
    heap.check()
  })

  test.each([
    [Object],
    [String],
    [Array],
    [DataView],
    ['Float64Array'],
    [null],
    [undefined],
    [{ BYTES_PER_ELEMENT: 8 }],
    [elementsOf(0)],
    [elementsOf(0.5)],
    [elementsOf(-8)],
    [elementsOf(16)],
    [elementsOf(Number.NaN)]
  ])('allocArray refuses what is no typed array class (%#)', type => {
    const heap = newHeap()
    expectRefusal(
      heap,
      () => call(heap, 'allocArray', type, 4),
      'ERR_INVALID_ARG_TYPE',
      /"type".*typed array class/
    )
  })

  test('the out-of-memory error says what would fit', () => {
    const heap = newHeap(4096)
    const { largestFree } = heap.stats()
    for (const method of ['alloc', 'allocZeroed', 'allocBuffer'] as const) {
      expectRefusal(
        heap,
        () => heap[method](largestFree + 1),
        'ERR_OFFHEAP_OUT_OF_MEMORY',
        new RegExp(`${largestFree + 1} bytes; .* ${largestFree} bytes`)
      )
    }
    const elements = Math.floor(largestFree / 8)
    expectRefusal(
      heap,
      () => heap.allocArray(Float64Array, elements + 1),
      'ERR_OFFHEAP_OUT_OF_MEMORY'
    )
    expect(heap.allocArray(Float64Array, elements)).toHaveLength(elements)
  })

  test('view covers every usable byte, by pointer and by view', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 2, 33)
    expect(heap.view(a)).toHaveLength(36)
    expect(heap.view(a).byteOffset).toBe(a)
    expect(heap.view(new DataView(heap.buffer, a, 1))).toHaveLength(36)
    heap.view(a).fill(0xff)
    heap.check()
  })
})

describe('whole-heap views', () => {
  test('show the same memory', () => {
    const heap = newHeap()
    const p = heap.malloc(8)
    heap.u8.set([0x80, 1, 2, 3, 4, 5, 0xf6, 0xc0], p)
    expect(heap.i8[p]).toBe(-128)
    expect(heap.u16[p / 2]).toBe(0x0180)
    expect(heap.i16[p / 2 + 3]).toBe(0xc0f6 - 0x10000)
    expect(heap.u32[p / 4 + 1]).toBe(0xc0f60504)
    expect(heap.i32[p / 4 + 1]).toBe(0xc0f60504 | 0)
    expect(heap.f32[p / 4 + 1]).toBe(heap.dataView.getFloat32(p + 4, true))
    expect(heap.f64[p / 8]).toBe(heap.dataView.getFloat64(p, true))
    expect(heap.u64[p / 8]).toBe(0xc0f6050403020180n)
    expect(heap.i64[p / 8]).toBe(0xc0f6050403020180n - 2n ** 64n)
  })

  test('cover the heap, and nothing else', () => {
    const buffer = new ArrayBuffer(4103)
    const heap = Heap.format(buffer)
    const views = [
      heap.u8,
      heap.i8,
      heap.u16,
      heap.i16,
      heap.u32,
      heap.i32,
      heap.f32,
      heap.f64,
      heap.u64,
      heap.i64,
      heap.dataView
    ]
    for (const view of views) {
      expect(view.buffer).toBe(buffer)
      expect(view.byteOffset).toBe(0)
      expect(view.byteLength).toBe(4096)
    }
    expect(heap.stats().size).toBe(4096)
  })

  test('are empty after close, while the memory of a borrowed heap stays', () => {
    const buffer = new ArrayBuffer(4096)
    const heap = Heap.format(buffer)
    const bytes = heap.alloc(10).fill(9)
    heap.close()
    for (const view of [
      heap.u8,
      heap.i8,
      heap.u16,
      heap.i16,
      heap.u32,
      heap.i32,
      heap.f32,
      heap.f64,
      heap.u64,
      heap.i64,
      heap.dataView
    ]) {
      expect(view.byteLength).toBe(0)
    }
    expect(buffer.byteLength).toBe(4096)
    expect(bytes[9]).toBe(9)
    expect(Heap.attach(buffer).owns(bytes)).toBe(true)
  })

  test('are detached by close of a mapped heap, as are views of blocks', () => {
    const heap = Heap.map(4096)
    const { buffer } = heap
    const bytes = heap.alloc(10).fill(9)
    const node = heap.allocBuffer(10)
    heap.close()
    expect(buffer.byteLength).toBe(0)
    expect(bytes).toHaveLength(0)
    expect(node).toHaveLength(0)
    expectError(() => heap.owns(bytes), 'ERR_OFFHEAP_CLOSED')
  })
})

/** Sizes and counts: valid ones, the errors for others, and that an error changes nothing. */
import { describe, expect, test } from 'vitest'
import { lengthOf } from '../../lib/heap/arguments.js'
import { Heap } from '../../lib/index.js'
import { call, expectError, expectNull, expectRefusal, newHeap } from './support.js'

const wrongTypes: [string, unknown][] = [
  ['a string', '8'],
  ['a bigint', 8n],
  ['a symbol', Symbol('8')],
  ['an object', { valueOf: () => 8 }],
  ['an array', [8]],
  ['a function', () => 8],
  ['a boolean', true],
  ['null', null],
  ['undefined', undefined]
]

const wrongNumbers = [
  -1,
  -8,
  -(2 ** 31),
  -(2 ** 40),
  0.5,
  1.5,
  2 ** 32 + 0.5,
  Number.NaN,
  Infinity,
  -Infinity,
  2 ** 53
]

const tooLarge = [
  65536,
  2 ** 20,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 32 + 8,
  2 ** 33,
  2 ** 40,
  2 ** 53 - 1
]

/** Each call that takes a number of bytes, called with `value`. */
const takers: [string, (heap: Heap, block: number, value: unknown) => unknown][] = [
  ['malloc(value)', (heap, _, value) => call(heap, 'malloc', value)],
  ['calloc(value, 1)', (heap, _, value) => call(heap, 'calloc', value, 1)],
  ['calloc(1, value)', (heap, _, value) => call(heap, 'calloc', 1, value)],
  ['realloc(block, value)', (heap, block, value) => call(heap, 'realloc', block, value)],
  ['realloc(0, value)', (heap, _, value) => call(heap, 'realloc', 0, value)],
  ['alignedAlloc(8, value)', (heap, _, value) => call(heap, 'alignedAlloc', 8, value)],
  ['alignedAlloc(64, value)', (heap, _, value) => call(heap, 'alignedAlloc', 64, value)],
  ['alloc(value)', (heap, _, value) => call(heap, 'alloc', value)],
  ['allocZeroed(value)', (heap, _, value) => call(heap, 'allocZeroed', value)],
  ['allocBuffer(value)', (heap, _, value) => call(heap, 'allocBuffer', value)],
  [
    'allocArray(Float64Array, value)',
    (heap, _, value) => call(heap, 'allocArray', Float64Array, value)
  ]
]

describe.each(takers)('%s', (name, take) => {
  const throwsWhenFull = /^alloc(Z|B|A|\()/.test(name)

  test.each(wrongTypes)('rejects %s with a TypeError', (kind, value) => {
    const heap = newHeap()
    const block = heap.malloc(100)
    const shown = kind.startsWith('a') && typeof value === 'object' ? kind : /Received/
    expectRefusal(heap, () => take(heap, block, value), 'ERR_INVALID_ARG_TYPE', new RegExp(shown))
    expect(() => take(heap, block, value)).toThrow(TypeError)
  })

  test.each(wrongNumbers)('rejects %d with a RangeError that shows the value', value => {
    const heap = newHeap()
    const block = heap.malloc(100)
    const shown = String(value).replaceAll('+', '\\+')
    expectRefusal(
      heap,
      () => take(heap, block, value),
      'ERR_OUT_OF_RANGE',
      new RegExp(`Received ${shown}$`)
    )
    expect(() => take(heap, block, value)).toThrow(RangeError)
  })

  test.each(tooLarge)('returns 0 for %d bytes, which are more than the heap has', value => {
    const heap = newHeap()
    const block = heap.malloc(100)
    if (throwsWhenFull) {
      expectRefusal(
        heap,
        () => take(heap, block, value),
        'ERR_OFFHEAP_OUT_OF_MEMORY',
        /largest request that fits is \d+/
      )
    } else {
      expectNull(heap, () => take(heap, block, value))
    }
  })
})

describe('malloc', () => {
  test('returns a unique block for 0 bytes, and for -0', () => {
    const heap = newHeap()
    const pointers = [
      heap.malloc(0),
      heap.malloc(-0),
      heap.calloc(0, 8),
      heap.calloc(8, 0),
      heap.alignedAlloc(16, 0)
    ]
    expect(new Set(pointers).size).toBe(5)
    expect(pointers).not.toContain(0)
    for (const pointer of pointers) expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(12)
    heap.check()
  })

  test('allocates the whole wilderness, and not a byte more', () => {
    const heap = newHeap()
    const { largestFree, size, metadata } = heap.stats()
    expect(largestFree).toBe(size - metadata - 4)
    expectNull(heap, () => heap.malloc(largestFree + 1))
    const pointer = heap.malloc(largestFree)
    expect(heap.usableSize(pointer)).toBe(largestFree)
    expect(heap.stats()).toMatchObject({ free: 0, largestFree: 0, wilderness: 0 })
    expectNull(heap, () => heap.malloc(0))
    heap.free(pointer)
    expect(heap.stats().largestFree).toBe(largestFree)
    heap.check()
  })

  test.each([
    [0, 12],
    [1, 12],
    [12, 12],
    [13, 20],
    [20, 20],
    [21, 28],
    [100, 100],
    [1000, 1004]
  ])('of %i bytes has room for %i', (size, usable) => {
    const heap = newHeap()
    const pointer = heap.malloc(size)
    expect(heap.usableSize(pointer)).toBe(usable)
    expect(pointer % 8).toBe(0)
    expect(heap.stats().used).toBe(usable + 4)
  })

  test('splits a free block if the remainder is large enough for a block', () => {
    const heap = newHeap()
    const [a = 0] = row5(heap, 60)
    heap.free(a)
    expect(heap.malloc(44)).toBe(a)
    expect(heap.usableSize(a)).toBe(44)
    heap.free(a)
    expect(heap.malloc(52)).toBe(a)
    expect(heap.usableSize(a)).toBe(60)
    heap.check()
  })

  test('uses the lowest block that is large enough', () => {
    const heap = newHeap()
    const small = heap.malloc(16)
    heap.malloc(16)
    const large = heap.malloc(200)
    heap.malloc(16)
    const larger = heap.malloc(400)
    heap.malloc(16)
    heap.free(larger)
    heap.free(small)
    heap.free(large)
    expect(heap.malloc(150)).toBe(large)
    expect(heap.malloc(100)).toBe(larger)
    expect(heap.malloc(10)).toBe(small)
    heap.check()
  })
})

function row5(heap: Heap, size: number): number[] {
  return Array.from({ length: 5 }, () => heap.malloc(size))
}

describe('Heap.map and Heap.format', () => {
  test.each(wrongTypes)('reject %s as options or memory', (_, value) => {
    if (typeof value === 'object' && value !== null) return
    expect(() => Reflect.apply(Heap.map, Heap, [value])).toThrow(TypeError)
    if (value !== undefined)
      expect(() => Reflect.apply(Heap.format, Heap, [new ArrayBuffer(4096), value])).toThrow(
        TypeError
      )
    expect(() => Reflect.apply(Heap.format, Heap, [value])).toThrow(TypeError)
    expect(() => Reflect.apply(Heap.attach, Heap, [value])).toThrow(TypeError)
  })

  test.each([0, -1, 0.5, Number.NaN, Infinity, 2 ** 53])('reject a size of %d', size => {
    expect(() => Heap.map(size)).toThrow(RangeError)
    expect(() => Heap.map({ size })).toThrow(RangeError)
  })

  test.each(['8', '100000', null, undefined, {}, 10n])(
    'reject a size that is not a number: %s',
    size => {
      expect(() => Reflect.apply(Heap.map, Heap, [{ size }])).toThrow(TypeError)
    }
  )

  test('reject an unknown placement, and list the known ones', () => {
    const format = (placement: unknown) =>
      Reflect.apply(Heap.format, Heap, [new ArrayBuffer(4096), { placement }])
    expect(() => format('worst-fit')).toThrow(/"placement".*one of first-fit.*'worst-fit'/)
    expect(() => format('worst-fit')).toThrow(RangeError)
    expect(() => format(1)).toThrow(TypeError)
    expect(() => format(null)).toThrow(TypeError)
  })

  test('reject slabs that are neither true nor false', () => {
    for (const slabs of ['yes', 1, null]) {
      const format = (): unknown =>
        Reflect.apply(Heap.format, Heap, [new ArrayBuffer(65536), { slabs }])
      expect(format).toThrow(TypeError)
      expect(format).toThrow(/"slabs" argument must be of type boolean/)
    }
  })

  test('reject resizable memory, and views of memory', () => {
    for (const memory of [
      new ArrayBuffer(4096, { maxByteLength: 8192 }),
      new SharedArrayBuffer(4096, { maxByteLength: 8192 }),
      new Uint8Array(4096),
      Buffer.alloc(4096)
    ]) {
      for (const open of [Heap.format, Heap.attach]) {
        expect(() => Reflect.apply(open, Heap, [memory])).toThrow(
          /Region, an ArrayBuffer or a SharedArrayBuffer of fixed length/
        )
        expect(() => Reflect.apply(open, Heap, [memory])).toThrow(TypeError)
      }
    }
  })
})

describe('a view', () => {
  test('has the length that its byteLength says, if that is a number from 0', () => {
    const view = new Uint8Array(8)
    expect(lengthOf(view)).toBe(8)
    for (const [value, length] of [
      [7.9, 7],
      [0, 0],
      [-1, 0],
      ['8', 0],
      [undefined, 0]
    ]) {
      Object.defineProperty(view, 'byteLength', { value, configurable: true })
      expect(lengthOf(view)).toBe(length)
    }
  })

  test('of another buffer is refused, also if it begins beyond the end of the heap', () => {
    const heap = newHeap(65536)
    for (const byte of [0, 255]) {
      const view = new Uint8Array(new ArrayBuffer(2 ** 17), 2 ** 16 + 8, 8).fill(byte)
      expectError(() => heap.free(view), 'ERR_OFFHEAP_FOREIGN_VIEW')
    }
  })
})

/** Strings, C strings, and copies of bytes in blocks of their own. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Heap, type TextEncoding } from '../../lib/index.js'
import { scaled } from '../runs.js'
import { expectError, expectRefusal, newHeap, sketch } from './support.js'

const encodings: TextEncoding[] = [
  'utf8',
  'utf16le',
  'latin1',
  'ascii',
  'hex',
  'base64',
  'base64url',
  'cstring'
]
const kinds: [string, () => Heap<ArrayBufferLike>][] = [
  ['an ordinary heap', () => newHeap()],
  [
    'a heap with slabs',
    () => Heap.format(new ArrayBuffer(2 ** 18), { placement: 'segregated-fit' })
  ],
  ['a hardened heap', () => Heap.format(new ArrayBuffer(2 ** 18), { hardened: true })],
  ['a heap on a SharedArrayBuffer', () => Heap.format(new SharedArrayBuffer(65536))]
]

/** The bytes of a string, according to Buffer. */
const bytesOf = (text: string, encoding: TextEncoding): Buffer =>
  encoding === 'cstring' ? Buffer.from(`${text}\0`, 'utf8') : Buffer.from(text, encoding)

const texts = fc.string({ unit: 'binary', maxLength: 200 })
const pairs = fc
  .record({ text: texts, encoding: fc.constantFrom(...encodings) })
  .map(({ text, encoding }) => ({
    encoding,
    text: encoding === 'cstring' ? text.replaceAll('\0', '') : text
  }))

describe.each(kinds)('in %s', (_, make) => {
  test('allocString writes the same bytes as Buffer, and readString reads them', () => {
    const heap = make()
    fc.assert(
      fc.property(pairs, ({ text, encoding }) => {
        const expected = bytesOf(text, encoding)
        const string = heap.allocString(text, encoding)
        expect(Buffer.isBuffer(string)).toBe(true)
        expect(string.buffer).toBe(heap.buffer)
        expect(Buffer.compare(string, expected)).toBe(0)
        const whole =
          encoding === 'cstring'
            ? expected.toString('utf8').slice(0, -1)
            : expected.toString(encoding)
        expect(heap.readString(string, encoding)).toBe(whole)
        expect(heap.readString(string.byteOffset, encoding, expected.length)).toBe(whole)
        heap.free(string)
      }),
      { numRuns: scaled(200) }
    )
    expect(heap.stats().blocks).toBe(0)
    heap.check()
  })

  test('writeString writes the whole string if it fits, and otherwise nothing', () => {
    const heap = make()
    fc.assert(
      fc.property(pairs, fc.nat(300), fc.boolean(), ({ text, encoding }, size, byPointer) => {
        const before = heap.alloc(24).fill(0xaa)
        const block = heap.alloc(size).fill(0x55)
        const behind = heap.alloc(24).fill(0xaa)
        const room = byPointer ? heap.usableSize(block) : size
        const expected = bytesOf(text, encoding)
        const image = heap.view(block).slice()
        // The number of bytes of a hexadecimal or base64 string is known once they are written.
        const length = encoding === 'cstring' ? expected.length : Buffer.byteLength(text, encoding)
        const write = (): number =>
          heap.writeString(byPointer ? block.byteOffset : block, text, encoding)
        if (length > room) {
          expectError(write, 'ERR_OUT_OF_RANGE', /"text".*at most \d+ bytes/)
          expect(Buffer.compare(heap.view(block), image)).toBe(0)
        } else {
          expect(write()).toBe(expected.length)
          image.set(expected)
          expect(Buffer.compare(heap.view(block), image)).toBe(0)
        }
        expect([...before, ...behind].every(byte => byte === 0xaa)).toBe(true)
        for (const view of [before, block, behind]) heap.free(view)
      }),
      { numRuns: scaled(200) }
    )
    heap.check()
  })

  test('a C string ends at its first zero, which must be in the block', () => {
    const heap = make()
    const block = heap.alloc(16)
    block.set(Buffer.from('ab\0cd\0'))
    expect(heap.readString(block, 'cstring')).toBe('ab')
    block.fill(0x78)
    expectError(() => heap.readString(block, 'cstring'), 'ERR_OUT_OF_RANGE', /zero byte/)
    expect(heap.writeString(block, 'x'.repeat(15), 'cstring')).toBe(16)
    expect(heap.readString(block, 'cstring')).toBe('x'.repeat(15))
    expectRefusal(
      heap,
      () => heap.writeString(block, 'x'.repeat(16), 'cstring'),
      'ERR_OUT_OF_RANGE'
    )
    expectRefusal(heap, () => heap.allocString('a\0b', 'cstring'), 'ERR_INVALID_ARG_VALUE', /zero/)
    expectRefusal(
      heap,
      () => heap.writeString(block, 'a\0b', 'cstring'),
      'ERR_INVALID_ARG_VALUE',
      /zero/
    )
    expect(heap.readString(heap.allocString('', 'cstring'), 'cstring')).toBe('')
  })

  test('invalid strings, encodings, lengths and blocks throw, and change nothing', () => {
    const heap = make()
    const block = heap.alloc(40)
    const call = (
      method: 'allocString' | 'writeString' | 'readString',
      ...args: unknown[]
    ): unknown => Reflect.apply(heap[method], heap, args)
    for (const text of [1, null, undefined, {}, Buffer.from('a')]) {
      expectRefusal(heap, () => call('allocString', text), 'ERR_INVALID_ARG_TYPE', /"text"/)
      expectRefusal(heap, () => call('writeString', block, text), 'ERR_INVALID_ARG_TYPE', /"text"/)
    }
    for (const encoding of ['utf-7', '', 'CSTRING']) {
      expectRefusal(
        heap,
        () => call('allocString', 'a', encoding),
        'ERR_OUT_OF_RANGE',
        /"encoding"/
      )
      expectRefusal(
        heap,
        () => call('writeString', block, 'a', encoding),
        'ERR_OUT_OF_RANGE',
        /"encoding"/
      )
      expectRefusal(
        heap,
        () => call('readString', block, encoding),
        'ERR_OUT_OF_RANGE',
        /"encoding"/
      )
    }
    expectRefusal(heap, () => call('allocString', 'a', 8), 'ERR_INVALID_ARG_TYPE', /"encoding"/)
    for (const length of [-1, 0.5, heap.usableSize(block) + 1, Number.NaN]) {
      expectRefusal(
        heap,
        () => heap.readString(block, 'utf8', length),
        'ERR_OUT_OF_RANGE',
        /"length"/
      )
    }
    expectRefusal(
      heap,
      () => call('readString', block, 'utf8', '1'),
      'ERR_INVALID_ARG_TYPE',
      /"length"/
    )
    expectRefusal(heap, () => heap.readString(block.byteOffset + 4), 'ERR_OFFHEAP_INVALID_POINTER')
    expectRefusal(
      heap,
      () => heap.writeString(block.subarray(8), 'a'),
      'ERR_OFFHEAP_INVALID_POINTER'
    )
    expectRefusal(heap, () => heap.readString(Buffer.alloc(8)), 'ERR_OFFHEAP_FOREIGN_VIEW')
    heap.free(block)
    expectError(() => heap.readString(block), 'ERR_OFFHEAP_DOUBLE_FREE')
    const { largestFree } = heap.stats()
    expectError(() => heap.allocString('x'.repeat(largestFree + 1)), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    heap.close()
    for (const action of [
      () => heap.allocString('a'),
      () => heap.writeString(8, 'a'),
      () => heap.readString(8)
    ]) {
      expectError(action, 'ERR_OFFHEAP_CLOSED')
    }
  })

  test('from copies strings, views, buffers and numbers, and keeps the kind of a view', () => {
    const heap = make()
    const original = new Float64Array([0.5, -1, Number.NaN])
    const copies = [
      [heap.from('grün'), Buffer.from('grün')],
      [heap.from(original), original],
      [heap.from(Buffer.from([1, 2])), Buffer.from([1, 2])],
      [heap.from(new BigInt64Array([-1n])), new BigInt64Array([-1n])],
      [heap.from(new DataView(original.buffer, 8, 9)), new DataView(original.buffer, 8, 9)],
      [heap.from(original.buffer), new Uint8Array(original.buffer)],
      [heap.from(new SharedArrayBuffer(4)), new Uint8Array(4)],
      [heap.from([1, 2, 300]), Uint8Array.of(1, 2, 44)],
      [heap.from(new Set([5, 6])), Uint8Array.of(5, 6)],
      [heap.from(''), Buffer.alloc(0)],
      [heap.from(new Uint8ClampedArray(3)), new Uint8ClampedArray(3)]
    ] as const
    for (const [copy, expected] of copies) {
      expect(copy.constructor).toBe(expected.constructor)
      expect(copy.buffer).toBe(heap.buffer)
      const [mine, theirs] = [copy, expected].map(view =>
        Buffer.from(view.buffer, view.byteOffset, view.byteLength)
      )
      expect(mine?.equals(theirs ?? mine)).toBe(true)
      expect(heap.owns(copy)).toBe(true)
    }
    expect(heap.stats().blocks).toBe(copies.length)
  })
})

test('from runs an iterable before it allocates, and loses no block if that throws', () => {
  const heap = newHeap()
  function* numbers(): Generator<number> {
    yield 1
    throw new Error('no more')
  }
  expect(() => heap.from(numbers())).toThrow('no more')
  expect(heap.stats().blocks).toBe(0)
  for (const source of [1, null, undefined, {}, Symbol.iterator, () => 1]) {
    expectRefusal(
      heap,
      () => Reflect.apply(heap.from, heap, [source]),
      'ERR_INVALID_ARG_TYPE',
      /"source"/
    )
  }
  const reading = (function* (): Generator<number> {
    yield heap.alloc(8).length
  })()
  expect([...heap.from(reading)]).toEqual([8])
  expect(sketch(heap).startsWith('u16 u16')).toBe(true)
})

describe('view', () => {
  test('returns the requested length: given, or known to a hardened heap', () => {
    const heap = newHeap()
    const pointer = heap.malloc(33)
    expect(heap.view(pointer)).toHaveLength(36)
    for (let length = 0; length <= 36; length++)
      expect(heap.view(pointer, length)).toHaveLength(length)
    for (const length of [37, -1, 1.5]) {
      expectRefusal(heap, () => heap.view(pointer, length), 'ERR_OUT_OF_RANGE', /"length"/)
    }
    const hardened = Heap.format(new ArrayBuffer(65536), { hardened: true })
    for (const size of [0, 1, 8, 33, 100, 1000]) {
      const block = hardened.malloc(size)
      expect(hardened.view(block)).toHaveLength(size)
      expectRefusal(hardened, () => hardened.view(block, size + 1), 'ERR_OUT_OF_RANGE')
    }
  })
})

describe('resize', () => {
  const views = [
    (heap: Heap) => heap.alloc(10),
    (heap: Heap) => heap.allocBuffer(10),
    (heap: Heap) => heap.allocArray(Float64Array, 10),
    (heap: Heap) => heap.allocArray(BigUint64Array, 10),
    (heap: Heap) => heap.allocArray(Uint16Array, 10),
    (heap: Heap) => new DataView(heap.buffer, heap.malloc(10), 10)
  ]

  test.each(views)('returns a view of the same kind with the same elements (%#)', make => {
    for (const options of [{}, { placement: 'segregated-fit' }, { hardened: true }] as const) {
      const heap = Heap.format(new ArrayBuffer(2 ** 18), options)
      const elementBytes = (view: ArrayBufferView): number =>
        'BYTES_PER_ELEMENT' in view ? Number(view.BYTES_PER_ELEMENT) : 1
      fc.assert(
        fc.property(fc.array(fc.nat(300), { maxLength: 12 }), lengths => {
          let view: ArrayBufferView = make(heap)
          const size = elementBytes(view)
          let model = Uint8Array.from({ length: 10 * size }, (_, i) => i + 1)
          heap.view(view).set(model)
          const others: number[] = []
          for (const length of lengths) {
            others.push(heap.malloc(length))
            const kind = view.constructor
            view = heap.resize(view, length)
            expect(view.constructor).toBe(kind)
            expect(view.byteLength).toBe(length * size)
            const shown = heap.view(view, length * size)
            const kept = Math.min(model.length, shown.length)
            expect(Buffer.compare(shown.subarray(0, kept), model.subarray(0, kept))).toBe(0)
            shown.fill(length, kept)
            model = shown.slice()
          }
          for (const block of [view, ...others]) heap.free(block)
          heap.check()
          expect(heap.stats().blocks).toBe(0)
        }),
        { numRuns: scaled(20) }
      )
    }
  })

  test('throws when out of memory, and leaves the view unchanged', () => {
    const heap = newHeap(4096)
    const floats = heap.allocArray(Float64Array, 4).fill(1.5)
    expectError(() => heap.resize(floats, 10_000), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    expectError(() => heap.resize(floats, Number.MAX_SAFE_INTEGER), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    expect([...floats]).toEqual([1.5, 1.5, 1.5, 1.5])
    for (const length of [-1, 0.5, Number.NaN, 2 ** 60]) {
      expectRefusal(heap, () => heap.resize(floats, length), 'ERR_OUT_OF_RANGE')
    }
    expectRefusal(heap, () => heap.resize(floats.subarray(1), 4), 'ERR_OFFHEAP_INVALID_POINTER')
    expectRefusal(heap, () => heap.resize(new Uint8Array(8), 4), 'ERR_OFFHEAP_FOREIGN_VIEW')
    for (const view of [floats.byteOffset, null, {}, 'view']) {
      expectRefusal(heap, () => Reflect.apply(heap.resize, heap, [view, 4]), 'ERR_INVALID_ARG_TYPE')
    }
    heap.close()
    expectError(() => heap.resize(floats, 1), 'ERR_OFFHEAP_CLOSED')
  })
})

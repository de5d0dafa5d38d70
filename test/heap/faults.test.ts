/**
 * Wrong pointers: every call that takes one throws the right code and message, and nothing
 * changes.
 */
import { describe, expect, test } from 'vitest'
import { type BlockReference, Heap, placements, Region } from '../../lib/index.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { call, expectError, expectFilled, expectRefusal, fill, newHeap, row } from './support.js'

const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'
const DOUBLE = 'ERR_OFFHEAP_DOUBLE_FREE'

/** Every call that takes a block. */
const takers: [string, (heap: Heap, block: BlockReference) => unknown][] = [
  ['free', (heap, block) => heap.free(block)],
  ['realloc', (heap, block) => heap.realloc(block, 10)],
  ['realloc', (heap, block) => heap.realloc(block, 0)],
  ['realloc', (heap, block) => heap.realloc(block, 5000)],
  ['usableSize', (heap, block) => heap.usableSize(block)],
  ['view', (heap, block) => heap.view(block)]
]

/** Rejected by every call, with its name in the message, and by the root; not owned. */
function expectFault(heap: Heap, block: number, code: string, message: RegExp): void {
  for (const [name, take] of takers) {
    expectRefusal(heap, () => take(heap, block), code, message)
    expectRefusal(
      heap,
      () => take(heap, block),
      code,
      new RegExp(`^${name}: the (pointer|block at) ${block} `)
    )
  }
  expectRefusal(heap, () => (heap.root = block), code, message)
  expect(heap.owns(block)).toBe(false)
  if (block < heap.stats().size) {
    expectRefusal(heap, () => heap.free(new Uint8Array(heap.buffer, block, 0)), code, message)
  }
}

describe('free of a pointer that malloc never returned', () => {
  test('rejects a misaligned pointer', () => {
    const heap = newHeap()
    const [a = 0] = row(heap, 3)
    for (const off of [1, 2, 4, 7, 12, -4])
      expectFault(heap, a + off, INVALID, /is not a multiple of 8/)
    expectFault(heap, 2 ** 32 + 4, INVALID, /is not a multiple of 8/)
  })

  test('rejects a pointer outside the heap', () => {
    const heap = newHeap()
    row(heap, 3)
    for (const pointer of [65536, 65544, 2 ** 31, 2 ** 32 + 136, 2 ** 33, 2 ** 35 + 136, 2 ** 52]) {
      expectFault(heap, pointer, INVALID, /lies outside the heap, which has 65536 bytes/)
    }
  })

  test('rejects a pointer into the header or the index', () => {
    const heap = newHeap()
    const [first = 0] = row(heap, 3)
    for (let pointer = 8; pointer < first; pointer += 8) {
      expectFault(heap, pointer, INVALID, /lies in the heap's own header or index/)
    }
  })

  test('rejects a pointer into the wilderness', () => {
    const heap = newHeap()
    row(heap, 3)
    const { top } = heap.stats()
    for (const pointer of [top + 4, top + 12, 65528])
      expectFault(heap, pointer, INVALID, /lies in the wilderness/)
  })

  test.each([0, 0xff, 0x40, 0x01])(
    'rejects a pointer into a block whose bytes are all %i',
    byte => {
      const heap = newHeap()
      const [, b = 0] = row(heap, 3, 60)
      heap.view(b).fill(byte)
      for (let off = 8; off < 60; off += 8) {
        expectFault(
          heap,
          b + off,
          INVALID,
          new RegExp(`lies inside the block at ${b} \\(64 bytes\\)`)
        )
      }
    }
  )

  test('rejects a pointer into a block, after bytes that look like a header', () => {
    const heap = newHeap()
    const [, b = 0] = row(heap, 3, 60)
    heap.view(b).fill(0)
    heap.i32[b / 4 + 1] = headerOf(4, USED | PREVIOUS_USED)
    expectFault(heap, b + 8, INVALID, new RegExp(`lies inside the block at ${b} `))
  })

  test('rejects NULL where a block is required', () => {
    const heap = newHeap()
    row(heap, 3)
    expectRefusal(heap, () => heap.usableSize(0), INVALID, /^usableSize: the pointer 0 is NULL/)
    expectRefusal(heap, () => heap.view(0), INVALID, /^view: the pointer 0 is NULL/)
    expect(heap.owns(0)).toBe(false)
  })

  test('does nothing for NULL, as in C', () => {
    const heap = newHeap()
    row(heap, 3)
    const before = heap.u8.slice()
    heap.free(0)
    heap.free(-0)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })

  test.each([-8, -1, 0.5, 8.5, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 40)])(
    'rejects the number %d',
    value => {
      const heap = newHeap()
      row(heap, 3)
      for (const [, take] of takers)
        expectRefusal(heap, () => take(heap, value), 'ERR_OUT_OF_RANGE', /as malloc returned/)
      expectRefusal(heap, () => (heap.root = value), 'ERR_OUT_OF_RANGE')
      expect(heap.owns(value)).toBe(false)
    }
  )

  test.each([
    ['136'],
    [136n],
    [{ byteOffset: 136 }],
    [[136]],
    [null],
    [undefined],
    [true],
    [Symbol('p')]
  ])('a value of another type (%#)', value => {
    const heap = newHeap()
    row(heap, 3)
    for (const method of ['free', 'usableSize', 'view'] as const) {
      expectRefusal(
        heap,
        () => call(heap, method, value),
        'ERR_INVALID_ARG_TYPE',
        /a pointer .* or a view of a block/
      )
    }
    expectRefusal(heap, () => call(heap, 'realloc', value, 8), 'ERR_INVALID_ARG_TYPE')
    expectRefusal(heap, () => Reflect.set(heap, 'root', value), 'ERR_INVALID_ARG_TYPE')
    expect(call(heap, 'owns', value)).toBe(false)
  })
})

describe('a double free is detected if the block', () => {
  test('is alone', () => {
    const heap = newHeap()
    const [, b = 0] = row(heap, 3)
    heap.free(b)
    expectFault(heap, b, DOUBLE, /is free already(?!:)/)
  })

  test('was merged with its left neighbour', () => {
    const heap = newHeap()
    const [, b = 0, c = 0] = row(heap, 4)
    heap.free(b)
    heap.free(c)
    expectFault(
      heap,
      c,
      DOUBLE,
      new RegExp(`is free already: it is part of the block at ${b} \\(96 bytes\\)`)
    )
    expectFault(heap, b, DOUBLE, /is free already(?!:)/)
  })

  test('was merged with its right neighbour', () => {
    const heap = newHeap()
    const [, b = 0, c = 0] = row(heap, 4)
    heap.free(c)
    heap.free(b)
    expectFault(heap, b, DOUBLE, /is free already(?!:)/)
    expectFault(heap, c, DOUBLE, new RegExp(`it is part of the block at ${b} `))
  })

  test('was merged with both neighbours', () => {
    const heap = newHeap()
    const [, b = 0, c = 0, d = 0] = row(heap, 5)
    heap.free(b)
    heap.free(d)
    heap.free(c)
    for (const pointer of [c, d])
      expectFault(heap, pointer, DOUBLE, new RegExp(`part of the block at ${b} \\(144 bytes`))
  })

  test.each(placements)(
    'was merged with a left neighbour of the smallest size, in a %s heap',
    placement => {
      const heap = Heap.format(new ArrayBuffer(65536), { placement, slabs: false })
      const pairs = Array.from({ length: 100 }, () => {
        const pair = { left: heap.malloc(12), right: heap.malloc(20) }
        // After it, every word looks like the header of a block whose left neighbour is used.
        heap.view(heap.malloc(400)).fill(0xff)
        return pair
      })
      for (const { left } of pairs) heap.free(left)
      for (let i = 0; i < pairs.length; i++) {
        // Not in address order, so that the links of one free block refer to others on both sides.
        const { right } = pairs[(i * 37) % pairs.length]
        heap.free(right)
        expect(heap.owns(right)).toBe(false)
        expectRefusal(heap, () => heap.free(right), DOUBLE)
      }
    }
  )

  test('fell back into the wilderness, alone or with its left neighbour', () => {
    const heap = newHeap()
    const [a = 0, b = 0, c = 0] = [heap.malloc(40), heap.malloc(40), heap.malloc(40)]
    heap.free(c)
    expectFault(heap, c, DOUBLE, /was freed before and has become wilderness/)
    heap.free(a)
    heap.free(b)
    for (const pointer of [a, b, c]) expectFault(heap, pointer, DOUBLE, /has become wilderness/)
  })

  test('fell back into the wilderness, and is now inside a larger block', () => {
    const heap = newHeap()
    const pointers = [heap.malloc(40), heap.malloc(40), heap.malloc(40)]
    for (const pointer of pointers.toReversed()) heap.free(pointer)
    const [a = 0, b = 0, c = 0] = pointers
    expect(heap.malloc(300)).toBe(a)
    for (const pointer of [b, c])
      expectFault(heap, pointer, INVALID, new RegExp(`lies inside the block at ${a} `))
  })

  test('was moved by realloc', () => {
    const heap = newHeap()
    const [, b = 0] = row(heap, 3)
    expect(heap.realloc(b, 400)).not.toBe(b)
    expectFault(heap, b, DOUBLE, /is free already(?!:)/)
  })

  test('was moved by realloc to its left neighbour, which then grew over the old pointer', () => {
    const heap = newHeap(4096)
    const left = heap.malloc(120)
    const block = heap.malloc(20)
    heap.malloc(heap.stats().largestFree)
    heap.free(left)
    expect(heap.realloc(block, 100)).toBe(left)
    expectFault(heap, block, DOUBLE, /is free already/)
    expect(heap.realloc(left, 140)).toBe(left)
    expectFault(heap, block, INVALID, new RegExp(`lies inside the block at ${left} `))
  })
})

describe('views', () => {
  test('of every type stand for the block where they begin', () => {
    const heap = newHeap()
    for (const view of [
      heap.alloc(40),
      heap.alloc(0),
      heap.allocBuffer(40),
      heap.allocBuffer(0),
      heap.allocArray(Float64Array, 5),
      heap.allocArray(BigUint64Array, 0),
      new DataView(heap.buffer, heap.malloc(10), 4),
      heap.view(heap.malloc(33)),
      heap.alloc(40).subarray(0, 3)
    ]) {
      expect(heap.owns(view)).toBe(true)
      expect(heap.usableSize(view)).toBeGreaterThanOrEqual(view.byteLength)
      expect(heap.view(view).byteOffset).toBe(view.byteOffset)
      heap.free(view)
      expect(heap.owns(view)).toBe(false)
      expectRefusal(heap, () => heap.free(view), DOUBLE)
    }
    const grown = heap.realloc(heap.alloc(40), 1000)
    expect(heap.usableSize(grown)).toBeGreaterThanOrEqual(1000)
  })

  test('throw if they begin inside a block', () => {
    const heap = newHeap()
    const bytes = heap.allocZeroed(40)
    expectRefusal(heap, () => heap.free(bytes.subarray(8)), INVALID, /lies inside the block at/)
    expectRefusal(heap, () => heap.free(bytes.subarray(1)), INVALID, /multiple of 8/)
    expectRefusal(heap, () => heap.realloc(heap.u8, 8), INVALID)
  })

  test('throw if they belong to other memory', () => {
    const heap = newHeap()
    const other = newHeap()
    const pointer = heap.malloc(40)
    expect(other.malloc(40)).toBe(pointer)
    // With the same bytes and the same offset, and with bytes that differ in every bit.
    fill(heap, pointer)
    const same = other.view(pointer)
    same.set(heap.view(pointer))
    const opposite = new Uint8Array(new ArrayBuffer(65536), pointer, 40).fill(
      heap.u8[pointer] ^ 0xff
    )
    const foreign = [
      same,
      opposite,
      new Uint8Array(40),
      Buffer.from('some text'),
      new DataView(new ArrayBuffer(65536), pointer),
      new Int32Array(new SharedArrayBuffer(256))
    ]
    for (const view of foreign) {
      for (const [name, take] of takers) {
        expectRefusal(
          heap,
          () => take(heap, view),
          'ERR_OFFHEAP_FOREIGN_VIEW',
          new RegExp(`^${name}: .* another buffer`)
        )
      }
      expect(heap.owns(view)).toBe(false)
    }
    expectFilled(heap, pointer, 40)
    other.check()
  })
})

/** Every public call, with arguments that are valid on an open heap. */
const everyCall: [string, (heap: Heap, view: Uint8Array) => unknown][] = [
  ['malloc', heap => heap.malloc(8)],
  ['calloc', heap => heap.calloc(1, 8)],
  ['calloc that overflows', heap => heap.calloc(2 ** 52, 8)],
  ['realloc', heap => heap.realloc(136, 8)],
  ['realloc(0)', heap => heap.realloc(0, 8)],
  ['free', heap => heap.free(136)],
  ['free(0)', heap => heap.free(0)],
  ['free(view)', (heap, view) => heap.free(view)],
  ['alignedAlloc', heap => heap.alignedAlloc(64, 8)],
  ['alignedAlloc, huge', heap => heap.alignedAlloc(2 ** 40, 8)],
  ['usableSize', heap => heap.usableSize(136)],
  ['owns', heap => heap.owns(136)],
  ['owns(view)', (heap, view) => heap.owns(view)],
  ['view', heap => heap.view(136)],
  ['alloc', heap => heap.alloc(8)],
  ['allocZeroed', heap => heap.allocZeroed(8)],
  ['allocBuffer', heap => heap.allocBuffer(8)],
  ['allocArray', heap => heap.allocArray(Float64Array, 1)],
  ['root', heap => heap.root],
  ['root = 0', heap => (heap.root = 0)],
  ['root = pointer', heap => (heap.root = 136)],
  ['stats', heap => heap.stats()],
  ['blocks', heap => [...heap.blocks()]],
  ['check', heap => heap.check()],
  ['trim', heap => heap.trim()],
  ['reset', heap => heap.reset()]
]

const endings: [string, () => { heap: Heap; end: () => void }][] = [
  [
    'close()',
    () => {
      const heap = Heap.map(65536)
      return { heap, end: () => heap.close() }
    }
  ],
  [
    'close() on borrowed memory',
    () => {
      const heap = newHeap()
      return { heap, end: () => heap.close() }
    }
  ],
  [
    'dispose',
    () => {
      const heap = Heap.map(65536)
      return { heap, end: () => heap[Symbol.dispose]() }
    }
  ],
  [
    'region.close()',
    () => {
      const region = Region.map(65536)
      return { heap: Heap.format(region), end: () => region.close() }
    }
  ],
  [
    'a transfer of the buffer',
    () => {
      const buffer = new ArrayBuffer(65536)
      return {
        heap: Heap.format(buffer),
        end: () => void structuredClone(buffer, { transfer: [buffer] })
      }
    }
  ]
]

describe.each(endings)('after %s', (_, start) => {
  test.each(everyCall)('%s throws ERR_OFFHEAP_CLOSED', (_name, take) => {
    const { heap, end } = start()
    const view = heap.alloc(40)
    expect(heap.closed).toBe(false)
    end()
    expect(heap.closed).toBe(true)
    expectError(() => take(heap, view), 'ERR_OFFHEAP_CLOSED', /heap is closed/)
    heap.close()
    expect(heap.closed).toBe(true)
  })
})

describe.each(placements)('free of a %s heap without slabs', placement => {
  const make = (): Heap => Heap.format(new ArrayBuffer(65536), { placement, slabs: false })

  test('rejects a free block: alone, merged on one side or both, or in the wilderness', () => {
    const heap = make()
    const [a = 0, b = 0, c = 0, , e = 0, f = 0, , h = 0, i = 0] = Array.from({ length: 9 }, () =>
      heap.malloc(40)
    )
    for (const block of [b, a, c, e, f, i, h]) heap.free(block)
    for (const block of [a, b, c, e, f])
      expectRefusal(heap, () => heap.free(block), DOUBLE, /is free already/)
    for (const block of [h, i])
      expectRefusal(heap, () => heap.free(block), DOUBLE, /has become wilderness/)
    heap.check()
  })

  test.each([false, true])('rejects bytes that look like a block, also with slabs: %s', slabs => {
    const heap = Heap.format(new ArrayBuffer(65536), { placement, slabs })
    const block = heap.malloc(200)
    heap.malloc(24)
    const inside = block + 64
    const at = inside / 4 - 1
    const beyond = heap.stats().top / 4 - at + 2
    const used = PREVIOUS_USED | USED
    // Size and flags of the header, and flags of the header after the block.
    const lookalikes: [size: number, flags: number, neighbour: number][] = [
      [8, PREVIOUS_USED, PREVIOUS_USED],
      [0, used, PREVIOUS_USED],
      [2, used, PREVIOUS_USED],
      [8, used, 0],
      [beyond, used, PREVIOUS_USED],
      [2 ** 20, used, 0]
    ]
    for (const [size, flags, neighbour] of lookalikes) {
      heap.view(block).fill(0)
      if (at + size < heap.i32.length) heap.i32[at + size] = neighbour
      heap.i32[at] = headerOf(size, flags)
      expectRefusal(heap, () => heap.free(inside), INVALID, /inside|no block/)
    }
    heap.check()
  })

  test('rejects a word of the header that leads to the first block', () => {
    const heap = make()
    const first = heap.malloc(100) / 4 - 1
    const word = 21
    heap.i32[word] = headerOf(first - word, PREVIOUS_USED | USED)
    expectRefusal(heap, () => heap.free((word + 1) * 4), INVALID, /header or index/)
  })
})

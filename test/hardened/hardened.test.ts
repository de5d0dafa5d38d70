/**
 * The hardened heap: misuse of pointers and payloads is reported once, with code, block and byte.
 */
import { describe, expect, test } from 'vitest'
import { type Heap as AnyHeap, Heap, OffheapError, placements, Region } from '../../lib/index.js'
import { errorOf, expectError } from '../heap/support.js'

const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'
const DOUBLE = 'ERR_OFFHEAP_DOUBLE_FREE'
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

function hardened(options: { bytes?: number; quarantine?: number } = {}): AnyHeap {
  const { bytes = 65536, ...rest } = options
  return Heap.format(new ArrayBuffer(bytes), { hardened: true, ...rest })
}

/** The block that an error names. */
function blockOf(action: () => unknown): unknown {
  const error = errorOf(action)
  return error instanceof OffheapError ? error.block : undefined
}

/** Changes a byte, whatever it was. */
function spoil(heap: AnyHeap, at: number): void {
  heap.u8[at] = (heap.u8[at] ?? 0) ^ 0x55
}

/** A pointer to a block whose memory was freed, and has left the quarantine. */
function freed(heap: AnyHeap, bytes: number): number {
  const pointer = heap.malloc(bytes)
  heap.malloc(8)
  heap.free(pointer)
  return pointer
}

describe('a hardened heap', () => {
  test('is a Heap with three quarters of its memory for blocks, at multiples of 32', () => {
    const heap = hardened()
    expect(heap).toBeInstanceOf(Heap)
    const { size, largestFree, metadata } = heap.stats()
    expect(metadata).toBeLessThan(size * 0.26)
    expect(heap.malloc(largestFree + 1)).toBe(0)
    const pointer = heap.malloc(largestFree)
    expect(pointer % 32).toBe(0)
    expect(pointer + heap.usableSize(pointer)).toBeLessThan(65536)
    heap.check()
  })

  test('has blocks of exactly the requested sizes', () => {
    const heap = hardened()
    for (const bytes of [0, 1, 31, 32, 63, 64, 95, 96, 1000]) {
      const pointer = heap.malloc(bytes)
      expect(heap.usableSize(pointer)).toBe(bytes)
      expect(heap.view(pointer).length).toBe(bytes)
      expect(heap.owns(pointer)).toBe(true)
      heap.view(pointer).fill(0xff)
    }
    heap.check()
  })

  test('accepts every reference to a block that any heap accepts', () => {
    const heap = hardened()
    heap.free(0)
    expect(heap.realloc(heap.malloc(10), 0)).toBe(0)
    heap.free(heap.realloc(0, 10))
    for (const view of [
      heap.alloc(10),
      heap.allocZeroed(10),
      heap.allocBuffer(0),
      heap.allocArray(Float64Array, 3)
    ]) {
      heap.free(view)
      expectError(() => heap.free(view), DOUBLE)
    }
    expectError(() => heap.free(new Uint8Array(8)), 'ERR_OFFHEAP_FOREIGN_VIEW')
    expectError(
      () => heap.alloc(2 ** 20),
      'ERR_OFFHEAP_OUT_OF_MEMORY',
      /the largest request that fits is \d+/
    )
    expect(heap.stats().blocks).toBe(0)
    heap.check()
  })

  test.each(placements)(
    'keeps contents over realloc, calloc and alignedAlloc with %s',
    placement => {
      const heap = Heap.format(new ArrayBuffer(2 ** 18), { hardened: true, placement })
      const pointers = Array.from({ length: 50 }, (_, i) => heap.calloc(i * 3, 1))
      pointers.forEach((pointer, i) => {
        expect(heap.view(pointer).every(byte => byte === 0)).toBe(true)
        heap.view(pointer).fill(i)
      })
      const grown = pointers.map((pointer, i) => heap.realloc(pointer, 200 + i * 7))
      grown.forEach((pointer, i) => {
        expect(
          heap
            .view(pointer)
            .subarray(0, i * 3)
            .every(byte => byte === i)
        ).toBe(true)
      })
      const shrunk = grown.map(pointer => heap.realloc(pointer, 2))
      for (const [i, pointer] of shrunk.entries()) {
        expect([...heap.view(pointer)].slice(0, i * 3)).toEqual([i, i].slice(0, i * 3))
      }
      for (const alignment of [1, 32, 64, 512, 4096])
        expect(heap.alignedAlloc(alignment, 100) % alignment).toBe(0)
      heap.check()
    }
  )

  test('can be attached to, with its blocks, root and checks', () => {
    const heap = hardened()
    const pointer = heap.malloc(5)
    heap.u8.set([1, 2, 3, 4, 5], pointer)
    heap.root = pointer
    const gone = freed(heap, 40)
    const copy = Heap.attach(heap.buffer.slice(0))
    expect(copy.root).toBe(pointer)
    expect([...copy.view(copy.root)]).toEqual([1, 2, 3, 4, 5])
    expect(copy.stats()).toEqual(heap.stats())
    expectError(() => copy.free(gone), DOUBLE)
    spoil(copy, pointer + 5)
    expectError(() => copy.free(pointer), CORRUPT, /0 bytes past the end/)
    heap.free(pointer)
    expectError(() => (heap.root = pointer), DOUBLE)
  })

  test('has a different key each time', () => {
    const fills = [hardened(), hardened()].map(heap => heap.view(heap.malloc(64)).slice().join())
    expect(fills[0]).not.toBe('')
    const [a, b] = [hardened(), hardened()].map(heap => {
      const pointer = freed(heap, 64)
      return heap.u8.slice(pointer, pointer + 64).join()
    })
    expect(a).not.toBe(b)
  })
})

describe('options', () => {
  test('that contradict each other, or are invalid, are rejected', () => {
    const memory = new ArrayBuffer(65536)
    for (const options of [
      { hardened: true, slabs: true },
      { trackAllocations: true },
      { quarantine: 4096 },
      { hardened: true, quarantine: 2 ** 34 },
      { hardened: true, quarantine: -1 },
      { hardened: true, onLeaks: () => {} }
    ]) {
      expectError(() => Heap.format(memory, options), 'ERR_OUT_OF_RANGE')
    }
    for (const [options, name] of [
      [{ hardened: true, slabs: true }, 'slabs'],
      [{ trackAllocations: true }, 'trackAllocations']
    ] as const) {
      expectError(
        () => Heap.format(memory, options),
        'ERR_OUT_OF_RANGE',
        new RegExp(`"${name}".*Received true`)
      )
    }
    for (const name of ['hardened', 'trackAllocations', 'onLeaks', 'quarantine']) {
      const options = { hardened: true, trackAllocations: true, [name]: 'yes' }
      expectError(() => Heap.format(memory, options), 'ERR_INVALID_ARG_TYPE', new RegExp(name))
    }
    expectError(
      () => Heap.format(new ArrayBuffer(64), { hardened: true }),
      'ERR_OUT_OF_RANGE',
      /hardened first-fit heap/
    )
  })

  test('with a rejected size report the smallest valid one', () => {
    for (const placement of placements) {
      const { message } = errorOf(() =>
        Heap.format(new ArrayBuffer(64), { hardened: true, placement })
      )
      const least = Number(/at least (\d+) bytes/.exec(message)?.[1])
      expect(
        Heap.format(new ArrayBuffer(least), { hardened: true, placement }).malloc(10)
      ).toBeGreaterThan(0)
      expectError(
        () => Heap.format(new ArrayBuffer(least - 8), { hardened: true, placement }),
        'ERR_OUT_OF_RANGE'
      )
    }
  })
})

describe('a wrong pointer', () => {
  test('inside a block is reported with the block, whatever its bytes are', () => {
    const heap = hardened()
    const pointer = heap.malloc(500)
    for (let i = 0; i < 125; i++) heap.u32[pointer / 4 + i] = (64 << 1) | 3
    for (const off of [8, 32, 64, 256, 480]) {
      expectError(
        () => heap.free(pointer + off),
        INVALID,
        new RegExp(`inside the block at ${pointer} \\(500 bytes\\)`)
      )
      expect(blockOf(() => heap.free(pointer + off))).toEqual({ pointer, size: 500 })
      expect(heap.owns(pointer + off)).toBe(false)
    }
    heap.check()
  })

  test('elsewhere is reported too', () => {
    const heap = hardened()
    const pointer = heap.malloc(40)
    expectError(() => heap.free(pointer + 1), INVALID, /multiple of 8/)
    expectError(() => heap.free(64), INVALID, /header or ledger/)
    expectError(() => heap.free(65536), INVALID, /outside the heap/)
    expectError(() => heap.free(32768 + 16384), INVALID, /wilderness/)
    expectError(() => heap.usableSize(0), INVALID, /NULL/)
    expectError(() => heap.free(-32), 'ERR_OUT_OF_RANGE')
    heap.check()
  })
})

describe('a second free', () => {
  test('is detected while the block is in the quarantine, and names it', () => {
    const heap = hardened()
    const pointer = freed(heap, 40)
    for (const call of [
      () => heap.free(pointer),
      () => heap.realloc(pointer, 80),
      () => heap.view(pointer)
    ]) {
      expectError(call, DOUBLE, /is free already/)
      expect(blockOf(call)).toEqual({ pointer, size: 40 })
    }
    expectError(
      () => heap.free(pointer + 32),
      DOUBLE,
      new RegExp(`part of the block at ${pointer} \\(40 bytes\\)`)
    )
    heap.check()
  })

  test('is detected after the block was merged with others', () => {
    const heap = hardened({ quarantine: 0 })
    const pointers = Array.from({ length: 6 }, () => heap.malloc(100))
    for (const pointer of pointers.slice(1, 5)) heap.free(pointer)
    for (const pointer of pointers.slice(1, 5)) expectError(() => heap.free(pointer), DOUBLE)
    for (const pointer of [pointers[0] ?? 0, pointers[5] ?? 0]) heap.free(pointer)
    for (const pointer of pointers) expectError(() => heap.free(pointer), DOUBLE, /wilderness/)
    heap.check()
  })

  test('is detected after the memory was allocated again as part of a larger block', () => {
    const heap = hardened({ quarantine: 0 })
    const [a, b] = [heap.malloc(100), heap.malloc(100)]
    heap.free(b)
    heap.free(a)
    expect(heap.malloc(300)).toBe(a)
    expectError(() => heap.free(b), INVALID, new RegExp(`inside the block at ${a} `))
  })
})

describe('a write outside a block', () => {
  test.each([0, 1, 7, 31, 32, 40, 63, 64, 95, 1000])(
    'one byte past the end of %i bytes is detected by free',
    bytes => {
      const heap = hardened()
      const pointer = heap.malloc(bytes)
      heap.malloc(10)
      heap.view(pointer).fill(7)
      heap.check()
      spoil(heap, pointer + bytes)
      expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${pointer + bytes} was written`))
      const find = (): void => heap.free(pointer)
      expect(blockOf(find)).toEqual({ pointer, size: bytes })
      // Reported once; then the block can be freed.
      heap.check()
      heap.free(pointer)
      heap.check()
    }
  )

  test('is detected by realloc, which does not change the block', () => {
    const heap = hardened()
    const pointer = heap.malloc(40)
    heap.view(pointer).fill(7)
    for (const size of [0, 10, 40, 5000]) {
      spoil(heap, pointer + 45)
      expectError(
        () => heap.realloc(pointer, size),
        CORRUPT,
        /5 bytes past the end of the block at \d+ \(40 bytes\)/
      )
      expect(heap.view(pointer).every(byte => byte === 7)).toBe(true)
    }
    heap.check()
  })

  test('before a block is detected by free', () => {
    const heap = hardened()
    const pointers = [heap.malloc(63), heap.malloc(63), heap.malloc(64)]
    for (const pointer of pointers) {
      spoil(heap, pointer - 1)
      expectError(
        () => heap.free(pointer),
        CORRUPT,
        new RegExp(`byte ${pointer - 1} was written, in front`)
      )
      heap.check()
      heap.free(pointer)
    }
    heap.check()
  })

  test('over many bytes damages no header and no link', () => {
    const heap = hardened()
    const pointers = Array.from({ length: 20 }, () => heap.malloc(50))
    const [a = 0, , b = 0] = pointers
    heap.free(b)
    heap.u8.fill(0, a, a + 700)
    expectError(() => heap.free(a), CORRUPT)
    expect([...heap.blocks()].length).toBe(20)
    expect(heap.malloc(100)).toBeGreaterThan(0)
    expectError(() => heap.check(), CORRUPT)
  })

  test.each([0, 1, 17, 39, 63])(
    'to byte %i of a freed block is detected when it leaves the quarantine',
    at => {
      const heap = hardened({ quarantine: 200 })
      const pointer = freed(heap, 40)
      spoil(heap, pointer + at)
      expectError(
        () => heap.check(),
        CORRUPT,
        new RegExp(`byte ${pointer + at} was written after it was freed`)
      )
      heap.free(heap.malloc(40))
      heap.free(heap.malloc(40))
      const next = heap.malloc(40)
      const find = (): void => heap.free(next)
      expectError(
        find,
        CORRUPT,
        new RegExp(`it is byte ${at} of the block at ${pointer} \\(40 bytes\\)`)
      )
      expect(heap.owns(next)).toBe(true)
      heap.check()
      heap.free(next)
      heap.check()
    }
  )

  test.each([0, 4, 8, 12, 39, 60])(
    'to byte %i of free memory is detected when it is allocated',
    at => {
      const heap = hardened({ quarantine: 0 })
      const pointer = freed(heap, 40)
      spoil(heap, pointer + at)
      expectError(
        () => heap.check(),
        CORRUPT,
        new RegExp(`byte ${pointer + at} was written, in free memory`)
      )
      expectError(() => heap.malloc(40), CORRUPT, new RegExp(`byte ${pointer + at} `))
      heap.check()
      expect(heap.malloc(40)).toBe(pointer)
    }
  )

  test('to memory that was never allocated is detected when it is', () => {
    const calls = [
      (heap: AnyHeap) => heap.malloc(500),
      (heap: AnyHeap) => heap.calloc(500, 1),
      (heap: AnyHeap) => heap.alignedAlloc(4096, 500)
    ]
    for (const call of calls) {
      const heap = hardened()
      heap.malloc(100)
      const { top } = heap.stats()
      spoil(heap, top + 200)
      expectError(() => call(heap), CORRUPT, new RegExp(`byte ${top + 200} `))
      heap.check()
      expect(call(heap)).toBeGreaterThan(0)
      heap.check()
    }
  })

  test('to free memory after a block is detected when the block grows into it', () => {
    const heap = hardened({ quarantine: 0 })
    const [a, b] = [heap.malloc(40), heap.malloc(400)]
    heap.malloc(10)
    heap.free(b)
    spoil(heap, b + 50)
    expectError(() => heap.realloc(a, 300), CORRUPT, new RegExp(`byte ${b + 50} `))
    expect(heap.usableSize(a)).toBe(40)
    expect(heap.realloc(a, 300)).toBe(a)
    heap.check()
  })
})

test('a write to wilderness that was used before is detected by check()', () => {
  const heap = hardened({ quarantine: 0 })
  heap.malloc(10)
  const pointer = heap.malloc(500)
  heap.free(pointer)
  spoil(heap, pointer + 300)
  expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${pointer + 300} `))
})

test('peakUsed is the maximum of blocks outside the quarantine', () => {
  const heap = hardened({ quarantine: 0 })
  const pointers = [heap.malloc(100), heap.malloc(100)]
  for (const pointer of pointers) heap.free(pointer)
  heap.malloc(10)
  expect(heap.stats()).toMatchObject({ used: 64, peakUsed: 256 })
})

describe('the quarantine', () => {
  test('keeps blocks, first in, first out, up to its size', () => {
    const heap = hardened({ quarantine: 64 * 3 })
    const pointers = Array.from({ length: 5 }, () => heap.malloc(40))
    heap.malloc(40)
    for (const pointer of pointers.slice(0, 3)) heap.free(pointer)
    expect(heap.stats()).toMatchObject({
      quarantined: 192,
      quarantinedBlocks: 3,
      freeBlocks: 0,
      blocks: 3
    })
    expect(heap.malloc(40)).toBeGreaterThan(pointers[4] ?? 0)
    heap.free(pointers[3] ?? 0)
    expect(heap.stats()).toMatchObject({
      quarantined: 192,
      quarantinedBlocks: 3,
      freeBlocks: 1,
      blocks: 3
    })
    expect(heap.malloc(40)).toBe(pointers[0])
    const held = [...heap.blocks()].filter(block => block.quarantined)
    expect(held.map(block => block.pointer)).toEqual(pointers.slice(1, 4))
    expect(held.every(block => !block.used)).toBe(true)
  })

  test('is emptied before the heap reports that it is out of memory', () => {
    const heap = hardened({ bytes: 16384, quarantine: 2 ** 20 })
    const { largestFree } = heap.stats()
    for (let i = 0; i < 50; i++) {
      const pointer = heap.malloc(largestFree)
      expect(pointer).toBeGreaterThan(0)
      heap.free(pointer)
      expect(heap.stats()).toMatchObject({ blocks: 0, used: 0, largestFree })
    }
    expect(heap.malloc(largestFree + 1)).toBe(0)
    expect(heap.stats().quarantinedBlocks).toBe(0)
  })

  test('has 1/16 of the heap by default', () => {
    const heap = hardened({ bytes: 2 ** 20 })
    for (let i = 0; i < 5000; i++) heap.free(heap.malloc(100))
    const { quarantined } = heap.stats()
    expect(quarantined).toBeGreaterThan(2 ** 16 - 256)
    expect(quarantined).toBeLessThanOrEqual(2 ** 16)
  })
})

describe('pages returned to the system', () => {
  test.each([undefined, 2 ** 20])('are still verified (trimThreshold %s)', trimThreshold => {
    const options = trimThreshold === undefined ? {} : { trimThreshold }
    using heap = Heap.map({ size: 2 ** 24, hardened: true, ...options })
    const large = Array.from({ length: 8 }, () => heap.malloc(2 ** 20))
    heap.malloc(10)
    for (const pointer of large) heap.view(pointer).fill(1)
    const before = heap.stats().residentBytes
    for (const pointer of large) heap.free(pointer)
    if (trimThreshold === undefined) expect(heap.trim()).toBeGreaterThan(7 * 2 ** 20)
    else expect(heap.stats().residentBytes).toBeLessThan(before - 4 * 2 ** 20)
    heap.check()
    const at = (large[0] ?? 0) + 300_000
    heap.u8[at] = 1
    expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${at} `))
    expectError(() => heap.malloc(6 * 2 ** 20), CORRUPT, new RegExp(`byte ${at} `))
    const again = heap.malloc(6 * 2 ** 20)
    expect(again).toBe(large[0])
    heap.view(again).fill(2)
    heap.check()
    heap.free(heap.malloc(3000))
    heap.trim()
    heap.free(again)
    heap.check()
    heap.reset()
    heap.check()
    const zeroed = heap.calloc(8 * 2 ** 20, 1)
    expect(heap.view(zeroed).every(byte => byte === 0)).toBe(true)
  })

  test('do not release quarantined blocks, and cause no error of a call', () => {
    using heap = Heap.map({
      size: 2 ** 22,
      hardened: true,
      quarantine: 20_000,
      trimThreshold: 50_000
    })
    const [held, shrinks, large] = [heap.malloc(100), heap.malloc(200_000), heap.malloc(200_000)]
    heap.malloc(10)
    heap.view(large).fill(1)
    heap.free(held)
    spoil(heap, held + 7)
    const before = heap.stats().residentBytes
    heap.free(large)
    expect(heap.realloc(shrinks, 100_000)).toBe(shrinks)
    expect(heap.stats().residentBytes).toBeLessThan(before - 150_000)
    expect(heap.stats()).toMatchObject({ quarantinedBlocks: 1, blocks: 2 })
    expectError(() => heap.free(held), DOUBLE)
    expectError(
      () => heap.check(),
      CORRUPT,
      new RegExp(`byte ${held + 7} was written after it was freed`)
    )
    spoil(heap, held + 7)
    heap.check()
  })

  test('hold the pattern again if a block uses only a part of them', () => {
    using heap = Heap.map({ size: 2 ** 22, hardened: true, quarantine: 0 })
    const large = heap.malloc(2 ** 20)
    heap.malloc(10)
    heap.free(large)
    heap.trim()
    heap.alignedAlloc(2048, 100)
    heap.check()
    heap.reset()
    for (let i = 0; i < 20; i++) expect(heap.malloc(5000)).toBeGreaterThan(0)
    heap.check()
  })

  test('can be shared by a quarantined block and a free one', () => {
    using heap = Heap.map({ size: 2 ** 22, hardened: true, quarantine: 13_000 })
    const [held, free, other] = [heap.malloc(6000), heap.malloc(6000), heap.malloc(6000)]
    heap.malloc(10)
    // The last one pushes the first one out.
    for (const pointer of [free, other, held]) heap.free(pointer)
    expect(heap.trim()).toBeGreaterThan(0)
    heap.check()
    expect(heap.malloc(6000)).toBe(free)
    heap.check()
  })

  test('do not exist in an ordinary buffer: trim returns 0', () => {
    expect(hardened().trim()).toBe(0)
  })

  test('a new heap has touched hardly any of its memory', () => {
    using heap = Heap.map({ size: 2 ** 28, hardened: true })
    heap.malloc(100)
    expect(heap.stats().residentBytes).toBeLessThan(2 ** 20)
    heap.reset()
    expect(heap.stats().residentBytes).toBeLessThan(2 ** 20)
  })

  test('work with a borrowed region, whatever it contained', () => {
    using region = Region.map(2 ** 20)
    new Uint8Array(region.buffer).fill(0xaa)
    const heap = Heap.format(region, { hardened: true })
    const pointer = heap.malloc(300_000)
    heap.free(pointer)
    heap.malloc(10)
    expect(heap.trim()).toBeGreaterThan(200_000)
    heap.check()
  })
})

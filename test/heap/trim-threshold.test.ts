/**
 * `trimThreshold`: a heap that returns its free pages by itself, according to the system's resident
 * bytes.
 */
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements, Region } from '../../lib/index.js'
import { underAsan } from '../memory/maps.js'
import { scaled } from '../runs.js'
import { errorOf, expectError, expectFilled, fill } from './support.js'

const MiB = 2 ** 20
const GiB = 2 ** 30

/** A block whose pages are all in memory. */
function touched(heap: Heap, size: number): number {
  const pointer = heap.malloc(size)
  heap.view(pointer).fill(0xee)
  return pointer
}

function resident(heap: Heap): number {
  return heap.stats().residentBytes
}

function isFilledWith(heap: Heap, byte: number, pointer: number, length: number): boolean {
  return (
    Buffer.compare(heap.u8.subarray(pointer, pointer + length), Buffer.alloc(length, byte)) === 0
  )
}

describe.each(placements)('a %s heap with trimThreshold', placement => {
  test('returns its free pages once that many bytes were freed, and not before', () => {
    using heap = Heap.map({ size: 64 * MiB, placement, trimThreshold: 8 * MiB })
    const blocks = Array.from({ length: 24 }, () => touched(heap, MiB))
    const keep = heap.malloc(5000)
    fill(heap, keep)
    const all = resident(heap)
    // Every other one, so that blocks stay free between used ones.
    for (let i = 0; i < 14; i += 2) heap.free(blocks[i])
    expect(resident(heap)).toBe(all)
    heap.free(blocks[14])
    expect(resident(heap)).toBeLessThanOrEqual(all - 8 * (MiB - 3 * 4096))
    expectFilled(heap, keep, 5000)
    heap.check()
    // The count restarts: the next trim needs as many bytes again.
    const half = resident(heap)
    for (let i = 16; i < 22; i += 2) heap.free(blocks[i])
    expect(resident(heap)).toBe(half)
    for (let i = 1; i < 9; i += 2) heap.free(blocks[i])
    expect(resident(heap)).toBe(half)
    heap.free(blocks[9])
    expect(resident(heap)).toBeLessThanOrEqual(half - 7 * MiB)
    expectFilled(heap, keep, 5000)
    heap.check()
  })

  test('returns the wilderness, which calloc finds zero', () => {
    using heap = Heap.map({ size: 64 * MiB, placement, trimThreshold: 16 * MiB })
    const before = resident(heap)
    const pointer = touched(heap, 32 * MiB)
    heap.free(pointer)
    expect(resident(heap) - before).toBeLessThanOrEqual(MiB)
    expect(heap.calloc(32 * MiB, 1)).toBe(pointer)
    expect(resident(heap) - before).toBeLessThanOrEqual(MiB)
    expect(isFilledWith(heap, 0, pointer, 32 * MiB)).toBe(true)
  })

  test('keeps every payload, whatever is freed meanwhile', () => {
    for (const slabs of [false, true]) {
      using heap = Heap.map({ size: 16 * MiB, placement, slabs, trimThreshold: 100_000 })
      const live: { pointer: number; size: number }[] = []
      for (let step = 0; step < scaled(1500); step++) {
        const size = (step * 7919) % (step % 10 === 0 ? 20_000 : 700)
        const pointer = step % 3 === 0 ? heap.calloc(size, 1) : heap.malloc(size)
        if (step % 3 === 0) expect(isFilledWith(heap, 0, pointer, size)).toBe(true)
        fill(heap, pointer)
        live.push({ pointer, size })
        if (step % 4 !== 0) {
          const [block = { pointer: 0, size: 0 }] = live.splice((step * 31) % live.length, 1)
          expectFilled(heap, block.pointer, block.size)
          heap.free(block.pointer)
        }
      }
      for (const { pointer, size } of live) expectFilled(heap, pointer, size)
      heap.check()
    }
  })
})

describe('trimThreshold', () => {
  test('counts bytes freed by realloc, when it shrinks and when it moves', () => {
    using heap = Heap.map({ size: 64 * MiB, trimThreshold: 8 * MiB })
    const shrinks = touched(heap, 9 * MiB)
    const fence = touched(heap, 4096)
    const all = resident(heap)
    expect(heap.realloc(shrinks, MiB)).toBe(shrinks)
    expect(all - resident(heap)).toBeGreaterThanOrEqual(8 * MiB - 3 * 4096)
    const moves = touched(heap, 12 * MiB)
    // Too large for the freed memory, so it is placed after it.
    heap.malloc(9 * MiB)
    const moved = heap.realloc(moves, 13 * MiB)
    expect(moved).not.toBe(moves)
    expect(isFilledWith(heap, 0xee, moved, 12 * MiB)).toBe(true)
    expect(resident(heap)).toBeLessThan(16 * MiB)
    expect(heap.owns(fence)).toBe(true)
    heap.check()
  })

  test('trims only once per threshold if one block is freed again and again', () => {
    using heap = Heap.map({ size: 64 * MiB, trimThreshold: 10 * MiB })
    heap.malloc(100)
    let given = 0
    for (let i = 0; i < 100; i++) {
      heap.free(touched(heap, MiB))
      if (resident(heap) < MiB) given++
    }
    // A block is a few bytes larger than the requested megabyte: ten of them are enough.
    expect(given).toBe(10)
  })

  test('counts freed bytes, not growth of the heap', () => {
    using heap = Heap.map({ size: 64 * MiB, trimThreshold: 8 * MiB })
    const pointer = touched(heap, 4 * MiB)
    touched(heap, 4096)
    heap.free(pointer)
    const before = resident(heap)
    heap.malloc(5 * MiB)
    expect(resident(heap)).toBeGreaterThanOrEqual(before)
  })

  describe('with slabs', () => {
    /** Slots of 160 bytes: three in each slab of 512. A slab counts when it stops being full. */
    const ENOUGH = Math.ceil((4 * MiB) / 512)

    const slabby = (options?: HeapOptions): Heap =>
      Heap.map({ size: 64 * MiB, slabs: true, ...options })
    const manyIn = (heap: Heap): number[] =>
      Array.from({ length: 60_000 }, () => touched(heap, 160))

    test('counts freed slots by the slab, and returns empty slabs with the pages', () => {
      using heap = slabby({ trimThreshold: 4 * MiB })
      const small = manyIn(heap)
      const keep = small.pop() ?? 0
      fill(heap, keep)
      const { slabs, residentBytes } = heap.stats()
      for (const pointer of small.slice(0, 3 * (ENOUGH - 1))) heap.free(pointer)
      expect(heap.stats()).toMatchObject({ slabs, residentBytes })
      heap.free(small[3 * (ENOUGH - 1)])
      expect(slabs - heap.stats().slabs).toBeGreaterThanOrEqual(4 * MiB - 2 * 4096)
      expect(residentBytes - resident(heap)).toBeGreaterThanOrEqual(4 * MiB - 4 * 4096)
      expectFilled(heap, keep, 160)
      heap.check()
      // The count restarts.
      const before = resident(heap)
      for (const pointer of small.slice(3 * ENOUGH, 3 * (2 * ENOUGH - 1))) heap.free(pointer)
      expect(resident(heap)).toBe(before)
      for (const pointer of small.slice(3 * (2 * ENOUGH - 1), 3 * (2 * ENOUGH + 1)))
        heap.free(pointer)
      expect(before - resident(heap)).toBeGreaterThanOrEqual(4 * MiB - 4 * 4096)
      expectFilled(heap, keep, 160)
      heap.check()
    })

    test('returns empty slabs when a large block is freed or shrinks', () => {
      for (const reach of [
        (heap: Heap, large: number) => heap.free(large),
        (heap: Heap, large: number) => heap.realloc(large, 1000)
      ]) {
        using heap = slabby({ trimThreshold: 4 * MiB })
        const small = Array.from({ length: 100 }, () => heap.malloc(100))
        const large = touched(heap, 5 * MiB)
        heap.malloc(1000)
        for (const pointer of small) heap.free(pointer)
        expect(heap.stats().slabs).toBeGreaterThan(0)
        const before = resident(heap)
        reach(heap, large)
        expect(heap.stats().slabs).toBe(0)
        expect(before - resident(heap)).toBeGreaterThanOrEqual(5 * MiB - 3 * 4096)
        heap.check()
      }
    })

    test('returns nothing without a threshold', () => {
      using heap = slabby()
      const small = manyIn(heap)
      const { slabs, residentBytes } = heap.stats()
      for (const pointer of small) heap.free(pointer)
      expect(heap.stats()).toMatchObject({ slabs, residentBytes, blocks: 0 })
      heap.check()
    })
  })

  test('counts the bytes by which a block shrinks', () => {
    using heap = Heap.map({ size: 16 * MiB, trimThreshold: 5 * MiB })
    const block = touched(heap, 4 * MiB)
    heap.malloc(100)
    const all = resident(heap)
    heap.realloc(block, 2 * MiB)
    expect(resident(heap)).toBe(all)
  })

  test('restarts the count when it reaches the threshold exactly', () => {
    using heap = Heap.map({ size: 16 * MiB, trimThreshold: 2 * MiB })
    const [a, b, c] = Array.from({ length: 5 }, () => touched(heap, MiB - 4)).filter(
      (_, i) => i % 2 === 0
    )
    heap.malloc(100)
    heap.free(a ?? 0)
    const all = resident(heap)
    heap.free(b ?? 0)
    const trimmed = resident(heap)
    expect(all - trimmed).toBeGreaterThan(MiB)
    heap.free(c ?? 0)
    expect(resident(heap)).toBe(trimmed)
  })

  test('is stored in the heap: it continues after attach', () => {
    using region = Region.map(64 * MiB)
    const first = Heap.format(region, { trimThreshold: 8 * MiB })
    const blocks = Array.from({ length: 10 }, () => touched(first, MiB))
    for (const pointer of blocks.slice(0, 5)) first.free(pointer)
    const second = Heap.attach(region)
    const before = resident(second)
    second.free(blocks[5])
    second.free(blocks[6])
    expect(resident(second)).toBe(before)
    second.free(blocks[7])
    expect(before - resident(second)).toBeGreaterThanOrEqual(7 * MiB)
    second.check()
  })

  test('remains after reset, and the count restarts', () => {
    using heap = Heap.map({ size: 64 * MiB, trimThreshold: 8 * MiB })
    heap.free(touched(heap, 7 * MiB))
    heap.reset()
    heap.free(touched(heap, 7 * MiB))
    expect(resident(heap)).toBeGreaterThanOrEqual(7 * MiB)
    heap.free(touched(heap, 7 * MiB))
    expect(resident(heap)).toBeLessThan(MiB)
  })

  test('returns pages of a heap that was formatted over used memory', () => {
    using region = Region.map(16 * MiB)
    new Uint8Array(region.buffer).fill(0xff)
    const heap = Heap.format(region, { trimThreshold: MiB })
    heap.malloc(100)
    heap.free(touched(heap, 2 * MiB))
    expect(resident(heap)).toBeLessThan(MiB)
    const pointer = heap.calloc(4 * MiB, 1)
    expect(isFilledWith(heap, 0, pointer, 4 * MiB)).toBe(true)
  })

  test('has no effect on a copy of the heap in an ordinary buffer', () => {
    using mapped = Heap.map({ size: MiB, trimThreshold: 4096 })
    const pointer = mapped.malloc(100_000)
    mapped.malloc(100)
    const copy = Heap.attach(mapped.buffer.slice(0))
    copy.free(pointer)
    copy.check()
    expect(copy.stats().freeBlocks).toBe(1)
  })

  test.skipIf(underAsan)(
    'a system that refuses to take the pages is no reason for free to fail',
    () => {
      // The pages of a locked region cannot be returned.
      using heap = Heap.map({ size: 65536 * 3, lock: true, trimThreshold: 4096 })
      const [block, keep] = [touched(heap, 100_000), touched(heap, 100)]
      fill(heap, keep)
      heap.free(block)
      expect(heap.stats()).toMatchObject({ freeBlocks: 1, blocks: 1 })
      expectError(() => heap.trim(), 'ERR_OFFHEAP_SYSTEM')
      expect(heap.realloc(touched(heap, 60_000), 10)).not.toBe(0)
      expectFilled(heap, keep, 100)
      heap.check()
    }
  )
})

describe('the argument trimThreshold', () => {
  const memory = (): ArrayBuffer => new ArrayBuffer(65536)

  /** Both ways to create a heap in a region. */
  function make(options: object): void {
    const map: unknown = Reflect.get(Heap, 'map')
    if (typeof map === 'function') Reflect.apply(map, Heap, [{ size: 65536, ...options }])
  }

  test.each(['1', null, true, {}, [], 1n, Symbol('one'), () => 1])(
    'of the wrong type is rejected: %s',
    value => {
      expectError(() => make({ trimThreshold: value }), 'ERR_INVALID_ARG_TYPE', /"trimThreshold"/)
    }
  )

  test.each([
    0,
    -0,
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    8 * GiB + 1,
    Number.MAX_SAFE_INTEGER,
    2 ** 60
  ])('out of range is refused: %s', value => {
    expectError(() => make({ trimThreshold: value }), 'ERR_OUT_OF_RANGE', /"trimThreshold"/)
  })

  test.each([1, 2, 4096, 2 ** 31, 2 ** 32, 8 * GiB])('within its range is accepted: %s', value => {
    using heap = Heap.map({ size: 65536, trimThreshold: value })
    heap.malloc(100)
    heap.free(touched(heap, 50_000))
    expect(resident(heap) < 50_000).toBe(value <= 4096)
    heap.check()
    Heap.attach(heap.buffer)
  })

  test('is rejected for an ArrayBuffer, which stays unchanged', () => {
    const buffer = memory()
    const error = errorOf(() => Heap.format(buffer, { trimThreshold: MiB }))
    expect(error.code).toBe('ERR_INVALID_ARG_TYPE')
    expect(error.message).toMatch(/Region, because "trimThreshold" gives its pages back/)
    expect(new Uint8Array(buffer).every(byte => byte === 0)).toBe(true)
  })

  test('does not hide that the heap is corrupt', () => {
    using heap = Heap.map({ size: 16 * MiB, trimThreshold: MiB })
    const pointers = Array.from({ length: 12 }, () => heap.malloc(300_000))
    for (const pointer of [0, 2, 4].map(i => pointers[i] ?? 0)) heap.free(pointer)
    // The link of the first free block leads into a used one; free() of other blocks does not
    // follow it.
    heap.i32[(pointers[0] ?? 0) / 4] = (pointers[1] ?? 0) / 4 - 1
    expectError(() => heap.free(pointers[10] ?? 0), 'ERR_OFFHEAP_CORRUPT')
  })

  test('returns nothing if it is undefined or left out', () => {
    const plain: HeapOptions = {}
    for (const options of [plain, Object.assign(plain, { trimThreshold: undefined })]) {
      using region = Region.map(16 * MiB)
      const heap = Heap.format(region, options)
      heap.malloc(100)
      heap.free(touched(heap, 8 * MiB))
      expect(resident(heap)).toBeGreaterThanOrEqual(8 * MiB)
    }
  })
})

/**
 * Heaps beyond 4 GiB: offsets that don't fit in an unsigned 32-bit number, sizes that reach into
 * the highest bits of a header, and pages that are in memory only if they were written. Node 20
 * wraps at most 4 GiB.
 */
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectError, expectFilled, fill, whySkipped } from './support.js'

const KiB = 2 ** 10
const MiB = 2 ** 20
const GiB = 2 ** 30
const SIZE = 6 * GiB
const LINE = 4 * GiB

const why = whySkipped(SIZE)

interface Kind {
  readonly placement: (typeof placements)[number]
  readonly slabs: boolean
}

const kinds: Kind[] = placements.flatMap(placement => [
  { placement, slabs: false },
  { placement, slabs: true }
])

/** A heap of 6 GiB whose wilderness begins a little below 4 GiB, and the block below it. */
function upToTheLine(kind: Kind): { heap: Heap; below: number } {
  const heap = Heap.map({ size: SIZE, ...kind })
  const below = heap.malloc(LINE - heap.stats().top - 100_000)
  expect(below).toBeGreaterThan(0)
  expect(heap.stats().top).toBeLessThan(LINE)
  return { heap, below }
}

/** Writes both ends of a block, which may be larger than what should be touched. */
function mark(heap: Heap, pointer: number): void {
  const last = pointer + heap.usableSize(pointer) - 1
  heap.u8[pointer] = 0xa5
  heap.u8[last] = 0x5a
}

/**
 * Few pages were touched. check() reads all slab tables before the top, which are then in memory.
 */
function expectFewPages(heap: Heap, { slabs }: Kind): void {
  const { residentBytes, metadata } = heap.stats()
  expect(residentBytes).toBeLessThan(64 * MiB + (slabs ? metadata : 0))
}

/** The pointers of used blocks and slots, in address order. */
function usedIn(heap: Heap): number[] {
  return [...heap.blocks()].filter(({ used }) => used).map(({ pointer }) => pointer)
}

const ascending = (pointers: readonly number[]): number[] => [...pointers].sort((a, b) => a - b)

function expectMarked(heap: Heap, pointer: number): void {
  expect([heap.u8[pointer], heap.u8[pointer + heap.usableSize(pointer) - 1]]).toEqual([0xa5, 0x5a])
}

describe.skipIf(why !== '')(`a heap of 6 GiB${why && ` (${why})`}`, () => {
  describe.each(kinds)('$placement, slabs: $slabs', kind => {
    test('allocates, writes and reads on both sides of 4 GiB', () => {
      const { heap, below } = upToTheLine(kind)
      using _ = heap
      const pointers = Array.from({ length: 400 }, (_, i) => heap.malloc(1 + i * 3))
      expect(pointers.some(pointer => pointer < LINE)).toBe(true)
      expect(pointers.some(pointer => pointer > LINE)).toBe(true)
      expect(pointers.every(pointer => pointer % 8 === 0)).toBe(true)
      for (const pointer of pointers) fill(heap, pointer)
      mark(heap, below)
      heap.check()
      pointers.forEach((pointer, i) => {
        expectFilled(heap, pointer, 1 + i * 3)
        expect(heap.owns(pointer)).toBe(true)
        expect(heap.view(pointer).byteOffset).toBe(pointer)
      })
      expectMarked(heap, below)
      expect(usedIn(heap)).toEqual(ascending([below, ...pointers]))
      for (const pointer of pointers) heap.free(pointer)
      expect(heap.owns(pointers[399])).toBe(false)
      expectError(() => heap.free(pointers[399] ?? 0), 'ERR_OFFHEAP_DOUBLE_FREE')
      heap.check()
      expectFewPages(heap, kind)
    })

    test('has a block across 4 GiB, and typed views of it', () => {
      const { heap } = upToTheLine(kind)
      using _ = heap
      const across = heap.malloc(300_000)
      expect(across).toBeLessThan(LINE)
      expect(across + 300_000).toBeGreaterThan(LINE)
      fill(heap, across)
      expectFilled(heap, across, 300_000)
      const floats = heap.allocArray(Float64Array, 1000)
      expect(floats.byteOffset).toBeGreaterThan(LINE)
      floats.fill(0.5)
      expect(heap.f64[floats.byteOffset / 8 + 999]).toBe(0.5)
      const buffer = heap.allocBuffer(100)
      buffer.write('beyond')
      expect(heap.view(buffer.byteOffset).subarray(0, 6)).toEqual(
        new Uint8Array(Buffer.from('beyond'))
      )
      heap.root = buffer.byteOffset
      expect(heap.root).toBe(buffer.byteOffset)
      expectError(
        () => heap.free(across + LINE),
        'ERR_OFFHEAP_INVALID_POINTER',
        /outside the heap, which has 6442450944/
      )
      heap.free(floats)
      heap.free(buffer)
      expectFilled(heap, across, 300_000)
      heap.check()
    })

    test('reallocates across 4 GiB, in place and by moving', () => {
      const { heap } = upToTheLine(kind)
      using _ = heap
      const grows = heap.malloc(5000)
      fill(heap, grows)
      expect(heap.realloc(grows, MiB)).toBe(grows)
      expect(grows + MiB).toBeGreaterThan(LINE)
      expectFilled(heap, grows, 5000)
      const fence = heap.malloc(100)
      const moved = heap.realloc(grows, 2 * MiB)
      expect(moved).toBeGreaterThan(LINE)
      expectFilled(heap, moved, 5000)
      expect(heap.realloc(moved, 200)).toBe(moved)
      expectFilled(heap, moved, 200)
      const back = heap.realloc(fence, 5000)
      expect(back).toBeGreaterThan(0)
      heap.check()
    })

    test('splits, merges and finds free blocks beyond 4 GiB', () => {
      const { heap, below } = upToTheLine(kind)
      using _ = heap
      heap.free(below)
      const lower = heap.malloc(LINE - 8 * KiB - heap.stats().top)
      const blocks = Array.from({ length: 64 }, () => heap.malloc(32 * KiB))
      blocks.forEach(pointer => {
        mark(heap, pointer)
      })
      for (let i = 0; i < 64; i += 2) heap.free(blocks[i])
      heap.check()
      for (let i = 1; i < 64; i += 2) expectMarked(heap, blocks[i])
      // Two merged neighbours have room for a block larger than each.
      heap.free(blocks[61])
      expect(heap.malloc(90 * KiB)).toBeGreaterThan(0)
      expect(heap.calloc(20 * KiB, 1)).toBeGreaterThan(0)
      expect(heap.alignedAlloc(4096, 20 * KiB) % 4096).toBe(0)
      heap.check()
      for (let i = 1; i < 61; i += 2) expectMarked(heap, blocks[i])
      expect(heap.owns(lower)).toBe(true)
      expectFewPages(heap, kind)
    })

    test('has blocks of gigabytes, with more than 31 bits in their headers', () => {
      using heap = Heap.map({ size: SIZE, ...kind })
      for (const size of [
        2 * GiB - 16,
        2 * GiB,
        3 * GiB,
        4 * GiB - 2000,
        4 * GiB - 4,
        4 * GiB,
        4 * GiB + 500,
        5 * GiB
      ]) {
        const pointer = heap.malloc(size)
        expect(pointer, `${size} bytes`).toBeGreaterThan(0)
        expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(size)
        const fence = heap.malloc(40)
        mark(heap, pointer)
        fill(heap, fence)
        heap.check()
        expect(usedIn(heap)).toEqual(ascending([pointer, fence]))
        heap.free(pointer)
        expectError(() => heap.free(pointer), 'ERR_OFFHEAP_DOUBLE_FREE')
        const again = heap.malloc(size)
        expect(again).toBe(pointer)
        expect(heap.realloc(again, size - 400_000_000)).toBe(again)
        heap.free(again)
        expectFilled(heap, fence, 40)
        heap.free(fence)
        expect(heap.stats().used).toBe(0)
        heap.reset()
      }
    })

    test('has a block of largestFree bytes, and none that is larger', () => {
      using heap = Heap.map({ size: SIZE, ...kind })
      const { largestFree, free } = heap.stats()
      expect(largestFree).toBe(free - 4)
      expect(largestFree).toBeGreaterThan((kind.slabs ? 5.8 : 5.9) * GiB)
      expect(heap.malloc(largestFree + 1)).toBe(0)
      const pointer = heap.malloc(largestFree)
      expect(pointer).toBeGreaterThan(0)
      heap.free(pointer)
      expect(heap.stats().used).toBe(0)
      heap.check()
    })

    test('returns pages beyond 4 GiB, and finds them zero', () => {
      const { heap } = upToTheLine(kind)
      using _ = heap
      heap.malloc(200_000)
      const pointer = heap.malloc(32 * MiB)
      heap.view(pointer).fill(0xee)
      const fence = heap.malloc(100)
      fill(heap, fence)
      heap.free(pointer)
      const before = heap.stats().residentBytes
      expect(heap.trim()).toBeGreaterThanOrEqual(31 * MiB)
      expect(before - heap.stats().residentBytes).toBeGreaterThanOrEqual(31 * MiB)
      const again = heap.calloc(32 * MiB, 1)
      expect(
        Buffer.compare(heap.u8.subarray(again, again + 32 * MiB), Buffer.alloc(32 * MiB))
      ).toBe(0)
      expectFilled(heap, fence, 100)
      heap.check()
    })

    test('can be attached to', () => {
      const { heap } = upToTheLine(kind)
      using _ = heap
      const pointers = Array.from({ length: 300 }, () => heap.malloc(500))
      for (const pointer of pointers) fill(heap, pointer)
      pointers.forEach((pointer, i) => {
        if (i % 2 === 0) heap.free(pointer)
      })
      const other = Heap.attach(heap.buffer)
      expect({ ...other.stats(), residentBytes: 0 }).toEqual({ ...heap.stats(), residentBytes: 0 })
      expectFilled(other, pointers[299] ?? 0, 500)
      other.free(pointers[299] ?? 0)
      other.check()
    })
  })

  test('distinguishes slots beyond 4 GiB from other pointers', () => {
    const { heap } = upToTheLine({ placement: 'first-fit', slabs: true })
    using _ = heap
    heap.malloc(200_000)
    const pointers = Array.from({ length: 1000 }, () => heap.malloc(100))
    const pointer = pointers[500]
    expect(pointer).toBeGreaterThan(LINE)
    expect(heap.usableSize(pointer)).toBe(128)
    for (const other of [pointer + 8, pointer + 16, pointer - 2 ** 32, pointer + 4])
      expect(heap.owns(other)).toBe(false)
    expectError(() => heap.free(pointer + 16), 'ERR_OFFHEAP_INVALID_POINTER', /inside the slot/)
    heap.free(pointer)
    expectError(() => heap.free(pointer), 'ERR_OFFHEAP_DOUBLE_FREE')
    expectError(() => heap.realloc(pointer, 50), 'ERR_OFFHEAP_DOUBLE_FREE')
    expect(heap.calloc(100, 1)).toBe(pointer)
    for (const slot of pointers) heap.free(slot)
    heap.trim()
    expect(heap.stats()).toMatchObject({ slabs: 0, blocks: 2 })
    heap.check()
  })

  test('returns pages beyond 4 GiB by trimThreshold', () => {
    using heap = Heap.map({ size: SIZE, trimThreshold: 8 * MiB })
    heap.malloc(LINE)
    const before = heap.stats().residentBytes
    const pointer = heap.malloc(16 * MiB)
    heap.view(pointer).fill(1)
    heap.free(pointer)
    expect(heap.stats().residentBytes - before).toBeLessThan(4 * MiB)
    heap.check()
  })
})

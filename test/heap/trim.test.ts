/** trim(), reset() and close(): compared with the resident bytes that the system reports. */
import { describe, expect, test } from 'vitest'
import { Heap, placements, Region } from '../../lib/index.js'
import { expectFilled, fill, newHeap, sketch } from './support.js'

const MiB = 2 ** 20

function isZero(heap: Heap, pointer: number, length: number): boolean {
  return Buffer.compare(heap.u8.subarray(pointer, pointer + length), Buffer.alloc(length)) === 0
}

describe('trim', () => {
  test('returns the wilderness, and calloc knows that it is zero', () => {
    using heap = Heap.map(64 * MiB)
    const keep = heap.malloc(1000)
    fill(heap, keep)
    const large = heap.malloc(32 * MiB)
    heap.view(large).fill(0xee)
    heap.free(large)
    const before = heap.stats().residentBytes
    const given = heap.trim()
    expect(given).toBeGreaterThanOrEqual(32 * MiB - 8192)
    expect(heap.stats().residentBytes).toBe(before - given)
    expectFilled(heap, keep, 1000)
    heap.check()
    const again = heap.calloc(32 * MiB, 1)
    expect(again).toBe(large)
    expect(heap.stats().residentBytes - (before - given)).toBeLessThanOrEqual(MiB)
    expect(isZero(heap, again, 32 * MiB)).toBe(true)
    heap.check()
  })

  test('returns the inside of free blocks, and keeps their links and neighbours', () => {
    using heap = Heap.map(64 * MiB)
    const blocks = Array.from({ length: 9 }, () => heap.malloc(MiB))
    for (const pointer of blocks) fill(heap, pointer)
    const free = blocks.filter((_, i) => i % 2 === 1)
    for (const pointer of free) heap.free(pointer)
    const shape = sketch(heap)
    const given = heap.trim()
    expect(given).toBeGreaterThanOrEqual(free.length * (MiB - 3 * 4096))
    expect(sketch(heap)).toBe(shape)
    heap.check()
    for (const pointer of blocks.filter((_, i) => i % 2 === 0)) expectFilled(heap, pointer, MiB)
    for (const pointer of free) {
      expect(heap.calloc(MiB, 1)).toBe(pointer)
      expect(isZero(heap, pointer, MiB)).toBe(true)
    }
    heap.check()
  })

  test('returns nothing the second time, and nothing of a full heap', () => {
    using heap = Heap.map(4 * MiB)
    const all = heap.malloc(heap.stats().largestFree)
    heap.view(all).fill(1)
    expect(heap.trim()).toBe(0)
    expect(heap.view(all).every(byte => byte === 1)).toBe(true)
    heap.free(all)
    expect(heap.trim()).toBeGreaterThan(3 * MiB)
    expect(heap.trim()).toBe(0)
    heap.check()
  })

  test('leaves blocks smaller than a page as they are', () => {
    using heap = Heap.map(MiB)
    const blocks = Array.from({ length: 99 }, () => heap.malloc(500))
    for (const pointer of blocks) fill(heap, pointer)
    for (const pointer of blocks.filter((_, i) => i % 2 === 1)) heap.free(pointer)
    heap.trim()
    heap.check()
    for (const pointer of blocks.filter((_, i) => i % 2 === 0)) expectFilled(heap, pointer, 500)
  })

  test('does not touch the wilderness after its first whole page: calloc writes nothing', () => {
    using region = Region.map(4 * MiB)
    const heap = Heap.format(region)
    const large = heap.malloc(2 * MiB)
    heap.view(large).fill(1)
    heap.free(large)
    heap.trim()
    const before = heap.stats().residentBytes
    heap.calloc(40 * region.pageSize, 1)
    expect(heap.stats().residentBytes - before).toBeLessThanOrEqual(region.pageSize)
    heap.check()
  })

  test('works on a heap over a borrowed region', () => {
    using region = Region.map(16 * MiB)
    const heap = Heap.format(region)
    const block = heap.malloc(8 * MiB)
    heap.view(block).fill(1)
    heap.free(block)
    expect(heap.trim()).toBeGreaterThanOrEqual(8 * MiB - 8192)
    expect(isZero(heap, heap.calloc(8 * MiB, 1), 8 * MiB)).toBe(true)
  })

  test('keeps header, links and footer of a free block, wherever pages begin', () => {
    using heap = Heap.map(32 * MiB)
    const pointers = Array.from({ length: 1100 }, (_, i) =>
      heap.malloc(i % 2 === 0 ? 8192 + 4 * i : 4)
    )
    for (let i = 0; i < pointers.length; i += 2) heap.free(pointers[i])
    heap.check()
    expect(heap.trim()).toBeGreaterThanOrEqual(0)
    heap.check()
    expect(heap.stats().freeBlocks).toBe(550)
  })

  test('of a heap in an ordinary ArrayBuffer returns 0 and changes nothing', () => {
    const heap = newHeap()
    heap.free(heap.malloc(30_000))
    const before = heap.u8.slice()
    expect(heap.trim()).toBe(0)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })
})

describe.each(placements)('trim of a %s heap', placement => {
  test('keeps everything that the policy wrote into free blocks, wherever pages begin', () => {
    for (let before = 0; before <= 48; before += 8) {
      using heap = Heap.map({ size: MiB, placement })
      const blocks: number[] = []
      for (let i = 0; i < 8; i++) {
        // The next block begins this many bytes before a page.
        const end = heap.malloc(8)
        heap.malloc(((4096 - before - end - 12 + MiB) % 4096) - 4)
        blocks.push(heap.malloc(9000))
      }
      heap.malloc(8)
      for (const pointer of blocks) heap.free(pointer)
      heap.trim()
      heap.check()
      for (const pointer of blocks) expect(heap.owns(pointer)).toBe(false)
      for (let i = 0; i < 8; i++) expect(blocks).toContain(heap.malloc(9000))
      heap.check()
    }
  })

  test('does not touch memory after the heap in its last page', () => {
    const small = new ArrayBuffer(6000)
    Heap.format(small, { placement })
    using region = Region.map(16384)
    const all = new Uint8Array(region.buffer)
    all.fill(7).set(new Uint8Array(small))
    const heap = Heap.attach(region)
    const pointer = heap.malloc(heap.stats().largestFree)
    heap.view(pointer).fill(0xee)
    heap.free(pointer)
    heap.trim()
    expect(all.subarray(6000).every(byte => byte === 7)).toBe(true)
    const again = heap.calloc(heap.stats().largestFree, 1)
    expect(heap.view(again).every(byte => byte === 0)).toBe(true)
    heap.check()
  })
})

describe('reset', () => {
  test('empties the heap: the same calls return the same pointers again', () => {
    const heap = newHeap()
    const script = (): number[] => {
      const a = heap.malloc(100)
      const b = heap.malloc(200)
      heap.free(a)
      return [a, b, heap.malloc(50), heap.alignedAlloc(256, 10)]
    }
    const first = script()
    heap.reset()
    expect([...heap.blocks()]).toEqual([])
    heap.check()
    expect(script()).toEqual(first)
    heap.check()
  })

  test('makes every earlier pointer stale', () => {
    const heap = newHeap()
    const pointer = heap.malloc(100)
    heap.reset()
    expect(heap.owns(pointer)).toBe(false)
    expect(() => heap.free(pointer)).toThrow(/wilderness/)
  })
})

describe('close', () => {
  test('can be called twice, on mapped and on borrowed memory', () => {
    for (const heap of [Heap.map(65536), newHeap()]) {
      heap.close()
      heap.close()
      heap[Symbol.dispose]()
      expect(heap.closed).toBe(true)
    }
  })

  test('unmaps a mapped heap, but not a borrowed region', () => {
    const mapped = Heap.map(65536)
    const { buffer } = mapped
    mapped.close()
    expect(buffer.byteLength).toBe(0)
    using region = Region.map(65536)
    Heap.format(region).close()
    expect(region.closed).toBe(false)
    expect(region.byteLength).toBe(65536)
  })

  test('is called at the end of a using block, even after an error', () => {
    let seen: Heap | undefined
    expect(() => {
      using heap = Heap.map(65536)
      seen = heap
      throw new Error('out')
    }).toThrow('out')
    expect(seen?.closed).toBe(true)
  })
})

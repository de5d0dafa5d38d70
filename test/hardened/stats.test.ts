/**
 * The statistics of a hardened heap, and its free pages: exactly those of blocks that are not live.
 */
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectFilled, fill } from '../heap/support.js'

const KiB = 2 ** 10
const MiB = 2 ** 20

describe.each(placements)('stats() of a hardened %s heap', placement => {
  test.each([4096, 4104, 65536, 65560, 100_000])('add up (%i bytes)', bytes => {
    const heap = Heap.format(new ArrayBuffer(bytes), { hardened: true, placement, quarantine: 200 })
    const pointers = Array.from({ length: 9 }, (_, i) => heap.malloc(i * 20))
    for (const pointer of pointers.filter((_, i) => i % 3 === 1)) heap.free(pointer)
    const stats = heap.stats()
    const blocks = [...heap.blocks()]
    const sum = (chosen: typeof blocks): number =>
      chosen.reduce((total, { size }) => total + size, 0)
    expect(stats.size).toBe(Math.floor(bytes / 8) * 8)
    expect(stats.metadata + stats.used + stats.free).toBe(stats.size)
    expect(stats.used).toBe(sum(blocks.filter(({ used }) => used)))
    expect(stats.quarantined).toBe(sum(blocks.filter(({ quarantined }) => quarantined)))
    expect(stats.quarantined).toBeGreaterThan(0)
    expect(stats.free).toBe(stats.wilderness + sum(blocks.filter(({ used }) => !used)))
    expect(stats.blocks).toBe(6)
    expect(stats.freeBlocks + stats.quarantinedBlocks).toBe(3)
    expect(stats.freeBlocks).toBe([...heap.freeBlocks()].length)
    expect(stats.top).toBe(stats.highWater + (blocks[0]?.offset ?? 0))
  })

  test('have an exact largestFree: in a hole, over several quarantined blocks, at the top', () => {
    const heap = Heap.format(new ArrayBuffer(16384), { hardened: true, placement })
    const pointers = Array.from({ length: 7 }, () => heap.malloc(300))
    const rest = heap.malloc(heap.stats().largestFree)
    expect(heap.stats().largestFree).toBe(0)
    const expectLargest = (bytes: number): void => {
      expect(heap.stats().largestFree).toBe(bytes)
      expect(heap.malloc(bytes + 1)).toBe(0)
      const pointer = heap.malloc(bytes)
      expect(pointer).toBeGreaterThan(0)
      heap.free(pointer)
      heap.check()
    }
    heap.free(pointers[1] ?? 0)
    expectLargest(319)
    heap.free(pointers[4] ?? 0)
    heap.free(pointers[5] ?? 0)
    expectLargest(639)
    heap.realloc(pointers[0] ?? 0, 200)
    expectLargest(639)
    heap.free(rest)
    const { largestFree } = heap.stats()
    expect(largestFree).toBeGreaterThan(5000)
    expectLargest(largestFree)
    // Only the smallest possible hole.
    heap.reset()
    const [hole, block] = [heap.malloc(10), heap.malloc(10)]
    heap.malloc(heap.stats().largestFree)
    heap.free(hole)
    expectLargest(63)
    heap.free(block)
    expectLargest(127)
  })
})

describe('trim of a hardened heap', () => {
  /** Calls trim(). Returns by how many bytes the resident memory became smaller. */
  function given(heap: Heap): number {
    const before = heap.stats().residentBytes
    heap.trim()
    return before - heap.stats().residentBytes
  }

  test('keeps every live block between free ones', () => {
    using heap = Heap.map({ size: 4 * MiB, hardened: true, quarantine: 0 })
    const pointers = Array.from({ length: 11 }, () => heap.malloc(100 * KiB))
    for (const pointer of pointers) fill(heap, pointer)
    for (const pointer of pointers.filter((_, i) => i % 2 === 1)) heap.free(pointer)
    expect(given(heap)).toBeGreaterThanOrEqual(5 * 90 * KiB)
    for (const pointer of pointers.filter((_, i) => i % 2 === 0))
      expectFilled(heap, pointer, 100 * KiB)
    heap.check()
  })

  test('returns the pages of adjacent quarantined blocks, each smaller than a page', () => {
    using heap = Heap.map({ size: 4 * MiB, hardened: true, quarantine: MiB })
    const pointers = Array.from({ length: 300 }, () => heap.malloc(1000))
    const [first = 0, ...others] = pointers
    const last = others.pop() ?? 0
    for (const pointer of [first, last]) fill(heap, pointer)
    for (const pointer of others) heap.free(pointer)
    expect(given(heap)).toBeGreaterThanOrEqual(298_000 - 2 * 64 * KiB)
    for (const pointer of [first, last]) expectFilled(heap, pointer, 1000)
    heap.check()
  })

  test('returns the pages of a quarantined block before the wilderness', () => {
    using heap = Heap.map({ size: 4 * MiB, hardened: true, quarantine: MiB })
    fill(heap, heap.malloc(100))
    const last = heap.malloc(500 * KiB)
    heap.view(last).fill(1)
    heap.free(last)
    expect(heap.stats().quarantinedBlocks).toBe(1)
    expect(given(heap)).toBeGreaterThanOrEqual(370 * KiB)
    heap.check()
  })
})

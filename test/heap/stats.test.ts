/** The statistics agree with the blocks, and with what malloc then does; the free blocks too. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BlockInfo, Heap, placements } from '../../lib/index.js'
import { scaled } from '../runs.js'
import { newHeap, row } from './support.js'

/** The bytes of blocks, headers included. */
function sum(list: readonly BlockInfo[]): number {
  return list.reduce((total, { size }) => total + size, 0)
}

/** The relations between statistics that must always hold. */
function expectConsistent(heap: Heap): void {
  const stats = heap.stats()
  const blocks = [...heap.blocks()]
  const used = blocks.filter(block => block.used)
  expect(stats.metadata + stats.used + stats.free).toBe(stats.size)
  expect(sum(used)).toBe(stats.used)
  expect(used.length).toBe(stats.blocks)
  expect(blocks.length - used.length).toBe(stats.freeBlocks)
  expect(sum(blocks) - stats.used + stats.wilderness).toBe(stats.free)
  expect(stats.top + stats.wilderness).toBe(stats.size - 4)
  expect(stats.peakUsed).toBeGreaterThanOrEqual(stats.used)
  expect(stats.highWater).toBeGreaterThanOrEqual(sum(blocks))
  let offset = stats.metadata - 4
  for (const block of blocks) {
    expect(block.offset).toBe(offset)
    expect(block.pointer).toBe(offset + 4)
    expect(block.size % 8).toBe(0)
    expect(block.size).toBeGreaterThanOrEqual(16)
    expect(heap.owns(block.pointer)).toBe(block.used)
    if (block.used) expect(heap.usableSize(block.pointer)).toBe(block.size - 4)
    offset += block.size
  }
  expect(offset).toBe(stats.top)
}

describe.each(placements)('peakUsed of a %s heap', placement => {
  test.each([false, true])('stays when less is used again, with slabs: %s', slabs => {
    const heap = Heap.format(new ArrayBuffer(2 ** 18), { placement, slabs })
    const [small = 0, , large = 0, , grows = 0, hole = 0] = [40, 24, 4000, 24, 2000, 4000, 24].map(
      size => heap.malloc(size)
    )
    const { peakUsed } = heap.stats()
    for (const block of [small, large, hole]) heap.free(block)
    expect(heap.realloc(grows, 2400)).toBe(grows)
    expect(heap.stats().peakUsed).toBe(peakUsed)
    heap.malloc(40)
    heap.malloc(1000)
    expect(heap.stats().peakUsed).toBe(peakUsed)
    heap.malloc(20_000)
    // A chunk of slabs counts as a whole.
    const unused =
      heap.stats().slabs -
      sum([...heap.blocks()].filter(({ used, slab }) => used && slab !== undefined))
    expect(heap.stats().peakUsed).toBe(heap.stats().used + unused)
  })
})

describe('stats()', () => {
  test('of a new heap', () => {
    using heap = Heap.map(2 ** 20)
    const stats = heap.stats()
    expect(stats).toMatchObject({
      size: 2 ** 20,
      used: 0,
      blocks: 0,
      freeBlocks: 0,
      peakUsed: 0,
      highWater: 0
    })
    expect(stats.largestFree).toBe(stats.size - stats.metadata - 4)
    expect(stats.metadata).toBeLessThanOrEqual(stats.size / 100)
    expect(stats.residentBytes).toBeLessThan(2 ** 20)
    heap.u8.fill(1, stats.top)
    expect(heap.stats().residentBytes).toBe(2 ** 20)
  })

  test('of a heap on an ordinary ArrayBuffer count all of it as resident', () => {
    expect(newHeap().stats().residentBytes).toBe(65536)
  })

  test('agree with blocks() after any calls, and largestFree is exact', () => {
    const step = fc.record({ kind: fc.nat(3), size: fc.nat(700), which: fc.nat() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), sequence => {
        const heap = newHeap(8192)
        const live: number[] = []
        for (const { kind, size, which } of sequence) {
          const [old] = kind >= 2 && live.length > 0 ? live.splice(which % live.length, 1) : []
          const pointer =
            old === undefined
              ? heap.malloc(size)
              : kind === 2
                ? heap.realloc(old, size)
                : heap.free(old)
          if (pointer) live.push(pointer)
          else if (old !== undefined && kind === 2 && size !== 0) live.push(old)
        }
        expectConsistent(heap)
        const { largestFree } = heap.stats()
        expect(heap.malloc(largestFree + 1)).toBe(0)
        if (largestFree > 0) expect(heap.malloc(largestFree)).not.toBe(0)
        else expect(heap.malloc(0)).toBe(0)
        expectConsistent(heap)
        heap.check()
      }),
      { numRuns: scaled(300) }
    )
  })

  test('have a largestFree for the smallest hole', () => {
    const heap = newHeap()
    const [hole] = row(heap, 1, 12)
    heap.malloc(heap.stats().largestFree)
    expect(heap.stats().largestFree).toBe(0)
    heap.free(hole ?? 0)
    expect(heap.stats().largestFree).toBe(12)
    expect(heap.malloc(12)).toBe(hole)
  })

  test('have a largestFree for empty slabs that merge with their free neighbours', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 17), { slabs: true })
    const pointers = Array.from({ length: 100 }, () => heap.malloc(100))
    const large = heap.malloc(4000)
    heap.malloc(heap.stats().largestFree)
    for (const pointer of [...pointers, large]) heap.free(pointer)
    const { largestFree, slabs } = heap.stats()
    expect(slabs).toBeGreaterThan(0)
    expect(largestFree).toBeGreaterThanOrEqual(slabs + 4000)
    expect(heap.malloc(largestFree + 1)).toBe(0)
    expect(heap.usableSize(heap.malloc(largestFree))).toBe(largestFree)
    heap.check()
  })

  test('keep the peaks', () => {
    const heap = newHeap()
    const a = heap.malloc(1000)
    const b = heap.malloc(1000)
    heap.free(a)
    heap.free(b)
    expect(heap.stats()).toMatchObject({ used: 0, peakUsed: 2016, highWater: 2016 })
    heap.malloc(100)
    expect(heap.stats()).toMatchObject({ used: 104, peakUsed: 2016, highWater: 2016 })
    heap.reset()
    expect(heap.stats()).toMatchObject({ used: 0, peakUsed: 0, highWater: 0 })
  })
})

describe('blocks()', () => {
  test('yields the blocks one by one, in address order', () => {
    const heap = newHeap()
    const [a = 0, b = 0, c = 0] = row(heap, 3)
    heap.free(b)
    const iterator = heap.blocks()
    expect(iterator.next().value).toEqual({ pointer: a, offset: a - 4, size: 48, used: true })
    expect(iterator.next().value).toEqual({ pointer: b, offset: b - 4, size: 48, used: false })
    expect(iterator.next().value).toMatchObject({ pointer: c, used: true })
    expect([...iterator]).toHaveLength(1)
    expectConsistent(heap)
  })
})

describe('freeBlocks', () => {
  test('yields the free list of first fit in address order', () => {
    using heap = Heap.map({ size: 65_536, placement: 'first-fit' })
    const pointers = Array.from({ length: 7 }, () => heap.malloc(44))
    for (const i of [5, 1, 3]) heap.free(pointers[i])
    expect([...heap.freeBlocks()]).toEqual(
      [1, 3, 5].map(i => ({ pointer: pointers[i], offset: pointers[i] - 4, size: 48, used: false }))
    )
  })

  test.each(placements)('yields every free block of a %s heap once', placement => {
    using heap = Heap.map({ size: 65_536, placement, slabs: false })
    const pointers = Array.from({ length: 60 }, (_, i) => heap.malloc((i * 37) % 300))
    for (const [i, pointer] of pointers.entries()) if (i % 3 !== 0) heap.free(pointer)
    const listed = [...heap.freeBlocks()].sort((a, b) => a.offset - b.offset)
    expect(listed.length).toBeGreaterThan(10)
    expect(listed).toEqual([...heap.blocks()].filter(({ used }) => !used))
  })

  test.each(placements)('yields neither free slots nor free granules, with %s', placement => {
    using heap = Heap.map({ size: 2 ** 20, placement, slabs: true })
    const slots = Array.from({ length: 60 }, (_, i) => heap.malloc(1 + ((i * 37) % 160)))
    const blocks = Array.from({ length: 60 }, (_, i) => heap.malloc(161 + i * 13))
    for (const pointers of [slots, blocks]) {
      for (const [i, pointer] of pointers.entries()) if (i % 3 !== 0) heap.free(pointer)
    }
    const free = [...heap.blocks()].filter(({ used }) => !used)
    const listed = [...heap.freeBlocks()].sort((a, b) => a.offset - b.offset)
    expect(listed).toEqual(free.filter(({ slab }) => slab === undefined))
    expect(listed).toHaveLength(heap.stats().freeBlocks)
    expect(free.some(({ slab }) => slab === 0)).toBe(true)
    expect(free.some(({ slab = 0 }) => slab > 0)).toBe(true)
  })

  test('throws for a closed heap', () => {
    const heap = Heap.map(65_536)
    heap.close()
    expect(() => [...heap.freeBlocks()]).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_CLOSED' })
    )
  })
})

import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { placements } from '../../lib/placement/policies.js'

describe('freeBlocks', () => {
  it('yields the free list of first fit in address order', () => {
    using heap = Heap.map({ size: 65_536, placement: 'first-fit' })
    const pointers = Array.from({ length: 7 }, () => heap.malloc(44))
    for (const i of [5, 1, 3]) heap.free(pointers[i])
    expect([...heap.freeBlocks()]).toEqual(
      [1, 3, 5].map(i => ({ pointer: pointers[i], offset: pointers[i] - 4, size: 48, used: false }))
    )
  })

  it.each(placements)('yields every free block of a %s heap once', placement => {
    using heap = Heap.map({ size: 65_536, placement, slabs: false })
    const pointers = Array.from({ length: 60 }, (_, i) => heap.malloc((i * 37) % 300))
    for (const [i, pointer] of pointers.entries()) if (i % 3 !== 0) heap.free(pointer)
    const listed = [...heap.freeBlocks()].sort((a, b) => a.offset - b.offset)
    expect(listed.length).toBeGreaterThan(10)
    expect(listed).toEqual([...heap.blocks()].filter(({ used }) => !used))
  })

  it.each(placements)('yields neither free slots nor free granules, with %s', placement => {
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

  it('throws for a closed heap', () => {
    const heap = Heap.map(65_536)
    heap.close()
    expect(() => [...heap.freeBlocks()]).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_CLOSED' })
    )
  })
})

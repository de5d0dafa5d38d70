/** What mutation testing found untested: guards that only a forged or overwritten header gets to, and corners of realloc. */
import { describe, expect, test } from 'vitest'
import { CACHED, headerOf, NEXT, PREVIOUS, PREVIOUS_USED, USED } from '../../lib/block/block.js'
import { layoutOf } from '../../lib/heap/format.js'
import { Heap, placements } from '../../lib/index.js'
import { firstFit } from '../../lib/placement/first-fit.js'
import { expectError, expectFilled, expectRefusal, fill } from './support.js'

const MiB = 2 ** 20

describe.each([false, true])('with quickLists: %s', quickLists => {
  const make = (): Heap => Heap.format(new ArrayBuffer(65536), { quickLists })

  test.each([800, 3000])('a pointer into the header is refused, where it passes for a used block too (%i)', bytes => {
    const heap = make()
    // Whatever size the words of the header say, the next header, in here, seems to confirm it.
    const block = heap.malloc(bytes)
    heap.view(block).fill(0xff)
    for (let pointer = 8; pointer < block; pointer += 8) {
      expect(heap.owns(pointer)).toBe(false)
      expectRefusal(heap, () => heap.free(pointer), 'ERR_OFFHEAP_INVALID_POINTER', /header or index/)
      expectRefusal(heap, () => heap.realloc(pointer, 8), 'ERR_OFFHEAP_INVALID_POINTER', /header or index/)
    }
  })

  /** A small block, 0xff in it and, unless a block is behind it, behind it; and proof that no call takes it. */
  function expectNoCall(header: number, neighbour: boolean, code: string): void {
    const heap = make()
    const block = heap.malloc(100)
    heap.view(block).fill(0xff)
    if (neighbour) heap.malloc(100)
    else heap.u8.fill(0xff, heap.stats().top + 4)
    heap.i32[block / 4 - 1] = header
    expect(heap.owns(block)).toBe(false)
    const before = heap.u8.slice()
    for (const call of [() => heap.free(block), () => heap.realloc(block, 8), () => heap.usableSize(block)]) {
      expectError(call, code)
    }
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  }

  test.each([
    [2, 'smaller than any block'],
    [200, 'ends in the wilderness'],
    [400, 'ends in the wilderness']
  ])('a header that was overwritten with a size of %i words, %s, is seen', words => {
    expectNoCall(headerOf(words, USED | PREVIOUS_USED), false, 'ERR_OFFHEAP_CORRUPT')
  })

  test('a header that lost its mark of a used block is seen', () => {
    expectNoCall(headerOf(26, PREVIOUS_USED), true, 'ERR_OFFHEAP_DOUBLE_FREE')
  })

  test('a neighbour that does not know that the block is used is seen', () => {
    const heap = make()
    const [block, next] = [heap.malloc(100), heap.malloc(100)]
    heap.i32[next / 4 - 1] = headerOf(26, USED)
    const before = heap.u8.slice()
    expectError(() => heap.free(block), 'ERR_OFFHEAP_CORRUPT', /disagree/)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })
})

describe('a heap with quick lists', () => {
  test('remembers the most that was used when a cached block is used again', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { quickLists: true })
    const [a, b] = [heap.malloc(1000), heap.malloc(100)]
    const { peakUsed } = heap.stats()
    heap.free(a)
    heap.free(b)
    expect(heap.stats().cachedBlocks).toBeGreaterThan(0)
    expect(heap.malloc(100)).toBe(b)
    expect(heap.stats().peakUsed).toBe(peakUsed)
  })

  test('forgets the cached blocks of every size when it is reset', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 17), { quickLists: true })
    for (let bytes = 12; bytes <= 1020; bytes += 8) {
      const first = heap.malloc(bytes)
      heap.malloc(40_000)
      heap.free(first)
      expect(heap.stats().cachedBlocks).toBe(1)
      heap.reset()
      heap.check()
      expect(heap.malloc(bytes)).toBe(first)
      heap.reset()
    }
  })
})

describe('the lists of every size', () => {
  test('are empty once they were emptied, and take blocks again', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 18), { quickLists: true })
    const sizes = Array.from({ length: 127 }, (_, i) => 12 + 8 * i)
    for (let round = 0; round < 2; round++) {
      const pointers = sizes.map(bytes => heap.malloc(bytes))
      if (round === 0) heap.malloc(2000)
      for (const pointer of pointers) heap.free(pointer)
      expect(heap.stats().cachedBlocks).toBe(127)
      heap.check()
      expect(heap.malloc(2 ** 18)).toBe(0)
      expect(heap.stats()).toMatchObject({ cached: 0, cachedBlocks: 0, freeBlocks: 1 })
      heap.check()
    }
  })
})

describe('check() of a heap with quick lists', () => {
  test.each([0, 2 ** 14 - 99])('finds a list that leads to a forged block outside the blocks (word %i)', at => {
    const heap = Heap.format(new ArrayBuffer(65536), { quickLists: true })
    heap.malloc(100)
    const { quickLists } = layoutOf(2 ** 14, { policy: firstFit, quickLists: true, hardened: false })
    // In the wilderness, or among the sentinels of the lists; the first of them, of 4 words, has its links there.
    const word = at === 0 ? quickLists + 20 : at
    const sentinel = quickLists - NEXT + 12 - 4
    heap.i32[word] = headerOf(12, USED | PREVIOUS_USED) | CACHED
    heap.i32[word + NEXT] = sentinel
    heap.i32[word + PREVIOUS] = sentinel
    heap.i32[sentinel + NEXT] = word
    heap.i32[sentinel + PREVIOUS] = word
    const message = new RegExp(`quick list for blocks of 48 bytes leads to byte ${word * 4}, where no such`)
    expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', at === 0 ? /quick list/ : message)
  })
})

describe('trim', () => {
  test('leaves header, links and footer of a free block alone, wherever they lie in their pages', () => {
    using heap = Heap.map(32 * MiB)
    const pointers = Array.from({ length: 1100 }, (_, i) => heap.malloc(i % 2 === 0 ? 8192 + 4 * i : 4))
    for (let i = 0; i < pointers.length; i += 2) heap.free(pointers[i])
    heap.check()
    expect(heap.trim()).toBeGreaterThanOrEqual(0)
    heap.check()
    expect(heap.stats().freeBlocks).toBe(550)
  })
})

describe('the count of freed bytes, with a trimThreshold', () => {
  const resident = (heap: Heap): number => heap.stats().residentBytes
  const touched = (heap: Heap, size: number): number => {
    const pointer = heap.malloc(size)
    heap.view(pointer).fill(0xee)
    return pointer
  }

  test('has of a block that shrinks what it lost', () => {
    using heap = Heap.map({ size: 16 * MiB, trimThreshold: 5 * MiB })
    const block = touched(heap, 4 * MiB)
    heap.malloc(100)
    const all = resident(heap)
    heap.realloc(block, 2 * MiB)
    expect(resident(heap)).toBe(all)
  })

  test('begins anew when it reaches the threshold exactly', () => {
    using heap = Heap.map({ size: 16 * MiB, trimThreshold: 2 * MiB })
    const [a, b, c] = Array.from({ length: 5 }, () => touched(heap, MiB - 4)).filter((_, i) => i % 2 === 0)
    heap.malloc(100)
    heap.free(a ?? 0)
    const all = resident(heap)
    heap.free(b ?? 0)
    const trimmed = resident(heap)
    expect(all - trimmed).toBeGreaterThan(MiB)
    heap.free(c ?? 0)
    expect(resident(heap)).toBe(trimmed)
  })

  test('is not looked at without one', () => {
    using heap = Heap.map({ size: 16 * MiB, quickLists: true })
    const block = touched(heap, 4 * MiB)
    heap.malloc(100)
    const all = resident(heap)
    heap.free(block)
    expect(resident(heap)).toBe(all)
  })
})

describe.each(placements)('reset of a %s heap', placement => {
  test('forgets its free blocks of every size, and their places in the index', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { placement, quickLists: false })
    const work = (): number[] => {
      const pointers = Array.from({ length: 200 }, (_, i) => heap.malloc(i % 3 === 0 ? 12 : i))
      for (let i = 0; i < pointers.length; i += 2) heap.free(pointers[i])
      heap.check()
      return [...pointers, heap.malloc(12), heap.malloc(8), heap.malloc(90)]
    }
    const before = work()
    heap.reset()
    heap.check()
    expect(work()).toEqual(before)
  })
})

describe.each(placements)('realloc in a full %s heap', placement => {
  test('grows to the left, and calloc finds the wilderness behind as zero as it was', () => {
    using heap = Heap.map({ size: 65536, placement, quickLists: false })
    heap.malloc(heap.stats().largestFree - 900)
    const [left, block] = [heap.malloc(400), heap.malloc(400)]
    heap.free(left)
    fill(heap, block)
    // Neither the free block nor the wilderness is large enough; what is left over becomes wilderness.
    expect(heap.realloc(block, 600)).toBe(left)
    expectFilled(heap, left, 400)
    heap.check()
    const { largestFree } = heap.stats()
    expect(largestFree).toBeGreaterThan(200)
    const rest = heap.calloc(largestFree, 1)
    expect(Buffer.compare(heap.view(rest), Buffer.alloc(largestFree))).toBe(0)
    heap.check()
  })
})

/** Quick lists: what waits in them, for whom, how much, and what becomes of it. The drive in property.test.ts has the rest. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf } from '../../lib/block/block.js'
import { CACHED_WORD } from '../../lib/block/header.js'
import { Heap, type HeapOptions, type PlacementName, placements } from '../../lib/index.js'
import { errorOf, expectError, expectFilled, expectRefusal, fill } from './support.js'

const MiB = 2 ** 20
/** The block space gets no larger than it ever was while more than this part of it is cached. */
const SHARE = 1 / 16
/** The bit of a header that says: cached. */
const CACHED = 1 << 31

/** A heap with quick lists and one large block: it gets larger while up to 6 KiB wait in the lists. */
function quickHeap(placement: PlacementName = 'first-fit'): Heap {
  const heap = Heap.format(new ArrayBuffer(2 ** 18), { placement, quickLists: true })
  heap.malloc(100_000)
  return heap
}

/** The same in memory that trim can give back. */
function mappedHeap(placement: PlacementName = 'first-fit'): Heap {
  const heap = Heap.map({ size: 2 ** 18, placement, quickLists: true })
  heap.malloc(100_000)
  return heap
}

/** So many blocks of `size` bytes, with a used block between any two and behind the last. */
function fenced(heap: Heap, count: number, size: number): number[] {
  return Array.from({ length: count }, () => {
    const pointer = heap.malloc(size)
    heap.malloc(24)
    return pointer
  })
}

/** The block space in bytes, from the first block to the wilderness. */
function blockSpace(heap: Heap): number {
  const { top, metadata } = heap.stats()
  return top - (metadata - 4)
}

function cachedPointers(heap: Heap): number[] {
  return [...heap.blocks()].filter(({ cached }) => cached === true).map(({ pointer }) => pointer)
}

/** How much may be cached, in bytes, when the block space grows. */
function budget(heap: Heap): number {
  return Math.max(1024, Math.floor((blockSpace(heap) * SHARE) / 4) * 4)
}

/** The word of a heap that leads to the cached block at `pointer`: the link of its sentinel, or of another block. */
function linkTo(heap: Heap, pointer: number): number {
  return previousOf(heap, pointer) + NEXT
}

/** What the cached block at `pointer` says is in front of it: a sentinel, or another block. */
function previousOf(heap: Heap, pointer: number): number {
  return heap.i32[pointer / 4 - 1 + PREVIOUS] ?? 0
}

describe('a block that is given back', () => {
  test('waits as it is, and comes back last in, first out, by its exact size', () => {
    const heap = quickHeap()
    const [a, b, c] = fenced(heap, 3, 40)
    const [other] = fenced(heap, 1, 56)
    for (const pointer of [a, other, b, c]) heap.free(pointer)
    expect(heap.malloc(48)).not.toBe(other)
    expect([heap.malloc(40), heap.malloc(37), heap.malloc(44)]).toEqual([c, b, a])
    expect(heap.malloc(60)).toBe(other)
    heap.check()
  })

  test('merges with nothing, whatever is beside it', () => {
    const heap = quickHeap()
    const pointers = Array.from({ length: 4 }, () => heap.malloc(40))
    for (const pointer of pointers) heap.free(pointer)
    const { top, freeBlocks } = heap.stats()
    expect(freeBlocks).toBe(0)
    expect(top).toBe((pointers[3] ?? 0) + 44)
    expect(cachedPointers(heap)).toEqual(pointers)
  })

  test('is neither used nor free in the figures: it is cached', () => {
    const heap = quickHeap()
    const pointers = fenced(heap, 3, 100)
    const before = heap.stats()
    expect(before).toMatchObject({ cached: 0, cachedBlocks: 0 })
    for (const pointer of pointers) heap.free(pointer)
    const after = heap.stats()
    expect(after).toMatchObject({
      cached: 3 * 104,
      cachedBlocks: 3,
      used: before.used - 3 * 104,
      free: before.free + 3 * 104,
      blocks: before.blocks - 3,
      freeBlocks: 0,
      peakUsed: before.peakUsed,
      top: before.top,
      highWater: before.highWater
    })
    expect([...heap.blocks()].filter(({ cached }) => cached)).toEqual(
      pointers.map(pointer => ({ pointer, offset: pointer - 4, size: 104, used: false, cached: true }))
    )
    expect([...heap.freeBlocks()]).toEqual([])
    heap.check()
  })

  test('is counted as used again once it is handed out, and at its peak', () => {
    const heap = quickHeap()
    const [a, b] = fenced(heap, 2, 40)
    heap.free(a)
    heap.free(b)
    const c = heap.malloc(200)
    const { used, blocks } = heap.stats()
    heap.malloc(40)
    heap.malloc(40)
    expect(heap.stats()).toMatchObject({ cached: 0, cachedBlocks: 0, used: used + 96, blocks: blocks + 2 })
    expect(heap.stats().peakUsed).toBe(used + 96)
    expect(heap.owns(a)).toBe(true)
    expect(heap.usableSize(c)).toBeGreaterThanOrEqual(200)
  })

  test('of more than 1020 bytes is freed in earnest', () => {
    const heap = quickHeap()
    const [large] = fenced(heap, 1, 1021)
    const [small] = fenced(heap, 1, 1020)
    heap.free(large)
    heap.free(small)
    expect(heap.stats()).toMatchObject({ freeBlocks: 1, cachedBlocks: 1 })
    expect(cachedPointers(heap)).toEqual([small])
  })

  test('waits whichever way it was given back: realloc to 0, a move, a view', () => {
    const heap = quickHeap()
    const [a, b, c] = fenced(heap, 3, 40)
    expect(heap.realloc(a, 0)).toBe(0)
    expect(heap.realloc(b, 400)).not.toBe(b)
    heap.free(heap.view(c))
    expect(cachedPointers(heap)).toEqual([a, b, c])
    heap.check()
  })

  test('is all zero when calloc hands it out again', () => {
    const heap = quickHeap()
    for (const size of [16, 40, 100, 1000]) {
      const [pointer] = fenced(heap, 1, size)
      heap.view(pointer).fill(0xee)
      heap.free(pointer)
      expect(heap.calloc(1, size)).toBe(pointer)
      expect(heap.u8.subarray(pointer, pointer + size).every(byte => byte === 0)).toBe(true)
    }
  })

  test.each([
    [1024, 16],
    [4096, 32],
    [65536, 512],
    [2 ** 17 - 8, 1016],
    [2 ** 17, 1024],
    [2 ** 20, 1024]
  ])('waits in a heap of %i bytes up to a size of %i', (bytes, largest) => {
    const heap = Heap.format(new ArrayBuffer(bytes), { quickLists: true })
    const [pointer] = fenced(heap, 1, largest - 4)
    const [larger] = fenced(heap, 1, largest - 3)
    heap.free(pointer)
    heap.free(larger)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 1, cached: largest, freeBlocks: 1 })
    heap.check()
    expect(heap.malloc(largest - 4)).toBe(pointer)
    heap.check()
  })
})

describe('without quickLists', () => {
  test('nothing waits', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 18))
    heap.malloc(100_000)
    for (const pointer of fenced(heap, 5, 40)) heap.free(pointer)
    expect(heap.stats()).toMatchObject({ cached: 0, cachedBlocks: 0, freeBlocks: 5 })
    expect([...heap.blocks()].every(block => !('cached' in block))).toBe(true)
  })

  test('a header with the bit of a cached block is a corrupt one', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 18))
    const [pointer] = fenced(heap, 1, 40)
    heap.i32[pointer / 4 - 1] |= CACHED
    expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT')
    expectError(() => [...heap.blocks()], 'ERR_OFFHEAP_CORRUPT')
  })
})

describe('unless told', () => {
  /** Does a small block wait once it is given back? */
  function caches(heap: Heap): boolean {
    const [pointer] = fenced(heap, 1, 40)
    heap.free(pointer)
    const { cachedBlocks, freeBlocks } = heap.stats()
    expect(cachedBlocks + freeBlocks).toBe(1)
    heap.check()
    return cachedBlocks === 1
  }

  test.each(placements)(
    'a heap has quick lists if it is a segregated-fit heap, which is about speed (%s)',
    placement => {
      const expected = placement === 'segregated-fit'
      const unsaid: object = { quickLists: undefined }
      for (const options of [{ placement }, Object.assign({ placement }, unsaid)]) {
        expect(caches(Heap.format(new ArrayBuffer(65536), options))).toBe(expected)
        using mapped = Heap.map({ size: 65536, ...options })
        expect(caches(mapped)).toBe(expected)
      }
    }
  )

  test('a heap without a placement has none', () => {
    expect(caches(Heap.format(new ArrayBuffer(65536)))).toBe(false)
    expect(caches(Heap.format(new ArrayBuffer(65536), {}))).toBe(false)
  })

  test.each(placements)('told, a %s heap does as it is told', placement => {
    for (const quickLists of [false, true]) {
      expect(caches(Heap.format(new ArrayBuffer(65536), { placement, quickLists }))).toBe(quickLists)
    }
  })

  test('whoever attaches to a segregated-fit heap goes on as it was made', () => {
    for (const [options, expected] of [
      [{}, true],
      [{ quickLists: true }, true],
      [{ quickLists: false }, false]
    ] as const) {
      const heap = Heap.format(new ArrayBuffer(65536), { placement: 'segregated-fit', ...options })
      const attached = Heap.attach(heap.buffer)
      expect(attached.placement).toBe('segregated-fit')
      expect(caches(attached)).toBe(expected)
      expect(caches(Heap.attach(attached.buffer.slice(0)))).toBe(expected)
    }
  })

  test('a hardened segregated-fit heap has none, and is not refused', () => {
    const make = (options: HeapOptions): Heap =>
      Heap.format(new ArrayBuffer(65536), { placement: 'segregated-fit', hardened: true, quarantine: 0, ...options })
    expect(caches(make({}))).toBe(false)
    expect(make({}).stats()).toEqual(make({ quickLists: false }).stats())
    expectError(() => make({ quickLists: true }), 'ERR_OUT_OF_RANGE', /"quickLists".* false in a hardened heap/)
  })
})

describe('a cached block', () => {
  test('cannot be given back again: at once, after other frees, nor as a view', () => {
    const heap = quickHeap()
    const [a, b, c] = fenced(heap, 3, 40)
    const view = heap.view(a)
    heap.free(a)
    expectRefusal(heap, () => heap.free(a), 'ERR_OFFHEAP_DOUBLE_FREE', new RegExp(`${a} is free already`))
    heap.free(b)
    heap.free(c)
    for (const again of [a, b, c, view]) expectRefusal(heap, () => heap.free(again), 'ERR_OFFHEAP_DOUBLE_FREE')
  })

  test('cannot be given back twice after it was handed out once more', () => {
    const heap = quickHeap()
    const [a] = fenced(heap, 1, 40)
    heap.free(a)
    expect(heap.malloc(40)).toBe(a)
    heap.free(a)
    expectRefusal(heap, () => heap.free(a), 'ERR_OFFHEAP_DOUBLE_FREE')
    expect(heap.malloc(40)).toBe(a)
    expect(heap.malloc(40)).not.toBe(a)
  })

  test('cannot be given back twice after all lists were emptied', () => {
    const heap = quickHeap()
    const [a, b] = fenced(heap, 2, 40)
    heap.free(a)
    heap.free(b)
    expect(heap.malloc(heap.stats().wilderness)).toBe(0)
    expect(heap.stats().cachedBlocks).toBe(0)
    for (const again of [a, b]) expectRefusal(heap, () => heap.free(again), 'ERR_OFFHEAP_DOUBLE_FREE')
  })

  test('cannot be resized, looked at or made the root', () => {
    const heap = quickHeap()
    const [a] = fenced(heap, 1, 40)
    heap.free(a)
    expect(heap.owns(a)).toBe(false)
    expectRefusal(heap, () => heap.realloc(a, 80), 'ERR_OFFHEAP_DOUBLE_FREE')
    expectRefusal(heap, () => heap.realloc(a, 0), 'ERR_OFFHEAP_DOUBLE_FREE')
    expectRefusal(heap, () => heap.usableSize(a), 'ERR_OFFHEAP_DOUBLE_FREE')
    expectRefusal(heap, () => heap.view(a), 'ERR_OFFHEAP_DOUBLE_FREE')
    const setRoot = (): void => {
      heap.root = a
    }
    expectRefusal(heap, setRoot, 'ERR_OFFHEAP_DOUBLE_FREE')
  })

  test('is named when a pointer into it is given back', () => {
    const heap = quickHeap()
    const [a] = fenced(heap, 1, 40)
    heap.free(a)
    heap.u8.fill(0, a + 8, a + 44)
    const block = new RegExp(`is part of the block at ${a} \\(48 bytes\\)`)
    expectRefusal(heap, () => heap.free(a + 16), 'ERR_OFFHEAP_DOUBLE_FREE', block)
  })
})

describe('a free', () => {
  test.each(placements)('of a %s heap empties no list, however much waits already', placement => {
    const heap = quickHeap(placement)
    // Side by side: what was freed in earnest would merge.
    const pointers = Array.from({ length: 2000 }, () => heap.malloc(40))
    heap.malloc(24)
    const { top } = heap.stats()
    pointers.forEach((pointer, i) => {
      heap.free(pointer)
      if (i % 50 === 0) expect(heap.stats()).toMatchObject({ cachedBlocks: i + 1, freeBlocks: 0, top })
    })
    expect(heap.stats().cached).toBeGreaterThan(budget(heap) * 5)
    heap.check()
    // All of them are there for requests of their size.
    expect(pointers.map(() => heap.malloc(40))).toEqual(pointers.reverse())
    heap.check()
  })

  test('of a large block empties none either', () => {
    const heap = quickHeap()
    const small = Array.from({ length: 200 }, () => heap.malloc(40))
    const [large] = fenced(heap, 1, 5000)
    for (const pointer of small) heap.free(pointer)
    heap.free(large)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 200, freeBlocks: 1 })
  })
})

describe.each(placements)('the block space of a %s heap', placement => {
  const open: Heap[] = []
  afterEach(() => {
    for (const heap of open.splice(0)) heap.close()
  })

  function opened(heap: Heap): Heap {
    open.push(heap)
    return heap
  }

  /** A heap whose cached blocks lie side by side, as many as may be cached when it grows; and a used one that makes it one too many. */
  function brimful(): { heap: Heap; first: number; more: number } {
    const heap = opened(mappedHeap(placement))
    const pointers = Array.from({ length: 200 }, () => heap.malloc(40))
    heap.malloc(24)
    for (const pointer of pointers) {
      if (heap.stats().cached + 48 > budget(heap)) return { heap, first: pointers[0] ?? 0, more: pointer }
      heap.free(pointer)
    }
    throw new Error('the lists were not full')
  }

  test('grows while 1/16 of it waits', () => {
    const { heap } = brimful()
    const { top, cached } = heap.stats()
    expect(cached).toBeGreaterThan(3000)
    expect(heap.malloc(60)).toBe(top + 4)
    expect(heap.stats()).toMatchObject({ cached, freeBlocks: 0 })
    heap.check()
  })

  test.each<[string, (heap: Heap) => number]>([
    ['malloc', heap => heap.malloc(60)],
    ['malloc of more than any cached block has', heap => heap.malloc(2000)],
    ['calloc', heap => heap.calloc(60, 1)],
    ['alloc', heap => heap.alloc(60).byteOffset],
    ['alignedAlloc to 8 bytes', heap => heap.alignedAlloc(8, 60)]
  ])('does not while more waits: %s has what was cached', (_, call) => {
    const { heap, first, more } = brimful()
    const { top } = heap.stats()
    heap.free(more)
    expect(call(heap)).toBe(first)
    expect(heap.stats()).toMatchObject({ top, cached: 0, cachedBlocks: 0, freeBlocks: 1 })
    heap.check()
  })

  test('grows once the lists are empty, when what was cached is not enough', () => {
    const { heap, more } = brimful()
    heap.free(more)
    const { top } = heap.stats()
    expect(heap.malloc(10_000)).toBe(top + 4)
    expect(heap.stats()).toMatchObject({ cached: 0, freeBlocks: 1 })
    heap.check()
  })

  test('does not grow, and the lists stay as they are, when a cached block has the very size', () => {
    const { heap, more } = brimful()
    heap.free(more)
    const { top, cached } = heap.stats()
    expect(heap.malloc(40)).toBe(more)
    expect(heap.stats()).toMatchObject({ top, cached: cached - 48, freeBlocks: 0 })
  })

  test('does not grow, and the lists stay as they are, when a free block is large enough', () => {
    const heap = opened(mappedHeap(placement))
    const pointers = Array.from({ length: 200 }, () => heap.malloc(40))
    const [free] = fenced(heap, 1, 2000)
    for (const pointer of [...pointers, free]) heap.free(pointer)
    const { top, cached } = heap.stats()
    expect(cached).toBeGreaterThan(budget(heap))
    expect(heap.malloc(60)).toBe(free)
    expect(heap.stats()).toMatchObject({ top, cached, freeBlocks: 1 })
    heap.check()
  })

  test('that is small grows while one block of the largest size waits, 1 KiB, and no more', () => {
    const heap = opened(Heap.map({ size: 2 ** 18, placement, quickLists: true }))
    const [large, small] = [heap.malloc(1020), heap.malloc(12)]
    heap.malloc(12)
    heap.free(large)
    const { top } = heap.stats()
    expect(heap.malloc(60)).toBe(top + 4)
    expect(heap.stats()).toMatchObject({ cached: 1024, freeBlocks: 0 })
    heap.free(small)
    expect(heap.stats()).toMatchObject({ cached: 1040, freeBlocks: 0 })
    expect(heap.malloc(60)).toBe(large)
    expect(heap.stats()).toMatchObject({ cached: 0, freeBlocks: 1 })
    heap.check()
  })

  test('never gets larger than ever for a request over more than that, whatever a program does', () => {
    const heap = opened(Heap.map({ size: 2 ** 22, placement, quickLists: true }))
    const live: number[] = []
    let [random, grown, emptied] = [1, 0, 0]
    const next = (limit: number): number => {
      random = (random * 48271) % 2147483647
      return random % limit
    }
    for (let step = 0; step < 2500; step++) {
      // Waves: most of what is there is freed, then there is more of it.
      if (live.length > 0 && next(100) < (step % 500 < 250 ? 30 : 65)) {
        heap.free(live.splice(next(live.length), 1)[0])
        continue
      }
      const before = heap.stats()
      const much = before.cached > budget(heap)
      const size = next(40) * 8
      live.push(step % 10 === 0 ? heap.alignedAlloc(64, size) : heap.malloc(size))
      const after = heap.stats()
      if (after.highWater > before.highWater) {
        grown++
        if (much) expect(after.cached).toBe(0)
      }
      if (before.cached > 0 && after.cached === 0) emptied++
    }
    expect(grown).toBeGreaterThan(100)
    expect(emptied).toBeGreaterThan(2)
    heap.check()
  })

  test('alignedAlloc empties the lists first when more than that waits, and leaves them alone else', () => {
    const { heap, first, more } = brimful()
    const { top, cached } = heap.stats()
    const pointer = heap.alignedAlloc(64, 60)
    expect(pointer).toBeGreaterThanOrEqual(top)
    expect(heap.stats().cached).toBe(cached)
    heap.free(more)
    expect(heap.stats().cached).toBeGreaterThan(budget(heap))
    const inside = heap.alignedAlloc(64, 500)
    expect(inside).toBeGreaterThanOrEqual(first)
    expect(inside).toBeLessThan(more)
    expect(heap.stats().cached).toBe(0)
    heap.check()
  })

  /** A brimful heap and one block more that waits, whose top is `bytes` bytes below where it ever was. */
  function below(bytes: number): Heap {
    const { heap, more } = brimful()
    const last = heap.malloc(bytes - 4)
    heap.free(more)
    heap.free(last)
    expect(heap.stats().cached).toBeGreaterThan(budget(heap))
    return heap
  }

  test.each<[string, (heap: Heap) => number]>([
    ['malloc', heap => heap.malloc(19_996)],
    ['calloc', heap => heap.calloc(19_996, 1)],
    ['alignedAlloc', heap => heap.alignedAlloc(64, 20_000 - 64 - 8 - 4)]
  ])('grows into touched memory, to the last byte of it, and the lists stay as they are: %s', (_, call) => {
    const heap = below(20_000)
    const { cached, top, freeBlocks } = heap.stats()
    expect(call(heap)).toBeGreaterThan(top)
    expect(heap.stats()).toMatchObject({ cached })
    expect(heap.stats().freeBlocks - freeBlocks).toBeLessThanOrEqual(1)
    heap.check()
  })

  test.each<[string, (heap: Heap) => number]>([
    ['malloc', heap => heap.malloc(19_997)],
    ['calloc', heap => heap.calloc(19_997, 1)],
    ['alignedAlloc', heap => heap.alignedAlloc(64, 20_000 - 64 - 8 - 3)]
  ])('does not grow a double word beyond it before the lists are empty: %s', (_, call) => {
    const heap = below(20_000)
    expect(call(heap)).toBeGreaterThan(0)
    expect(heap.stats().cached).toBe(0)
    heap.check()
  })

  test('grows into touched memory however much waits', () => {
    const heap = opened(mappedHeap(placement))
    const pointers = Array.from({ length: 1000 }, () => heap.malloc(40))
    heap.malloc(24)
    heap.free(heap.malloc(50_000))
    for (const pointer of pointers) heap.free(pointer)
    const { top, cached } = heap.stats()
    expect(cached).toBeGreaterThan(budget(heap) * 5)
    for (let i = 0; i < 100; i++) expect(heap.malloc(60)).toBe(top + 64 * i + 4)
    expect(heap.stats()).toMatchObject({ cached, freeBlocks: 0 })
    heap.check()
  })

  test('after a reset was never larger than it is', () => {
    const { heap } = brimful()
    heap.malloc(50_000)
    heap.reset()
    const pointers = Array.from({ length: 200 }, () => heap.malloc(40))
    heap.malloc(24)
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.malloc(60)).toBe(pointers[0])
    expect(heap.stats()).toMatchObject({ cached: 0, freeBlocks: 1 })
  })

  test('in an ArrayBuffer follows the same rule', () => {
    const heap = quickHeap(placement)
    const pointers = Array.from({ length: 1000 }, () => heap.malloc(40))
    heap.malloc(24)
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.malloc(60)).toBe(pointers[0])
    expect(heap.stats()).toMatchObject({ cached: 0, freeBlocks: 1 })
  })

  test('does not grow into memory that trim gave back before the lists are empty', () => {
    for (const trimmed of [false, true]) {
      const heap = opened(mappedHeap(placement))
      const pointers = Array.from({ length: 200 }, () => heap.malloc(40))
      heap.malloc(24)
      heap.free(heap.malloc(50_000))
      if (trimmed) heap.trim()
      for (const pointer of pointers) heap.free(pointer)
      const { top, cached } = heap.stats()
      expect(heap.malloc(20_000)).toBe(top + 4)
      expect(heap.stats()).toMatchObject(trimmed ? { cached: 0, freeBlocks: 1 } : { cached, freeBlocks: 0 })
      heap.check()
    }
  })
})

describe('lists that are emptied', () => {
  test('are emptied from the lowest address to the highest', () => {
    const heap = quickHeap('segregated-fit')
    const pointers = fenced(heap, 10, 40)
    for (const i of [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]) heap.free(pointers[i] ?? 0)
    expect(heap.malloc(heap.stats().wilderness)).toBe(0)
    expect(heap.stats().cachedBlocks).toBe(0)
    // Segregated fit has the block that was freed last in front.
    expect([...heap.freeBlocks()].map(({ pointer }) => pointer)).toEqual(pointers.reverse())
  })

  test('become one free block where they lie side by side, with the free blocks between and beside them', () => {
    const heap = quickHeap('segregated-fit')
    const [a = 0, ...others] = [2000, 40, 2000, 80, 40, 2000].map(size => heap.malloc(size))
    heap.malloc(8)
    const [low = 0] = fenced(heap, 1, 60)
    for (const pointer of [...others, a, low]) heap.free(pointer)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 4, freeBlocks: 3 })
    expect(heap.malloc(heap.stats().wilderness)).toBe(0)
    expect([...heap.freeBlocks()].map(({ pointer }) => pointer).sort((x, y) => x - y)).toEqual([a, low])
    heap.check()
    for (const pointer of [a, ...others, low])
      expectRefusal(heap, () => heap.free(pointer), 'ERR_OFFHEAP_DOUBLE_FREE', /./)
  })
})

describe.each(placements)('realloc in a %s heap grows in place', placement => {
  let heap: Heap
  beforeEach(() => {
    heap = quickHeap(placement)
  })

  /** Blocks of these many bytes side by side; the first one is filled, all others are given back, the second one first. */
  function beside(...sizes: number[]): number {
    const [pointer = 0, ...others] = sizes.map(size => heap.malloc(size - 4))
    fill(heap, pointer)
    for (const other of others) heap.free(other)
    return pointer
  }

  /** The same, with a used block behind the last one. */
  function enclosed(...sizes: number[]): number {
    const pointers = [...sizes, 16].map(size => heap.malloc(size - 4))
    fill(heap, pointers[0] ?? 0)
    for (const pointer of pointers.slice(1, -1)) heap.free(pointer)
    return pointers[0] ?? 0
  }

  test.each([1197, 1212, 1244])('over a cached block behind it (1200 bytes and 48, to %i)', size => {
    const pointer = enclosed(1200, 48)
    expect(heap.stats().cachedBlocks).toBe(1)
    expect(heap.realloc(pointer, size)).toBe(pointer)
    expect(heap.usableSize(pointer)).toBeGreaterThanOrEqual(size)
    expectFilled(heap, pointer, 44)
    expect(cachedPointers(heap)).toEqual([])
    heap.check()
  })

  test.each([
    ['cached blocks', [1200, 48, 96, 48]],
    ['a cached, a free and a cached block', [1200, 48, 2000, 48]],
    ['a free and a cached block', [1200, 2000, 48]],
    ['a cached and a free block', [1200, 48, 2000]]
  ])('over %s in a row, to the last byte', (_, sizes) => {
    const pointer = enclosed(...sizes)
    const all = sizes.reduce((sum, size) => sum + size)
    const large = sizes.includes(2000)
    expect(heap.stats()).toMatchObject({ cachedBlocks: sizes.length - (large ? 2 : 1), freeBlocks: large ? 1 : 0 })
    const { used, top } = heap.stats()
    expect(heap.realloc(pointer, all - 4)).toBe(pointer)
    expectFilled(heap, pointer, 44)
    expect(heap.stats()).toMatchObject({ used: used + all - 1200, cachedBlocks: 0, freeBlocks: 0, top })
    heap.check()
  })

  test.each([
    ['a cached block', [1200, 48]],
    ['cached blocks', [1200, 48, 96]],
    ['a free and a cached block', [1200, 2000, 48]],
    ['a cached, a free and a cached block', [1200, 48, 2000, 48]]
  ])('over %s up to the wilderness, and on into it', (_, sizes) => {
    const pointer = beside(...sizes)
    expect(heap.stats().cachedBlocks).toBeGreaterThan(0)
    expect(heap.realloc(pointer, 10_000)).toBe(pointer)
    expectFilled(heap, pointer, 44)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 0, freeBlocks: 0, top: pointer + 10_004 })
    heap.check()
  })

  test('and moves when a used block is in the way, be it the last; what is cached stays so', () => {
    for (const sizes of [
      [1200, 48],
      [1200, 48, 2000, 48]
    ]) {
      heap = quickHeap(placement)
      const pointer = enclosed(...sizes)
      const all = sizes.reduce((sum, size) => sum + size)
      const cached = cachedPointers(heap)
      expect(cached.length).toBeGreaterThan(0)
      // More than any free block has; one double word more than what is there.
      const size = Math.max(2100, all + 4)
      const moved = heap.realloc(pointer, size)
      expect(moved).toBeGreaterThan(pointer + all)
      expectFilled(heap, moved, 44)
      expect(cachedPointers(heap)).toEqual(cached)
      heap.check()
    }
  })

  test.each([
    [1248 - 4, 2],
    [1248 - 3, 1],
    [1344 - 4, 1],
    [1344 - 3, 0]
  ])('over the cached blocks that it needs, and no others (to %i bytes: %i of 3 wait on)', (size, left) => {
    const other = enclosed(1200, 56)
    const pointer = enclosed(1200, 48, 96, 48)
    const cached = cachedPointers(heap)
    expect(cached.length).toBe(4)
    expect(heap.realloc(pointer, size)).toBe(pointer)
    expectFilled(heap, pointer, 44)
    expect(cachedPointers(heap)).toEqual([other + 1200, ...cached.slice(4 - left)])
    heap.check()
  })

  test('over a cached block wherever it is in its list, which stays in order', () => {
    for (const which of [0, 1, 2]) {
      heap = quickHeap(placement)
      const pointers = [0, 1, 2].map(() => {
        const pointer = heap.malloc(1196)
        const behind = heap.malloc(44)
        heap.malloc(24)
        return { pointer, behind }
      })
      for (const { behind } of pointers) heap.free(behind)
      const { pointer = 0 } = pointers[which] ?? {}
      const { used, blocks, cached } = heap.stats()
      expect(heap.realloc(pointer, 1244)).toBe(pointer)
      expect(heap.stats()).toMatchObject({ used: used + 48, blocks, cached: cached - 48, freeBlocks: 0 })
      heap.check()
      const others = pointers.filter((_, i) => i !== which).map(({ behind }) => behind)
      expect([heap.malloc(44), heap.malloc(44)]).toEqual(others.reverse())
      heap.check()
    }
  })

  test('and a block that the lists take moves: it is copied in less time', () => {
    const pointer = enclosed(1020, 48)
    const [cached] = cachedPointers(heap)
    expect(heap.realloc(pointer, 1040)).not.toBe(pointer)
    expect(cachedPointers(heap)).toEqual([pointer, cached])
    heap.check()
  })

  test('and moves when a used block is right behind it, though cached ones follow', () => {
    const [pointer, , other] = [heap.malloc(44), heap.malloc(44), heap.malloc(44)]
    heap.malloc(12)
    heap.free(other)
    expect(heap.realloc(pointer, 100)).not.toBe(pointer)
    expect(cachedPointers(heap)).toEqual([pointer, other])
    heap.check()
  })

  test('and leaves the lists alone when what it needs is free already', () => {
    const pointer = enclosed(48, 2000, 48)
    const cached = cachedPointers(heap)
    expect(cached.length).toBe(1)
    // Up to the very block that is cached.
    expect(heap.realloc(pointer, 48 + 2000 - 4)).toBe(pointer)
    expect(cachedPointers(heap)).toEqual(cached)
    heap.check()
  })

  test('and leaves them alone when it shrinks, or keeps its size', () => {
    const pointer = enclosed(96, 48)
    const cached = cachedPointers(heap)
    for (const size of [92, 89, 40]) expect(heap.realloc(pointer, size)).toBe(pointer)
    expect(cachedPointers(heap)).toEqual(cached)
    heap.check()
  })

  test('or not at all: the block is as it was when even all that was cached is too little', () => {
    const pointer = beside(48, 48)
    expect(heap.realloc(pointer, 2 ** 18)).toBe(0)
    expect(heap.owns(pointer)).toBe(true)
    expectFilled(heap, pointer, 44)
    heap.check()
  })
})

describe.each(placements)('before a %s heap says that it is full', placement => {
  /** A full heap whose cached blocks touch: together they have room for what none of them has. */
  function full(): { heap: Heap; pointers: number[] } {
    const heap = Heap.format(new ArrayBuffer(2 ** 18), { quickLists: true, placement })
    heap.malloc(100_000)
    const pointers = Array.from({ length: 30 }, () => heap.malloc(60))
    heap.malloc(heap.stats().largestFree)
    return { heap, pointers }
  }

  function freeAll({ heap, pointers }: { heap: Heap; pointers: number[] }): Heap {
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 30, freeBlocks: 0, wilderness: 0 })
    return heap
  }

  test.each<[string, (heap: Heap) => number]>([
    ['malloc', heap => heap.malloc(1500)],
    ['calloc', heap => heap.calloc(1500, 1)],
    ['alloc', heap => heap.alloc(1500).byteOffset],
    ['alignedAlloc', heap => heap.alignedAlloc(64, 1500)],
    ['alignedAlloc of a page', heap => heap.alignedAlloc(1024, 600)]
  ])('%s has what was cached', (_, call) => {
    const begun = full()
    const [first = 0] = begun.pointers
    const heap = freeAll(begun)
    const pointer = call(heap)
    expect(pointer).toBeGreaterThanOrEqual(first)
    expect(pointer).toBeLessThan(first + 30 * 64)
    expect(heap.stats().cachedBlocks).toBe(0)
    heap.check()
  })

  test('realloc grows in place into what was cached', () => {
    const { heap, pointers } = full()
    const [block, ...others] = pointers
    fill(heap, block)
    for (const pointer of others) heap.free(pointer)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 29, freeBlocks: 0 })
    expect(heap.realloc(block, 1900)).toBe(block)
    expectFilled(heap, block, 60)
    heap.check()
  })

  test('realloc grows to the left into what was cached', () => {
    const { heap, pointers } = full()
    const block = pointers.pop() ?? 0
    fill(heap, block)
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.realloc(block, 1900)).toBe(pointers[0])
    expectFilled(heap, pointers[0] ?? 0, 60)
    heap.check()
  })

  test('a request that fails all the same leaves every used block alone', () => {
    const heap = freeAll(full())
    const used = [...heap.blocks()].filter(block => block.used)
    expect(heap.malloc(10_000)).toBe(0)
    expect(heap.alignedAlloc(4096, 10_000)).toBe(0)
    expect([...heap.blocks()].filter(block => block.used)).toEqual(used)
    expect(heap.stats()).toMatchObject({ cached: 0, cachedBlocks: 0, freeBlocks: 1 })
    heap.check()
  })

  test('largestFree is what malloc can have, cached blocks and all', () => {
    const heap = freeAll(full())
    const { largestFree } = heap.stats()
    expect(largestFree).toBe(30 * 64 - 4)
    expect(heap.malloc(largestFree + 1)).toBe(0)
    expect(heap.malloc(largestFree)).not.toBe(0)
  })

  test('largestFree counts cached blocks in front of the wilderness', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 16), { quickLists: true, placement })
    heap.malloc(30_000)
    const pointers = Array.from({ length: 5 }, () => heap.malloc(60))
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.stats().cachedBlocks).toBe(5)
    const { largestFree } = heap.stats()
    expect(largestFree).toBe(2 ** 16 - (pointers[0] ?? 0) - 4)
    expect(heap.malloc(largestFree + 1)).toBe(0)
    expect(heap.malloc(largestFree)).toBe(pointers[0])
  })
})

describe('a heap with cached blocks', () => {
  function withCached(): { heap: Heap; pointers: number[] } {
    const heap = quickHeap()
    const pointers = [...fenced(heap, 3, 40), ...fenced(heap, 2, 200)]
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.stats().cachedBlocks).toBe(5)
    return { heap, pointers }
  }

  test('is empty after reset, its lists too', () => {
    const { heap, pointers } = withCached()
    heap.reset()
    expect(heap.stats()).toMatchObject({ cached: 0, cachedBlocks: 0, used: 0, blocks: 0 })
    heap.check()
    const p = heap.malloc(40)
    expect(pointers).not.toContain(p)
    heap.check()
  })

  test('can be attached to: the lists go on where they were', () => {
    const { heap, pointers } = withCached()
    const copy = Heap.attach(heap.buffer.slice(0))
    expect(copy.stats()).toEqual(heap.stats())
    expect(copy.malloc(200)).toBe(pointers[4])
    expect(copy.malloc(40)).toBe(pointers[2])
    expectRefusal(copy, () => copy.free(pointers[0] ?? 0), 'ERR_OFFHEAP_DOUBLE_FREE')
    copy.check()
  })

  test('empties its lists when it is trimmed', () => {
    using heap = Heap.map({ size: MiB, quickLists: true })
    heap.malloc(100_000)
    const pointers = Array.from({ length: 30 }, () => heap.malloc(60))
    heap.malloc(60)
    for (const pointer of pointers) heap.free(pointer)
    expect(heap.stats()).toMatchObject({ cachedBlocks: 30, freeBlocks: 0 })
    heap.trim()
    expect(heap.stats()).toMatchObject({ cachedBlocks: 0, freeBlocks: 1 })
    heap.check()
  })

  test('can be closed, and refuses everything then', () => {
    const { heap, pointers } = withCached()
    heap.close()
    expectError(() => heap.malloc(40), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.free(pointers[0] ?? 0), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.stats(), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.check(), 'ERR_OFFHEAP_CLOSED')
  })

  test('whose buffer was transferred away is closed, not corrupt', () => {
    const { heap, pointers } = withCached()
    structuredClone(heap.buffer, { transfer: [heap.buffer] })
    for (const size of [0, 12, 40, 200, 1020, 5000]) expectError(() => heap.malloc(size), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.calloc(1, 40), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.alloc(40), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.alignedAlloc(64, 40), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.realloc(pointers[0] ?? 0, 40), 'ERR_OFFHEAP_CLOSED')
    expectError(() => heap.free(pointers[0] ?? 0), 'ERR_OFFHEAP_CLOSED')
  })
})

describe('what was written over cached blocks', () => {
  /** Three cached blocks of one size in one list: head → c → b → a. */
  function list(): { heap: Heap; a: number; b: number; c: number } {
    const heap = quickHeap()
    const [a = 0, b = 0, c = 0] = fenced(heap, 3, 40)
    for (const pointer of [a, b, c]) heap.free(pointer)
    return { heap, a, b, c }
  }

  /** Every call that follows the lists to the end says so, and none of them goes on for ever. */
  function expectCorrupt(heap: Heap): void {
    expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT')
    expectError(() => Heap.attach(heap.buffer), 'ERR_OFFHEAP_CORRUPT')
  }

  test.each<[string, number]>([
    ['outside the heap', 2 ** 30],
    ['below 0', -5],
    ['into the header', 3],
    ['into the wilderness', 60_001],
    ['to an even word', 400]
  ])('a link %s is found by check, by attach, and by the request that follows it', (_, link) => {
    for (const which of ['c', 'b', 'a'] as const) {
      const heads = list()
      const { heap } = heads
      heap.i32[linkTo(heap, heads[which])] = link
      expectCorrupt(heap)
      expectError(() => heap.stats(), 'ERR_OFFHEAP_CORRUPT')
      const error = errorOf(() => {
        for (let i = 0; i < 3; i++) heap.malloc(40)
      })
      expect(error.message).toMatch(/the quick list for blocks of 48 bytes leads to byte -?\d+, where no such block is/)
    }
  })

  test('a list that comes back to itself is found', () => {
    const { heap, a, c } = list()
    heap.i32[a / 4] = c / 4 - 1
    expectCorrupt(heap)
    expectError(() => heap.stats(), 'ERR_OFFHEAP_CORRUPT')
    // Nothing else has so much: the lists are emptied, which goes by the blocks, and so mends them.
    expect(heap.malloc(200_000)).toBe(0)
    heap.check()
  })

  test('a header that leads nowhere is found when the lists are emptied', () => {
    const { heap } = list()
    const used = heap.malloc(2000)
    for (const header of [0, 1, 3, ((2 ** 20) << 1) | 3]) {
      heap.i32[used / 4 - 1] = header
      expectError(() => heap.malloc(200_000), 'ERR_OFFHEAP_CORRUPT', /the header of the block at byte/)
    }
  })

  test('a count of cached bytes that is wrong is found when the lists are emptied', () => {
    const { heap } = list()
    heap.i32[CACHED_WORD] = 2
    expectError(
      () => heap.malloc(200_000),
      'ERR_OFFHEAP_CORRUPT',
      /144 bytes are in cached blocks, and the header says 8/
    )
  })

  test('a list that comes back to itself ends a request: no block is handed out twice', () => {
    const { heap, a, c } = list()
    heap.i32[a / 4] = c / 4 - 1
    const seen = [heap.malloc(40), heap.malloc(40), heap.malloc(40)]
    expect(new Set(seen).size).toBe(3)
    expectError(() => heap.malloc(40), 'ERR_OFFHEAP_CORRUPT')
  })

  test('a link into the list of another size is found', () => {
    const { heap, a } = list()
    const [other = 0] = fenced(heap, 1, 200)
    heap.free(other)
    heap.i32[a / 4] = other / 4 - 1
    expectCorrupt(heap)
    for (let i = 0; i < 3; i++) heap.malloc(40)
    expectError(() => heap.malloc(40), 'ERR_OFFHEAP_CORRUPT')
  })

  test('a link to a used block is found, and the block is not handed out', () => {
    const { heap, b, c } = list()
    const used = heap.malloc(40)
    expect(used).toBe(c)
    heap.i32[linkTo(heap, b)] = used / 4 - 1
    expectCorrupt(heap)
    expectError(() => heap.malloc(40), 'ERR_OFFHEAP_CORRUPT')
  })

  test('a list that was cut short is found', () => {
    const { heap, c } = list()
    const sentinel = previousOf(heap, c)
    heap.i32[c / 4 - 1 + NEXT] = sentinel
    expectCorrupt(heap)
    // Both ways as well.
    heap.i32[sentinel + PREVIOUS] = c / 4 - 1
    expectCorrupt(heap)
    expect(errorOf(() => heap.check()).message).toMatch(/3 blocks are cached, and the quick lists have 1/)
  })

  test.each<[string, (heads: ReturnType<typeof list>) => number]>([
    ['0', () => 0],
    ['the block itself', ({ b }) => b / 4 - 1],
    ['the block behind it', ({ a }) => a / 4 - 1],
    ['another sentinel', ({ heap, c }) => previousOf(heap, c) + 2],
    ['below 0', () => -5],
    ['outside the heap', () => 2 ** 30]
  ])('a link back that is wrong is found in each block of a list, and in its sentinel: %s', (_, link) => {
    for (const which of ['a', 'b', 'c', 'sentinel'] as const) {
      const heads = list()
      const { heap, c } = heads
      const block = which === 'sentinel' ? previousOf(heap, c) : heads[which] / 4 - 1
      const right = heap.i32[block + PREVIOUS]
      const wrong = link(heads)
      if (wrong === right) continue
      heap.i32[block + PREVIOUS] = wrong
      expectCorrupt(heap)
      const culprit = which === 'sentinel' ? wrong : block
      expect(errorOf(() => heap.check()).message).toContain(`leads to byte ${culprit * 4}, where`)
      expectError(() => heap.stats(), 'ERR_OFFHEAP_CORRUPT')
      heap.i32[block + PREVIOUS] = right ?? 0
      heap.check()
    }
  })

  test.each<[string, (links: { front: number; behind: number }) => number]>([
    ['the one in front of it', ({ front }) => front + NEXT],
    ['the one behind it', ({ behind }) => behind + PREVIOUS]
  ])('a realloc that needs a cached block finds that %s does not lead back to it, and changes nothing', (_, word) => {
    const heap = quickHeap()
    const [behind = 0] = fenced(heap, 1, 44)
    const [pointer, needed] = [heap.malloc(1196), heap.malloc(44)]
    heap.malloc(24)
    const [front = 0] = fenced(heap, 1, 44)
    for (const block of [behind, needed, front]) heap.free(block)
    const at = word({ front: front / 4 - 1, behind: behind / 4 - 1 })
    expect(heap.i32[at]).toBe(needed / 4 - 1)
    heap.i32[at] = at
    const before = heap.u8.slice()
    const message = new RegExp(`blocks of 48 bytes leads to byte ${needed - 4}, where no such block is cached`)
    expectError(() => heap.realloc(pointer, 1244), 'ERR_OFFHEAP_CORRUPT', message)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
    heap.i32[at] = needed / 4 - 1
    expect(heap.realloc(pointer, 1244)).toBe(pointer)
    heap.check()
  })

  test('a realloc finds that the block behind a cached one says it is free, and changes nothing', () => {
    const heap = quickHeap()
    const [pointer, needed, behind] = [heap.malloc(1196), heap.malloc(44), heap.malloc(24)]
    heap.free(needed)
    heap.i32[behind / 4 - 1] ^= PREVIOUS_USED
    const before = heap.u8.slice()
    expectError(() => heap.realloc(pointer, 1244), 'ERR_OFFHEAP_CORRUPT', /blocks of 48 bytes leads to byte/)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
    heap.i32[behind / 4 - 1] ^= PREVIOUS_USED
    expect(heap.realloc(pointer, 1244)).toBe(pointer)
    heap.check()
  })

  test('a header that leads nowhere is found by the realloc that comes upon it', () => {
    for (const header of [2, ((2 ** 20) << 1) | 2]) {
      const heap = quickHeap()
      const [pointer, behind] = [heap.malloc(1196), heap.malloc(44)]
      heap.malloc(24)
      heap.free(behind)
      heap.i32[behind / 4 - 1] = header
      const message = new RegExp(`the header of the block at byte ${behind - 4} says ${sizeOf(header) * 4} bytes`)
      expectError(() => heap.realloc(pointer, 1400), 'ERR_OFFHEAP_CORRUPT', message)
    }
  })

  test.each<[string, (header: number) => number]>([
    ['another size', header => header + 16],
    ['no size', header => header & 3],
    ['that it is free', header => header & ~1],
    ['that it is not cached', header => header ^ CACHED],
    ['nothing', () => 0]
  ])('a header that says %s is found by check and by the next request', (_, change) => {
    const { heap, c } = list()
    const word = c / 4 - 1
    heap.i32[word] = change(heap.i32[word] ?? 0)
    expectCorrupt(heap)
    expectError(() => heap.malloc(40), 'ERR_OFFHEAP_CORRUPT')
  })

  test('a wrong count of cached bytes is found', () => {
    const { heap } = list()
    const cached = heap.stats().cached / 4
    const word = heap.i32.subarray(0, 32).indexOf(cached)
    heap.i32[word] = cached - 2
    expectCorrupt(heap)
    expect(errorOf(() => heap.check()).message).toMatch(/144 bytes are in cached blocks, and the header says 136/)
  })

  test('a used block that says it is cached is found', () => {
    const { heap } = list()
    const used = heap.malloc(100)
    heap.i32[used / 4 - 1] |= CACHED
    expectCorrupt(heap)
  })
})

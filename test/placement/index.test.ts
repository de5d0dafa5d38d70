/**
 * The indexes of the placement policies: their size, damage that check() reports, and many free
 * blocks.
 */
import { describe, expect, test } from 'vitest'
import { Heap, type PlacementName } from '../../lib/index.js'
import { placements, policyNamed } from '../../lib/placement/policies.js'

const HEADER_BYTES = 128

describe.each(placements)('the index of %s', placement => {
  test.each([2 ** 20, 3 * 2 ** 20 + 8, 2 ** 26, 2 ** 30, 2 ** 33])(
    'takes at most 1 %% of %i bytes',
    bytes => {
      expect(policyNamed(placement).indexWords(bytes / 4) * 4 + HEADER_BYTES).toBeLessThanOrEqual(
        bytes / 100
      )
    }
  )

  test('leaves most of 1 KiB to blocks', () => {
    expect(Heap.format(new ArrayBuffer(1024), { placement }).stats().metadata).toBeLessThanOrEqual(
      1024 * 0.4
    )
  })

  test('works in the smallest possible heap', () => {
    let bytes = 0
    expect(() => Heap.format(new ArrayBuffer(bytes), { placement })).toThrow(RangeError)
    for (let heap: Heap | undefined; heap === undefined; bytes += 8) {
      try {
        heap = Heap.format(new ArrayBuffer(bytes), { placement })
        heap.free(heap.malloc(8))
        expect(heap.malloc(8)).toBeGreaterThan(0)
        expect(heap.malloc(8)).toBe(0)
        heap.check()
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }
  })
})

/** A heap with `holes` free blocks of many sizes between used ones. */
function holed(
  placement: PlacementName,
  bytes: number,
  holes: number
): { heap: Heap; kept: number[] } {
  const heap = Heap.format(new ArrayBuffer(bytes), { placement, slabs: false })
  const pointers = Array.from({ length: 2 * holes }, (_, i) => heap.malloc((i * 37) % 700))
  for (let i = 0; i < 2 * holes; i += 2) heap.free(pointers[i] ?? 0)
  return { heap, kept: pointers.filter((_, i) => i % 2 === 1) }
}

describe.each(placements)('check() of a %s heap', placement => {
  test('accepts many free blocks, and all of them merged into one', () => {
    const { heap, kept } = holed(placement, 2 ** 25, 20_000)
    expect(heap.stats().freeBlocks).toBe(20_000)
    heap.check()
    kept.sort((a, b) => ((a * 7919) % 104729) - ((b * 7919) % 104729))
    for (const pointer of kept) heap.free(pointer)
    heap.check()
    expect(heap.stats()).toMatchObject({ blocks: 0, freeBlocks: 0 })
  })

  test('finds a free block with wrong links', () => {
    const { heap } = holed(placement, 2 ** 16, 40)
    for (const { offset, used } of heap.blocks()) {
      if (used) continue
      for (const link of [1, 2]) {
        const word = offset / 4 + link
        const value = heap.i32[word] ?? 0
        heap.i32[word] = value + 2
        expect(() => heap.check()).toThrow(expect.objectContaining({ code: 'ERR_OFFHEAP_CORRUPT' }))
        heap.i32[word] = value
      }
    }
    heap.check()
  })
})

/**
 * First fit also has hints, for which 0, the beginning, is never wrong; card-index.test.ts tests
 * them.
 */
describe.each(placements.filter(placement => placement !== 'first-fit'))(
  'check() of a %s heap',
  placement => {
    test('finds every too low word of the lists and the index', () => {
      const { heap } = holed(placement, 2 ** 16, 40)
      const { metadata } = heap.stats()
      const firstBlock = metadata / 4 - 1
      for (let word = HEADER_BYTES / 4; word < firstBlock; word++) {
        const value = heap.i32[word] ?? 0
        // Clearing a word that is 0 changes nothing.
        if (value === 0 || isRover(placement, word)) continue
        heap.i32[word] = 0
        expect(() => heap.check(), `word ${word} was ${value}, and is 0`).toThrow(
          expect.objectContaining({ code: 'ERR_OFFHEAP_CORRUPT' })
        )
        heap.i32[word] = value
      }
      heap.check()
    })
  }
)

/** Next fit may begin anywhere: the first word of its index is valid if it is an address. */
function isRover(placement: PlacementName, word: number): boolean {
  return placement === 'next-fit' && word === HEADER_BYTES / 4
}

describe('best fit', () => {
  test('finds a block with wrong children', () => {
    const { heap } = holed('best-fit', 2 ** 16, 60)
    let found = 0
    for (const { offset, size, used } of heap.blocks()) {
      if (used || size < 24) continue
      for (const child of [3, 4]) {
        const word = offset / 4 + child
        const value = heap.i32[word] ?? 0
        if (value < 2) continue
        heap.i32[word] = 0
        expect(() => heap.check()).toThrow(/tree|list/)
        heap.i32[word] = value
        found++
      }
    }
    expect(found).toBeGreaterThan(5)
  })

  test('uses the lowest of equal blocks, whatever the order of their frees', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 20), { placement: 'best-fit' })
    for (const size of [8, 100, 2000]) {
      const pointers = Array.from({ length: 41 }, () => [heap.malloc(size), heap.malloc(8)][0] ?? 0)
      const shuffled = [...pointers].sort((a, b) => ((a * 7919) % 10007) - ((b * 7919) % 10007))
      for (const pointer of shuffled) heap.free(pointer)
      expect(pointers.map(() => heap.malloc(size))).toEqual(pointers)
    }
  })
})

describe('segregated fit', () => {
  test.each([
    [0, 'that block'],
    [3, 'that block'],
    [4, 'a larger one']
  ])(
    'with %i blocks of its class that are too small in front of one that is not, a request gets %s',
    (front, what) => {
      const heap = Heap.format(new ArrayBuffer(2 ** 16), {
        placement: 'segregated-fit',
        slabs: false
      })
      const separated = (bytes: number): number => [heap.malloc(bytes), heap.malloc(8)][0] ?? 0
      const larger = separated(2000)
      const fit = separated(1028)
      const small = Array.from({ length: front }, () => separated(1020))
      for (const pointer of [larger, fit, ...small]) heap.free(pointer)
      expect(heap.malloc(1028)).toBe(what === 'that block' ? fit : larger)
    }
  )

  test('does not fail if only the last block of a long class is large enough', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 16), {
      placement: 'segregated-fit',
      slabs: false
    })
    // All of one class: 1,032 bytes first, and so at the back of the list, then many that are too
    // small.
    const pointers = [1032, 1024, 1024, 1024, 1024, 1024, 1024].map(
      size => [heap.malloc(size - 4), heap.malloc(8)][0] ?? 0
    )
    while (heap.malloc(2000) !== 0);
    for (const pointer of pointers) heap.free(pointer)
    while (heap.stats().size - heap.stats().top >= 1032) heap.malloc(900)
    expect(heap.malloc(1028)).toBe(pointers[0])
    expect(heap.malloc(1028)).toBe(0)
  })
})

describe.each(placements)('reset of a %s heap', placement => {
  test('removes its free blocks of every size, and clears the index', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { placement, slabs: false })
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

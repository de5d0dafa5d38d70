/**
 * Size classes; what check() reports about the hints and the cards of first fit; and an index of
 * several levels.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { headerOf, NEXT, PREVIOUS_USED } from '../../lib/layout/block.js'
import { FREE_LIST, HEADER_WORDS } from '../../lib/layout/header.js'
import { CARD_SHIFT, CardIndex, cardIndexWords, classOf } from '../../lib/placement/card-index.js'
import { firstFit } from '../../lib/placement/first-fit.js'
import { expectError } from '../heap/support.js'

const BYTES = 2 ** 18
const WORDS = BYTES / 4
const CARDS = BYTES / 4096
const HINTS = firstFit.indexWords(WORDS) - cardIndexWords(WORDS)
/**
 * The words where the hints and the first free blocks of the cards lie, and the byte where the
 * bounds of the cards do.
 */
const hintsBegin = HEADER_WORDS
const firstBegin = hintsBegin + HINTS
const boundsBegin = (firstBegin + CARDS) * 4

let heap: Heap
let free: number[]

/** Changes a word or a byte, expects check() to report it, and restores it. */
function expectFound(
  memory: Int32Array | Uint8Array,
  at: number,
  value: number,
  message: RegExp
): void {
  const before = memory[at] ?? 0
  expect(before).not.toBe(value)
  memory[at] = value
  expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', message)
  memory[at] = before
  heap.check()
}

/** The hint of the class of blocks of `words` words; those of larger classes follow. */
const hintOf = (words: number): number => hintsBegin + classOf(words)

beforeEach(() => {
  heap = Heap.format(new ArrayBuffer(BYTES))
  // 20 KiB first, so that the cards of the free blocks are not the lowest, and a free block in
  // every other of these.
  heap.malloc(20_000)
  const pointers = Array.from({ length: 16 }, (_, i) =>
    heap.malloc(i % 2 === 0 ? 116 + 48 * i : 8100)
  )
  heap.malloc(8)
  for (let i = 0; i < 16; i += 2) heap.free(pointers[i])
  free = pointers.filter((_, i) => i % 2 === 0).map(pointer => pointer / 4 - 1)
  heap.check()
})

describe('the size class of a block', () => {
  test('is exact up to 508 bytes: half the number of words', () => {
    for (let words = 4; words < 128; words += 2) expect(classOf(words)).toBe(words / 2)
  })

  test('is one of two in each octave above', () => {
    for (let power = 7; power < 31; power++) {
      const octave = 2 ** power
      const lower = classOf(octave)
      expect(lower).toBe(64 + 2 * (power - 7))
      for (const words of [octave + 2, 1.25 * octave, 1.5 * octave - 2])
        expect(classOf(words)).toBe(lower)
      for (const words of [1.5 * octave, 1.75 * octave, 2 * octave - 2])
        expect(classOf(words)).toBe(lower + 1)
    }
  })

  test('is from 2 to 111, never 0, and fits into seven bits', () => {
    expect(classOf(4)).toBe(2)
    expect(classOf(2 ** 31 - 1)).toBe(111)
  })

  test('never decreases with the size', () => {
    for (let words = 6; words < 20_000; words += 2) {
      expect(classOf(words) - classOf(words - 2)).toBeGreaterThanOrEqual(0)
      expect(classOf(words) - classOf(words - 2)).toBeLessThanOrEqual(1)
    }
  })
})

describe('check() of hints', () => {
  test('finds one after a card with a block of its class', () => {
    const card = (free[0] ?? 0) >>> 10
    // All from there on, so that they are in order.
    for (const from of [hintsBegin, hintOf(8), hintOf(30)]) {
      const before = heap.i32.slice(from, firstBegin)
      heap.i32.fill(CARDS, from, firstBegin)
      expectError(
        () => heap.check(),
        'ERR_OFFHEAP_CORRUPT',
        new RegExp(`card at byte ${card * 4096}: where to look for a block of its size`)
      )
      heap.i32.set(before, from)
      heap.check()
    }
  })

  test('accepts one at the card of a block, and one for blocks larger than any', () => {
    const card = (free[0] ?? 0) >>> 10
    heap.i32.fill(card, hintsBegin, hintOf(30) + 1)
    heap.i32.fill(CARDS, hintOf(1024), firstBegin)
    heap.check()
  })

  test('finds one below 0, and one above the next one', () => {
    heap.i32.fill(0, hintsBegin, firstBegin)
    heap.check()
    for (let word = hintsBegin; word < firstBegin; word++) {
      expectFound(heap.i32, word, -1, /hints of the index are not in order/)
      if (word > hintOf(1024) && word < firstBegin - 1) {
        expectFound(heap.i32, word, CARDS, /hints of the index are not in order/)
      }
    }
    expectFound(heap.i32, firstBegin - 1, CARDS + 1, /hints of the index are not in order/)
  })
})

describe('check() of cards', () => {
  test('finds one that claims a free block, or room, without any', () => {
    const empty = Array.from({ length: CARDS }, (_, card) => card).filter(
      card => !free.some(block => block >>> 10 === card)
    )
    expect(empty.length).toBeGreaterThan(20)
    for (const card of empty) {
      const at = `card at byte ${card * 4096}`
      expectFound(
        heap.i32,
        firstBegin + card,
        free[0] ?? 0,
        new RegExp(`${at}: its first free block`)
      )
      expectFound(
        heap.u8,
        boundsBegin + card,
        classOf(4),
        new RegExp(`${at}: its largest free block`)
      )
    }
  })

  test('finds one whose bound is too low', () => {
    for (const block of free) {
      const card = block >>> CARD_SHIFT
      const at = `card at byte ${card * 4096}`
      const sizeClass = classOf((heap.i32[block] ?? 0) >> 1)
      expectFound(heap.i32, firstBegin + card, 0, new RegExp(`${at}: its first free block`))
      expectFound(
        heap.u8,
        boundsBegin + card,
        sizeClass - 1,
        new RegExp(`${at}: its largest free block`)
      )
    }
  })

  test('accepts too high bounds, if those above are as high; searches correct them', () => {
    // From the top down: the 16 bounds above the cards, and the one above these.
    heap.u8.fill(111, boundsBegin + CARDS, boundsBegin + CARDS + CARDS / 16 + 1)
    heap.check()
    const { top } = heap.stats()
    expect(heap.malloc(2000)).toBe(top + 4)
    heap.check()
  })

  test('finds one whose bound is higher than the bound above it', () => {
    for (const block of free) {
      const at = boundsBegin + (block >>> CARD_SHIFT)
      const right = heap.u8[at] ?? 0
      heap.u8[at] = 111
      expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', /the index is wrong/)
      heap.u8[at] = right
      heap.check()
    }
  })
})

describe('the free list', () => {
  test('finds one that does not lead to a higher address within the heap', () => {
    const [a = 0, b = 0] = free
    const right = heap.i32[b + NEXT] ?? 0
    for (const next of [b, a, 1, 0, -1, WORDS, WORDS + 1, 2 ** 31 - 1]) {
      heap.i32[b + NEXT] = next
      const message = new RegExp(`goes from the block at byte ${b * 4} to byte ${next * 4}\\.`)
      expectError(() => heap.stats(), 'ERR_OFFHEAP_CORRUPT', message)
    }
    heap.i32[b + NEXT] = right
    heap.check()
    expectFound(heap.i32, b + NEXT, FREE_LIST, /not linked both ways/)
  })
})

/**
 * Bounds of 16,384 cards have three more levels above them; those of five cards more are not whole
 * words, nor whole families.
 */
describe.each([2 ** 26, 2 ** 26 + 5 * 4096])(
  'the index of a heap of %i bytes with few free blocks far apart',
  bytes => {
    const cards = bytes / 4096
    /**
     * The cards of the free blocks: adjacent ones, and those at the ends of families of 16, 256 and
     * 4,096 cards.
     */
    const apart = [
      25, 26, 31, 32, 33, 47, 48, 254, 256, 257, 511, 513, 4094, 4097, 8191, 8193, 12_288, 16_380
    ]

    /**
     * A heap with a free block in each of these cards, of these many bytes, and used ones all over
     * the rest.
     */
    function scattered(placement: 'first-fit' | 'next-fit', sizeOf: (i: number) => number) {
      const large = Heap.format(new ArrayBuffer(bytes), { placement })
      const pointers = apart.map((card, i) => {
        const { top } = large.stats()
        // Into the middle of the card.
        large.malloc(card * 4096 + 1000 - top - 4)
        const pointer = large.malloc(sizeOf(i) - 4)
        expect(Math.floor(pointer / 4096)).toBe(card)
        return pointer
      })
      large.malloc(large.stats().largestFree)
      expect(large.stats().wilderness).toBe(0)
      return { large, pointers }
    }

    /** The lowest free block with room for a number of bytes. */
    function lowest(large: Heap, size: number): number {
      return [...large.blocks()].find(block => !block.used && block.size >= size + 4)?.pointer ?? 0
    }

    test.each([
      ['the first', (i: number) => 1000 - 8 * i],
      ['the last', (i: number) => 100 + 8 * i],
      ['any', (i: number) => 104 + 8 * ((i * 7) % 18)]
    ])(
      'leads to the lowest one that is large enough, be it %s, and to none when none is',
      (_, sizeOf) => {
        const { large, pointers } = scattered('first-fit', sizeOf)
        // Neither in the order of addresses nor against it.
        for (let i = 0; i < apart.length; i++) large.free(pointers[(i * 5) % apart.length])
        large.check()
        expect([...large.freeBlocks()].map(({ pointer }) => pointer)).toEqual(pointers)
        for (let round = 0; round < 3; round++) {
          const sizes = apart.map((_, i) => sizeOf((i * 11 + round) % apart.length) - 4)
          const taken = sizes.map(size => {
            const expected = lowest(large, size)
            expect(large.malloc(size)).toBe(expected)
            large.check()
            return expected
          })
          expect(large.malloc(2000)).toBe(0)
          for (const pointer of taken) if (pointer !== 0) large.free(pointer)
          large.check()
          expect([...large.freeBlocks()].map(({ pointer }) => pointer)).toEqual(pointers)
        }
      }
    )

    test("leads next fit on from the end of the last search, and around the heap's end", () => {
      const { large, pointers } = scattered('next-fit', () => 1000)
      for (const pointer of [...pointers].reverse()) large.free(pointer)
      large.check()
      for (const pointer of pointers) {
        expect(large.malloc(496)).toBe(pointer)
        expect(large.malloc(488)).toBe(pointer + 504)
      }
      expect(large.malloc(8)).toBe(0)
      const [a = 0, b = 0] = [pointers[3], pointers[9]]
      for (const pointer of [b, a]) large.free(pointer)
      expect([large.malloc(496), large.malloc(496)]).toEqual([a, b])
      large.free(a)
      expect(large.malloc(496)).toBe(a)
      expect(large.malloc(8)).toBe(0)
      large.check()
    })

    test('is corrected step by step: each search without a result corrects one more level', () => {
      const words = new Int32Array(bytes / 4)
      const index = new CardIndex(words, HEADER_WORDS, FREE_LIST)
      index.reset()
      const tree = new Uint8Array(words.buffer).subarray(
        (HEADER_WORDS + cards) * 4,
        (HEADER_WORDS + cardIndexWords(words.length)) * 4
      )
      const promises = (): number => tree.filter(bound => bound !== 0).length
      // A search from the first card on skips the bounds of its own 16, 256 and 4,096 cards.
      for (const card of apart.filter(card => card >= 4096)) {
        const block = card * 1024 + 5
        words[block] = headerOf(100, PREVIOUS_USED)
        index.put(block, 100)
        expect(promises()).toBe(4)
        expect(index.findFirst(100)).toBe(block)
        expect(index.mayHave(100)).toBe(true)
        expect(index.mayHave(102)).toBe(false)
        index.remove(block, 100)
        for (const left of [3, 2, 1, 0]) {
          expect(promises()).toBe(left)
          expect(index.mayHave(100)).toBe(false)
        }
      }
    })

    test('with a too low bound on any level is detected by check()', () => {
      const { large, pointers } = scattered('first-fit', () => 400)
      for (const pointer of pointers) large.free(pointer)
      const words = bytes / 4
      const end = HEADER_WORDS + firstFit.indexWords(words)
      const begins: number[] = []
      let at = (end - cardIndexWords(words) + cards) * 4
      for (let bounds = cards; begins.length < 4; bounds = Math.ceil(bounds / 16)) {
        begins.push(at)
        at += Math.ceil(bounds / 4) * 4
      }
      expect(at).toBe(end * 4)
      for (const card of apart) {
        for (const [level, begin] of begins.entries()) {
          const bound = begin + Math.floor(card / 16 ** level)
          expect(large.u8[bound]).toBe(classOf(100))
          large.u8[bound] = classOf(100) - 1
          expectError(() => large.check(), 'ERR_OFFHEAP_CORRUPT', /its largest free block/)
          large.u8[bound] = classOf(100)
        }
      }
      large.check()
    })
  }
)

describe('a block that is the only free one of the last card', () => {
  test.each(['first-fit', 'next-fit'] as const)(
    'does not affect the bytes after the index (%s)',
    placement => {
      // Cards in whole families; in some heaps, the index ends right before the first block.
      for (const cards of [32, 48, 64, 128, 256, 272, 512]) {
        const heap = Heap.format(new ArrayBuffer(cards * 4096), { placement })
        const pointers: number[] = []
        for (let pointer = heap.malloc(1000); pointer !== 0; pointer = heap.malloc(1000))
          pointers.push(pointer)
        const last = pointers.at(-2) ?? 0
        expect((last / 4 - 1) >>> 10).toBe(cards - 1)
        heap.free(last)
        heap.check()
        expect(heap.usableSize(pointers[0] ?? 0)).toBeGreaterThanOrEqual(1000)
        expect(heap.malloc(1000)).toBe(last)
      }
    }
  )
})

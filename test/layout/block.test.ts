/** The encoding of a block: size, flags and footer, and the number of words for a request. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  headerOf,
  MAXIMUM_HEAP_BYTES,
  MINIMUM_WORDS,
  PREVIOUS_USED,
  pointerOf,
  sizeOf,
  TOO_LARGE,
  USED,
  wordsFor,
  writeFree
} from '../../lib/layout/block.js'
import { chunkGranules, GRANULE_WORDS, mayBeChunk, slabLayout } from '../../lib/layout/slab.js'
import { scaled } from '../runs.js'

describe('a header', () => {
  test('encodes size and flags independently, up to blocks of nearly 8 GiB', () => {
    const evenSize = fc.integer({ min: 2, max: 2 ** 30 - 1 }).map(half => half * 2)
    fc.assert(
      fc.property(
        evenSize,
        fc.constantFrom(0, USED, PREVIOUS_USED, USED | PREVIOUS_USED),
        (size, flags) => {
          const [header = 0] = Int32Array.of(headerOf(size, flags))
          expect(sizeOf(header)).toBe(size)
          expect(header & USED).toBe(flags & USED)
          expect(header & PREVIOUS_USED).toBe(flags & PREVIOUS_USED)
        }
      )
    )
  })
})

describe('writeFree', () => {
  test('writes header and footer, and no other word', () => {
    const words = new Int32Array(32).fill(7)
    writeFree(words, 9, 6)
    expect([...words.subarray(8, 16)]).toEqual([7, (6 << 1) | PREVIOUS_USED, 7, 7, 7, 7, 6, 7])
    expect(sizeOf(words[9])).toBe(6)
    expect(words[9] & USED).toBe(0)
  })
})

describe('wordsFor', () => {
  test.each([
    [0, 4],
    [1, 4],
    [12, 4],
    [13, 6],
    [20, 6],
    [21, 8],
    [2 ** 31 - 1, 2 ** 29 + 2],
    [2 ** 31, 2 ** 29 + 2],
    [2 ** 31 + 5, 2 ** 29 + 4],
    [2 ** 32, 2 ** 30 + 2],
    [2 ** 33 - 4, 2 ** 31]
  ])('%d bytes need %d words', (bytes, words) => {
    expect(wordsFor(bytes)).toBe(words)
  })

  test('returns the smallest even number of words for header and payload', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAXIMUM_HEAP_BYTES - 1 }), bytes => {
        const words = wordsFor(bytes)
        expect(words % 2).toBe(0)
        expect(words).toBeGreaterThanOrEqual(MINIMUM_WORDS)
        expect(words * 4 - 4).toBeGreaterThanOrEqual(bytes)
        if (words > MINIMUM_WORDS) expect((words - 2) * 4 - 4).toBeLessThan(bytes)
      }),
      { numRuns: scaled(2000) }
    )
  })

  test.each([MAXIMUM_HEAP_BYTES, MAXIMUM_HEAP_BYTES + 4, Number.MAX_SAFE_INTEGER])(
    'returns TOO_LARGE for %d bytes, which no heap can have',
    bytes => expect(wordsFor(bytes)).toBe(TOO_LARGE)
  )
})

test('the payload of a block on an odd word is 8-byte aligned', () => {
  for (const block of [33, 35, 1001, 2 ** 30 + 1]) {
    expect(pointerOf(block)).toBe(block * 4 + 4)
    expect(pointerOf(block) % 8).toBe(0)
  }
})

describe('slabs', () => {
  test('a chunk is a used block of its size whose payload is aligned to it', () => {
    const words = 8 * GRANULE_WORDS
    const used = headerOf(words, USED)
    expect(mayBeChunk(used, words - 1, words)).toBe(true)
    expect(mayBeChunk(used | PREVIOUS_USED, 3 * words - 1, words)).toBe(true)
    expect(mayBeChunk(headerOf(words, PREVIOUS_USED), words - 1, words)).toBe(false)
    expect(mayBeChunk(headerOf(words + 2, USED), words - 1, words)).toBe(false)
    expect(mayBeChunk(used, words + 1, words)).toBe(false)
  })

  test('a heap of less than 64 KiB has no tables', () => {
    expect(chunkGranules(2 ** 14 - 2)).toBe(0)
    const nothing = { state: 101, records: 101, descriptors: 101, end: 101 }
    expect(slabLayout(2 ** 14 - 2, 101)).toEqual(nothing)
    expect(slabLayout(2 ** 14, 101).end).toBeGreaterThan(101)
  })
})

/**
 * The seals of a hardened heap on their own: each is valid only for the words that were sealed, at
 * the place where they were sealed.
 */
import { describe, expect, test } from 'vitest'
import { hasFreeLeft, NEXT_HELD, Seals, SLACK } from '../../lib/hardened/seals.js'
import { headerOf, NEXT, PREVIOUS, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { HEADER_SEAL_WORD, HEADER_WORDS } from '../../lib/layout/header.js'

const WORDS = 1024
/** Before the first word at which a block can begin: a quarter of the heap. */
const TABLE = 60
const BLOCK = 301
const SIZE = 12
const KEY = 987654321
const ALL_BITS = Array.from({ length: 32 }, (_, bit) => 1 << bit)

function memory(key = KEY): { words: Int32Array; seals: Seals } {
  const words = new Int32Array(WORDS)
  return { words, seals: new Seals(words, TABLE, key) }
}

/** A used or quarantined block with its seal. */
function used(kind: 'used' | 'quarantined', block = BLOCK): { words: Int32Array; seals: Seals } {
  const { words, seals } = memory()
  words[block] = headerOf(SIZE, USED | PREVIOUS_USED)
  words[block + SLACK] = 20
  words[block + NEXT_HELD] = 401
  seals.seal(kind, block)
  return { words, seals }
}

/** A free block with its seal. */
function free(block = BLOCK): { words: Int32Array; seals: Seals } {
  const { words, seals } = memory()
  words[block] = headerOf(SIZE, PREVIOUS_USED)
  words[block + SIZE - 1] = SIZE
  words[block + NEXT] = 401
  words[block + PREVIOUS] = 13
  seals.sealFree(block, SIZE)
  return { words, seals }
}

describe('the seal of a block', () => {
  test.each(['used', 'quarantined'] as const)(
    'that is %s is valid for that kind, and for no other',
    kind => {
      for (const block of [257, 301, 303, 1001]) {
        const { words, seals } = used(kind, block)
        expect(seals.holds('used', block)).toBe(kind === 'used')
        expect(seals.holds('quarantined', block)).toBe(kind === 'quarantined')
        expect(seals.holds('free', block)).toBe(false)
        words[block] &= ~USED
        expect(seals.holds(kind, block)).toBe(false)
        expect(seals.holds('free', block)).toBe(false)
      }
    }
  )

  test('that is free is valid for its size and its links', () => {
    const { words, seals } = free()
    expect(seals.holds('free', BLOCK)).toBe(true)
    expect(seals.agrees(BLOCK, SIZE, 401, 13)).toBe(true)
    for (const [size, next, previous] of [
      [SIZE + 2, 401, 13],
      [SIZE, 403, 13],
      [SIZE, 401, 14],
      [SIZE, 13, 401]
    ] as const) {
      expect(seals.agrees(BLOCK, size, next, previous)).toBe(false)
    }
    words[BLOCK] |= USED
    for (const kind of ['used', 'quarantined', 'free'] as const)
      expect(seals.holds(kind, BLOCK)).toBe(false)
  })

  test('is invalidated by every bit that it covers, and by its own bits', () => {
    const cases = [
      ['used', used('used'), [SLACK]],
      ['quarantined', used('quarantined'), [SLACK, NEXT_HELD]],
      ['free', free(), [NEXT, PREVIOUS]]
    ] as const
    for (const [kind, { words, seals }, covered] of cases) {
      for (const word of covered) {
        for (const bit of ALL_BITS) {
          words[BLOCK + word] ^= bit
          expect(seals.holds(kind, BLOCK)).toBe(false)
          words[BLOCK + word] ^= bit
        }
      }
      // Of the header only the size: the flag for the left neighbour changes without the seal.
      for (const bit of ALL_BITS) {
        words[BLOCK] ^= bit
        expect(seals.holds(kind, BLOCK)).toBe(bit === PREVIOUS_USED)
        words[BLOCK] ^= bit
      }
      const place = words.findIndex((word, at) => at >= TABLE && word !== 0)
      for (const bit of ALL_BITS) {
        words[place] ^= bit
        expect(seals.holds(kind, BLOCK)).toBe(false)
        words[place] ^= bit
      }
      expect(seals.holds(kind, BLOCK)).toBe(true)
    }
  })

  test('does not cover the word of a used block where others have a link', () => {
    const { words, seals } = used('used')
    words[BLOCK + NEXT_HELD] = 5
    expect(seals.holds('used', BLOCK)).toBe(true)
  })

  test('is invalid elsewhere, and with another key', () => {
    const { words, seals } = used('used')
    expect(new Seals(words, TABLE, KEY + 1).holds('used', BLOCK)).toBe(false)
    expect(new Seals(words, TABLE, KEY).holds('used', BLOCK)).toBe(true)
    const place = words.findIndex((word, at) => at >= TABLE && word !== 0)
    for (const distance of [4, 8, 400]) {
      words.copyWithin(BLOCK + distance, BLOCK, BLOCK + 3)
      words[place + distance / 4] = words[place] ?? 0
      expect(seals.holds('used', BLOCK + distance)).toBe(false)
    }
  })

  test('is removed when it is cleared, and all are by reset; count() returns their number', () => {
    const { words, seals } = memory()
    const blocks = [257, 261, 265, 301, 1017]
    for (const block of blocks) {
      words[block] = headerOf(4, USED | PREVIOUS_USED)
      seals.seal('used', block)
    }
    expect(seals.count(WORDS)).toBe(5)
    expect(seals.count(1021)).toBe(5)
    expect(seals.count(297)).toBe(3)
    seals.clear(261)
    expect(blocks.map(block => seals.holds('used', block))).toEqual([true, false, true, true, true])
    expect(seals.count(WORDS)).toBe(4)
    seals.reset(301)
    expect(blocks.map(block => seals.holds('used', block))).toEqual([
      false,
      false,
      false,
      false,
      true
    ])
    seals.reset(WORDS)
    expect(seals.count(WORDS)).toBe(0)
    expect(words.subarray(HEADER_WORDS, 257).every(word => word === 0)).toBe(true)
  })
})

describe('the seal of the header', () => {
  test('is invalidated by every bit of every word, and by no other word', () => {
    const { words, seals } = memory()
    for (let word = 0; word < HEADER_WORDS; word++) words[word] = word * 1_000_003
    seals.sealHeader()
    const seal = words[HEADER_SEAL_WORD]
    expect(seals.headerHolds()).toBe(true)
    for (let word = 0; word < HEADER_WORDS; word++) {
      for (const bit of ALL_BITS) {
        words[word] ^= bit
        expect(seals.headerHolds(), `bit ${bit} of word ${word}`).toBe(false)
        words[word] ^= bit
      }
    }
    words[HEADER_WORDS] = 1
    expect(seals.headerHolds()).toBe(true)
    seals.sealHeader()
    expect(words[HEADER_SEAL_WORD]).toBe(seal)
  })

  test('depends on the key, and on the order of the words', () => {
    const { words, seals } = memory()
    words[3] = 77
    seals.sealHeader()
    expect(new Seals(words, TABLE, KEY + 1).headerHolds()).toBe(false)
    words[3] = 0
    words[4] = 77
    expect(seals.headerHolds()).toBe(false)
  })
})

describe('a free left neighbour', () => {
  const first = 257
  const right = BLOCK + SIZE

  test('is one whose footer, header and seal agree', () => {
    const { words, seals } = free()
    expect(hasFreeLeft(words, seals, right, first)).toBe(true)
    expect(hasFreeLeft(words, seals, right, BLOCK)).toBe(true)
    expect(hasFreeLeft(words, seals, right, BLOCK + 2)).toBe(false)
    for (const change of [
      () => (words[right - 1] = SIZE + 2),
      () => (words[right - 1] = 0),
      () => (words[right - 1] = -SIZE),
      () => (words[BLOCK] = headerOf(SIZE, 0)),
      () => (words[BLOCK] = headerOf(SIZE, USED | PREVIOUS_USED)),
      () => (words[BLOCK] = headerOf(SIZE - 2, PREVIOUS_USED)),
      () => (words[BLOCK + NEXT] = 0)
    ]) {
      const before = words.slice()
      change()
      expect(hasFreeLeft(words, seals, right, first)).toBe(false)
      words.set(before)
    }
    expect(hasFreeLeft(words, seals, right, first)).toBe(true)
  })

  test('does not exist if the footer leads to the block itself, or after it', () => {
    const { words, seals } = free()
    words[BLOCK - 1] = 0
    expect(hasFreeLeft(words, seals, BLOCK, first)).toBe(false)
    words[BLOCK - 13] = -SIZE
    expect(hasFreeLeft(words, seals, BLOCK - 12, first)).toBe(false)
  })
})

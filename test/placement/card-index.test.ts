/** What check() says of the hints and the cards of first fit, and of next fit, which has the same cards without hints. */
import { beforeEach, describe, expect, test } from 'vitest'
import { NEXT } from '../../lib/block/block.js'
import { FREE_LIST, HEADER_WORDS } from '../../lib/block/header.js'
import { Heap } from '../../lib/index.js'
import { cardIndexWords } from '../../lib/placement/card-index.js'
import { firstFit } from '../../lib/placement/first-fit.js'
import { expectError } from '../heap/support.js'

const BYTES = 2 ** 18
const WORDS = BYTES / 4
const CARDS = BYTES / 4096
const HINTS = firstFit.indexWords(WORDS) - cardIndexWords(WORDS)
/** The hints, the first free block of each card, the bounds of the cards. */
const hintsBegin = HEADER_WORDS
const firstBegin = hintsBegin + HINTS
const boundsBegin = firstBegin + CARDS

let heap: Heap
let free: number[]

/** Sets a word, expects check() to say so, and sets it back. */
function expectFound(word: number, value: number, message: RegExp): void {
  const before = heap.i32[word] ?? 0
  expect(before).not.toBe(value)
  heap.i32[word] = value
  expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', message)
  heap.i32[word] = before
  heap.check()
}

/** The hint of the class of blocks of `words` words, and those of the classes above. */
const hintOf = (words: number): number => {
  const power = Math.floor(Math.log2(words))
  return hintsBegin + 2 * power - 4 + (words >= 1.5 * 2 ** power ? 1 : 0)
}

beforeEach(() => {
  heap = Heap.format(new ArrayBuffer(BYTES))
  // 20 KiB first, so that the cards of the free blocks are not the lowest, and a free block in every other of these.
  heap.malloc(20_000)
  const pointers = Array.from({ length: 16 }, (_, i) => heap.malloc(i % 2 === 0 ? 116 + 48 * i : 8100))
  heap.malloc(8)
  for (let i = 0; i < 16; i += 2) heap.free(pointers[i])
  free = pointers.filter((_, i) => i % 2 === 0).map(pointer => pointer / 4 - 1)
  heap.check()
})

describe('hints', () => {
  test('of a class that lie behind a card with such a block', () => {
    const card = (free[0] ?? 0) >>> 10
    // All from there on, so that they are in order.
    for (const from of [hintsBegin, hintOf(8), hintOf(30)]) {
      const before = heap.i32.slice(from, firstBegin - 1)
      heap.i32.fill(CARDS, from, firstBegin - 1)
      expectError(
        () => heap.check(),
        'ERR_OFFHEAP_CORRUPT',
        new RegExp(`memory from byte ${card * 4096} on: where to look for a block of its size`)
      )
      heap.i32.set(before, from)
      heap.check()
    }
  })

  test('at the very card of a block, and for larger blocks than there are, are right', () => {
    const card = (free[0] ?? 0) >>> 10
    heap.i32.fill(card, hintsBegin, hintOf(30) + 1)
    heap.i32.fill(CARDS, hintOf(1024), firstBegin - 1)
    heap.check()
  })

  test('below 0, or above the next one', () => {
    heap.i32.fill(0, hintsBegin, firstBegin - 1)
    heap.check()
    for (let word = hintsBegin; word < firstBegin - 1; word++) {
      expectFound(word, -1, /hints of the index are not in order/)
      if (word > hintOf(1024) && word < firstBegin - 2) expectFound(word, CARDS, /hints of the index are not in order/)
    }
    expectFound(firstBegin - 2, CARDS + 1, /hints of the index are not in order/)
  })

  test('without their end', () => {
    expectFound(firstBegin - 1, CARDS + 1, /hints of the index have no end/)
  })
})

describe('cards', () => {
  test('that say they have a free block, or room, and have none', () => {
    const empty = Array.from({ length: CARDS }, (_, card) => card).filter(
      card => !free.some(block => block >>> 10 === card)
    )
    expect(empty.length).toBeGreaterThan(20)
    for (const card of empty) {
      const at = `memory from byte ${card * 4096} on`
      expectFound(firstBegin + card, free[0] ?? 0, new RegExp(`${at}: its first free block`))
      expectFound(boundsBegin + card, 4, new RegExp(`${at}: its largest free block`))
    }
  })

  test('that say too little', () => {
    for (const block of free) {
      const at = `memory from byte ${(block >>> 10) * 4096} on`
      expectFound(firstBegin + (block >>> 10), 0, new RegExp(`${at}: its first free block`))
      expectFound(
        boundsBegin + (block >>> 10),
        (heap.i32[block] ?? 0) / 2 - 4,
        new RegExp(`${at}: its largest free block`)
      )
    }
  })
})

describe('the free list', () => {
  test('that does not lead on to a higher address within the heap', () => {
    const [a = 0, b = 0] = free
    const right = heap.i32[b + NEXT] ?? 0
    for (const next of [b, a, 1, 0, -1, WORDS, WORDS + 1, 2 ** 31 - 1]) {
      heap.i32[b + NEXT] = next
      const message = new RegExp(`goes from the block at byte ${b * 4} to byte ${next * 4}\\.`)
      expectError(() => heap.stats(), 'ERR_OFFHEAP_CORRUPT', message)
    }
    heap.i32[b + NEXT] = right
    heap.check()
    expectFound(b + NEXT, FREE_LIST, /not linked both ways/)
  })
})

/**
 * Stray writes to the ledger of a hardened heap. A call verifies the seal of an entry before it
 * uses it. So an overwritten word is detected by the next call that uses it, and by check(); no
 * call hangs or throws an error without a code.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hardenedLayout, slotOf } from '../../lib/hardened/layout.js'
import { Heap, OffheapError, placements } from '../../lib/index.js'
import { NEXT, PREVIOUS, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import {
  HEADER_WORDS,
  KEY_WORD,
  NEWEST_WORD,
  OLDEST_WORD,
  QUARANTINED_WORD,
  TOUCHED_WORD
} from '../../lib/layout/header.js'
import { firstFit } from '../../lib/placement/first-fit.js'
import { expectError } from '../heap/support.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

/**
 * A heap with the blocks a (used), b (free), c (used), d (free) and e (used), of 100 bytes each, as
 * blocks of the ledger.
 */
function prepared(placement: (typeof placements)[number]) {
  const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, placement, quarantine: 0 })
  const pointers = Array.from({ length: 5 }, () => heap.malloc(100))
  heap.free(pointers[1] ?? 0)
  heap.free(pointers[3] ?? 0)
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = pointers.map(pointer => pointer / 16 - 1)
  heap.check()
  return { heap, a, b, c, d, e }
}

describe.each(placements)('with %s', placement => {
  test.each([
    ['size', (header: number) => header + (16 << 1)],
    ['USED', (header: number) => header ^ USED],
    ['PREVIOUS_USED', (header: number) => header ^ PREVIOUS_USED],
    ['all of it', () => 0]
  ])(
    'a used header that was changed in %s is found at free, and at the free of its neighbour',
    (_, change) => {
      for (const which of ['a', 'c', 'e'] as const) {
        const { heap, [which]: block } = prepared(placement)
        heap.i32[block] = change(heap.i32[block] ?? 0)
        expectError(() => heap.check(), CORRUPT)
        expectError(
          () => heap.free(slotOf(block)),
          'ERR_OFFHEAP_(CORRUPT|DOUBLE_FREE|INVALID_POINTER)'
        )
      }
      const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, placement, quarantine: 0 })
      const [left, block] = [heap.malloc(40), heap.malloc(40)]
      heap.malloc(40)
      heap.i32[block / 16 - 1] = change(heap.i32[block / 16 - 1] ?? 0)
      const before = heap.u8.slice()
      expectError(() => heap.free(left), CORRUPT)
      expect(Buffer.compare(before, heap.u8)).toBe(0)
    }
  )

  test('an overwritten slack is detected by free', () => {
    const { heap, a } = prepared(placement)
    heap.i32[a + 1] += 4
    expectError(
      () => heap.free(slotOf(a)),
      CORRUPT,
      new RegExp(`ledger's entry for the block at ${slotOf(a)},`)
    )
    expectError(() => heap.check(), CORRUPT)
  })

  test.each([
    ['header', 0],
    ['next', NEXT],
    ['previous', PREVIOUS],
    ['footer', 7]
  ])('a free block whose %s was changed is not used', (_, word) => {
    for (const value of [0, 13, 200, -1, 2 ** 30]) {
      const { heap, b } = prepared(placement)
      if (heap.i32[b + word] === value) continue
      heap.i32[b + word] = value
      expectError(() => heap.check(), CORRUPT)
      // Both neighbours are verified, whichever of the two free blocks the policy uses.
      expectError(() => {
        heap.malloc(100)
        heap.malloc(100)
      }, CORRUPT)
    }
  })

  test('the neighbours in the list are verified too, before they are sealed again', () => {
    for (const word of [0, NEXT, PREVIOUS]) {
      for (const [taken, damaged] of [
        ['b', 'd'],
        ['d', 'b']
      ] as const) {
        const { heap, e, [taken]: block, [damaged]: other } = prepared(placement)
        heap.i32[other + word] ^= 8
        // It is merged with its right neighbour, or its left one.
        expectError(() => heap.free(slotOf(taken === 'b' ? block - 8 : e)), CORRUPT)
      }
    }
  })

  test('the PREVIOUS_USED bit of a free block is verified', () => {
    const { heap, b, d } = prepared(placement)
    for (const block of [b, d]) heap.i32[block] ^= PREVIOUS_USED
    expectError(() => heap.malloc(100), CORRUPT)
    expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${b * 4} `))
  })

  test('the very first block is verified when the next one in the list is allocated', () => {
    for (const word of [0, NEXT, PREVIOUS]) {
      const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, placement, quarantine: 0 })
      const [first, , second, last] = [300, 10, 300, 10].map(bytes => heap.malloc(bytes))
      heap.malloc(10)
      heap.free(first ?? 0)
      heap.free(second ?? 0)
      const damaged = (first ?? 0) / 16 - 1
      heap.i32[damaged + word] ^= 16
      const message = new RegExp(`free block at ${first}, at byte ${damaged * 4}, was overwritten`)
      // It is merged with the free block before it, which is removed from its list.
      expectError(() => heap.free(last ?? 0), CORRUPT, message)
    }
  })

  test('an overwritten link is not followed when the left neighbour is freed', () => {
    const { heap, a, b } = prepared(placement)
    heap.i32[b + NEXT] = a
    const payloads = heap.u8.slice(slotOf(a))
    expectError(() => heap.free(slotOf(a)), CORRUPT)
    expect(Buffer.compare(heap.u8.slice(slotOf(a)), payloads)).toBe(0)
  })

  test('ends every call with a value or a named error after random writes to the ledger', () => {
    const word = fc.oneof(fc.nat(40), fc.nat(4095))
    const value = fc.oneof(
      fc.nat(5000),
      fc.constantFrom(0, -1, 1, 2 ** 31 - 1, -(2 ** 31)),
      fc.integer()
    )
    const damage = fc.array(fc.tuple(word, value), { minLength: 1, maxLength: 8 })
    const work = fc.array(fc.tuple(fc.nat(9), fc.nat(30), fc.nat(600)), {
      minLength: 1,
      maxLength: 20
    })
    const buffer = new ArrayBuffer(16384)
    fc.assert(
      fc.property(damage, work, (words, calls) => {
        const heap = Heap.format(buffer, { hardened: true, placement, quarantine: 500 })
        const pointers = Array.from({ length: 20 }, (_, i) => heap.malloc(i * 9))
        for (const pointer of pointers.filter((_, i) => i % 3 === 1)) heap.free(pointer)
        for (const [at, junk] of words) heap.i32[at] = junk
        for (const [call, which, size] of calls) {
          const pointer = pointers[which] ?? which * 32
          const run = [
            () => heap.malloc(size),
            () => heap.calloc(size, 1),
            () => heap.realloc(pointer, size),
            () => heap.free(pointer),
            () => heap.alignedAlloc(2 ** (size % 12), size),
            () => heap.view(pointer),
            () => heap.stats(),
            () => [...heap.blocks(), ...heap.freeBlocks()],
            () => heap.check(),
            () => Heap.attach(buffer)
          ][call]
          try {
            run?.()
          } catch (error) {
            if (!(error instanceof OffheapError)) throw error
          }
        }
      }),
      { numRuns: 1500 }
    )
  })
})

test('check() verifies the index of the policy', () => {
  const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, placement: 'next-fit' })
  heap.malloc(100)
  heap.i32[HEADER_WORDS] = -1
  expectError(() => heap.check(), CORRUPT, /the last search ended at byte -4, outside the heap/)
})

test('an overwritten header is detected by the next call, until reset()', () => {
  for (let word = 0; word < HEADER_WORDS; word++) {
    const { heap, a } = prepared('first-fit')
    heap.i32[word] ^= 1 << word
    for (const call of [
      () => heap.malloc(10),
      () => heap.free(slotOf(a)),
      () => heap.realloc(slotOf(a), 500),
      () => heap.alignedAlloc(64, 10),
      () => heap.view(slotOf(a)),
      () => (heap.root = 0),
      () => heap.check()
    ]) {
      expectError(call, 'ERR_OFFHEAP_(CORRUPT|NOT_A_HEAP)')
    }
  }
  const { heap, a } = prepared('first-fit')
  heap.i32[TOUCHED_WORD] = -5
  heap.reset()
  heap.check()
  expect(heap.malloc(100)).toBe(slotOf(a))
})

describe('check() of a hardened heap', () => {
  function held() {
    const heap = Heap.format(new ArrayBuffer(65536), { hardened: true })
    const pointers = Array.from({ length: 6 }, () => heap.malloc(100))
    for (const pointer of pointers.slice(0, 3)) heap.free(pointer)
    heap.check()
    return { heap, pointers }
  }

  test.each([OLDEST_WORD, NEWEST_WORD, QUARANTINED_WORD])(
    'finds a change of word %i of the header',
    word => {
      for (const value of [0, 1, 5000, -1]) {
        const { heap } = held()
        heap.i32[word] = value
        expectError(() => heap.check(), 'ERR_OFFHEAP_(CORRUPT|NOT_A_HEAP)')
      }
    }
  )

  test('finds a changed key', () => {
    const { heap } = held()
    heap.i32[KEY_WORD] ^= 1
    expectError(() => heap.check(), CORRUPT, /header/)
    expectError(() => Heap.attach(heap.buffer), CORRUPT, /header/)
  })

  test('finds a changed link of the quarantine, and so does a free', () => {
    const { heap, pointers } = held()
    heap.i32[(pointers[0] ?? 0) / 16 + 1] = 4001
    const message = new RegExp(
      `the quarantine leads to byte ${((pointers[0] ?? 0) / 16 - 1) * 4} of the ledger`
    )
    expectError(() => heap.check(), CORRUPT, message)
    expectError(() => heap.malloc(49_000), CORRUPT, message)
  })

  test('finds a changed seal, and a seal without a block', () => {
    const { heap, pointers } = held()
    const words = heap.u8.length / 4
    const { seals, first } = hardenedLayout(words, HEADER_WORDS + firstFit.indexWords(words / 4))
    const seal = seals + Math.floor((first - words / 16) / 4)
    expect(slotOf(first)).toBe(pointers[0])
    expect(heap.i32[seal]).not.toBe(0)
    heap.i32[seal + 1] = 99
    expectError(() => heap.check(), CORRUPT, /seal/)
    heap.i32[seal + 1] = 0
    heap.check()
    heap.i32[seal] ^= 4
    expectError(() => heap.check(), CORRUPT)
  })

  test('finds a changed seal of a used or free block, and names the block', () => {
    for (const which of ['a', 'b', 'c', 'd', 'e'] as const) {
      const { heap, [which]: block } = prepared('first-fit')
      const words = heap.u8.length / 4
      const { seals } = hardenedLayout(words, HEADER_WORDS + firstFit.indexWords(words / 4))
      const seal = seals + Math.floor((block - words / 16) / 4)
      expect(heap.i32[seal]).not.toBe(0)
      heap.i32[seal] ^= 4
      expectError(
        () => heap.check(),
        CORRUPT,
        new RegExp(`ledger's entry for the (free )?block at ${slotOf(block)}, `)
      )
    }
  })

  test('finds a byte before the first block, and names it', () => {
    const { heap, pointers } = held()
    const first = pointers[0] ?? 0
    for (const at of [first - 1, first - 7, first - 16]) {
      heap.u8[at] ^= 1
      expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${at} was written, in free memory`))
      heap.u8[at] ^= 1
      heap.check()
    }
  })
})

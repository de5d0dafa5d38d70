/**
 * A hardened heap whose header is wrong although its seal is right, as after a bug in the
 * allocator: check() compares it with the ledger too.
 */
import { describe, expect, test } from 'vitest'
import { hardenedLayout, ledgerWords } from '../../lib/hardened/layout.js'
import { Seals } from '../../lib/hardened/seals.js'
import { Heap } from '../../lib/index.js'
import {
  FIRST_WORD,
  HEADER_WORDS,
  HELD_WORD,
  KEY_WORD,
  MAGIC_WORD,
  NEWEST_WORD,
  OLDEST_WORD,
  PLACEMENT_WORD,
  QUARANTINED_WORD,
  TOUCHED_WORD,
  VERSION_WORD
} from '../../lib/layout/header.js'
import { firstFit } from '../../lib/placement/first-fit.js'
import { expectError } from '../heap/support.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
const WORDS = 2 ** 14

/**
 * A heap with six blocks, the first three of them in quarantine; and the six as blocks of the
 * ledger.
 */
function held() {
  const heap = Heap.format(new ArrayBuffer(WORDS * 4), { hardened: true })
  const pointers = Array.from({ length: 6 }, () => heap.malloc(100))
  for (const pointer of pointers.slice(0, 3)) heap.free(pointer)
  heap.check()
  const [a = 0, b = 0, c = 0, d = 0] = pointers.map(pointer => pointer / 16 - 1)
  const ledger = heap.i32.subarray(0, ledgerWords(WORDS))
  const { seals } = hardenedLayout(WORDS, HEADER_WORDS + firstFit.indexWords(ledger.length))
  return { heap, pointers, a, b, c, d, seals: new Seals(ledger, seals, heap.i32[KEY_WORD]) }
}

describe('check() finds', () => {
  test('a wrong number of quarantined bytes', () => {
    for (const off of [-8, 8, 2 ** 20]) {
      const { heap, seals } = held()
      heap.i32[HELD_WORD] += off
      seals.sealHeader()
      expectError(
        () => heap.check(),
        CORRUPT,
        /the quarantine holds 384 bytes, but the header counts differently/
      )
    }
  })

  test('a wrong number of quarantined blocks', () => {
    for (const [off, message] of [
      [-1, /more blocks are in the quarantine than the header says/],
      [-3, /more blocks are in the quarantine than the header says/],
      [2, /the quarantine ends 2 blocks before the header says it does/]
    ] as const) {
      const { heap, seals } = held()
      heap.i32[QUARANTINED_WORD] += off
      seals.sealHeader()
      expectError(() => heap.check(), CORRUPT, message)
    }
  })

  test('a newest block that is not the last', () => {
    const { heap, b, seals } = held()
    heap.i32[NEWEST_WORD] = b
    seals.sealHeader()
    expectError(
      () => heap.check(),
      CORRUPT,
      /the quarantine holds 384 bytes, but the header counts differently/
    )
  })

  test('an oldest block outside the quarantine, and so does the call that would free it', () => {
    const { heap, d, seals } = held()
    for (const oldest of [d, d + 2, 33, WORDS, -1]) {
      heap.i32[OLDEST_WORD] = oldest
      seals.sealHeader()
      const message = new RegExp(
        `the quarantine leads to byte ${oldest * 4} of the ledger, where no quarantined block`
      )
      expectError(() => heap.check(), CORRUPT, message)
      expectError(() => heap.malloc(49_000), CORRUPT, message)
    }
  })

  test('an invalid header', () => {
    for (const word of [MAGIC_WORD, VERSION_WORD, PLACEMENT_WORD, FIRST_WORD]) {
      const { heap, seals } = held()
      heap.i32[word] += 90
      seals.sealHeader()
      expectError(() => heap.check(), 'ERR_OFFHEAP_NOT_A_HEAP')
    }
  })

  test('touched memory beyond what the header says', () => {
    const { heap, pointers, seals } = held()
    expect(heap.i32[TOUCHED_WORD]).toBeGreaterThan((pointers[5] ?? 0) / 16)
    for (const seal of [1, 2]) {
      heap.i32[TOUCHED_WORD] -= 2 * seal
      seals.sealHeader()
      expectError(() => heap.check(), 'ERR_OFFHEAP_(CORRUPT|NOT_A_HEAP)')
    }
  })
})

test('an overwritten block of the quarantine is not sealed again when another one enters', () => {
  for (const word of [0, 1, 2]) {
    const { heap, pointers, c } = held()
    const pointer = pointers[4] ?? 0
    heap.view(pointer).fill(7)
    heap.i32[c + word] ^= 32
    const message = new RegExp(`the quarantine leads to byte ${c * 4} of the ledger`)
    const before = heap.u8.slice()
    for (const call of [
      () => heap.free(pointer),
      () => heap.realloc(pointer, 0),
      () => heap.realloc(pointer, 5000)
    ]) {
      expectError(call, CORRUPT, message)
      // The call that detected it has changed nothing.
      expect(heap.view(pointer).every(byte => byte === 7)).toBe(true)
      expect(Buffer.compare(heap.u8, before)).toBe(0)
    }
    expectError(() => heap.check(), CORRUPT)
  }
})

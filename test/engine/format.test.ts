/**
 * The header of a heap: what format() writes over old bytes, and which headers attach() rejects.
 */
import { describe, expect, test } from 'vitest'
import {
  clearHeader,
  type Header,
  ordinaryLayout,
  readHeader,
  verifyHeader,
  writeHeader
} from '../../lib/engine/format.js'
import {
  DUE,
  HEADER_WORDS,
  MAGIC,
  MAGIC_WORD,
  PENDING_WORD,
  PLACEMENT_WORD,
  QUARANTINE_LIMIT_WORD,
  SIZE_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  VERSION,
  VERSION_WORD
} from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError } from '../heap/support.js'

const LENGTH = 2048
const policy = policyNamed('first-fit')
const header: Header = { policy, options: 0, length: LENGTH }
const layout = ordinaryLayout(LENGTH, policy, false)

describe('writeHeader', () => {
  test('on used memory clears all before the blocks, and records the rest as touched', () => {
    const words = new Int32Array(LENGTH).fill(-1)
    writeHeader(words, header, layout, 500, false)
    expect([words[TRIM_THRESHOLD_WORD], words[TOUCHED_WORD]]).toEqual([500, LENGTH - 1])
    for (let word = TRIM_THRESHOLD_WORD + 1; word < layout.first; word++)
      expect(words[word]).toBe(0)
    expect(words[layout.first]).toBe(-1)
    verifyHeader(words, layout)
  })

  test('on zeroed memory writes only the header', () => {
    const words = new Int32Array(LENGTH)
    words[HEADER_WORDS] = 7
    writeHeader(words, header, layout, 0, true)
    expect([words[HEADER_WORDS], words[TOUCHED_WORD]]).toEqual([7, layout.first])
  })
})

test('clearHeader trusts no word of the header', () => {
  const words = new Int32Array(LENGTH)
  writeHeader(words, header, layout, 0, true)
  for (const [touched, expected] of [
    [layout.first + 2, layout.first + 2],
    [layout.first - 2, LENGTH - 1],
    [layout.first + 1, LENGTH - 1],
    [LENGTH + 1, LENGTH - 1],
    [-1, LENGTH - 1]
  ]) {
    words[TOUCHED_WORD] = touched
    words[TRIM_THRESHOLD_WORD] = -5
    words[QUARANTINE_LIMIT_WORD] = touched
    words[PENDING_WORD] = 77
    clearHeader(words, header, layout)
    expect(words[TOUCHED_WORD]).toBe(expected)
    expect([words[TRIM_THRESHOLD_WORD], words[QUARANTINE_LIMIT_WORD]]).toEqual([
      0,
      Math.max(0, touched)
    ])
    verifyHeader(words, layout)
  }
})

describe('readHeader refuses', () => {
  /** A valid header with these words changed. */
  const changed = (words: Record<number, number>, length = LENGTH): Int32Array => {
    const all = new Int32Array(LENGTH)
    writeHeader(all, header, layout, 0, true)
    for (const [word, value] of Object.entries(words)) all[Number(word)] = value
    return all.slice(0, length)
  }

  test.each<[what: string, words: Int32Array, message: RegExp]>([
    ['no memory', new Int32Array(0), /does not begin with the bytes "offh"/],
    ['less than a header', changed({}, HEADER_WORDS - 1), /does not begin with the bytes "offh"/],
    ['a header alone', changed({}, HEADER_WORDS), /has 8192 bytes, but the memory has 128/],
    ['other bytes', changed({ [MAGIC_WORD]: 77 }), /does not begin with the bytes "offh"/],
    [
      'the other byte order',
      changed({ [MAGIC_WORD]: 0x6f666668 }),
      /machine of the other byte order/
    ],
    ['another version', changed({ [VERSION_WORD]: VERSION + 1 }), /layout version is \d+/],
    [
      'too small for a header',
      changed({ [SIZE_WORD]: HEADER_WORDS / 2 - 1 }),
      /says that it has 120 bytes/
    ],
    [
      'as small as a header',
      changed({ [SIZE_WORD]: HEADER_WORDS / 2, [PLACEMENT_WORD]: 99 }),
      /number 99, is unknown/
    ]
  ])('%s', (_, words, message) => {
    expect(MAGIC).toBe(0x6866666f)
    expectError(() => readHeader(words), 'ERR_OFFHEAP_NOT_A_HEAP', message)
  })

  test.each([3, -1])('an unknown pending state (%i)', pending => {
    const words = changed({ [PENDING_WORD]: pending })
    const message = new RegExp(
      `word ${PENDING_WORD} of its header is ${pending}, but should be 0, 1 or 2`
    )
    expectError(() => verifyHeader(words, layout), 'ERR_OFFHEAP_NOT_A_HEAP', message)
    verifyHeader(changed({ [PENDING_WORD]: DUE }), layout)
  })
})

/**
 * The verification of unowned bytes on its own: what it writes, to the byte, and which changed byte
 * it finds first.
 */
import { describe, expect, test } from 'vitest'
import { Memory } from '../../lib/hardened/memory.js'
import { expectError } from '../heap/support.js'

const PAGE = 4096
const BYTES = 6 * PAGE
/** The notes about returned pages are in the first page, which no test verifies. */
const NOTES = 8

function memory(key = 12345): { bytes: Buffer; memory: Memory } {
  const buffer = new ArrayBuffer(BYTES)
  return { bytes: Buffer.from(buffer), memory: new Memory(new Int32Array(buffer), NOTES, key) }
}

/** The bytes that each page must hold where it is unowned. */
function patternOf(key = 12345): Buffer {
  const { bytes, memory: filled } = memory(key)
  filled.fill(PAGE, 2 * PAGE)
  return Buffer.from(bytes.subarray(PAGE, 2 * PAGE))
}

const pattern = patternOf()
const begins = [
  PAGE,
  PAGE + 1,
  PAGE + 2,
  PAGE + 3,
  PAGE + 4,
  2 * PAGE - 3,
  2 * PAGE - 128,
  2 * PAGE - 500
]
const lengths = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  11,
  64,
  130,
  255,
  256,
  257,
  258,
  259,
  260,
  300,
  511,
  512,
  600,
  PAGE,
  5001
]
const ranges = begins.flatMap(begin => lengths.map(length => [begin, begin + length] as const))

/** Places in a range where a change is tried: its ends, what is around, and some between. */
function places(begin: number, end: number): number[] {
  const inside = [
    begin,
    begin + 1,
    begin + 5,
    Math.floor((begin + end) / 2),
    end - 256,
    end - 4,
    end - 2,
    end - 1
  ]
  return [...new Set(inside.filter(at => at >= begin && at < end))]
}

describe('the pattern', () => {
  test('differs for each key, repeats after 256 bytes, and contains neither 0 nor 255', () => {
    expect(patternOf(12346).equals(pattern)).toBe(false)
    expect(pattern.includes(0)).toBe(false)
    expect(pattern.includes(255)).toBe(false)
    expect(new Set(pattern).size).toBeGreaterThan(100)
    for (let at = 256; at < PAGE; at += 256) {
      expect(pattern.subarray(at, at + 256).equals(pattern.subarray(0, 256))).toBe(true)
    }
    for (let period = 1; period < 256; period++) {
      expect(pattern.subarray(0, 256).equals(pattern.subarray(period, period + 256))).toBe(false)
    }
  })

  test('is written from any byte to any other, and nowhere else', () => {
    for (const [begin, end] of ranges) {
      const { bytes, memory: filled } = memory()
      bytes.fill(0xff)
      filled.fill(begin, end)
      const expected = Buffer.alloc(BYTES, 0xff)
      for (let at = begin; at < end; at++) expected[at] = pattern[at % PAGE] ?? 0
      expect(bytes.equals(expected), `${begin} to ${end}`).toBe(true)
    }
  })

  test('is verified up to the first changed byte, and not beyond its ends', () => {
    for (const [begin, end] of ranges) {
      const { bytes, memory: filled } = memory()
      bytes.fill(0xff, PAGE)
      filled.fill(begin, end)
      expect(filled.firstChanged(begin, end)).toBe(-1)
      for (const at of places(begin, end).sort((a, b) => b - a)) {
        bytes[at] ^= 1
        expect(filled.firstChanged(begin, end), `byte ${at} of ${begin} to ${end}`).toBe(at)
      }
    }
  })

  test('is verified also in memory that was cleared', () => {
    for (const [begin, end] of ranges) {
      if (begin === end) continue
      const { memory: filled } = memory()
      filled.fill(begin, end)
      filled.zero(end - 1, end)
      expect(filled.firstChanged(begin, end)).toBe(end - 1)
      filled.zero(begin, end)
      expect(filled.firstChanged(begin, end)).toBe(begin)
    }
  })
})

test('memory that must be zero is verified from any byte to any other', () => {
  for (const [begin, end] of ranges) {
    const { bytes, memory: touched } = memory()
    bytes.fill(0xff)
    touched.zero(begin, end)
    expect([bytes[begin - 1], bytes[end]]).toEqual([0xff, 0xff])
    expect(touched.firstTouched(begin, end)).toBe(-1)
    for (const at of places(begin, end).sort((a, b) => b - a)) {
      bytes[at] = 1
      expect(touched.firstTouched(begin, end), `byte ${at} of ${begin} to ${end}`).toBe(at)
    }
  }
})

test('bytes are copied even if the ranges overlap', () => {
  const { bytes, memory: copied } = memory()
  for (let at = 0; at < 600; at++) bytes[PAGE + at] = at % 251
  const before = Buffer.from(bytes.subarray(PAGE, PAGE + 600))
  copied.copy(PAGE, PAGE + 10, 590)
  expect(bytes.subarray(PAGE + 10, PAGE + 600).equals(before.subarray(0, 590))).toBe(true)
  copied.copy(PAGE + 10, PAGE, 590)
  expect(bytes.subarray(PAGE, PAGE + 590).equals(before.subarray(0, 590))).toBe(true)
})

describe('pages returned to the system', () => {
  /** The pattern everywhere, except for pages 2 and 3, which were returned. */
  function twoGone(): { bytes: Buffer; memory: Memory } {
    const { bytes, memory: watched } = memory()
    watched.fill(PAGE, BYTES)
    watched.zero(2 * PAGE, 4 * PAGE)
    expect(watched.firstChanged(PAGE, BYTES)).toBe(2 * PAGE)
    watched.noteGivenBack(2 * PAGE, 4 * PAGE)
    return { bytes, memory: watched }
  }

  test('are zero, whether a few bytes of them are verified or many', () => {
    const { bytes, memory: watched } = twoGone()
    for (const [begin, end] of [
      [PAGE, BYTES],
      [2 * PAGE - 20, 2 * PAGE + 20],
      [2 * PAGE - 300, 2 * PAGE + 300],
      [3 * PAGE - 5, 3 * PAGE + 5],
      [4 * PAGE - 20, 4 * PAGE + 20],
      [4 * PAGE - 300, 4 * PAGE + 300]
    ] as const) {
      expect(watched.firstChanged(begin, end)).toBe(-1)
      for (const at of places(begin, end)) {
        const byte = bytes[at] ?? 0
        bytes[at] = byte ^ 1
        expect(watched.firstChanged(begin, end)).toBe(at)
        bytes[at] = byte
      }
    }
  })

  test('are noted page by page: their neighbours must hold the pattern', () => {
    const { memory: watched } = twoGone()
    watched.zero(2 * PAGE - 1, 2 * PAGE)
    expect(watched.firstChanged(PAGE, BYTES)).toBe(2 * PAGE - 1)
    expect(watched.firstChanged(2 * PAGE - 10, 2 * PAGE)).toBe(2 * PAGE - 1)
    watched.fill(2 * PAGE - 1, 2 * PAGE)
    watched.zero(4 * PAGE, 4 * PAGE + 1)
    expect(watched.firstChanged(PAGE, BYTES)).toBe(4 * PAGE)
    expect(watched.firstChanged(4 * PAGE, 4 * PAGE + 10)).toBe(4 * PAGE)
  })

  test('are used again only where a block lies: the rest of them is filled', () => {
    for (const [begin, end] of [
      [2 * PAGE + 100, 2 * PAGE + 500],
      [2 * PAGE, 2 * PAGE + 500],
      [2 * PAGE + 100, 3 * PAGE],
      [2 * PAGE + 100, 3 * PAGE + 500],
      [2 * PAGE, 4 * PAGE],
      [PAGE + 8, 5 * PAGE]
    ] as const) {
      const { bytes, memory: watched } = twoGone()
      watched.claim(begin, end)
      expect(
        bytes.subarray(Math.max(begin, 2 * PAGE), Math.min(end, 4 * PAGE)).every(byte => byte === 0)
      ).toBe(true)
      // No byte of the block is verified; around it, bytes are unchanged or have the pattern now.
      expect(watched.firstChanged(PAGE, begin)).toBe(-1)
      expect(watched.firstChanged(end, BYTES)).toBe(-1)
      for (const page of [2, 3]) {
        const claimed = begin < (page + 1) * PAGE && end > page * PAGE
        for (const at of [page * PAGE, (page + 1) * PAGE - 1]) {
          if (at >= begin && at < end) continue
          expect(bytes[at], `byte ${at} when ${begin} to ${end} are claimed`).toBe(
            claimed ? pattern[at % PAGE] : 0
          )
        }
      }
      watched.fill(begin, end)
      expect(watched.firstChanged(PAGE, BYTES)).toBe(-1)
    }
  })

  test('are forgotten when memory is emptied', () => {
    const { memory: watched } = twoGone()
    watched.givenBack.reset()
    expect(watched.firstChanged(2 * PAGE, 3 * PAGE)).toBe(2 * PAGE)
    expect(watched.firstChanged(3 * PAGE, 4 * PAGE)).toBe(3 * PAGE)
  })

  test('are not trusted if a bit of their note was changed: nothing is filled', () => {
    for (const bit of Array.from({ length: 32 }, (_, i) => 1 << i)) {
      for (const noted of [true, false]) {
        const { bytes, memory: watched } = noted ? twoGone() : memory()
        const words = new Int32Array(bytes.buffer)
        words[NOTES] = (words[NOTES] ?? 0) ^ bit
        const before = Buffer.from(bytes)
        for (const use of [
          () => watched.claim(2 * PAGE + 100, 2 * PAGE + 500),
          () => watched.noteGivenBack(PAGE, 2 * PAGE),
          () => watched.firstChanged(2 * PAGE, 5 * PAGE),
          () => watched.givenBack.verify(5 * PAGE + 1, 5 * PAGE + 2),
          () => watched.givenBack.check()
        ]) {
          expectError(
            use,
            'ERR_OFFHEAP_CORRUPT',
            /the note at byte 32 about pages returned to the system was overwritten/
          )
        }
        expect(bytes.equals(before)).toBe(true)
        watched.givenBack.reset()
        watched.givenBack.check()
      }
    }
  })

  test('are noted beyond the first 32', () => {
    const buffer = new ArrayBuffer(70 * PAGE)
    const watched = new Memory(new Int32Array(buffer), NOTES, 1)
    watched.fill(PAGE, 70 * PAGE)
    for (let page = 1; page < 70; page += 2) {
      watched.zero(page * PAGE, (page + 1) * PAGE)
      watched.noteGivenBack(page * PAGE, (page + 1) * PAGE)
    }
    expect(watched.firstChanged(PAGE, 70 * PAGE)).toBe(-1)
    for (let page = 2; page < 70; page += 2) {
      watched.zero(page * PAGE, page * PAGE + 1)
      expect(watched.firstChanged(page * PAGE, page * PAGE + 300)).toBe(page * PAGE)
    }
  })
})

import { expect, test } from 'vitest'
import {
  BYTE_ORDER_WORD,
  FORMATTING,
  GENERATION_WORD,
  headBytes,
  idAt,
  MAGIC_WORD,
  readSuperblock,
  rootsAt,
  STATE_WORD,
  SUPERBLOCK_BYTES,
  sameId,
  totalBytes,
  writeSuperblock
} from '../../lib/sharing/superblock.js'
import { expectError } from '../heap/support.js'

const geometry = { arenas: 3, arenaBytes: 2 ** 20, controlBytes: 1024 }

function written(): Int32Array {
  const words = new Int32Array(SUPERBLOCK_BYTES / 4)
  writeSuperblock(words, geometry, [1, -2, 3, -4])
  return words
}

test('readSuperblock() returns what writeSuperblock() wrote', () => {
  const words = written()
  words[GENERATION_WORD] = -1
  expect(readSuperblock(words)).toEqual({
    ...geometry,
    fileId: [1, -2, 3, -4],
    bootId: [0, 0, 0, 0],
    state: FORMATTING,
    holder: 0,
    generation: 2 ** 32 - 1
  })
})

test('head and arenas begin at multiples of 64 KiB, and nothing overlaps', () => {
  expect(rootsAt(1024)).toBe(4096 + 1024)
  expect(headBytes(0)).toBe(65536)
  expect(headBytes(65536)).toBe(2 * 65536)
  expect(headBytes(65536)).toBeGreaterThanOrEqual(rootsAt(65536) + 64 * 128)
  expect(totalBytes(geometry)).toBe(65536 + 3 * 2 ** 20)
})

test('writeSuperblock() writes the magic last', () => {
  const order: number[] = []
  const words = new Proxy(new Int32Array(SUPERBLOCK_BYTES / 4), {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set(target, key, value) {
      order.push(Number(key))
      return Reflect.set(target, key, value, target)
    }
  })
  writeSuperblock(words, geometry, [1, 2, 3, 4])
  expect(order.at(-1)).toBe(MAGIC_WORD)
})

test.each<[what: string, word: number, value: number, message: RegExp]>([
  ['other bytes', MAGIC_WORD, 0x12345678, /does not begin with the bytes "offS"/],
  ['the other byte order', MAGIC_WORD, 0x6f666653, /other byte order/],
  ['another version', 1, 2, /version is 2, and this offheap reads version 1/],
  ['an invalid byte order', BYTE_ORDER_WORD, 0, /byte order is unknown/],
  ['no arenas', 4, 0, /0 arenas/],
  ['a negative number of arenas', 4, -1, /-1 arenas/],
  ['arenas of zero bytes', 3, 0, /of 0 \* 64 KiB/],
  ['arenas beyond the range of pointers', 3, 2 ** 30, /arenas of/],
  ['a negative control area', 5, -1, /area of -1/],
  ['a control area that is too large', 5, 2 ** 24, /area of 16777216/],
  ['an unknown state', STATE_WORD, 4, /state is 4/]
])('a superblock with %s is rejected', (_, word, value, message) => {
  const words = written()
  words[word] = value
  expectError(() => readSuperblock(words), 'ERR_OFFHEAP_NOT_A_HEAP', message)
})

test('memory that is too small for a superblock is rejected', () => {
  expectError(
    () => readSuperblock(written().subarray(0, 1000)),
    'ERR_OFFHEAP_NOT_A_HEAP',
    /does not begin/
  )
})

test('ids are equal when all four words are equal', () => {
  expect(sameId(idAt(written(), 6), [1, -2, 3, -4])).toBe(true)
  expect(sameId(idAt(written(), 6), [1, -2, 3, 4])).toBe(false)
})

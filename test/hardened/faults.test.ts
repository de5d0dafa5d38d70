/** The message and the block of each error of a hardened heap, to the byte. */
import { describe, expect, test } from 'vitest'
import { Heap, OffheapError } from '../../lib/index.js'
import { call, errorOf, expectError } from '../heap/support.js'

const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'
const DOUBLE = 'ERR_OFFHEAP_DOUBLE_FREE'
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

function hardened(quarantine = 4096): Heap {
  return Heap.format(new ArrayBuffer(65536), { hardened: true, quarantine })
}

/** The block that an error names. */
function blockOf(action: () => unknown): unknown {
  const error = errorOf(action)
  return error instanceof OffheapError ? error.block : undefined
}

describe('a pointer', () => {
  test('to wilderness was freed if blocks ever reached it, and otherwise never allocated', () => {
    const heap = hardened(0)
    const pointers = Array.from({ length: 3 }, () => heap.malloc(100))
    const { top } = heap.stats()
    for (const pointer of pointers) heap.free(pointer)
    for (const pointer of [pointers[0] ?? 0, top - 32]) {
      expectError(() => heap.free(pointer), DOUBLE, /was freed before and has become wilderness/)
      expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 0 })
    }
    for (const pointer of [top, top + 32, 65536 - 8]) {
      expectError(
        () => heap.free(pointer),
        INVALID,
        /lies in the wilderness, which was never allocated/
      )
      expect(blockOf(() => heap.free(pointer))).toBeUndefined()
    }
    expectError(() => heap.free(65536), INVALID, /lies outside the heap, which has 65536 bytes/)
  })

  test("to free memory is reported with the block there, unless it is that block's pointer", () => {
    const heap = hardened(0)
    const [a, b] = [heap.malloc(100), heap.malloc(100), heap.malloc(100)]
    heap.free(a)
    heap.free(b)
    expect(errorOf(() => heap.free(a)).message).toMatch(/ is free already \(see/)
    expectError(
      () => heap.free(b),
      DOUBLE,
      new RegExp(`is free already: it is part of the block at ${a} \\(256 bytes\\)`)
    )
    expect(blockOf(() => heap.free(a))).toEqual({ pointer: a, size: 256 })
    expect(blockOf(() => heap.free(b))).toEqual({ pointer: b, size: 256 })
  })

  test('to a block in the quarantine is reported with that block', () => {
    const heap = hardened()
    const pointer = heap.malloc(100)
    heap.free(pointer)
    expect(errorOf(() => heap.free(pointer)).message).toMatch(/ is free already \(see/)
    const inside = (): void => heap.free(pointer + 32)
    expectError(inside, DOUBLE, new RegExp(`it is part of the block at ${pointer} \\(100 bytes\\)`))
    expect(blockOf(inside)).toEqual({ pointer, size: 100 })
  })

  test('of a wrong type throws as in Node', () => {
    const heap = hardened()
    for (const value of [null, undefined, '8', {}, []]) {
      expectError(() => call(heap, 'free', value), 'ERR_INVALID_ARG_TYPE', /"pointer"/)
    }
  })
})

describe('damage', () => {
  test('after a block is reported with its distance from the end', () => {
    const heap = hardened()
    const pointer = heap.malloc(40)
    for (const past of [0, 1, 9, 23]) {
      heap.u8[pointer + 40 + past] ^= 1
      const message = new RegExp(
        `byte ${pointer + 40 + past} was written, ${past} bytes past the end of the block ` +
          `at ${pointer} \\(40 bytes\\)`
      )
      expectError(() => heap.check(), CORRUPT, message)
      expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 40 })
    }
  })

  test('before a block is reported with that block', () => {
    const heap = hardened()
    const [, pointer] = [heap.malloc(63), heap.malloc(40)]
    heap.u8[pointer - 1] ^= 1
    expect(blockOf(() => heap.free(pointer))).toEqual({ pointer, size: 40 })
    heap.u8[pointer - 1] ^= 1
    const message = new RegExp(
      `byte ${pointer - 1} was written, in front of the block at ${pointer} \\(40 bytes\\)`
    )
    expectError(() => heap.free(pointer), CORRUPT, message)
  })

  test('before all blocks is reported with the bytes there', () => {
    const heap = hardened()
    const first = heap.malloc(10)
    heap.u8[first - 5] ^= 1
    expect(blockOf(() => heap.check())).toEqual({ pointer: first - 16, size: 16 })
  })

  test('to free memory is reported with the whole free range', () => {
    const heap = hardened(0)
    const pointer = heap.malloc(100)
    heap.malloc(10)
    heap.free(pointer)
    heap.u8[pointer + 70] ^= 1
    expect(blockOf(() => heap.check())).toEqual({ pointer, size: 128 })
    expect(blockOf(() => heap.malloc(100))).toEqual({ pointer, size: 128 })
  })

  test('to the ledger is reported with its first byte and its block', () => {
    const heap = hardened()
    const pointer = heap.malloc(100)
    const byte = (pointer / 16 - 1) * 4
    heap.u8[byte + 4] ^= 1
    const message = new RegExp(
      `ledger's entry for the block at ${pointer}, at byte ${byte}, was overwritten`
    )
    for (const action of [() => heap.free(pointer), () => heap.check()]) {
      expectError(action, CORRUPT, message)
      expect(blockOf(action)).toEqual({ pointer, size: 128 })
    }
  })
})

/**
 * Requests at every bound: of the heap, of the free memory in it, and of each size class that a
 * policy may have; in heaps around each power of two from 1 KiB to 8 GiB. Large heaps are mapped,
 * and not touched; on Windows they have at most 16 MiB. Node 20 maps at most 4 GiB.
 */
import { constants } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements } from '../../lib/index.js'
import { SIZE_WORD } from '../../lib/layout/header.js'
import { expectError, MOST_ALLOCATED } from './support.js'

const GiB = 2 ** 30
/** The largest heap here; of 8 GiB it uses all but the last 8 bytes. */
const MOST = Math.min(8 * GiB - 8, constants.MAX_LENGTH)
const MAPPED = Math.min(8 * GiB, constants.MAX_LENGTH)
const USED = Math.min(MAPPED, MOST_ALLOCATED)
const powers = Array.from({ length: 24 }, (_, i) => i + 10).filter(power => 2 ** power <= USED)
const variants: HeapOptions[] = [{ slabs: false }, { slabs: true }, { hardened: true }]
const kinds = placements.flatMap(placement => variants.map(options => ({ placement, ...options })))

/**
 * The sizes around the first of each class in heaps of `bytes` bytes: in units of 8 bytes, up to 32
 * classes per power of two.
 */
function* classBounds(bytes: number): Generator<number, void, undefined> {
  for (let octave = 16; octave <= bytes; octave *= 2) {
    // All classes of the largest blocks, and some below.
    const parts = octave * 2 > bytes ? Array.from({ length: 32 }, (_, i) => 32 + i) : [32, 48, 63]
    for (const part of parts) {
      const bound = Math.floor((octave * part) / 32 / 8) * 8
      for (const more of [-12, -11, -4, -3, 0]) if (bound + more >= 0) yield bound + more
    }
  }
}

/** Sizes to request if `largest` bytes are available. */
function sizesAt(bytes: number, largest: number): number[] {
  const some = [largest, bytes, bytes - 128, bytes / 2, bytes / 4].flatMap(at =>
    [-9, -8, -1, 0, 1, 7, 8].map(by => at + by)
  )
  return [...some, ...classBounds(bytes)].filter(size => size >= 0)
}

/** Requests each size with malloc and realloc, and expects success exactly if it is available. */
function ask(heap: Heap, hardened: boolean): void {
  const { size: bytes, largestFree: largest } = heap.stats()
  if (largest === 0) return
  for (const size of sizesAt(bytes, largest)) {
    // A hardened heap checks every byte.
    if (hardened && size <= largest && size > 2 ** 13 && bytes > 2 ** 15) continue
    const pointer = heap.malloc(size)
    if ((pointer !== 0) !== size <= largest) {
      throw new Error(
        `malloc(${size}) is ${pointer} in a heap of ${bytes} bytes whose largestFree is ${largest}`
      )
    }
    if (pointer === 0) continue
    const usable = heap.usableSize(pointer)
    if (usable < size)
      throw new Error(`malloc(${size}) gives ${usable} bytes in a heap of ${bytes}`)
    if (size > 0) {
      heap.u8[pointer] = 0xff
      heap.u8[pointer + size - 1] = 0xff
    }
    heap.free(pointer)
  }
}

/**
 * Tries an empty heap, then one with a free block and a small wilderness, then one with little of
 * both.
 */
function askInEachState(heap: Heap, hardened: boolean): void {
  ask(heap, hardened)
  const { largestFree, size } = heap.stats()
  if (hardened && size > 2 ** 20) return
  const room = heap.malloc(largestFree - Math.min(2000, Math.floor(largestFree / 3)))
  const fence = heap.malloc(8)
  heap.free(room)
  ask(heap, hardened)
  const half = heap.malloc(Math.floor(largestFree / 2))
  ask(heap, hardened)
  for (const pointer of [fence, half]) if (pointer !== 0) heap.free(pointer)
  expect(heap.stats()).toMatchObject({ used: 0, blocks: 0 })
  heap.check()
}

describe.each(kinds)('a heap with %o', options => {
  test.each(powers)('around 2 ** %i bytes: largestFree is exact at every bound', power => {
    for (const more of [-4096, -8, 0, 8]) {
      const size = 2 ** power + more
      if (size < 1024 || size > USED) continue
      if (options.hardened && size < 4096) continue
      const isMapped = power > 20
      // Mapped memory consists of whole pages: these three are the same.
      if (isMapped && Math.abs(more) === 8) continue
      using heap = isMapped
        ? Heap.map({ size, ...options })
        : Heap.format(new ArrayBuffer(size), options)
      expect(heap.stats().size).toBeGreaterThanOrEqual(Math.min(Math.floor(size / 8) * 8, MOST))
      askInEachState(heap, options.hardened ?? false)
    }
  })
})

describe('a buffer larger than any view of this version of Node', () => {
  test.skipIf(MOST_ALLOCATED < MOST)('is used as far as possible', () => {
    const size = MOST + 8192
    const buffer = new ArrayBuffer(size)
    const behind = new Int32Array(buffer).subarray(MOST / 4)
    behind.fill(-1)
    const heap = Heap.format(buffer)
    expect(heap.stats().size).toBe(MOST)
    const pointer = heap.malloc(100)
    heap.view(pointer).fill(1)
    heap.free(pointer)
    expect(Heap.attach(buffer).stats().size).toBe(MOST)
    expect(behind.every(word => word === -1)).toBe(true)
  })

  test.skipIf(MAPPED === 8 * GiB || MOST_ALLOCATED < MOST)(
    'is refused when the heap in it is larger, and not one byte changes',
    () => {
      const buffer = new ArrayBuffer(MOST + 8192)
      Heap.format(buffer)
      const words = new Int32Array(buffer, 0, 1024)
      words[SIZE_WORD] += 1024
      const before = words.slice()
      expectError(
        () => Heap.attach(buffer),
        'ERR_OFFHEAP_UNSUPPORTED',
        /4294975488 bytes.*4294967296/
      )
      expect(words).toEqual(before)
    }
  )
})

/**
 * A hardened heap whose index, notes or seals were overwritten: no payload changes, and no used
 * memory is allocated or returned to the system, and reset() repairs the heap.
 */
import { describe, expect, test } from 'vitest'
import { hardenedLayout, ledgerWords, pageWords } from '../../lib/hardened/layout.js'
import { Heap, type PlacementName, placements } from '../../lib/index.js'
import { USED } from '../../lib/layout/block.js'
import { HEADER_WORDS } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { errorOf, expectError } from '../heap/support.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

/** The end of the index, and the notes about returned pages, as word indexes. */
function layout(heap: Heap, placement: PlacementName = 'first-fit') {
  const words = heap.i32.length
  const index = HEADER_WORDS + policyNamed(placement).indexWords(ledgerWords(words))
  return { index, ...hardenedLayout(words, index), notes: pageWords(words) }
}

/** Alternating used and free blocks; the pointers, and a copy of each used payload. */
function inUse(
  heap: Heap,
  size: number
): { pointers: number[]; payloads: Map<number, Uint8Array> } {
  const pointers = Array.from({ length: 12 }, () => heap.malloc(size))
  const payloads = new Map<number, Uint8Array>()
  for (const [i, pointer] of pointers.entries()) {
    heap.view(pointer).fill(i % 3 === 0 ? 0 : i)
    if (i % 2 === 0) heap.free(pointer)
    else payloads.set(pointer, heap.view(pointer).slice())
  }
  return { pointers, payloads }
}

function expectPayloads(heap: Heap, payloads: ReadonlyMap<number, Uint8Array>): void {
  for (const [pointer, payload] of payloads) {
    expect(Buffer.compare(heap.u8.subarray(pointer, pointer + payload.length), payload)).toBe(0)
  }
}

test('one flipped bit in the notes about returned pages costs no payload', () => {
  const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, quarantine: 0 })
  const { pointers, payloads } = inUse(heap, 100)
  const { givenBack, notes } = layout(heap)
  const sound = heap.u8.slice()
  for (let bit = 0; bit < notes * 32; bit++) {
    heap.i32[givenBack + (bit >> 5)] ^= 1 << (bit & 31)
    expectError(
      () => heap.check(),
      CORRUPT,
      new RegExp(`note at byte ${(givenBack + (bit >> 5)) * 4}`)
    )
    for (const call of [
      () => heap.malloc(100),
      () => heap.malloc(5000),
      () => heap.free(pointers[1] ?? 0)
    ]) {
      try {
        call()
      } catch (error) {
        expect(error).toHaveProperty('code', CORRUPT)
        expectPayloads(heap, payloads)
      }
    }
    heap.reset()
    heap.check()
    heap.u8.set(sound)
  }
})

describe.each(placements)('with %s', placement => {
  test('an index with an overwritten word costs no payload and no used memory', () => {
    const heap = Heap.format(new ArrayBuffer(16_384), {
      hardened: true,
      quarantine: 0,
      placement
    })
    const { pointers, payloads } = inUse(heap, 100)
    const sound = heap.u8.slice()
    const { index, first } = layout(heap, placement)
    const [used = 0, free = 0] = [pointers[3], pointers[4]].map(pointer => (pointer ?? 0) / 16 - 1)
    let refused = 0
    for (let word = HEADER_WORDS; word < index; word++) {
      for (const value of [
        0,
        -1,
        1,
        3,
        5,
        6,
        12,
        14,
        20,
        31,
        index,
        first,
        used,
        free,
        0x01010101,
        0x7f7f7f7f
      ]) {
        heap.u8.set(sound)
        heap.i32[word] = value
        const live = new Map(payloads)
        for (const pointer of [pointers[5] ?? 0, pointers[9] ?? 0]) {
          try {
            heap.free(pointer)
            live.delete(pointer)
            const given = heap.malloc(90)
            for (const [other, { length }] of live)
              expect(given + 90 <= other || other + length <= given).toBe(true)
          } catch (error) {
            expect(error).toHaveProperty('code', CORRUPT)
            refused++
          }
          expectPayloads(heap, live)
        }
      }
    }
    expect(refused).toBeGreaterThan(0)
    heap.reset()
    heap.check()
    expect(heap.malloc(100)).toBe(pointers[0])
  })
})

test('an index that misled a call makes every later call throw, until reset()', () => {
  const heap = Heap.format(new ArrayBuffer(65536), {
    hardened: true,
    quarantine: 0,
    placement: 'next-fit'
  })
  const { pointers, payloads } = inUse(heap, 100)
  // The first free block of each card, by the index: the root pointer of the header.
  heap.i32.fill(9, HEADER_WORDS + 1, HEADER_WORDS + 5)
  expectError(() => heap.free(pointers[3] ?? 0), CORRUPT)
  expectPayloads(heap, payloads)
  for (const call of [
    () => heap.malloc(10),
    () => heap.free(pointers[1] ?? 0),
    () => heap.view(pointers[1] ?? 0),
    () => heap.stats(),
    () => [...heap.blocks()],
    () => [...heap.freeBlocks()],
    () => heap.root,
    () => heap.check(),
    () => Heap.attach(heap.buffer)
  ]) {
    expectError(
      call,
      CORRUPT,
      /its index was overwritten, and the call that found this could not be completed/
    )
  }
  expectPayloads(heap, payloads)
  heap.reset()
  heap.check()
  expect(heap.malloc(100)).toBe(pointers[0])
})

test('a used block that the ledger calls free is not returned to the system', () => {
  using heap = Heap.map({ size: 2 ** 20, hardened: true, quarantine: 0 })
  const block = heap.malloc(100_000)
  heap.malloc(10)
  heap.view(block).fill(7)
  heap.i32[block / 16 - 1] ^= USED
  expectError(
    () => heap.trim(),
    CORRUPT,
    new RegExp(`ledger's entry for the block at ${block}, at byte \\d+, was overwritten`)
  )
  expect(heap.u8.subarray(block, block + 100_000).every(byte => byte === 7)).toBe(true)
  for (const look of [() => heap.stats(), () => [...heap.blocks()]]) expectError(look, CORRUPT)
})

test('a free succeeds even if the trim that it triggers finds the ledger overwritten', () => {
  using heap = Heap.map({ size: 2 ** 20, hardened: true, quarantine: 0, trimThreshold: 50_000 })
  const [damaged, block] = [heap.malloc(100), heap.malloc(10), heap.malloc(60_000)].toSpliced(1, 1)
  heap.malloc(10)
  heap.i32[(damaged ?? 0) / 16 - 1] ^= USED
  heap.free(block ?? 0)
  expect(errorOf(() => heap.free(block ?? 0)).message).toMatch(/is free already/)
})

test('a seal without a block is detected by the call that would place a block there', () => {
  const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, quarantine: 0 })
  heap.malloc(100)
  const { seals, first } = layout(heap)
  const origin = heap.i32.length / 16
  const next = first + 8
  const place = seals + Math.floor((next - origin) / 4)
  expect(heap.i32[place]).toBe(0)
  heap.i32[place] = 5
  expectError(() => heap.malloc(100), CORRUPT)
})

test('reset() writes the whole header again', () => {
  for (const options of [{}, { slabs: true }, { hardened: true, quarantine: 4096 }]) {
    for (const value of [0, -1, 5, 2 ** 30]) {
      const heap = Heap.format(new ArrayBuffer(65536), options)
      const pointer = heap.malloc(100)
      heap.i32.fill(value, 0, 17)
      heap.reset()
      heap.check()
      expect(heap.malloc(100)).toBe(pointer)
      Heap.attach(heap.buffer)
    }
  }
})

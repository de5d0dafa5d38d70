/**
 * The fast path at its limits: which requests stay in a slot, which pointers are slots, and how it
 * treats bytes outside the tables that look like an entry or a descriptor.
 */
import { constants } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { noSlots, Slots } from '../../lib/engine/slots.js'
import { Heap } from '../../lib/index.js'
import { HEADER_WORDS, WITH_SLABS } from '../../lib/layout/header.js'
import { ENTRY_INFO, ENTRY_STARTS, INFO, SLOT_BYTES, slabLayout } from '../../lib/layout/slab.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError, expectFilled, expectRefusal, fill } from '../heap/support.js'

const GiB = 2 ** 30
const SIZES = SLOT_BYTES.slice(1)
const policy = policyNamed('segregated-fit')
/** A heap of 64 KiB with slabs: its words, its allocator, and where its slab tables are. */
function make() {
  const words = new Int32Array(2 ** 14)
  const header = { policy, options: WITH_SLABS, length: words.length }
  writeHeader(words, header, ordinaryLayout(words.length, policy, true), 0, true)
  const heap = new Allocator(words, header, QUIET)
  heap.reset()
  return {
    words,
    heap,
    slots: heap.slots,
    tables: slabLayout(words.length, HEADER_WORDS + policy.indexWords(words.length))
  }
}

test('a negative pointer is not a slot, even with the bits of one from 2 GiB on', () => {
  // A heap of 8 GiB, but only the part of its tables that is read.
  const words = new Int32Array(2 ** 25)
  const slots = new Slots(words, HEADER_WORDS, 2 ** 24)
  const { descriptors } = slabLayout(words.length, HEADER_WORDS)
  for (const pointer of [-(2 ** 31), -(2 ** 31) + 512]) {
    const descriptor = descriptors + 2 * Math.floor((pointer + 2 ** 32) / 512)
    words[descriptor] = 2 ** 31
    words[descriptor + INFO] = 1
    expect(slots.holds(pointer + 2 ** 32)).toBe(16)
    expect(slots.suits(pointer, 16)).toBe(false)
    expect(slots.give(pointer)).toBe(false)
    expect(slots.holds(pointer)).toBe(0)
    expect(slots.holds(pointer + 2 ** 32)).toBe(16)
  }
})

describe('a slot', () => {
  test.each([
    [16, 1],
    [32, 9],
    [48, 21],
    [64, 33],
    [80, 45],
    [96, 57],
    [128, 81],
    [160, 105]
  ])('of %i bytes keeps what has from %i bytes on', (size, least) => {
    const { heap, slots } = make()
    const pointer = heap.allocate(size)
    expect(slots.holds(pointer)).toBe(size)
    for (let bytes = 1; bytes <= size + 1; bytes++) {
      const stays = bytes >= least && bytes <= size
      if (slots.suits(pointer, bytes) !== stays) expect(bytes).toBe(stays)
    }
    for (const bytes of [least, size]) expect(heap.resize(pointer, bytes)).toBe(pointer)
    if (least > 1) expect(heap.resize(pointer, least - 1)).not.toBe(pointer)
    else expect(heap.resize(pointer, size + 1)).not.toBe(pointer)
  })

  test('is the one that next() announced, and stays open until it is taken', () => {
    const { heap, slots } = make()
    expect(slots.next(40)).toBe(0)
    const first = heap.allocate(40)
    const next = slots.next(40)
    expect([next, slots.next(48), slots.next(40)]).toEqual([first + 48, first + 48, first + 48])
    expect(slots.holds(next)).toBe(0)
    expect(slots.take(33)).toBe(next)
    for (let i = 2; i < 10; i++) expect(slots.take(48)).toBe(first + i * 48)
    expect([slots.next(40), slots.take(40)]).toEqual([0, 0])
  })

  test('begins where take() returned it, and nowhere else', () => {
    const { heap, slots } = make()
    const [pointer, open] = [heap.allocate(48), heap.allocate(48)]
    heap.free(open)
    for (const other of [
      0,
      -pointer,
      pointer + 1,
      pointer + 8,
      pointer + 16,
      open,
      2 ** 32 + pointer
    ]) {
      expect([slots.holds(other), slots.suits(other, 48), slots.give(other)]).toEqual([
        0,
        false,
        false
      ])
    }
    expect([slots.holds(pointer), slots.suits(pointer, 48), slots.give(pointer)]).toEqual([
      48,
      true,
      true
    ])
    expect([slots.holds(pointer), slots.suits(pointer, 48), slots.give(pointer)]).toEqual([
      0,
      false,
      false
    ])
  })

  test('of a full slab is freed by the slow path, which makes the slab current', () => {
    const { heap, slots } = make()
    const all = Array.from({ length: 4 }, () => heap.allocate(160))
    expect(slots.give(all[0])).toBe(false)
    expect(heap.free(all[0])).toBe(true)
    expect(slots.give(all[1])).toBe(true)
    heap.check()
  })

  test('is covered by its chunk, as are all bytes of the chunk, and no others', () => {
    const { heap, slots } = make()
    const slot = heap.allocate(16)
    const block = heap.allocate(1000)
    // Two granules in a heap of this size.
    for (const offset of [0, 8, 511, 512, 1023]) expect(slots.covers(slot + offset)).toBe(true)
    for (const other of [0, -slot, slot - 1, slot + 1024, block, 65536 + slot, 2 ** 32 + slot]) {
      expect(slots.covers(other)).toBe(false)
    }
  })
})

describe('an overwritten descriptor', () => {
  test('serves no request, and holds no slot of an unknown class', () => {
    const { words, heap, slots } = make()
    const pointer = heap.allocate(48)
    const at = heap.slabs.descriptorOf(heap.slabs.granuleOf(pointer)) + INFO
    const info = words[at]
    for (const kind of [0, ...Array.from({ length: 7 }, (_, i) => 9 + i)]) {
      words[at] = (info & ~15) | kind
      expect([slots.take(48), slots.next(48), slots.holds(pointer)]).toEqual([0, 0, 0])
      expect(slots.suits(pointer, 48)).toBe(false)
    }
    words[at] = info
    expect(slots.take(48)).toBe(pointer + 48)
  })
})

describe('without a slab', () => {
  test('no slot is taken, given or found: without slabs, and without memory', () => {
    const { heap, slots } = make()
    const pointer = heap.allocate(48)
    heap.close()
    for (const none of [slots, noSlots()]) {
      expect([none.limit, none.take(48), none.take(0), none.next(48), none.holds(pointer)]).toEqual(
        [-1, 0, 0, 0, 0]
      )
      expect([none.give(pointer), none.suits(pointer, 48), none.covers(pointer)]).toEqual([
        false,
        false,
        false
      ])
    }
  })
})

describe('bytes outside the tables', () => {
  test('before the first granule of a chunk, or after the last of the heap, hold no slot', () => {
    const { words, heap, slots, tables } = make()
    heap.allocate(16)
    for (const [pointer, descriptor] of [
      [0, tables.descriptors],
      [words.length * 4, tables.end]
    ]) {
      words[descriptor] = -1
      words[descriptor + INFO] = SIZES.length
      expect([slots.holds(pointer), slots.suits(pointer, 160), slots.covers(pointer)]).toEqual([
        0,
        pointer === 0,
        false
      ])
      if (pointer !== 0) expect(slots.give(pointer)).toBe(false)
    }
  })

  test('are not an entry, whatever they contain', () => {
    const { words, heap, slots, tables } = make()
    heap.allocate(16)
    const block = heap.allocate(40_000)
    for (let bytes = 177; bytes < 20_000; bytes += 16 * 13) {
      const entry = tables.state + ((bytes + 15) >>> 4) * 4
      if (entry < tables.end + 8) continue
      const before = words.slice()
      // An apparently open slab whose descriptor is in the block.
      words.set([tables.state + 9000, -1, 77], entry)
      words[entry + ENTRY_STARTS] = -1
      words[entry + ENTRY_INFO] = 77
      words[tables.state + 9000 + INFO] = 77
      expect(slots.take(bytes)).toBe(0)
      words.set(before)
    }
    expect(slots.take(-1)).toBe(0)
    expect(slots.take(161)).toBe(0)
    expect(heap.free(block)).toBe(true)
  })

  test('are not a descriptor of a slot beyond the heap', () => {
    const heap = Heap.format(new ArrayBuffer(65536), { slabs: true })
    heap.malloc(16)
    const block = heap.malloc(40_000)
    heap.view(block).fill(0x7f)
    for (let pointer = 65536; pointer < 2_000_000; pointer += 16 * 371) {
      expect(heap.owns(pointer)).toBe(false)
      expect(() => heap.realloc(pointer, 48)).toThrow(/lies outside the heap/)
      expect(() => heap.free(pointer)).toThrow(/lies outside the heap/)
    }
    expect(heap.view(block).every(byte => byte === 0x7f)).toBe(true)
    expectRefusal(
      heap,
      () => heap.free(2 ** 40),
      'ERR_OFFHEAP_INVALID_POINTER',
      /lies outside the heap/
    )
  })
})

describe.skipIf(constants.MAX_LENGTH < 6 * GiB)('slots beyond 4 GiB', () => {
  test('behave like other slots', () => {
    using heap = Heap.map({ size: 6 * GiB, slabs: true })
    heap.malloc(4.5 * GiB)
    for (const size of SIZES) {
      const pointers = Array.from({ length: 70 }, () => heap.malloc(size))
      for (const pointer of pointers) {
        expect(pointer).toBeGreaterThan(4.5 * GiB)
        expect(heap.usableSize(pointer)).toBe(size)
        expect(heap.owns(pointer - 4 * GiB)).toBe(false)
        expect(heap.owns(pointer - 2 * GiB)).toBe(false)
      }
      expect(new Set(pointers).size).toBe(70)
      const [first, second] = pointers
      fill(heap, first)
      expect(heap.realloc(first, size - 1)).toBe(first)
      const moved = heap.realloc(first, 300)
      expectFilled(heap, moved, size)
      heap.free(second)
      for (const gone of [first, second])
        expectError(() => heap.free(gone), 'ERR_OFFHEAP_DOUBLE_FREE')
    }
  })
})

/**
 * The allocator without a heap: what calls return for wrong pointers, and that these change
 * nothing.
 */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { FREED_WORD, TOP_WORD, TOUCHED_WORD, WITH_SLABS } from '../../lib/layout/header.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectSameWords } from '../heap/support.js'

describe.each([false, true])('an allocator with slabs: %s', slabs => {
  function make() {
    const policy = policyNamed('first-fit')
    const words = new Int32Array(2 ** 14)
    const header = { policy, options: slabs ? WITH_SLABS : 0, length: words.length }
    writeHeader(words, header, ordinaryLayout(words.length, policy, slabs), 0, true)
    const heap = new Allocator(words, header, QUIET)
    heap.reset()
    return { words, heap }
  }

  test('recognizes no pointer except those it returned, whatever the bytes look like', () => {
    const { words, heap } = make()
    const pointers = [20, 48, 500, 20].map(bytes => heap.allocate(bytes))
    for (const pointer of pointers) {
      words.fill(
        headerOf(4, USED | PREVIOUS_USED),
        pointer / 4,
        pointer / 4 + Math.floor(heap.usableSize(pointer) / 4)
      )
    }
    const before = words.slice()
    for (const pointer of pointers) {
      for (const other of [pointer + 4, pointer - 4, pointer + 2, pointer + 1]) {
        expect([heap.free(other), heap.resize(other, 30), heap.usableSize(other)]).toEqual([
          false,
          -1,
          -1
        ])
      }
    }
    if (slabs) {
      const other = pointers[1] + 16
      expect([heap.free(other), heap.resize(other, 30), heap.usableSize(other)]).toEqual([
        false,
        -1,
        -1
      ])
    }
    expectSameWords(words, before)
    for (const pointer of pointers) expect(heap.free(pointer)).toBe(true)
    heap.check()
  })

  test('asks its watcher before a block is freed or resized, and reports what was freed', () => {
    const { heap } = make()
    let told: string[] = []
    const during = (call: () => unknown): string[] => {
      told = []
      call()
      return told
    }
    heap.watch({
      mayChange: pointer => void told.push(`may ${pointer} change?`),
      freed: pointer => void told.push(`${pointer} was freed`)
    })
    const [a, b] = [heap.allocate(100), heap.allocate(100)]
    let moved = 0
    expect(during(() => (moved = heap.resize(a, 1000)))).toEqual([
      `may ${a} change?`,
      `${a} was freed`
    ])
    expect(moved).not.toBe(a)
    expect(during(() => heap.resize(moved, 1000))).toEqual([`may ${moved} change?`])
    expect(during(() => heap.resize(b, 2 ** 20))).toEqual([`may ${b} change?`])
    expect(during(() => heap.free(b))).toEqual([`may ${b} change?`, `${b} was freed`])
    heap.watch(undefined)
    expect(during(() => heap.free(moved))).toEqual([])
  })

  test('returns 0 for an alignment or a size that is larger than the heap', () => {
    const { words, heap } = make()
    for (const alignment of [2 ** 16, 2 ** 17, 2 ** 40])
      expect(heap.allocateAligned(alignment, 8)).toBe(0)
    for (const bytes of [2 ** 16 - 8, 2 ** 16, 2 ** 31, 2 ** 33])
      expect(heap.allocateAligned(64, bytes)).toBe(0)
    expect(heap.allocateAligned(2 ** 15, 8)).toBe(2 ** 15)
    expect(heap.stats(0).blocks).toBe(1)
    expect(words.length).toBe(2 ** 14)
    heap.check()
  })

  test('clears exactly the requested bytes, and nothing that was never touched', () => {
    for (const bytes of [1, 4, 5, 60, 64, 65, 68, 69, 160, 1000]) {
      const { words, heap } = make()
      const pointer = heap.allocate(bytes)
      const next = heap.allocate(bytes)
      for (const block of [pointer, next]) {
        words.fill(-1, block / 4, block / 4 + Math.floor(heap.usableSize(block) / 4))
      }
      heap.free(pointer)
      expect(heap.allocateZeroed(bytes)).toBe(pointer)
      const cleared = Math.ceil(bytes / 4)
      expect(words.subarray(pointer / 4, pointer / 4 + cleared).every(word => word === 0)).toBe(
        true
      )
      expect(words[next / 4]).toBe(-1)
      // The heap assumes that all words from here on are zero; whatever is there now stays.
      const far = heap.allocate(2000)
      heap.free(far)
      words[TOUCHED_WORD] = far / 4 + 99
      words.fill(-1, far / 4, far / 4 + 499)
      expect(heap.allocateZeroed(1900)).toBe(far)
      expect([...words.subarray(far / 4 + 98, far / 4 + 100)]).toEqual([0, -1])
    }
  })
})

describe('an allocator with slabs', () => {
  /** A heap of 256 KiB; with a trim threshold, of that many words. */
  function make(threshold = 0) {
    let grown = 0
    const policy = policyNamed('first-fit')
    const words = new Int32Array(2 ** 16 * (threshold < 0 ? 16 : 1))
    const header = { policy, options: WITH_SLABS, length: words.length }
    writeHeader(
      words,
      header,
      ordinaryLayout(words.length, policy, true),
      Math.max(0, threshold),
      true
    )
    const heap = new Allocator(words, header, { ...QUIET, grown: () => void grown++ })
    heap.reset()
    return { words, heap, grownCount: () => grown }
  }

  test('keeps an empty slab, and allocates one block, while there is memory to grow into', () => {
    const { heap } = make()
    heap.free(heap.allocate(100))
    const { slabs } = heap.stats(0)
    heap.allocate(500)
    expect(heap.stats(0)).toMatchObject({ blocks: 1, slabs })
  })

  test('moves a shrinking block into a slot, and a growing slot into a block', () => {
    const { heap } = make()
    const [a, b] = [heap.allocate(500), heap.allocate(500)]
    heap.allocate(500)
    expect(heap.slots.holds(heap.resize(a, 160))).toBe(160)
    expect(heap.resize(b, 161)).toBe(b)
    expect(heap.slots.holds(heap.resize(b, 100))).toBe(128)
    const slot = heap.allocate(100)
    expect(heap.slots.holds(heap.resize(slot, 160))).toBe(160)
    const full = heap.allocate(160)
    expect(heap.slots.holds(heap.resize(full, 161))).toBe(0)
    heap.check()
  })

  test('shrinks a block in place if there is no room for a slot', () => {
    const { heap } = make()
    const block = heap.allocate(500)
    while (heap.blocks.allocate(4) !== 0);
    expect(heap.resize(block, 100)).toBe(block)
    expect(heap.usableSize(block)).toBe(100)
    heap.check()
  })

  test('reports growth in the call that creates the slab', () => {
    const { words, heap, grownCount } = make(-1)
    let told = 0
    while (words[TOP_WORD] < 2 ** 18 + 5000) {
      heap.slots.take(160) || heap.allocate(160)
      if (words[TOP_WORD] >= 2 ** 18 && told === 0) told = grownCount()
    }
    expect(told).toBe(1)
    expect(grownCount()).toBe(1)
  })

  test('reclaims empty slabs before a moving realloc grows the heap', () => {
    const { words, heap } = make()
    const block = heap.allocate(500)
    const slots = Array.from({ length: 601 }, () => heap.allocate(160))
    const top = words[TOP_WORD]
    for (const slot of slots.slice(0, 600)) heap.free(slot)
    const moved = heap.resize(block, 20_000)
    expect(moved).not.toBe(block)
    expect(words[TOP_WORD]).toBe(top)
    heap.check()
  })

  test('counts bytes freed by realloc for the trim threshold, but not bytes gained', () => {
    const { words, heap } = make(100_000)
    const block = heap.allocate(2000)
    heap.resize(block, 4000)
    expect(words[FREED_WORD]).toBe(0)
    heap.resize(block, 1000)
    expect(words[FREED_WORD]).toBe(750)
    heap.allocate(500)
    heap.resize(block, 1004)
    expect(words[FREED_WORD]).toBe(750)
    heap.resize(block, 3000)
    expect(words[FREED_WORD]).toBe(750 + 252)
  })
})

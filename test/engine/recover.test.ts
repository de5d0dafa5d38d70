/**
 * A call that ends between any two of its stores, for example because the stack is exhausted: the
 * next call recovers the heap, and no earlier block is lost. Unlike stores.test.ts, which
 * interrupts random calls, this test makes calls of each kind, and the store itself throws.
 */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { type Header, ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import type { PlacementName } from '../../lib/index.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import {
  BLOCKS_WORD,
  CUT,
  DUE,
  HIGH_WATER_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PEAK_USED_WORD,
  PENDING_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD,
  WITH_SLABS
} from '../../lib/layout/header.js'
import { CURRENT, FREE, FULL, INFO, LISTED } from '../../lib/layout/slab.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError, expectSameWords } from '../heap/support.js'
import { scaled } from '../runs.js'

const LENGTH = 2 ** 14
/**
 * Interrupts a call after every store; in quick runs after every fifth, different ones each time.
 */
const STRIDE = scaled(1) >= 1 ? 1 : 5

function headerFor(placement: PlacementName, slabs: boolean): Header {
  return { policy: policyNamed(placement), options: slabs ? WITH_SLABS : 0, length: LENGTH }
}

function format(header: Header): Int32Array {
  const words = new Int32Array(LENGTH)
  writeHeader(words, header, ordinaryLayout(LENGTH, header.policy, header.options !== 0), 0, true)
  new Allocator(words, header, QUIET).reset()
  return words
}

/** The words; after `stores` stores, the next one throws like an exhausted stack. */
function failing(words: Int32Array, stores: number): { watched: Int32Array; isCut: () => boolean } {
  let left = stores
  const count = (): void => {
    if (left-- === 0) throw new RangeError('Maximum call stack size exceeded')
  }
  const watched = new Proxy(words, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      if (typeof value !== 'function') return value
      if (key === 'fill' || key === 'copyWithin') count()
      return value.bind(target)
    },
    set(target, key, value) {
      count()
      return Reflect.set(target, key, value, target)
    }
  })
  return { watched, isCut: () => left < 0 }
}

/** Calls of each kind, on a heap whose live pointers are in the order of their allocation. */
const calls: [name: string, run: (heap: Allocator, live: number[]) => unknown][] = [
  ['malloc', heap => heap.allocate(500)],
  ['malloc of a slot', heap => heap.allocate(20)],
  ['alignedAlloc', heap => heap.allocateAligned(1024, 100)],
  ['realloc that grows', (heap, live) => heap.resize(live.splice(10, 1)[0], 700)],
  ['realloc that shrinks', (heap, live) => heap.resize(live.splice(-2, 1)[0], 20)],
  ['free', (heap, live) => heap.free(live.splice(20, 1)[0])],
  ['free of another', (heap, live) => heap.free(live.splice(12, 1)[0])],
  ['free of the last', (heap, live) => heap.free(live.splice(-1, 1)[0])],
  ['trim', heap => heap.trim({ pageSize: 4096, decommit: () => {} })]
]

const kinds = (['first-fit', 'segregated-fit'] as const).flatMap(placement =>
  [false, true].map(slabs => [placement, slabs] as const)
)

describe.each(kinds)('a %s heap (slabs: %s) with an interrupted call', (placement, slabs) => {
  const header = headerFor(placement, slabs)

  /**
   * A heap with used and free blocks of many sizes, and the live pointers; payloads hold their
   * pointer.
   */
  function used(): { words: Int32Array; live: number[] } {
    const words = format(header)
    const heap = new Allocator(words, header, QUIET)
    const all = Array.from({ length: 150 }, (_, i) =>
      heap.allocate((i % 3 === 0 ? i * 61 : i * 7) % 460)
    )
    for (const [i, pointer] of all.entries()) {
      words.fill(pointer, pointer / 4, pointer / 4 + Math.floor(heap.usableSize(pointer) / 4))
      if (i % 4 < 2) heap.free(pointer)
    }
    heap.check()
    return { words, live: all.filter((_, i) => i % 4 >= 2) }
  }

  test.each(calls)('recovers after any store of %s', (_, run) => {
    const scene = used()
    const sound = new Allocator(scene.words.slice(), header, QUIET)
    for (let stores = 0; ; stores += STRIDE) {
      const words = scene.words.slice()
      const live = [...scene.live]
      const { watched, isCut } = failing(words, stores)
      const heap = new Allocator(watched, header, QUIET)
      try {
        run(heap, live)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
        expect(words[PENDING_WORD]).toBe(CUT)
      }
      if (!isCut()) break
      const freed = scene.live.filter(pointer => !live.includes(pointer))
      const count = [...heap.eachBlock()].filter(block => block.used).length
      // At most one more: the block that the call freed or allocated.
      expect([live.length, live.length + 1]).toContain(count)
      expect(words[PENDING_WORD]).toBe(0)
      heap.check()
      for (const pointer of live) {
        const usable = sound.usableSize(pointer)
        if (heap.usableSize(pointer) !== usable)
          throw new Error(`${pointer} was lost, after ${stores} stores`)
        for (let word = pointer / 4; word < pointer / 4 + Math.floor(usable / 4); word++) {
          if (words[word] !== pointer)
            throw new Error(`word ${word} of ${pointer} is ${words[word]}`)
        }
      }
      for (const pointer of [...live, ...freed])
        if (heap.usableSize(pointer) >= 0) heap.free(pointer)
      heap.check()
      expect(words[HIGH_WATER_WORD]).toBeGreaterThanOrEqual(scene.words[HIGH_WATER_WORD])
      expect(words[PEAK_USED_WORD]).toBeGreaterThanOrEqual(scene.words[PEAK_USED_WORD])
    }
  })
})

describe('recovery', () => {
  const header = headerFor('first-fit', false)

  /** A heap of three blocks of 100 bytes, interrupted after `change`. */
  function cut(change: (words: Int32Array, blocks: number[]) => void): {
    words: Int32Array
    heap: Allocator
  } {
    const words = format(header)
    const heap = new Allocator(words, header, QUIET)
    const blocks = Array.from({ length: 3 }, () => heap.allocate(100) / 4 - 1)
    change(words, blocks)
    words[PENDING_WORD] = CUT
    return { words, heap }
  }

  test('counts, and raises values that are too low', () => {
    const { words, heap } = cut(words => {
      words[USED_WORD] = 1
      words[BLOCKS_WORD] = 77
      words[HIGH_WATER_WORD] = 0
      words[TOUCHED_WORD] = 0
      words[PEAK_USED_WORD] = 0
    })
    expect(heap.stats(0)).toMatchObject({ used: 312, blocks: 3, peakUsed: 312 })
    heap.check()
    expect([words[HIGH_WATER_WORD], words[TOUCHED_WORD]]).toEqual([
      words[TOP_WORD],
      words[TOP_WORD]
    ])
  })

  test.each<[name: string, run: (heap: Allocator, pointer: number) => unknown]>([
    ['allocate', heap => heap.allocate(100)],
    ['allocateZeroed', heap => heap.allocateZeroed(100)],
    ['allocateAligned', heap => heap.allocateAligned(64, 100)],
    ['free', (heap, pointer) => heap.free(pointer)],
    ['resize', (heap, pointer) => heap.resize(pointer, 50)],
    ['trim', heap => heap.trim({ pageSize: 4096, decommit: () => {} })],
    ['stats', heap => heap.stats(0)],
    ['eachBlock', heap => [...heap.eachBlock()]],
    ['eachFreeBlock', heap => [...heap.eachFreeBlock()]],
    ['check', heap => heap.check()]
  ])('comes first in %s', (_, run) => {
    let pointer = 0
    const { words, heap } = cut((words, [, block]) => {
      pointer = block * 4 + 4
      words[BLOCKS_WORD] += 70
    })
    run(heap, pointer)
    expect(words[PENDING_WORD]).toBe(0)
    expect(words[BLOCKS_WORD]).toBeLessThanOrEqual(4)
    heap.check()
  })

  test('skips due work that was not done', () => {
    const { words, heap } = cut(words => {
      words[BLOCKS_WORD] += 70
    })
    words[PENDING_WORD] = DUE
    expect(heap.stats(0).blocks).toBe(73)
    expect(words[PENDING_WORD]).toBe(0)
  })

  test('keeps values that are higher', () => {
    const { words, heap } = cut(words => {
      words[HIGH_WATER_WORD] = 4000
      words[TOUCHED_WORD] = 5000
      words[PEAK_USED_WORD] = 900
    })
    heap.stats(0)
    expect([words[HIGH_WATER_WORD], words[TOUCHED_WORD], words[PEAK_USED_WORD]]).toEqual([
      4000, 5000, 900
    ])
  })

  test('ends a last block that was growing at the top', () => {
    const { words, heap } = cut((words, [, , last]) => {
      words[last] = headerOf(60, USED | PREVIOUS_USED)
    })
    heap.check()
    expect(heap.stats(0)).toMatchObject({ used: 312, blocks: 3, top: words[TOP_WORD] * 4 })
  })

  test.each([
    ['a header that says too little', headerOf(2, USED | PREVIOUS_USED)],
    ['a used block beyond the heap', headerOf(2 * LENGTH, USED | PREVIOUS_USED)],
    ['a free block beyond the top', headerOf(60, PREVIOUS_USED)]
  ])('changes nothing where blocks cannot be walked: %s', (_, wrong) => {
    let last = 0
    const { words, heap } = cut((words, blocks) => {
      last = blocks[2]
      words[last] = wrong
    })
    const before = words.slice()
    const says = `byte ${last * 4} says ${(wrong >> 2) * 8} bytes`
    const message = new RegExp(`${says}, so recovery can't continue there`)
    expectError(() => heap.allocate(8), 'ERR_OFFHEAP_CORRUPT', message)
    expectSameWords(words, before)
  })

  test('of a realloc keeps the old block if it is still used, otherwise the new one', () => {
    for (const [freed, kept] of [
      [-1, 0],
      [0, 1]
    ]) {
      const { words, heap } = cut((words, blocks) => {
        words[MOVE_FROM_WORD] = blocks[0] + 1
        words[MOVE_TO_WORD] = blocks[1] + 1
        if (freed >= 0) words[blocks[freed]] &= ~USED
      })
      const pointers = [words[MOVE_FROM_WORD], words[MOVE_TO_WORD]].map(word => word * 4)
      heap.check()
      expect(pointers.map(pointer => heap.usableSize(pointer) >= 0)).toEqual([
        kept === 0,
        kept === 1
      ])
      expect([words[MOVE_FROM_WORD], words[MOVE_TO_WORD]]).toEqual([0, 0])
    }
  })

  test('does nothing for a move without a second block', () => {
    for (const word of [MOVE_FROM_WORD, MOVE_TO_WORD]) {
      const { words, heap } = cut((words, [first]) => {
        words[word] = first + 1
      })
      expect(heap.stats(0).blocks).toBe(3)
      expect(words[word]).toBe(0)
    }
  })

  test('finds each slab, and no chunk where there is none', () => {
    const slabHeader = headerFor('first-fit', true)
    const words = format(slabHeader)
    const heap = new Allocator(words, slabHeader, QUIET)
    const { slabs } = heap
    const slots = Array.from({ length: 10 }, () => heap.allocate(160))
    // Of a chunk's size and place, and of its place only.
    const [like, larger] = [slabs.chunkWords, 2 * slabs.chunkWords].map(size =>
      heap.allocateAligned(slabs.chunkWords * 4, size * 4 - 4)
    )
    for (const i of [0, 3, 4, 5]) heap.free(slots[i])
    const infoOf = (pointer: number): number => slabs.descriptorOf(slabs.granuleOf(pointer)) + INFO
    words[infoOf(larger)] = FREE
    words[PENDING_WORD] = CUT
    expect(heap.stats(0).blocks).toBe(8)
    heap.check()
    expect([heap.usableSize(like), heap.usableSize(larger)]).toEqual([1020, 2044])
    const flags = [0, 3, 6, 9].map(i => words[infoOf(slots[i])] & (FULL | CURRENT | LISTED))
    expect(flags).toEqual([LISTED, FREE, FULL, LISTED])
    expect(words[infoOf(larger)]).toBe(0)
  })

  test('finds no chunk in a free block of the same size and place', () => {
    const slabHeader = headerFor('first-fit', true)
    const words = format(slabHeader)
    const heap = new Allocator(words, slabHeader, QUIET)
    const { chunkWords } = heap.slabs
    const like = heap.allocateAligned(chunkWords * 4, chunkWords * 4 - 4)
    heap.allocate(1000)
    heap.free(like)
    const info = heap.slabs.descriptorOf(heap.slabs.granuleOf(like)) + INFO
    words[info] = FREE
    words[PENDING_WORD] = CUT
    expect(heap.stats(0).blocks).toBe(1)
    expect(words[info]).toBe(0)
    heap.check()
  })

  test('ignores used bits of granules that are not slabs', () => {
    const slabHeader = headerFor('first-fit', true)
    const words = format(slabHeader)
    const heap = new Allocator(words, slabHeader, QUIET)
    const { slabs } = heap
    // The second granule of the chunk.
    const descriptor = slabs.descriptorOf(slabs.granuleOf(heap.allocate(160)) + 1)
    expect(words[descriptor + INFO]).toBe(FREE)
    words[descriptor] = 5
    words[PENDING_WORD] = CUT
    expect(heap.stats(0).blocks).toBe(1)
    expect(words[descriptor]).toBe(0)
    heap.check()
  })

  test('is not needed after an error with a code, which changed nothing', () => {
    const words = format(header)
    const heap = new Allocator(words, header, QUIET)
    const [left, right] = [heap.allocate(100), heap.allocate(100)]
    heap.allocate(100)
    heap.free(left)
    words[right / 4 - 2] ^= 2
    expectError(() => heap.free(right), 'ERR_OFFHEAP_CORRUPT', /disagree about whether/)
    expect(words[PENDING_WORD]).toBe(0)
  })
})

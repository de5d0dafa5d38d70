/**
 * The slow paths of slabs, observed in the tables: which slab serves the next request, when empty
 * slabs and chunks are reclaimed, and where the next reclaim begins.
 */
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { CUT, PENDING_WORD, TOP_WORD, WITH_SLABS } from '../../lib/layout/header.js'
import {
  CHUNKS,
  CURRENT,
  CURSOR,
  EMPTY_CHUNKS,
  EMPTY_SLABS,
  ENTRY_SHIFT,
  FREE,
  FULL,
  GRANULE_BYTES,
  GROWTH,
  HEADS,
  INFO,
  LISTED,
  OPEN_CHUNKS,
  RECORD_NEXT,
  RECORD_PREVIOUS,
  RECORD_WORDS,
  STATE_MASK,
  STEP_CLASS,
  TAILS
} from '../../lib/layout/slab.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { expectError, expectSameWords } from '../heap/support.js'

/** The class of 160 bytes: three slots in each slab. */
const CLASS = 8

/** A heap of 256 KiB, or of `bytes` bytes: four slabs in each chunk. */
function make(bytes = 2 ** 18, enabled = true) {
  const policy = policyNamed('first-fit')
  const words = new Int32Array(bytes / 4)
  const header = { policy, options: enabled ? WITH_SLABS : 0, length: words.length }
  writeHeader(words, header, ordinaryLayout(words.length, policy, enabled), 0, true)
  const heap = new Allocator(words, header, QUIET)
  heap.reset()
  const { slabs } = heap
  const many = (count: number, size = 160): number[] =>
    Array.from({ length: count }, () => malloc(size))
  /** Like a heap: the fast path first. */
  const malloc = (size: number): number => heap.slots.take(size) || heap.allocate(size)
  const free = (...pointers: number[]): void => {
    for (const pointer of pointers)
      expect(heap.slots.give(pointer) || heap.free(pointer)).toBe(true)
  }
  const descriptorOf = (pointer: number): number =>
    slabs.descriptorOf(Math.floor(pointer / GRANULE_BYTES))
  /** Where the slab of a slot is. */
  const placeOf = (pointer: number): string => {
    const names = new Map([
      [FULL, 'full'],
      [CURRENT, 'current'],
      [LISTED, 'listed'],
      [FREE, 'free'],
      [0, 'none']
    ])
    const info = words[descriptorOf(pointer) + INFO]
    return names.get(info & STATE_MASK & ~15) ?? `${info}`
  }
  const state = (word: number): number => words[slabs.state + word]
  return { words, heap, slabs, malloc, many, free, placeOf, descriptorOf, state }
}

describe('the next request of a class', () => {
  test('gets a slot of the current slab, then of listed slabs, the last added first', () => {
    const { heap, many, malloc, free, placeOf } = make()
    const slots = many(12)
    const [a, b, c, d] = [0, 3, 6, 9].map(at => slots[at])
    expect([a, b, c, d].map(placeOf)).toEqual(['full', 'full', 'full', 'current'])
    // The current slab is used up: the first slab that has a slot takes its place.
    free(b)
    expect([a, b, c, d].map(placeOf)).toEqual(['full', 'current', 'full', 'full'])
    free(a)
    free(d)
    expect([a, b, c, d].map(placeOf)).toEqual(['listed', 'current', 'full', 'listed'])
    heap.check()
    expect([malloc(160), malloc(160)]).toEqual([b, d])
    expect([a, b, c, d].map(placeOf)).toEqual(['listed', 'full', 'full', 'current'])
    expect(malloc(160)).toBe(a)
    heap.check()
    const fresh = malloc(160)
    expect(slots).not.toContain(fresh)
    expect(placeOf(fresh)).toBe('current')
    expect([a, b, c, d].map(placeOf)).toEqual(['full', 'full', 'full', 'full'])
    heap.check()
  })

  test('uses the current slab while it has an open slot', () => {
    const { heap, malloc, placeOf } = make()
    const first = malloc(160)
    expect(heap.allocateAligned(16, 160)).toBe(first + 160)
    expect(heap.slabs.refill(160)).toBe(true)
    expect(placeOf(first)).toBe('current')
    heap.check()
    expect(malloc(160)).toBe(first + 320)
  })

  test('skips a slab in the list whose bits say that it has no open slot', () => {
    const { words, heap, many, malloc, free, placeOf, descriptorOf, state } = make()
    const slots = many(10)
    const [a, b] = [slots[0], slots[3]]
    free(a, b)
    malloc(160)
    malloc(160)
    expect([a, b].map(placeOf)).toEqual(['listed', 'listed'])
    for (const slot of [a, b]) words[descriptorOf(slot)] |= 0x80000000 >>> (slot / 16)
    const fresh = malloc(160)
    expect(slots).not.toContain(fresh)
    expect([a, b].map(placeOf)).toEqual(['full', 'full'])
    expect([state(HEADS + CLASS), state(TAILS + CLASS)]).toEqual([0, 0])
    heap.check()
  })

  test('gets a block instead of a slot if there is no room for a chunk', () => {
    const { heap, malloc } = make(2 ** 16)
    const first = malloc(16)
    const blocks: number[] = []
    for (let block = heap.blocks.allocate(6); block !== 0; block = heap.blocks.allocate(6))
      blocks.push(block)
    while (heap.slots.take(16) !== 0);
    // The second granule of the chunk.
    while (malloc(16) > first && heap.slots.next(16) !== 0);
    heap.blocks.free(blocks[4])
    heap.blocks.free(blocks[6])
    expect([malloc(16), malloc(16), malloc(16)]).toEqual(
      [blocks[4], blocks[6], -1].map(block => block * 4 + 4)
    )
    heap.check()
  })

  test('gets no slot of a smaller class, even if memory is short', () => {
    const { heap, malloc, slabs } = make(2 ** 16)
    const [small, medium] = [malloc(16), malloc(48)]
    while (heap.blocks.allocate(4) !== 0);
    expect(malloc(100)).toBe(0)
    expect(slabs.borrow(49)).toBe(0)
    expect(slabs.borrow(48)).toBe(0)
    expect(slabs.borrow(33)).toBe(0)
    expect(slabs.borrow(32)).toBe(medium + 48)
    expect(slabs.borrow(1)).toBe(medium + 96)
    expect(heap.usableSize(small)).toBe(16)
    heap.check()
  })

  test('gets an empty slab of another class before the heap grows', () => {
    const { words, heap, many, malloc, free, state } = make()
    // A chunk and the first slab of another; those of the first are listed.
    const slots = many(13)
    free(...slots.slice(0, 12))
    expect([state(CHUNKS), state(EMPTY_SLABS)]).toEqual([2, 4])
    // The other slabs of the second chunk.
    for (const size of [32, 48, 64]) malloc(size)
    expect(state(OPEN_CHUNKS)).toBe(0)
    const top = words[TOP_WORD]
    for (let i = 0; i < 120; i++) expect(malloc(16)).toBeGreaterThan(0)
    expect(words[TOP_WORD]).toBe(top)
    expect(state(EMPTY_SLABS)).toBe(0)
    heap.check()
  })

  test('gets a slot of a larger class in a list if memory is short', () => {
    const { heap, many, free, placeOf } = make(2 ** 16)
    const slots = many(5)
    while (heap.blocks.allocate(4) !== 0);
    free(slots[0])
    while (heap.slots.take(160) !== 0);
    expect(placeOf(slots[0])).toBe('listed')
    expect([heap.slabs.borrow(100), heap.slabs.borrow(100)]).toEqual([slots[0], 0])
    heap.check()
  })

  test('gets a slot of the next larger class that has one if memory is short', () => {
    const { heap, malloc, slabs } = make(2 ** 16)
    const [small, large] = [malloc(16), malloc(100)]
    while (heap.blocks.allocate(4) !== 0);
    const slots: number[] = []
    for (let slot = malloc(8); slot !== 0; slot = malloc(8)) slots.push(slot)
    const sizes = slots.map(slot => heap.usableSize(slot))
    // The rest of each slab; the last one of a chunk has one slot of 128 bytes fewer.
    expect(sizes).toEqual([...Array.from({ length: 31 }, () => 16), 128, 128])
    expect(slabs.borrow(8)).toBe(0)
    heap.check()
    for (const slot of [small, large, ...slots]) expect(heap.free(slot)).toBe(true)
    heap.check()
    expect(heap.usableSize(slabs.borrow(8))).toBe(128)
  })
})

describe('memory that grows', () => {
  test('reclaims empty slabs after every half chunk of growth', () => {
    const { many, free, slabs, state } = make()
    expect(slabs.reclaimFor(10_000)).toBe(false)
    const slots = many(31)
    free(...slots.slice(3, 30))
    const half = slabs.chunkWords / 2
    expect(state(GROWTH)).toBe(0)
    expect(slabs.reclaimFor(half - 1)).toBe(false)
    expect(slabs.reclaimFor(1)).toBe(false)
    expect(state(GROWTH)).toBe(half)
    const chunks = state(CHUNKS)
    expect(slabs.reclaimFor(2)).toBe(true)
    expect(state(CHUNKS)).toBe(chunks - 1)
    expect(state(GROWTH)).toBe(0)
    // A request of any size counts for no more than a chunk.
    expect(slabs.reclaimFor(2 ** 31)).toBe(false)
    expect(state(GROWTH)).toBe(0)
  })

  test('removes empty slabs, and moves the others to the end of their list', () => {
    const { heap, many, free, slabs, placeOf, state, malloc } = make()
    const slots = many(31)
    const firsts = slots.filter((_, i) => i % 3 === 0)
    // Two slots of each slab, and the third of every other.
    free(...slots.filter((_, i) => i % 3 !== 0))
    free(...firsts.slice(0, 10).filter((_, i) => i % 2 === 0))
    expect(slabs.reclaimFor(2 ** 20)).toBe(false)
    const places = firsts.map(placeOf)
    for (let i = 0; i < 10; i++) expect(places[i]).toBe(i % 2 === 0 ? 'free' : 'listed')
    expect(places[10]).toBe('current')
    heap.check()
    // In the order in which they were listed.
    const before = state(HEADS + CLASS)
    slabs.reclaimFor(2 ** 20)
    expect(state(HEADS + CLASS)).toBe(before)
    heap.check()
    for (let i = 0; i < 60; i++) malloc(160)
    heap.check()
  })

  test('keeps a slab in use that is alone in its list', () => {
    const { heap, slabs, many, free, placeOf, state } = make()
    const granuleOf = (pointer: number): number => Math.floor(pointer / GRANULE_BYTES)
    const firstSlab = (slots: number[]): number[] =>
      slots.filter(slot => granuleOf(slot) === granuleOf(slots[0]))
    const [small, medium, large] = [many(70, 16), many(25, 48), many(8, 160)]
    free(...firstSlab(small), medium[0], ...firstSlab(large))
    expect([small[0], medium[0], large[0]].map(placeOf)).toEqual(['listed', 'listed', 'listed'])
    expect(state(EMPTY_SLABS)).toBe(2)
    slabs.reclaimAll()
    expect([small[0], medium[0], large[0]].map(placeOf)).toEqual(['free', 'listed', 'free'])
    heap.check()
  })

  test('checks at most 256 slabs, and continues after them next time', () => {
    const { heap, many, free, slabs, state } = make(2 ** 20)
    const slots = many(1201)
    // 400 slabs, the last of the list empty.
    free(...slots.slice(0, 240), ...slots.slice(240, 1200).filter((_, i) => i % 3 !== 0))
    const chunks = state(CHUNKS)
    expect(slabs.reclaimFor(2 ** 20)).toBe(false)
    heap.check()
    expect(slabs.reclaimFor(2 ** 20)).toBe(true)
    // One in 32 may stay.
    expect([state(CHUNKS), state(EMPTY_CHUNKS)]).toEqual([chunks - 9, 1])
    heap.check()
  })

  test('begins with another class each time, so that each gets its turn', () => {
    const { words, many, free, slabs, placeOf } = make(2 ** 20)
    // An empty slab of 48 bytes, and 300 listed ones of 160 bytes.
    const small = many(11, 48)
    const large = many(901)
    free(...small.slice(0, 10), ...large.filter((_, i) => i < 900 && i % 3 !== 0))
    words[slabs.state + CURSOR] = CLASS
    slabs.reclaimFor(2 ** 20)
    expect(placeOf(small[0])).toBe('listed')
    slabs.reclaimFor(2 ** 20)
    expect(placeOf(small[0])).toBe('free')
  })

  test('keeps one of 32 chunks empty', () => {
    const { heap, many, free, slabs, state } = make(2 ** 20)
    // Eight slabs, of three slots each, to a chunk.
    const slots = many(33 * 24 + 1)
    const counts = (): number[] => {
      heap.check()
      return [state(CHUNKS), state(EMPTY_CHUNKS)]
    }
    const freeChunk = (i: number): number[] => {
      free(...slots.slice(i * 24, i * 24 + 24))
      slabs.reclaimFor(2 ** 20)
      return counts()
    }
    expect(counts()).toEqual([34, 0])
    expect(freeChunk(0)).toEqual([34, 1])
    expect(freeChunk(1)).toEqual([33, 1])
    // The next slab is made in it.
    const [slot] = many(1, 16)
    expect(counts()).toEqual([33, 0])
    free(slot)
    const releaseAll = (): number[] => {
      expect(slabs.reclaimAll()).toBe(true)
      // The last slab is current again.
      free(...many(1))
      return counts()
    }
    expect(releaseAll()).toEqual([32, 0])
    expect(freeChunk(2)).toEqual([32, 1])
    expect(releaseAll()).toEqual([31, 0])
    expect(freeChunk(3)).toEqual([30, 0])
  })
})

describe('a chunk', () => {
  /** Free blocks of these many words, with used ones between them; and where the first begins. */
  function holes(heap: Allocator, sizes: readonly number[]): void {
    const blocks = sizes.map(size => [heap.blocks.allocate(size), heap.blocks.allocate(4)][0])
    for (const block of blocks) heap.blocks.free(block)
  }

  test('is placed in a free block with room at an aligned place', () => {
    const { words, heap, malloc, slabs } = make()
    holes(heap, [2 * slabs.chunkWords + 4])
    const top = words[TOP_WORD]
    expect(malloc(16)).toBeLessThan(top * 4)
    expect(words[TOP_WORD]).toBe(top)
    heap.check()
  })

  test('is placed in one of the first 16 large enough blocks, or at the top', () => {
    for (const [count, atTop] of [
      [15, false],
      [16, true]
    ] as const) {
      const { words, heap, malloc, slabs } = make()
      // As large as a chunk, but not where one can begin.
      const bad = Array.from({ length: count }, () => slabs.chunkWords + 2)
      holes(heap, [...bad, 2 * slabs.chunkWords + 4])
      const top = words[TOP_WORD]
      const slot = malloc(16)
      expect(slot > top * 4).toBe(atTop)
      heap.check()
    }
  })

  test('can be placed at the very end of the heap', () => {
    const { words, heap, malloc } = make()
    while (heap.slots.holds(malloc(160)) === 160);
    expect(words[TOP_WORD]).toBe(words.length - 1)
    heap.check()
    const { used } = heap.stats(0)
    words[PENDING_WORD] = CUT
    expect(heap.stats(0).used).toBe(used)
    heap.check()
  })
})

describe('empty slabs', () => {
  test('are counted while they are listed', () => {
    const { heap, many, free, malloc, state } = make()
    const slots = many(10)
    free(...slots.slice(0, 5))
    expect(state(EMPTY_SLABS)).toBe(1)
    heap.check()
    free(slots[5])
    expect(state(EMPTY_SLABS)).toBe(2)
    // The current slab is counted only if it replaces another.
    free(slots[9])
    expect(state(EMPTY_SLABS)).toBe(2)
    for (let i = 0; i < 3; i++) malloc(160)
    expect(state(EMPTY_SLABS)).toBe(2)
    malloc(160)
    expect(state(EMPTY_SLABS)).toBe(1)
    heap.check()
  })

  test('make their chunk empty, whatever is in the others', () => {
    const { heap, many, free, slabs } = make()
    const slots = many(36)
    const isEmpty = () => [0, 12, 24].map(i => slabs.isEmpty(slots[i] / 4 - 1))
    expect(isEmpty()).toEqual([false, false, false])
    free(...slots.slice(12, 24))
    expect(isEmpty()).toEqual([false, true, false])
    heap.check()
  })
})

describe('stats()', () => {
  test('reports the largest slot if nothing else is free', () => {
    const first = make(2 ** 16)
    first.malloc(16)
    while (first.heap.blocks.allocate(4) !== 0);
    // A free granule serves every class.
    expect(first.heap.stats(0).largestFree).toBe(160)
    const second = make(2 ** 16)
    second.malloc(100)
    second.malloc(16)
    while (second.heap.blocks.allocate(4) !== 0);
    expect(second.heap.stats(0).largestFree).toBe(128)
  })

  test('counts an empty chunk and its free neighbours as one block', () => {
    const { heap, malloc, free } = make()
    const { largestFree } = heap.stats(0)
    const block = heap.allocate(3000)
    free(malloc(160), block)
    expect(heap.stats(0).largestFree).toBe(largestFree)
    expect(heap.allocate(largestFree)).toBeGreaterThan(0)
  })

  test('shows a free granule with its real size', () => {
    const { heap, malloc } = make()
    malloc(160)
    const free = [...heap.eachBlock()].filter(block => block.slab === 0)
    expect(free.map(({ size }) => size)).toEqual([512, 512, 508])
  })
})

describe('reclaimAll', () => {
  test('does nothing in a heap without slabs', () => {
    const { words, slabs } = make(2 ** 16, false)
    words.fill(77, words[TOP_WORD])
    const before = words.slice()
    expect([slabs.reclaimAll(), slabs.reclaimFor(100_000)]).toEqual([false, false])
    expectSameWords(words, before)
  })

  test('returns whether a chunk was freed', () => {
    const { heap, many, free, slabs, words, placeOf } = make()
    expect(slabs.reclaimAll()).toBe(false)
    const slots = many(13)
    expect(slabs.reclaimAll()).toBe(false)
    expect(placeOf(slots[12])).toBe('current')
    heap.check()
    free(slots[12])
    const top = words[TOP_WORD]
    expect(slabs.reclaimAll()).toBe(true)
    expect(words[TOP_WORD]).toBeLessThan(top)
    heap.check()
    expect(slabs.reclaimAll()).toBe(false)
    // A current slab that was used up is full now, and serves when a slot is freed.
    free(slots[11])
    expect(heap.allocate(160)).toBe(slots[11])
    heap.check()
  })

  test('throws if the list of chunks has no end, or leads elsewhere', () => {
    for (const place of [
      'itself',
      'within a record',
      'behind the records',
      'in front of them'
    ] as const) {
      const { words, many, slabs, state } = make()
      many(4)
      const record = state(OPEN_CHUNKS)
      const next = {
        itself: record,
        'within a record': record + 1,
        'behind the records': slabs.descriptors,
        'in front of them': slabs.records - RECORD_WORDS
      }
      words[record + RECORD_NEXT] = next[place]
      expectError(
        () => slabs.reclaimAll(),
        'ERR_OFFHEAP_CORRUPT',
        /the list of chunks does not end/
      )
    }
  })
})

describe('overwritten slab tables', () => {
  const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
  type Made = ReturnType<typeof make>

  /** Ten slots; two slabs are full, and of one each a slot was freed. */
  function scene(): Made & { slots: number[] } {
    const made = make()
    const slots = made.many(10)
    made.free(slots[0], slots[3])
    made.many(2)
    made.heap.check()
    return { ...made, slots }
  }

  test.each<[what: string, value: (made: Made & { slots: number[] }) => number]>([
    ['beyond the heap', () => 2 ** 20],
    ['at the end of the heap', ({ slabs }) => slabs.granules],
    ['below 0', () => -5],
    ['to a full slab', ({ slots }) => Math.floor(slots[6] / GRANULE_BYTES)],
    ['to the current slab', ({ slots }) => Math.floor(slots[9] / GRANULE_BYTES)],
    ['to no slab', () => 1]
  ])('with a list that leads %s', (_, value) => {
    const calls: ((made: Made) => void)[] = [
      ({ malloc }) => malloc(160),
      ({ slabs, words }) => {
        words[slabs.state + EMPTY_SLABS] = 1
        slabs.reclaimFor(2 ** 20)
      }
    ]
    for (const call of calls) {
      const made = scene()
      const { words, slabs } = made
      const granule = value(made)
      words[slabs.state + HEADS + CLASS] = granule
      const message = new RegExp(
        `the list of slabs for 160 bytes leads to byte ${granule * GRANULE_BYTES}, `
      )
      expectError(() => call(made), CORRUPT, message)
    }
    const made = scene()
    const { words, slabs } = made
    words[slabs.state + TAILS + CLASS] = value(made)
    words[slabs.state + EMPTY_SLABS] = 1
    expectError(
      () => slabs.reclaimFor(2 ** 20),
      CORRUPT,
      /the list of slabs for 160 bytes leads to/
    )
  })

  test('whose current slab is marked as a free granule serve no request', () => {
    const { words, heap, malloc, slots, descriptorOf } = scene()
    const current = slots[9]
    words[descriptorOf(current) + INFO] = FREE
    const [next, other] = [malloc(160), heap.allocateAligned(16, 160)]
    for (const slot of [next, other]) expect([slots[0], slots[3]]).toContain(slot)
    expect(words[descriptorOf(current) + INFO]).toBe(FREE)
  })

  test('whose current slab is not a slab leave that granule alone', () => {
    const { words, slabs, slots, free, many, descriptorOf } = scene()
    // Used up.
    many(2)
    const at = descriptorOf(slots[9]) + INFO
    words[at] = FREE
    free(slots[6])
    expect(words[at]).toBe(FREE)
    expect(slabs.currentOf(CLASS)).toBe(Math.floor(slots[6] / GRANULE_BYTES))
  })

  test('have no current slab if the descriptor of its entry is invalid', () => {
    const { words, slabs } = scene()
    const entry = slabs.state + (STEP_CLASS.indexOf(CLASS) << ENTRY_SHIFT)
    const current = words[entry]
    expect(slabs.currentOf(CLASS)).toBe((current - slabs.descriptors) / 2)
    for (const descriptor of [
      0,
      -1,
      slabs.descriptors,
      slabs.descriptorOf(slabs.granules),
      current + 1,
      current - 2
    ]) {
      words[entry] = descriptor
      words[descriptor + INFO] = CURRENT | CLASS
      // A full slab that claims to be current could be.
      expect(slabs.currentOf(CLASS)).toBe(
        descriptor === current - 2 ? (descriptor - slabs.descriptors) / 2 : 0
      )
    }
    words[entry] = current - 2
    words[current - 2 + INFO] = FULL | CLASS
    expect(slabs.currentOf(CLASS)).toBe(0)
  })

  test('throw for a list that leads past the last granule, to bytes that look like a slab', () => {
    for (const call of [
      ({ malloc }: Made) => malloc(160),
      ({ slabs }: Made) => slabs.reclaimFor(2 ** 20)
    ]) {
      const made = scene()
      const { words, slabs } = made
      words[slabs.state + HEADS + CLASS] = slabs.granules
      words[slabs.state + EMPTY_SLABS] = 1
      words[slabs.descriptorOf(slabs.granules) + INFO] = LISTED | CLASS
      made.many(0)
      while (made.heap.slots.take(160) !== 0);
      expectError(() => call(made), CORRUPT, /the list of slabs for 160 bytes leads to/)
    }
  })

  test.each<[what: string, spoil: (made: Made) => number]>([
    ['within a record', ({ state }) => state(OPEN_CHUNKS) + 1],
    ['to a chunk without a free granule', ({ slabs }) => slabs.records + RECORD_WORDS * 20],
    [
      'to a place that has granule 0',
      ({ words, slabs }) => {
        words[slabs.records] = 1 << 31
        return slabs.records
      }
    ],
    [
      'beyond the records',
      ({ words, slabs }) => {
        const record = slabs.records + (RECORD_WORDS * slabs.granules) / slabs.chunkGranules
        words[record] = 1 << 31
        return record
      }
    ]
  ])('with a list of chunks that leads %s', (_, spoil) => {
    const made = scene()
    const { words, slabs, malloc } = made
    const record = spoil(made)
    words[slabs.state + OPEN_CHUNKS] = record
    const message = new RegExp(
      `the list of chunks with free granules leads to byte ${record * 4}, `
    )
    expectError(() => malloc(16), CORRUPT, message)
  })

  test.each([RECORD_NEXT, RECORD_PREVIOUS])(
    'throw for a chunk whose neighbour (%i) is not a chunk',
    word => {
      for (const place of ['within a record', 'behind the records', 'in front of them'] as const) {
        const { words, slabs, state, many } = make()
        many(1)
        const record = state(OPEN_CHUNKS)
        const wrong = {
          'within a record': record + 1,
          'behind the records': slabs.descriptors,
          'in front of them': slabs.records - RECORD_WORDS
        }
        words[record + word] = wrong[place]
        const message = new RegExp(`list of chunks leads from byte ${record * 4} to where`)
        expectError(() => many(12), CORRUPT, message)
      }
    }
  )

  test('throw for a chunk that is not a used block', () => {
    const { words, slabs, many, free } = make()
    const slots = many(13)
    free(...slots.slice(0, 12))
    words[slots[0] / 4 - 1] &= ~1
    const message = new RegExp(`the chunk of slabs at byte ${slots[0] - 4} is not a used block`)
    expectError(() => slabs.reclaimFor(2 ** 20), CORRUPT, message)
  })
})

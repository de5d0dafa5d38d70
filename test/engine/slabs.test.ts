/**
 * Slabs as a caller sees them: slots, the exact detection of wrong pointers, and when their memory
 * is returned to the blocks. The last part overwrites the slab tables: calls must then return or
 * throw an error with a code after a bounded number of steps, and reset() must repair the heap.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { QUIET } from '../../lib/engine/engine.js'
import { type Header, ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import {
  type BlockInfo,
  Heap,
  type HeapOptions,
  OffheapError,
  placements,
  Region
} from '../../lib/index.js'
import { headerOf, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import { HEADER_WORDS, OPTIONS_WORD, WITH_SLABS } from '../../lib/layout/header.js'
import { FREE, INFO, LARGEST_SLOT, SLOT_BYTES, slabLayout } from '../../lib/layout/slab.js'
import { policyNamed } from '../../lib/placement/policies.js'
import { Random } from '../faults/random.js'
import { expectError, expectFilled, expectNull, expectRefusal, fill } from '../heap/support.js'
import { scaled } from '../runs.js'

const KiB = 2 ** 10
const MiB = 2 ** 20
const INVALID = 'ERR_OFFHEAP_INVALID_POINTER'
const DOUBLE = 'ERR_OFFHEAP_DOUBLE_FREE'
const SIZES = SLOT_BYTES.slice(1)

function make(bytes = 256 * KiB, options: HeapOptions = {}): Heap {
  return Heap.format(new ArrayBuffer(bytes), { slabs: true, ...options })
}

function many(heap: Heap, count: number, size: number): number[] {
  return Array.from({ length: count }, () => heap.malloc(size))
}

/** The bytes of blocks. */
function sum(blocks: readonly BlockInfo[]): number {
  return blocks.reduce((total, { size }) => total + size, 0)
}

/** Statistics and blocks agree with each other, with `owns`, and with what can be allocated. */
function expectConsistent(heap: Heap): void {
  heap.check()
  const stats = heap.stats()
  const blocks = [...heap.blocks()]
  const used = blocks.filter(block => block.used)
  expect(stats.metadata + stats.used + stats.free).toBe(stats.size)
  expect(stats.used).toBe(sum(used))
  expect(stats.blocks).toBe(used.length)
  expect(stats.freeBlocks).toBe(
    blocks.filter(block => !block.used && block.slab === undefined).length
  )
  expect(stats.free).toBe(sum(blocks) - stats.used + stats.wilderness)
  expect(stats.slabs).toBeGreaterThanOrEqual(sum(blocks.filter(block => block.slab !== undefined)))
  let end = 0
  const wrong = blocks.find(({ pointer, offset, size, used: isUsed, slab }) => {
    const isRight =
      offset >= end &&
      heap.owns(pointer) === isUsed &&
      pointer === (slab === undefined ? offset + 4 : offset) &&
      (!isUsed || heap.usableSize(pointer) === (slab ?? size - 4))
    end = offset + size
    return !isRight
  })
  expect(wrong).toBeUndefined()
  expect(end).toBeLessThanOrEqual(stats.top)
}

describe('slots', () => {
  test('of every size begin at multiples of 16, and have the size of their class', () => {
    const heap = make(2 * MiB)
    for (let size = 0; size <= LARGEST_SLOT; size++) {
      for (const pointer of many(heap, 40, size)) {
        expect(pointer % 16).toBe(0)
        expect(heap.usableSize(pointer)).toBe(SIZES.find(slot => slot >= size))
        fill(heap, pointer)
      }
    }
    for (const { pointer, used } of heap.blocks())
      if (used) expectFilled(heap, pointer, heap.usableSize(pointer))
    expectConsistent(heap)
  })

  test('serve requests of up to 160 bytes, and alignments of 16', () => {
    const heap = make()
    const isSlot = (pointer: number): boolean =>
      [...heap.blocks()].some(block => block.pointer === pointer && block.slab !== undefined)
    expect(isSlot(heap.malloc(LARGEST_SLOT))).toBe(true)
    expect(isSlot(heap.malloc(LARGEST_SLOT + 1))).toBe(false)
    expect(isSlot(heap.alignedAlloc(16, 100))).toBe(true)
    expect(isSlot(heap.alignedAlloc(32, 100))).toBe(false)
    expect(isSlot(heap.calloc(10, 10))).toBe(true)
  })

  test('are side by side, and a freed slot is reused', () => {
    const heap = make()
    const [a, b, c] = many(heap, 3, 48)
    expect([b - a, c - b]).toEqual([48, 48])
    heap.free(b)
    expect(heap.malloc(40)).toBe(b)
  })

  test('that are reused are cleared by calloc, up to the requested size', () => {
    const heap = make()
    for (const size of SIZES) {
      const pointers = many(heap, 100, size)
      for (const pointer of pointers) heap.view(pointer).fill(0xee)
      for (const pointer of pointers) heap.free(pointer)
      for (let i = 0; i < 100; i++) {
        const pointer = heap.calloc(1, size)
        expect(heap.view(pointer).every(byte => byte === 0)).toBe(true)
      }
    }
    heap.check()
  })

  test('that are cleared by calloc leave the next slot as it is', () => {
    for (const size of SIZES) {
      const heap = make()
      const [slot, next] = many(heap, 2, size)
      heap.view(next).fill(0xee)
      heap.free(slot)
      expect(heap.calloc(1, size)).toBe(slot)
      expect(heap.view(next).every(byte => byte === 0xee)).toBe(true)
    }
  })

  test('do not exist in heaps of less than 64 KiB', () => {
    const heap = make(64 * KiB - 8)
    const plain = Heap.format(new ArrayBuffer(64 * KiB - 8))
    expect(many(heap, 50, 20)).toEqual(many(plain, 50, 20))
    expect(heap.stats()).toEqual(plain.stats())
    expect(heap.stats().slabs).toBe(0)
    expect(make(64 * KiB).malloc(20) % 16).toBe(0)
    plain.i32[OPTIONS_WORD] = WITH_SLABS
    expectError(
      () => Heap.attach(plain.buffer),
      'ERR_OFFHEAP_NOT_A_HEAP',
      /too small for its slabs/
    )
  })

  test('are the default only for segregated fit', () => {
    for (const placement of placements) {
      const heap = Heap.format(new ArrayBuffer(256 * KiB), { placement })
      heap.malloc(8)
      expect(heap.stats().slabs > 0).toBe(placement === 'segregated-fit')
    }
  })
})

describe.each(placements)('pointers to slots of a %s heap', placement => {
  /**
   * Slots of several sizes, some of them freed, filled with bytes that look like headers of used
   * blocks.
   */
  function scene(): { heap: Heap; live: Set<number>; stale: number[] } {
    const heap = make(256 * KiB, { placement })
    const all = [
      ...many(heap, 60, 16),
      ...many(heap, 60, 48),
      ...many(heap, 60, 100),
      ...many(heap, 9, 400)
    ]
    for (const pointer of all) {
      for (let word = 0; word < heap.usableSize(pointer) / 4; word++) {
        heap.i32[pointer / 4 + word] = headerOf(4, USED | PREVIOUS_USED)
      }
    }
    const stale = all.slice(0, 180).filter((_, i) => i % 3 === 0)
    for (const pointer of stale) heap.free(pointer)
    return { heap, live: new Set(all.filter(pointer => !stale.includes(pointer))), stale }
  }

  test('are exact: nothing else in a chunk is a pointer, whatever its bytes look like', () => {
    const { heap, live } = scene()
    const slots = [...heap.blocks()].filter(block => block.slab !== undefined)
    const [begin, end] = [slots[0].pointer, slots.at(-1)?.pointer ?? 0]
    expect(end - begin).toBeGreaterThan(5000)
    const before = heap.u8.slice()
    for (let pointer = begin; pointer < end + 160; pointer++) {
      if (live.has(pointer)) continue
      if (heap.owns(pointer)) throw new Error(`the heap owns ${pointer}`)
      if (pointer % 8 !== 0) continue
      const calls = [
        () => heap.free(pointer),
        () => heap.realloc(pointer, 20),
        () => heap.usableSize(pointer),
        () => heap.free(heap.u8.subarray(pointer))
      ]
      expectError(calls[(pointer / 8) % 4], `(${INVALID}|${DOUBLE})`)
    }
    expect(Buffer.compare(heap.u8, before)).toBe(0)
    for (const pointer of live) heap.free(pointer)
    expect(heap.stats().blocks).toBe(0)
    heap.check()
  })

  test('are refused when stale, until the slot is allocated again', () => {
    const { heap, stale } = scene()
    for (const pointer of stale)
      expectRefusal(heap, () => heap.free(pointer), DOUBLE, /is free already/)
    const again = many(heap, 20, 16)
    for (const pointer of stale) if (again.includes(pointer)) heap.free(pointer)
    for (const pointer of stale) expectRefusal(heap, () => heap.free(pointer), DOUBLE)
    heap.trim()
    for (const pointer of stale) expect(heap.owns(pointer)).toBe(false)
  })
})

describe('the error for a wrong pointer', () => {
  test('into a slot, to a free slot, between slots, or to a free granule says so', () => {
    const heap = make()
    const [a, b] = many(heap, 2, 48)
    heap.free(b)
    expectRefusal(
      heap,
      () => heap.free(a + 16),
      INVALID,
      new RegExp(`lies inside the slot at ${a} \\(48 bytes\\)`)
    )
    expectRefusal(heap, () => heap.free(b), DOUBLE, /is free already/)
    expectRefusal(heap, () => heap.free(b + 16), DOUBLE, new RegExp(`part of the slot at ${b} `))
    // Ten slots of 48 bytes leave 32 of a granule's 512.
    expectRefusal(heap, () => heap.free(a + 496), INVALID, /lies between the slots of a slab/)
    expectRefusal(heap, () => heap.free(a + 512), DOUBLE, /is free already/)
    expectRefusal(
      heap,
      () => heap.free(a + 520),
      DOUBLE,
      new RegExp(`part of the slot at ${a + 512} `)
    )
  })

  test('to the block of a chunk whose first slot is free says so', () => {
    const heap = make()
    const [a, b] = many(heap, 2, 48)
    heap.free(a)
    expect(heap.i32[a / 4 - 1] & USED).toBe(USED)
    expectRefusal(heap, () => heap.free(a), DOUBLE)
    expectRefusal(heap, () => heap.realloc(a, 2000), DOUBLE)
    expect(heap.owns(b)).toBe(true)
  })
})

describe('realloc', () => {
  test('keeps a slot while more than about 3/4 of it is used', () => {
    const heap = make()
    const pointer = heap.malloc(160)
    fill(heap, pointer)
    const before = heap.u8.slice()
    for (const size of [160, 159, 130, 105]) expect(heap.realloc(pointer, size)).toBe(pointer)
    expect(Buffer.compare(heap.u8, before)).toBe(0)
    const smaller = heap.realloc(pointer, 40)
    expect(smaller).not.toBe(pointer)
    expect(heap.usableSize(smaller)).toBe(48)
    expectFilled(heap, smaller, 40)
    expect(heap.owns(pointer)).toBe(false)
    heap.check()
  })

  test('moves out of a slot and back into one with the contents', () => {
    const heap = make()
    let pointer = heap.malloc(1)
    let written = 0
    for (const size of [16, 17, 100, 160, 161, 5000, 161, 160, 90, 33, 16, 3]) {
      const moved = heap.realloc(pointer, size)
      expectFilled(heap, moved, Math.min(size, written))
      if (moved !== pointer) expect(heap.owns(pointer)).toBe(false)
      pointer = moved
      fill(heap, pointer)
      written = heap.usableSize(pointer)
      expectConsistent(heap)
    }
    expect(heap.stats().blocks).toBe(1)
  })

  test('into a full slot changes no byte of the next one', () => {
    const heap = make()
    const [to, next] = [heap.malloc(48), heap.malloc(48)]
    expect(next).toBe(to + 48)
    heap.free(to)
    const from = heap.malloc(160)
    heap.view(from).fill(1)
    heap.view(next).fill(2)
    expect(heap.realloc(from, 48)).toBe(to)
    expect([...new Set(heap.view(to))]).toEqual([1])
    expect([...new Set(heap.view(next))]).toEqual([2])
  })

  test('to 0 bytes frees the slot', () => {
    const heap = make()
    const pointer = heap.malloc(20)
    expect(heap.realloc(pointer, 0)).toBe(0)
    expectRefusal(heap, () => heap.realloc(pointer, 8), DOUBLE)
  })

  test('without memory leaves the slot unchanged, and never fails to shrink', () => {
    const heap = make(64 * KiB)
    const slot = heap.malloc(160)
    fill(heap, slot)
    while (heap.malloc(heap.stats().largestFree) !== 0 && heap.stats().largestFree > 0);
    expectNull(heap, () => heap.realloc(slot, 5000))
    expectFilled(heap, slot, 160)
    const shrunk = heap.realloc(slot, 10)
    expect(shrunk).not.toBe(0)
    expectFilled(heap, shrunk, 10)
    heap.check()
  })
})

describe('the memory of empty slabs', () => {
  test.each(placements)('is used for large blocks before a %s heap grows', placement => {
    const heap = make(4 * MiB, { placement })
    const slots = many(heap, 10_000, 64)
    const { highWater } = heap.stats()
    for (const pointer of slots) heap.free(pointer)
    for (let bytes = 0; bytes < highWater * 0.8; bytes += 1000)
      expect(heap.malloc(1000)).toBeGreaterThan(0)
    expect(heap.stats().highWater).toBeLessThan(highWater * 1.1)
    heap.check()
  })

  test.each(placements)(
    'is reclaimed before a %s heap reports that it is out of memory',
    placement => {
      for (const call of [
        (heap: Heap, size: number) => heap.malloc(size),
        (heap: Heap, size: number) => heap.calloc(size, 1),
        (heap: Heap, size: number) => heap.alignedAlloc(64, size - 128),
        (heap: Heap, size: number, block: number) => heap.realloc(block, size)
      ]) {
        const heap = make(256 * KiB, { placement })
        const block = heap.malloc(200)
        const slots: number[] = []
        for (let slot = heap.malloc(32); slot !== 0; slot = heap.malloc(32)) slots.push(slot)
        for (const pointer of slots) heap.free(pointer)
        const { largestFree } = heap.stats()
        expect(largestFree).toBeGreaterThan(240 * KiB)
        expect(call(heap, largestFree, block)).toBeGreaterThan(0)
        expectConsistent(heap)
      }
    }
  )

  test('is used for slots of another size', () => {
    const heap = make(256 * KiB)
    const slots: number[] = []
    for (let slot = heap.malloc(16); slot !== 0; slot = heap.malloc(16)) slots.push(slot)
    const { blocks } = heap.stats()
    for (const pointer of slots) heap.free(pointer)
    const others: number[] = []
    for (let slot = heap.malloc(160); slot !== 0; slot = heap.malloc(160)) others.push(slot)
    expect(others.length).toBeGreaterThan((blocks * 16) / 160 / 1.1)
    expectConsistent(heap)
  })

  test('is returned to the system by trim()', () => {
    using heap = Heap.map({ size: 8 * MiB, slabs: true })
    const keep = heap.malloc(48)
    fill(heap, keep)
    const slots = many(heap, 40_000, 100)
    for (const pointer of slots) heap.view(pointer).fill(1)
    const { slabs } = heap.stats()
    for (const pointer of slots) heap.free(pointer)
    expect(heap.stats().slabs).toBe(slabs)
    expect(heap.trim()).toBeGreaterThan(4 * MiB)
    expect(heap.stats().slabs).toBe(4 * KiB)
    expectFilled(heap, keep, 48)
    heap.free(keep)
    heap.trim()
    expect(heap.stats()).toMatchObject({
      slabs: 0,
      blocks: 0,
      wilderness: heap.stats().size - heap.stats().metadata
    })
    heap.check()
  })

  test('is found among slabs that are still used', () => {
    const heap = make(512 * KiB)
    const slots: number[] = []
    for (let slot = heap.malloc(64); slot !== 0; slot = heap.malloc(64)) slots.push(slot)
    slots.forEach((pointer, i) => {
      if (i % 256 !== 0) heap.free(pointer)
    })
    expectConsistent(heap)
    const { largestFree } = heap.stats()
    expect(largestFree).toBeGreaterThan(4 * KiB)
    expect(heap.malloc(largestFree)).toBeGreaterThan(0)
    expectConsistent(heap)
  })
})

describe('a heap with slabs', () => {
  test('returns the same pointers again after reset', () => {
    const heap = make()
    const script = (): number[] => {
      const pointers = Array.from({ length: 900 }, (_, i) => heap.malloc((i * 7) % 300))
      for (let i = 0; i < 900; i += 3) heap.free(pointers[i])
      return [...pointers, ...many(heap, 50, 30)]
    }
    const first = script()
    heap.reset()
    expect([...heap.blocks()]).toEqual([])
    expect(heap.stats()).toMatchObject({ used: 0, blocks: 0, slabs: 0 })
    for (const pointer of first) expect(heap.owns(pointer)).toBe(false)
    heap.check()
    expect(script()).toEqual(first)
  })

  test('can be attached to, even in turns', () => {
    using region = Region.map(MiB)
    const heaps = [Heap.format(region, { slabs: true }), Heap.attach(region)]
    const live: number[] = []
    for (let i = 0; i < 3000; i++) {
      const heap = heaps[i % 2]
      if (i % 5 < 3) {
        const pointer = heap.malloc((i * 13) % 200)
        fill(heap, pointer)
        live.push(pointer)
      } else {
        const [pointer] = live.splice((i * 31) % live.length, 1)
        expectFilled(heap, pointer, heap.usableSize(pointer))
        heap.free(pointer)
        expect(heaps[(i + 1) % 2].owns(pointer)).toBe(false)
      }
    }
    expect(heaps[0].stats()).toEqual(heaps[1].stats())
    for (const heap of heaps) expectConsistent(heap)
  })

  test('is consistent after any calls, and largestFree is exact', () => {
    const step = fc.record({
      kind: fc.nat(6),
      size: fc.oneof(fc.nat(170), fc.nat(170), fc.nat(6000)),
      which: fc.nat()
    })
    const sizes = fc.constantFrom(64 * KiB, 64 * KiB + 8, 256 * KiB)
    fc.assert(
      fc.property(
        fc.constantFrom(...placements),
        sizes,
        fc.array(step, { maxLength: 400, size: 'max' }),
        (placement, bytes, sequence) => {
          const heap = make(bytes, { placement })
          const live: number[] = []
          for (const { kind, size, which } of sequence) {
            const [old] = kind >= 4 && live.length > 0 ? live.splice(which % live.length, 1) : []
            if (old !== undefined && kind === 6) {
              expectFilled(heap, old, heap.usableSize(old))
              heap.free(old)
              continue
            }
            const kept = old === undefined ? 0 : Math.min(size, heap.usableSize(old))
            const pointer =
              old !== undefined
                ? heap.realloc(old, size)
                : kind === 0
                  ? heap.calloc(size, 1)
                  : heap.malloc(size)
            if (old !== undefined && pointer === 0 && size !== 0) live.push(old)
            if (pointer === 0) continue
            expectFilled(heap, pointer, kept)
            if (old === undefined && kind === 0)
              expect(heap.u8.subarray(pointer, pointer + size).every(b => b === 0)).toBe(true)
            fill(heap, pointer)
            live.push(pointer)
          }
          expectConsistent(heap)
          for (const pointer of live) expectFilled(heap, pointer, heap.usableSize(pointer))
          for (let i = 0; i < 3; i++) {
            const { largestFree } = heap.stats()
            expect(heap.malloc(largestFree + 1)).toBe(0)
            expect(heap.malloc(largestFree) > 0).toBe(largestFree > 0)
            expectConsistent(heap)
          }
        }
      ),
      { numRuns: scaled(30) }
    )
  })
})

// ---- overwritten tables -------------------------------------------------------------------------

/** More words than any call reads on such a small heap, if it ends. */
const ENDLESS = 400_000

/** The words, and a count of how often one was read; too many reads throw. */
function counted(words: Int32Array): { watched: Int32Array; restart: () => void } {
  let reads = 0
  const watched = new Proxy(words, {
    get(target, key) {
      if (++reads > ENDLESS) throw new Error(`more than ${ENDLESS} words were read in one call`)
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, key, value) => Reflect.set(target, key, value, target)
  })
  return {
    watched,
    restart: () => {
      reads = 0
    }
  }
}

describe.each(placements)('overwritten slab tables of a %s heap', placement => {
  const length = 2 ** 14
  const policy = policyNamed(placement)
  const header: Header = { policy, options: WITH_SLABS, length }
  const tables = slabLayout(length, HEADER_WORDS + policy.indexWords(length))

  /** A heap in use: its words, and its live pointers. */
  function used(random: Random): { words: Int32Array; live: number[] } {
    const words = new Int32Array(length)
    writeHeader(words, header, ordinaryLayout(length, policy, true), 0, true)
    const heap = new Allocator(words, header, QUIET)
    heap.reset()
    const live: number[] = []
    for (let i = 0; i < 400; i++) {
      if (live.length > 0 && random.below(5) < 2)
        heap.free(live.splice(random.below(live.length), 1)[0])
      else live.push(heap.allocate(random.below(8) === 0 ? random.below(1000) : random.below(161)))
    }
    return { words, live: live.filter(pointer => pointer !== 0) }
  }

  /** A word of the tables: half of the time a descriptor, half of the time one before them. */
  function anyWord(random: Random): number {
    return random.below(2) === 0
      ? random.between(tables.descriptors, tables.end - 1)
      : random.between(tables.state, tables.descriptors - 1)
  }

  function spoil(words: Int32Array, random: Random, at = anyWord(random)): void {
    const values = [
      0,
      1,
      -1,
      2 ** 31 - 1,
      words[at] + 1,
      random.between(tables.state, tables.end),
      random.below(2 ** 32) | 0
    ]
    words[at] = random.below(2) === 0 ? words[at] ^ (1 << random.below(32)) : random.of(values)
  }

  test('end every call with a value or a named error, and reset() repairs them', () => {
    for (let seed = 1; seed <= Math.max(10, scaled(80)); seed++) {
      const random = new Random(seed)
      const { words, live } = used(random)
      for (let i = random.below(3); i >= 0; i--) spoil(words, random)
      const { watched, restart } = counted(words)
      const heap = new Allocator(watched, header, QUIET)
      const run = (name: string, call: () => unknown): unknown => {
        restart()
        try {
          return call()
        } catch (error) {
          const isCoded =
            error instanceof OffheapError && /CORRUPT|INVALID_POINTER|DOUBLE_FREE/.test(error.code)
          if (!isCoded) throw new Error(`seed ${seed}: ${name}: ${String(error)}`, { cause: error })
          return undefined
        }
      }
      const allocated = (name: string, call: () => number): void => {
        const pointer = run(name, call)
        if (typeof pointer !== 'number' || pointer <= 0) return
        if (!(Number.isInteger(pointer) && pointer < length * 4))
          throw new Error(`seed ${seed}: ${name} is ${pointer}`)
        live.push(pointer)
      }
      for (let i = 0; i < 60; i++) {
        const size = random.below(6) === 0 ? random.below(3000) : random.below(161)
        const pointer = live.length === 0 ? 16 : random.of(live)
        const kind = random.below(10)
        if (kind < 3) allocated(`malloc(${size})`, () => heap.allocate(size))
        else if (kind === 3) allocated(`calloc(${size})`, () => heap.allocateZeroed(size))
        else if (kind === 4)
          allocated(`alignedAlloc(${size})`, () => heap.allocateAligned(2 ** random.below(9), size))
        else if (kind < 7) {
          run(`free(${pointer})`, () => {
            if (!heap.free(pointer)) throw heap.refusal('free', pointer)
          })
        } else if (kind === 7)
          allocated(`realloc(${pointer}, ${size})`, () => heap.resize(pointer, size + 1))
        else if (kind === 8) run(`usableSize(${pointer})`, () => heap.usableSize(pointer))
        else {
          run('stats', () => heap.stats(0))
          run('blocks', () => [...heap.eachBlock()])
          run('check', () => heap.check())
          run('reclaim', () => heap.slabs.reclaimAll())
        }
      }
      restart()
      heap.reset()
      restart()
      heap.check()
      expect(heap.stats(0)).toMatchObject({ used: 0, slabs: 0 })
      for (let i = 0; i < 100; i++) expect(heap.allocate(i)).toBeGreaterThan(0)
      restart()
      heap.check()
    }
  })

  test('are detected by check() or do no harm; wrong used bits are', () => {
    for (let seed = 1; seed <= Math.max(10, scaled(200)); seed++) {
      const random = new Random(seed)
      const { words, live } = used(random)
      const at = anyWord(random)
      const isUsedBits = at >= tables.descriptors && (at - tables.descriptors) % 2 === 0
      // Nothing else records which slots of a slab are used.
      if (isUsedBits && words[at + INFO] !== 0 && words[at + INFO] !== FREE) continue
      spoil(words, random, at)
      const heap = new Allocator(words, header, QUIET)
      try {
        heap.check()
      } catch (error) {
        expect(error).toBeInstanceOf(OffheapError)
        continue
      }
      const what = `seed ${seed}`
      for (const pointer of live) expect(heap.usableSize(pointer), what).toBeGreaterThanOrEqual(0)
      const others: number[] = []
      for (const size of random.below(2) === 0 ? [500, 100, 16] : [100, 16, 500]) {
        for (let pointer = heap.allocate(size); pointer !== 0; pointer = heap.allocate(size))
          others.push(pointer)
      }
      expect(new Set([...live, ...others]).size, what).toBe(live.length + others.length)
      for (const pointer of [...live, ...others]) expect(heap.free(pointer), what).toBe(true)
      heap.check()
      heap.slabs.reclaimAll()
      expect(heap.stats(0), what).toMatchObject({ used: 0, slabs: 0, blocks: 0 })
    }
  })
})

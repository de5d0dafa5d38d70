/**
 * A heap is stored in its bytes: it can be created in any memory and attached again later. Other
 * bytes are rejected.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Heap, OffheapError, Region } from '../../lib/index.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  FREED_WORD,
  HIGH_WATER_WORD,
  MAGIC_WORD,
  OPTIONS_WORD,
  PEAK_USED_WORD,
  PLACEMENT_WORD,
  QUARANTINE_LIMIT_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  USED_WORD,
  VERSION_WORD
} from '../../lib/layout/header.js'
import { scaled } from '../runs.js'
import {
  errorOf,
  expectError,
  expectFilled,
  expectRefusal,
  fill,
  newHeap,
  row,
  sketch
} from './support.js'

/** A heap with used and free blocks and a root, in a buffer of 8 KiB. */
function sample(): { buffer: ArrayBuffer; words: Int32Array; heap: Heap } {
  const buffer = new ArrayBuffer(8192)
  const heap = Heap.format(buffer)
  const [a = 0, b = 0, c = 0, d = 0] = row(heap, 5, 100)
  heap.free(b)
  heap.free(d)
  fill(heap, a)
  fill(heap, c)
  heap.root = c
  return { buffer, words: new Int32Array(buffer), heap }
}

describe('Heap.attach', () => {
  test('finds blocks, contents, statistics and root', () => {
    const { buffer, heap } = sample()
    const other = Heap.attach(buffer)
    expect([...other.blocks()]).toEqual([...heap.blocks()])
    expect(other.stats()).toEqual(heap.stats())
    expect(other.placement).toBe(heap.placement)
    expect(other.root).toBe(heap.root)
    expectFilled(other, other.root, 100)
    expect(other.buffer).toBe(heap.buffer)
    heap.check()
  })

  test('does not change the memory', () => {
    const { buffer } = sample()
    const before = new Uint8Array(buffer.slice(0))
    Heap.attach(buffer)
    expect(new Uint8Array(buffer)).toEqual(before)
  })

  test('returns a heap that works together with the first one', () => {
    const { buffer, heap } = sample()
    const other = Heap.attach(buffer)
    const pointer = other.malloc(90)
    expect(heap.owns(pointer)).toBe(true)
    heap.free(pointer)
    expect(other.owns(pointer)).toBe(false)
    heap.check()
    other.check()
  })

  test('works on a copy of the bytes, in a region, and in larger memory', () => {
    const { buffer, heap } = sample()
    using region = Region.map(65536)
    new Uint8Array(region.buffer).set(new Uint8Array(buffer))
    const copy = Heap.attach(region)
    expect(sketch(copy)).toBe(sketch(heap))
    expect(copy.stats().size).toBe(8192)
    expect(copy.u8.byteLength).toBe(8192)
    copy.malloc(copy.stats().largestFree)
    copy.check()
    copy.close()
    expect(region.closed).toBe(false)
  })

  test('refuses memory without a heap', () => {
    for (const bytes of [0, 1, 8, 127, 128, 4096]) {
      expectError(
        () => Heap.attach(new ArrayBuffer(bytes)),
        'ERR_OFFHEAP_NOT_A_HEAP',
        /no usable heap in this memory/
      )
    }
  })

  test('refuses a truncated heap', () => {
    const { buffer, heap } = sample()
    const { metadata } = heap.stats()
    for (const bytes of [8184, 4096, metadata + 8, metadata - 8, 128, 64, 4, 0]) {
      expectError(() => Heap.attach(buffer.slice(0, bytes)), 'ERR_OFFHEAP_NOT_A_HEAP')
    }
    expectError(
      () => Heap.attach(buffer.slice(0, 8184)),
      'ERR_OFFHEAP_NOT_A_HEAP',
      /has 8192 bytes, but the memory has 8184/
    )
  })

  test('refuses a closed region', () => {
    const region = Region.map(65536)
    region.close()
    expectError(() => Heap.attach(region), 'ERR_OFFHEAP_CLOSED')
    expectError(() => Heap.format(region), 'ERR_OFFHEAP_CLOSED')
  })

  test('refuses a transferred buffer, and distinguishes it from an empty one', () => {
    const { buffer } = sample()
    structuredClone(buffer, { transfer: [buffer] })
    expectError(() => Heap.attach(buffer), 'ERR_OFFHEAP_CLOSED')
    expectError(() => Heap.format(buffer), 'ERR_OFFHEAP_CLOSED')
    expectError(() => Heap.attach(new ArrayBuffer(0)), 'ERR_OFFHEAP_NOT_A_HEAP')
    expectError(() => Heap.format(new ArrayBuffer(0)), 'ERR_OUT_OF_RANGE')
  })

  const fields: [string, number][] = [
    ['magic', MAGIC_WORD],
    ['version', VERSION_WORD],
    ['size', SIZE_WORD],
    ['placement', PLACEMENT_WORD],
    ['first block', FIRST_WORD],
    ['top', TOP_WORD],
    ['touched', TOUCHED_WORD],
    ['high water', HIGH_WATER_WORD],
    ['used', USED_WORD],
    ['peak', PEAK_USED_WORD],
    ['blocks', BLOCKS_WORD],
    ['root', ROOT_WORD]
  ]

  test.each(fields)('refuses a header with an invalid %s', (_, word) => {
    for (const junk of [-1, 1, 2, -(2 ** 31), 2 ** 31 - 1, 0x12345678, 8192, 2 ** 30]) {
      const { buffer, words } = sample()
      const held = words[word]
      words[word] = junk
      // The value that the field has in the sample is valid there.
      if (junk === held) continue
      const error = errorOf(() => Heap.attach(buffer))
      expect(error).toBeInstanceOf(OffheapError)
      expect(error.code).toMatch(/^ERR_OFFHEAP_(NOT_A_HEAP|CORRUPT)$/)
    }
  })

  test.each([
    [MAGIC_WORD, /does not begin with the bytes "offh"/],
    [VERSION_WORD, /layout version is 99/],
    [SIZE_WORD, /has 792 bytes|its first block/],
    [PLACEMENT_WORD, /placement policy, number 99, is unknown/],
    [FIRST_WORD, /first block is at byte 396/],
    [ROOT_WORD, /root pointer is 396/]
  ])('says what is wrong with word %i', (word, message) => {
    const { buffer, words } = sample()
    words[word] = 99
    expectError(() => Heap.attach(buffer), 'ERR_OFFHEAP_(NOT_A_HEAP|CORRUPT)', message)
  })

  test.each([TOP_WORD, TOUCHED_WORD, HIGH_WATER_WORD])(
    'reports that word %i refers outside the blocks, or between them',
    word => {
      const first = sample().words[FIRST_WORD] ?? 0
      for (const junk of [first - 2, first + 1, 1, 0, -1, 2048, 2049]) {
        const { buffer, words } = sample()
        words[word] = junk
        const message = new RegExp(
          `word ${word} of its header names byte ${junk * 4}, which lies outside its blocks`
        )
        expectError(() => Heap.attach(buffer), 'ERR_OFFHEAP_NOT_A_HEAP', message)
      }
    }
  )

  test('reports where the first block should be', () => {
    const { buffer, words } = sample()
    const first = words[FIRST_WORD] ?? 0
    words[FIRST_WORD] = first + 2
    const message = new RegExp(
      `first block is at byte ${first * 4 + 8}, but should be at byte ${first * 4}`
    )
    expectError(() => Heap.attach(buffer), 'ERR_OFFHEAP_NOT_A_HEAP', message)
  })

  test('refuses a root that is not a payload', () => {
    const first = sample().words[FIRST_WORD] ?? 0
    for (const junk of [2, first, first - 1, 2047, 2048, 2050, -2]) {
      const { buffer, words } = sample()
      words[ROOT_WORD] = junk
      expectError(
        () => Heap.attach(buffer),
        'ERR_OFFHEAP_NOT_A_HEAP',
        new RegExp(`root pointer is ${junk * 4},`)
      )
    }
  })

  test.each([TRIM_THRESHOLD_WORD, FREED_WORD, QUARANTINE_LIMIT_WORD])(
    'refuses a negative count in word %i',
    word => {
      for (const junk of [-1, -(2 ** 31)]) {
        const { buffer, words } = sample()
        words[word] = junk
        const message = new RegExp(`word ${word} of its header counts ${junk} words`)
        expectError(() => Heap.attach(buffer), 'ERR_OFFHEAP_NOT_A_HEAP', message)
      }
    }
  )

  test("refuses unknown options, and options that can't be combined", () => {
    for (const options of [3, 4, 5, 2 ** 30, -1]) {
      const { buffer, words } = sample()
      words[OPTIONS_WORD] = options
      expectError(
        () => Heap.attach(buffer),
        'ERR_OFFHEAP_NOT_A_HEAP',
        new RegExp(`its options, ${options}, are unknown`)
      )
    }
  })

  test('refuses arbitrary bytes with an OffheapError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 512 }), bytes => {
        const buffer = new ArrayBuffer(bytes.length)
        new Uint8Array(buffer).set(bytes)
        expect(errorOf(() => Heap.attach(buffer)).code).toBe('ERR_OFFHEAP_NOT_A_HEAP')
      })
    )
  })

  test('opens a consistent heap with one changed word, or refuses it with an OffheapError', () => {
    const { buffer } = sample()
    fc.assert(
      fc.property(fc.nat(300), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (word, value) => {
        const copy = buffer.slice(0)
        new Int32Array(copy)[word] = value
        try {
          Heap.attach(copy).check()
        } catch (error) {
          expect(error).toBeInstanceOf(OffheapError)
        }
      }),
      { numRuns: scaled(2000) }
    )
  })
})

describe('Heap.format', () => {
  test('writes the same bytes each time, and so do the same calls', () => {
    const [one, other] = [sample(), sample()]
    expect(Buffer.compare(one.heap.u8, other.heap.u8)).toBe(0)
  })

  test('creates an empty heap, whatever the memory contained', () => {
    const { buffer } = sample()
    const heap = Heap.format(buffer)
    expect([...heap.blocks()]).toEqual([])
    expect(heap.root).toBe(0)
    expect(heap.stats()).toMatchObject({
      used: 0,
      blocks: 0,
      freeBlocks: 0,
      peakUsed: 0,
      highWater: 0
    })
    heap.check()
    new Uint8Array(buffer).fill(0xff)
    const again = Heap.format(buffer)
    again.check()
    again.malloc(100)
    again.check()
  })

  test('does not touch the last bytes of memory that is not a multiple of 8 bytes', () => {
    const buffer = new ArrayBuffer(4103)
    new Uint8Array(buffer).fill(0xee)
    const heap = Heap.format(buffer)
    heap.calloc(heap.stats().largestFree, 1)
    expect([...new Uint8Array(buffer, 4096)]).toEqual([0xee, 0xee, 0xee, 0xee, 0xee, 0xee, 0xee])
    Heap.attach(buffer)
  })

  test('reports the smallest possible size, and works with it', () => {
    const least = Number(
      /at least (\d+) bytes/.exec(errorOf(() => Heap.format(new ArrayBuffer(8))).message)?.[1]
    )
    expect(least).toBeGreaterThan(128)
    expectError(() => Heap.format(new ArrayBuffer(least - 8)), 'ERR_OUT_OF_RANGE', /"size"/)
    expectError(() => Heap.map(least - 8), 'ERR_OUT_OF_RANGE', /"size"/)
    const heap = Heap.format(new ArrayBuffer(Math.ceil(least / 8) * 8))
    const pointer = heap.malloc(1)
    expect(pointer).not.toBe(0)
    expect(heap.malloc(1)).toBe(0)
    heap.check()
    heap.free(pointer)
    heap.check()
    Heap.map(least).close()
  })

  test('selects the placement by name', () => {
    expect(Heap.format(new ArrayBuffer(4096)).placement).toBe('first-fit')
    const heap = Heap.format(new ArrayBuffer(4096), { placement: 'first-fit' })
    expect(Heap.attach(heap.buffer).placement).toBe('first-fit')
  })
})

describe('root', () => {
  test('is initially 0, and then what it was set to', () => {
    const heap = newHeap()
    expect(heap.root).toBe(0)
    const pointer = heap.malloc(8)
    heap.root = pointer
    expect(heap.root).toBe(pointer)
    expect(Heap.attach(heap.buffer).root).toBe(pointer)
    heap.root = 0
    expect(heap.root).toBe(0)
    heap.root = pointer
    heap.reset()
    expect(heap.root).toBe(0)
  })

  test('may refer to a freed block without making the heap corrupt', () => {
    const heap = newHeap()
    const pointer = heap.malloc(8)
    heap.root = pointer
    heap.free(pointer)
    heap.check()
    expectRefusal(heap, () => heap.free(heap.root), 'ERR_OFFHEAP_DOUBLE_FREE')
  })
})

/**
 * realloc in hardened heaps: which bytes are checked when a block changes its size, and how the
 * quarantine makes room for requests.
 */
import { describe, expect, test } from 'vitest'
import { Heap, placements } from '../../lib/index.js'
import { expectError, expectFilled, fill } from '../heap/support.js'

const CORRUPT = 'ERR_OFFHEAP_CORRUPT'

function hardened(quarantine: number, bytes = 65536): Heap {
  return Heap.format(new ArrayBuffer(bytes), { hardened: true, quarantine })
}

/** check() detects a write to the byte at `at`. Restores the byte. */
function expectWatched(heap: Heap, at: number): void {
  heap.check()
  const byte = heap.u8[at] ?? 0
  heap.u8[at] = byte ^ 0x55
  expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${at} was written`))
  heap.u8[at] = byte
}

/** The statistics that a call must not change when it detects damage. */
function figures(heap: Heap): unknown {
  const { used, blocks, quarantined, free } = heap.stats()
  return { used, blocks, quarantined, free }
}

describe('realloc', () => {
  test('from each size to each keeps contents, and verifies the byte after them', () => {
    const sizes = [0, 1, 40, 50, 63, 64, 95, 127, 160, 300]
    for (const hole of [0, 10, 90, 400]) {
      for (const from of sizes) {
        for (const to of sizes.filter(size => size > 0)) {
          const heap = hardened(0)
          const block = heap.malloc(from)
          const right = heap.malloc(hole)
          heap.malloc(10)
          fill(heap, block)
          if (hole > 0) heap.free(right)
          const { used } = heap.stats()
          const slot = (bytes: number): number => Math.max(64, Math.ceil((bytes + 1) / 32) * 32)
          const moved = heap.realloc(block, to)
          expect(heap.usableSize(moved)).toBe(to)
          expectFilled(heap, moved, Math.min(from, to))
          expect(heap.stats().used - used).toBeGreaterThanOrEqual(slot(to) - slot(from) - 32)
          expect(heap.stats().used - used).toBeLessThanOrEqual(slot(to) - slot(from) + 32)
          heap.view(moved).fill(0xff)
          expectWatched(heap, moved + to)
          expectWatched(heap, moved - 1)
          heap.free(moved)
          heap.check()
        }
      }
    }
  })

  test('verifies the bytes that a block has lost', () => {
    const heap = hardened(0)
    const block = heap.malloc(1000)
    heap.malloc(10)
    heap.view(block).fill(0xff)
    expect(heap.realloc(block, 900)).toBe(block)
    expectWatched(heap, block + 900)
    expectWatched(heap, block + 999)
    expect(heap.realloc(block, 10)).toBe(block)
    for (const at of [10, 63, 64, 500, 899, 999]) expectWatched(heap, block + at)
    expect(heap.malloc(900)).toBe(block + 64)
  })

  test('grows to the very end of the heap, and no further', () => {
    const heap = hardened(0)
    const first = heap.malloc(10)
    const { largestFree } = heap.stats()
    const block = heap.malloc(100)
    expect(heap.realloc(block, largestFree + 1)).toBe(0)
    expect(heap.realloc(block, largestFree)).toBe(block)
    heap.check()
    expect(heap.stats().wilderness).toBe(0)
    heap.free(first)
    heap.check()
  })

  test('grows into a quarantined neighbour if nothing else is large enough', () => {
    for (const extra of [0, 64]) {
      const heap = hardened(4096)
      const [block, right] = [heap.malloc(100), heap.malloc(100)]
      heap.malloc(heap.stats().largestFree)
      fill(heap, block)
      heap.free(right)
      expect(heap.stats().quarantinedBlocks).toBe(1)
      expect(heap.realloc(block, 255 + extra)).toBe(extra === 0 ? block : 0)
      expectFilled(heap, block, 100)
      expect(heap.stats().quarantinedBlocks).toBe(0)
      heap.check()
    }
  })
})

describe('a block that grows in place', () => {
  test('finds a write to wilderness that was never touched, and reports it once', () => {
    const heap = hardened(0)
    const block = heap.malloc(100)
    fill(heap, block)
    heap.u8[block + 500] = 1
    const message = new RegExp(`byte ${block + 500} was written, in free memory`)
    expectError(() => heap.realloc(block, 1000), CORRUPT, message)
    expectFilled(heap, block, 100)
    expect(heap.realloc(block, 1000)).toBe(block)
    expectFilled(heap, block, 100)
    heap.check()
  })

  test('finds a write to the last bytes of a neighbour that it takes as a whole', () => {
    for (const rest of [32, 0, 64]) {
      const heap = hardened(0)
      const [block, right] = [heap.malloc(100), heap.malloc(255)]
      heap.malloc(10)
      heap.free(right)
      const last = right + 255 - 10
      heap.u8[last] ^= 1
      const grow = (): number => heap.realloc(block, 128 + 256 - rest - 1)
      // 64 bytes can be a separate free block, and are not verified; fewer can't.
      if (rest === 64) expect(grow()).toBe(block)
      else expectError(grow, CORRUPT, new RegExp(`byte ${last} was written, in free memory`))
      if (rest === 64) expectError(() => heap.check(), CORRUPT, new RegExp(`byte ${last} `))
      else expect(grow()).toBe(block)
    }
  })
})

test('peakUsed does not count quarantined blocks', () => {
  const heap = hardened(4096)
  for (let i = 0; i < 10; i++) heap.free(heap.malloc(100))
  expect(heap.stats()).toMatchObject({ used: 0, quarantinedBlocks: 10, peakUsed: 128 })
  const pointers = [heap.malloc(100), heap.malloc(100)]
  expect(heap.stats().peakUsed).toBe(256)
  for (const pointer of pointers) heap.free(pointer)
  expect(heap.stats().peakUsed).toBe(256)
})

describe('the quarantine', () => {
  test('does not release a block whose neighbour was overwritten in the ledger', () => {
    const heap = hardened(128)
    const [a, b, c] = [heap.malloc(100), heap.malloc(100), heap.malloc(100)]
    heap.malloc(10)
    heap.free(a)
    const entry = b / 16 - 1
    heap.i32[entry] += 16 << 1
    const message = new RegExp(
      `ledger's entry for the block at ${b}, at byte ${entry * 4}, was overwritten`
    )
    expectError(() => heap.free(c), CORRUPT, message)
    expect(heap.owns(c)).toBe(true)
  })

  test('is emptied for an aligned request too', () => {
    const heap = hardened(65536)
    const all = heap.malloc(heap.stats().largestFree)
    heap.free(all)
    const aligned = heap.alignedAlloc(4096, 30_000)
    expect(aligned).toBeGreaterThan(0)
    expect(aligned % 4096).toBe(0)
    expect(heap.stats().quarantinedBlocks).toBe(0)
    heap.check()
    expect(heap.alignedAlloc(4096, 40_000)).toBe(0)
  })

  test('does not keep a block larger than itself, and keeps those that it has', () => {
    const heap = hardened(192)
    const [small, exact, large] = [heap.malloc(50), heap.malloc(191), heap.malloc(192)]
    heap.malloc(10)
    heap.free(small)
    expect(heap.stats()).toMatchObject({ quarantined: 64, quarantinedBlocks: 1, freeBlocks: 0 })
    heap.free(large)
    expect(heap.stats()).toMatchObject({ quarantined: 64, quarantinedBlocks: 1, freeBlocks: 1 })
    heap.free(exact)
    expect(heap.stats()).toMatchObject({ quarantined: 192, quarantinedBlocks: 1 })
    heap.check()
  })

  test('makes room for a moved block before it moves', () => {
    const heap = hardened(128)
    const [a, b] = [heap.malloc(100), heap.malloc(100)]
    heap.malloc(10)
    heap.free(a)
    const moved = heap.realloc(b, 500)
    expect(moved).not.toBe(b)
    expect(heap.stats()).toMatchObject({ quarantined: 128, quarantinedBlocks: 1, freeBlocks: 1 })
    expectError(() => heap.free(b), 'ERR_OFFHEAP_DOUBLE_FREE', /is free already/)
    heap.check()
  })
})

describe.each(placements)('with %s, a call that finds damage allocates nothing', placement => {
  const calls: [name: string, action: (heap: Heap, block: number) => unknown][] = [
    ['malloc', heap => heap.malloc(400)],
    ['calloc', heap => heap.calloc(400, 1)],
    ['alignedAlloc', heap => heap.alignedAlloc(64, 400)],
    ['realloc', (heap, block) => heap.realloc(block, 400)]
  ]
  test.each(calls)('%s, in a hole and in the wilderness', (_, action) => {
    for (const hole of [true, false]) {
      const heap = Heap.format(new ArrayBuffer(65536), { hardened: true, placement, quarantine: 0 })
      const [block, free] = [heap.malloc(100), heap.malloc(1000)]
      if (hole) heap.malloc(10)
      heap.free(free)
      fill(heap, block)
      const before = figures(heap)
      heap.u8[free + 200] ^= 0x55
      expectError(
        () => action(heap, block),
        CORRUPT,
        new RegExp(`byte ${free + 200} was written, in free memory`)
      )
      expect(figures(heap)).toEqual(before)
      heap.check()
      expectFilled(heap, block, 100)
      expect(action(heap, block)).toBeGreaterThan(0)
      heap.check()
    }
  })
})

/** check() finds every kind of damage, and names the block. */
import { beforeEach, describe, expect, test } from 'vitest'
import { Heap, OffheapError, placements } from '../../lib/index.js'
import { NEXT, PREVIOUS, PREVIOUS_USED, USED } from '../../lib/layout/block.js'
import {
  BLOCKS_WORD,
  HIGH_WATER_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PEAK_USED_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../../lib/layout/header.js'
import { errorOf, newHeap, row, sketch } from './support.js'

let heap: Heap
/** Word indexes of the blocks: used a, free b, used c, free d, used e. */
let a: number, b: number, c: number, d: number, e: number

beforeEach(() => {
  heap = newHeap(16384)
  ;[a = 0, b = 0, c = 0, d = 0, e = 0] = row(heap, 4, 60).map(pointer => pointer / 4 - 1)
  e = d + 16
  heap.free((b + 1) * 4)
  heap.free((d + 1) * 4)
  expect(sketch(heap)).toBe('u64 f64 u64 f64 u64')
  heap.check()
})

function expectCorrupt(message: RegExp): void {
  const before = heap.u8.slice()
  const error = errorOf(() => heap.check())
  expect(error).toBeInstanceOf(OffheapError)
  expect(`${error.code} ${error.message}`).toMatch(/^ERR_OFFHEAP_(CORRUPT|NOT_A_HEAP) /)
  expect(error.message).toMatch(message)
  expect(Buffer.compare(heap.u8, before)).toBe(0)
}

/** A message that names this block. */
function names(block: number): RegExp {
  return new RegExp(`\\bbyte ${block * 4}\\b`)
}

describe('check() finds in a block header', () => {
  test('a size that leads beyond the wilderness', () => {
    heap.i32[c] = ((2 ** 20) << 1) | USED
    expectCorrupt(names(c))
    heap.i32[c] = -1
    expectCorrupt(names(c))
    // Three blocks of 64 bytes follow, up to the wilderness.
    heap.i32[c] = (50 << 1) | USED
    expectCorrupt(/says 200 bytes, but the wilderness begins 192 bytes after it/)
  })

  test('a size of zero, or less than a block', () => {
    for (const header of [0, USED, (2 << 1) | USED | PREVIOUS_USED]) {
      heap.i32[c] = header
      expectCorrupt(names(c))
    }
    // Only the size is wrong here.
    heap.i32[a] = (2 << 1) | USED | PREVIOUS_USED
    expectCorrupt(new RegExp(`byte ${a * 4} says 8 bytes`))
  })

  test('a size that ends between blocks', () => {
    heap.i32[a] += 8 << 1
    expectCorrupt(/byte \d+/)
    heap.i32[a] -= 16 << 1
    expectCorrupt(/byte \d+/)
  })

  test('a cleared USED bit', () => {
    heap.i32[a] &= ~USED
    expectCorrupt(names(a))
    heap.i32[a] |= USED
    heap.i32[c] &= ~USED
    expectCorrupt(names(c))
  })

  test('a set USED bit', () => {
    heap.i32[b] |= USED
    expectCorrupt(names(c))
  })

  test('a wrong PREVIOUS_USED bit', () => {
    for (const block of [a, b, c, d, e]) {
      heap.i32[block] ^= PREVIOUS_USED
      expectCorrupt(
        new RegExp(`the block at byte ${block * 4} \\(64 bytes\\) says that its left neighbour is`)
      )
      heap.i32[block] ^= PREVIOUS_USED
    }
  })

  test('two adjacent free blocks', () => {
    heap.i32[c] &= ~USED
    heap.i32[c + 15] = 16
    expectCorrupt(/not merged/)
    expectCorrupt(names(c))
  })

  test('a free block before the wilderness', () => {
    heap.i32[TOP_WORD] = e
    expectCorrupt(/last block is free/)
  })
})

describe('check() of footers', () => {
  test('finds one that disagrees with its header', () => {
    for (const size of [0, 14, 18, -1]) {
      heap.i32[c - 1] = size
      expectCorrupt(names(b))
      expectCorrupt(new RegExp(`its footer says ${size * 4} bytes`))
    }
  })

  test('free refuses to follow a wrong footer, before anything changes', () => {
    heap.i32[c - 1] = 14
    const before = heap.u8.slice()
    const error = errorOf(() => heap.free((c + 1) * 4))
    expect(error.message).toMatch(names(c))
    expect(`${error.code}`).toBe('ERR_OFFHEAP_CORRUPT')
    expect(Buffer.compare(heap.u8, before)).toBe(0)
  })
})

describe('check() of the free list', () => {
  test('finds a wrong next link', () => {
    for (const target of [a, c, e, d + 2, 0, -1, 2 ** 30, b]) {
      heap.i32[b + NEXT] = target
      expectCorrupt(/free/)
    }
  })

  test('finds a wrong previous link', () => {
    for (const target of [a, c, d, 0, -1, 2 ** 30]) {
      heap.i32[d + PREVIOUS] = target
      expectCorrupt(/not linked both ways/)
    }
  })

  test('finds a used block that is linked both ways', () => {
    heap.i32[c + NEXT] = d
    heap.i32[c + PREVIOUS] = b
    heap.i32[b + NEXT] = c
    heap.i32[d + PREVIOUS] = c
    expectCorrupt(new RegExp(`byte ${c * 4} is in the free list, but no free block begins there`))
  })

  test('names the block whose links disagree', () => {
    heap.i32[d + PREVIOUS] = c
    expectCorrupt(new RegExp(`free block at byte ${b * 4} is not linked both ways`))
  })

  test('finds a missing block', () => {
    const sentinel = heap.i32[b + PREVIOUS]
    heap.i32[b + NEXT] = heap.i32[d + NEXT]
    heap.i32[sentinel + PREVIOUS] = b
    expectCorrupt(names(d))
  })

  test.each(placements)(
    'finds a wrong link backwards where the list is empty, begins or ends: %s',
    placement => {
      const packed = Heap.format(new ArrayBuffer(4096), { placement, slabs: false })
      const pointers = Array.from({ length: 4 }, () => packed.malloc(60))
      const sentinels: number[] = []
      for (let word = 0; word < (packed.stats().metadata - 4) / 4; word++) {
        // The sentinel of an empty list names itself twice.
        if (packed.i32[word + NEXT] === word && packed.i32[word + PREVIOUS] === word)
          sentinels.push(word)
      }
      expect(sentinels.length).toBeGreaterThan(0)
      const everyBit = (word: number): void => {
        for (let bit = 0; bit < 32; bit++) {
          packed.i32[word] ^= 1 << bit
          expect(errorOf(() => packed.check())).toHaveProperty('code', 'ERR_OFFHEAP_CORRUPT')
          packed.i32[word] ^= 1 << bit
        }
      }
      for (const sentinel of sentinels)
        for (const link of [NEXT, PREVIOUS]) everyBit(sentinel + link)
      packed.free(pointers[1] ?? 0)
      const block = (pointers[1] ?? 0) / 4 - 1
      const sentinel = packed.i32[block + PREVIOUS]
      for (const word of [block + NEXT, block + PREVIOUS, sentinel + NEXT, sentinel + PREVIOUS])
        everyBit(word)
      packed.check()
    }
  )

  test('finds a cycle', () => {
    heap.i32[d + NEXT] = b
    heap.i32[b + PREVIOUS] = d
    expectCorrupt(/free/)
  })
})

describe('check() of the header', () => {
  test.each([
    ['used bytes', USED_WORD, /bytes are in used blocks/],
    ['used blocks', BLOCKS_WORD, /blocks are used/],
    ['the peak, too low', PEAK_USED_WORD, /more bytes are in use than the peak/],
    ['the high water', HIGH_WATER_WORD, /wilderness begins above/],
    ['what was touched', TOUCHED_WORD, /wilderness begins above/]
  ])('%s', (_, word, message) => {
    heap.i32[word] -= 2
    if (word === PEAK_USED_WORD) heap.i32[word] = heap.i32[USED_WORD] - 2
    if (word === TOUCHED_WORD) heap.i32[word] = heap.i32[TOP_WORD] - 2
    expectCorrupt(message)
  })

  test('reports used bytes, actual and expected', () => {
    heap.i32[USED_WORD] += 8
    expectCorrupt(/192 bytes are in used blocks, but the header says 224/)
  })

  test.each([MOVE_FROM_WORD, MOVE_TO_WORD])(
    'finds a note of a realloc in progress, without one (word %i)',
    word => {
      heap.i32[word] = a + 1
      expectCorrupt(/a realloc is moving a block, but none is/)
    }
  )

  test('finds an impossible peak', () => {
    heap.i32[PEAK_USED_WORD] = heap.i32[HIGH_WATER_WORD]
    expectCorrupt(/peak in the header is larger than the block space/)
  })

  test('finds a wilderness that begins inside a block, or outside the heap', () => {
    for (const top of [e + 2, c, 0, -1, 2 ** 30, heap.i32[TOP_WORD] + 1]) {
      heap.i32[TOP_WORD] = top
      expectCorrupt(/./)
    }
  })

  test('finds any wrong bit of the top; until then, allocated blocks are inside the heap', () => {
    const before = heap.u8.slice()
    for (let bit = 0; bit < 32; bit++) {
      for (const call of [
        () => heap.malloc(100),
        () => heap.calloc(1, 100),
        () => heap.realloc((a + 1) * 4, 2000),
        () => heap.alignedAlloc(64, 100),
        () => heap.alloc(100).byteOffset,
        () => heap.allocBuffer(100).byteOffset,
        () => heap.allocArray(Float64Array, 100).byteOffset,
        () => heap.view((e + 1) * 4).byteOffset
      ]) {
        heap.u8.set(before)
        heap.i32[TOP_WORD] ^= 1 << bit
        try {
          const pointer = call()
          expect(pointer).toBeGreaterThanOrEqual(0)
          expect(pointer).toBeLessThan(heap.u8.length)
        } catch (error) {
          expect(error).toBeInstanceOf(OffheapError)
        }
      }
    }
  })

  test('finds a size larger than the memory', () => {
    heap.i32[SIZE_WORD] += 1
    expectCorrupt(/memory has 16384/)
  })

  test('finds a root outside the blocks', () => {
    heap.i32[ROOT_WORD] = 3
    expectCorrupt(/root pointer/)
  })
})

/**
 * Segregated fit and best fit: what check() reports about their lists, the order of find, and find
 * with overwritten lists.
 */
import { describe, expect, test } from 'vitest'
import { Heap, type PlacementName } from '../../lib/index.js'
import { headerOf, NEXT, PREVIOUS, PREVIOUS_USED, writeFree } from '../../lib/layout/block.js'
import { link, unlink } from '../../lib/layout/free-list.js'
import { HEADER_WORDS, TOP_WORD } from '../../lib/layout/header.js'
import { SegregatedFit } from '../../lib/placement/segregated-fit.js'
import { SizeClasses, sizeClassCount } from '../../lib/placement/size-classes.js'
import { expectError } from '../heap/support.js'
import { classesOf } from './choices.js'

const BYTES = 2 ** 16
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
const classed: PlacementName[] = ['segregated-fit', 'best-fit']

/**
 * A heap with free blocks of these sizes, a used one after each, and the word indexes of the free
 * ones.
 */
function holed(placement: PlacementName, sizes: readonly number[]): { heap: Heap; free: number[] } {
  const heap = Heap.format(new ArrayBuffer(BYTES), { placement, slabs: false })
  const pointers = sizes.map(size => [heap.malloc(size - 4), heap.malloc(8)][0] ?? 0)
  for (const pointer of pointers) heap.free(pointer)
  heap.check()
  return { heap, free: pointers.map(pointer => pointer / 4 - 1) }
}

describe.each(classed)('check() of a %s heap finds', placement => {
  test('a bit for a class that does not exist, and for a row', () => {
    const heap = Heap.format(new ArrayBuffer(4096), { placement, slabs: false })
    const classes = sizeClassCount(4096 / 4)
    const rows = (classes + 31) >> 5
    const lastRow = HEADER_WORDS + rows
    expect(classes % 32).not.toBe(0)
    for (const [word, bit] of [
      [lastRow, 0x80000000 >>> (classes % 32)],
      [lastRow, 1],
      [HEADER_WORDS, 0x80000000 >>> rows],
      [HEADER_WORDS, 1]
    ] as const) {
      const before = heap.i32[word] ?? 0
      heap.i32[word] = before | bit
      expectError(() => heap.check(), CORRUPT, /bits for more classes than there are/)
      heap.i32[word] = before
    }
    heap.check()
  })

  test('a block in the list of another class', () => {
    const { heap, free } = holed(placement, [48, 96])
    const [small = 0, large = 0] = free
    unlink(heap.i32, small)
    link(heap.i32, small, large, heap.i32[large + NEXT] ?? 0)
    expectError(
      () => heap.check(),
      CORRUPT,
      new RegExp(`free block at byte ${small * 4} is in the list of size class`)
    )
  })

  test('a class with a block whose bit is clear, while another of its row is set', () => {
    // 6 and 12 units: both classes are in the first row.
    const { heap } = holed(placement, [48, 96])
    const row = HEADER_WORDS + 1
    expect(heap.i32[row]).toBe((0x80000000 >>> 6) | (0x80000000 >>> 12))
    heap.i32[row] = 0x80000000 >>> 6
    expectError(() => heap.check(), CORRUPT, /size class 12 is not empty, but its bit is clear/)
  })
})

describe.each(classed)('%s', placement => {
  test.each([
    [48, 48],
    [1024, 1000]
  ])('does not hand out a block of %i bytes whose header says less', (size, request) => {
    const { heap, free } = holed(placement, [size])
    const [block = 0] = free
    heap.i32[block] = headerOf(4, PREVIOUS_USED)
    const message = new RegExp(
      `free list for blocks of ${request} bytes or more begins at byte ${block * 4}, `
    )
    expectError(() => heap.malloc(request - 4), CORRUPT, message)
  })

  test('returns 0 for more than the heap has, whatever is after its lists', () => {
    for (let size = 400; size < 4000; size += 8) {
      const heap = Heap.format(new ArrayBuffer(BYTES), { placement, slabs: false })
      const first = heap.malloc(size)
      // Looks like the header of an enormous block.
      heap.i32.fill(headerOf(2 ** 29, PREVIOUS_USED), first / 4, (first + size) / 4)
      for (const bytes of [BYTES - 8, BYTES - 4, BYTES]) expect(heap.malloc(bytes)).toBe(0)
    }
  })

  test.each([0, -8])('throws if a list leads to word %i', next => {
    const { heap, free } = holed(placement, [48])
    heap.i32[(free[0] ?? 0) + NEXT] = next
    expectError(() => heap.stats(), CORRUPT, /free list of size class 6 does not end/)
  })

  test('throws if a list is a cycle', () => {
    const { heap, free } = holed(placement, [48, 48, 48])
    const front =
      free.find(
        block =>
          heap.i32[(heap.i32[block + PREVIOUS] ?? 0) + NEXT] === block &&
          !free.includes(heap.i32[block + PREVIOUS] ?? 0)
      ) ?? 0
    const second = heap.i32[front + NEXT] ?? 0
    heap.i32[second + NEXT] = front
    expectError(() => heap.stats(), CORRUPT, /free list of size class 6 does not end/)
  })
})

describe('size classes', () => {
  test('fit into 1/32 of the heap, in heaps of all sizes', () => {
    for (let bytes = 1024; bytes <= 2 ** 33; bytes *= 2) {
      for (const part of [1, 1.25, 1.5, 1.75]) {
        for (const more of [-8, 0, 8]) {
          const size = bytes * part + more
          const classes = classesOf(size).length
          if (sizeClassCount(size / 4) !== classes)
            expect(`${size}: ${sizeClassCount(size / 4)}`).toBe(`${classes}`)
        }
      }
    }
  })

  test.each([1024, 8192, 2 ** 17, 2 ** 22])(
    'are exact for small blocks, and of equal width in an octave: %i',
    bytes => {
      const bounds = classesOf(bytes)
      const classes = new SizeClasses(new Int32Array(bytes / 4))
      for (const [i, units] of bounds.entries()) {
        const found = [units - 1, units, units + 1].map(size => classes.classOf(2 * size))
        if (units > 1) expect(found).toEqual([i - 1, i, bounds[i + 1] === units + 1 ? i + 1 : i])
      }
    }
  )
})

describe('segregated fit', () => {
  /**
   * A policy with free blocks of these many words, the last at the front of its list; and `room`
   * words of wilderness.
   */
  function lists(sizes: readonly number[], room = 0) {
    const words = new Int32Array(2 ** 14)
    words[TOP_WORD] = words.length - 1 - room
    const policy = new SegregatedFit(words)
    policy.reset()
    const blocks: number[] = []
    let block = 2047
    for (const size of sizes) {
      writeFree(words, block, size)
      policy.put(block, size)
      blocks.push(block)
      block += size + 4
    }
    policy.check()
    return { words, policy, blocks }
  }

  test('finds no block smaller than the request in the first class of several sizes', () => {
    // 64 to 67 units of 8 bytes are one class.
    const { policy, blocks } = lists([128, 192])
    expect(policy.find(128)).toBe(blocks[0])
    expect(policy.find(130)).toBe(blocks[1])
  })

  test('tries four blocks of its class, larger classes, the wilderness, then its class', () => {
    const four = [128, 128, 128, 128]
    expect(lists([130, ...four.slice(1), 192]).policy.find(130)).toBe(2047)
    const { policy, blocks } = lists([130, ...four, 192])
    expect(policy.find(130)).toBe(blocks[5])
    expect(lists([130, ...four], 130).policy.find(130)).toBe(0)
    expect(lists([130, ...four], 128).policy.find(130)).toBe(2047)
  })

  test('continues after a block with four more of its class', () => {
    const { policy, blocks } = lists([130, 128, 128, 128, 130, 128, 192, 512])
    const [last, , , , first, , larger, largest] = blocks
    expect(policy.find(130)).toBe(first)
    expect(policy.findNext(first ?? 0, 130)).toBe(last)
    expect(policy.findNext(last ?? 0, 130)).toBe(larger)
    expect(policy.findNext(larger ?? 0, 130)).toBe(largest)
    expect(policy.findNext(largest ?? 0, 130)).toBe(0)
    const far = lists([130, 128, 128, 128, 128, 130])
    expect(far.policy.findNext(far.blocks[5] ?? 0, 130)).toBe(0)
  })

  test('detects a list that is empty in one direction, and a wrong summary bit', () => {
    const { words, policy, blocks } = lists([48])
    const [block = 0] = blocks
    const sentinel = words[block + NEXT] ?? 0
    for (const [word, value, message] of [
      [sentinel + NEXT, sentinel, /size class 24 is empty in one direction only/],
      [sentinel + PREVIOUS, sentinel, /size class 24 is empty in one direction only/],
      [HEADER_WORDS, 0, /row 0 of the bitmap .* contradict each other/],
      [HEADER_WORDS, 0xf0000000, /row 1 of the bitmap .* contradict each other/],
      [HEADER_WORDS + 2, 1, /row 1 of the bitmap .* contradict each other/]
    ] as const) {
      const before = words[word] ?? 0
      words[word] = value
      expectError(() => policy.check(), CORRUPT, message)
      words[word] = before
    }
    policy.check()
  })

  test('clears the bits of a list with its last block, and no others', () => {
    const { words, policy, blocks } = lists([48, 48, 50, 400])
    // The summary; of the rows, the first with 24 and 25 units, and the third with 200.
    const bits = (): number[] => [0, 1, 3].map(word => (words[HEADER_WORDS + word] ?? 0) >>> 0)
    const [both, third] = [0xa0000000, bits()[2]]
    expect(bits()).toEqual([both, 0b11 << 6, third])
    policy.remove(blocks[0] ?? 0, 48)
    expect(bits()).toEqual([both, 0b11 << 6, third])
    policy.remove(blocks[1] ?? 0, 48)
    expect(bits()).toEqual([both, 0b01 << 6, third])
    policy.remove(blocks[2] ?? 0, 50)
    expect(bits()).toEqual([0x20000000, 0, third])
    policy.remove(blocks[3] ?? 0, 400)
    expect(bits()).toEqual([0, 0, 0])
  })
  test('uses the wilderness rather than a block far back in a list', () => {
    // All of one class; the only one that is large enough was freed first.
    const { heap, free } = holed('segregated-fit', [1032, 1024, 1024, 1024, 1024])
    const { top } = heap.stats()
    expect(heap.malloc(1028)).toBe(top + 4)
    heap.malloc(heap.stats().wilderness - 500)
    expect(heap.malloc(1028)).toBe((free[0] ?? 0) * 4 + 4)
  })
})

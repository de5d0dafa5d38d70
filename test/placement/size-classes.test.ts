/** Segregated fit and best fit: what check() says of their lists, what find does with lists that were overwritten, and its order. */
import { describe, expect, test } from 'vitest'
import { Heap, type PlacementName } from '../../lib/index.js'
import { headerOf, NEXT, PREVIOUS, PREVIOUS_USED } from '../../lib/layout/block.js'
import { link, unlink } from '../../lib/layout/free-list.js'
import { HEADER_WORDS } from '../../lib/layout/header.js'
import { sizeClassCount } from '../../lib/placement/size-classes.js'
import { expectError } from '../heap/support.js'

const BYTES = 2 ** 16
const CORRUPT = 'ERR_OFFHEAP_CORRUPT'
const classed: PlacementName[] = ['segregated-fit', 'best-fit']

/** A heap with free blocks of these many bytes, and a used one behind each; and the word indexes of the free ones. */
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
    expectError(() => heap.check(), CORRUPT, new RegExp(`free block at byte ${small * 4} is in the list of size class`))
  })

  test('a class with a block whose bit is not set, though another of its row is', () => {
    // 6 and 12 units: both classes are in the first row.
    const { heap } = holed(placement, [48, 96])
    const row = HEADER_WORDS + 1
    expect(heap.i32[row]).toBe((0x80000000 >>> 6) | (0x80000000 >>> 12))
    heap.i32[row] = 0x80000000 >>> 6
    expectError(() => heap.check(), CORRUPT, /size class 12 is not empty, and its bit is not set/)
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
    const message = new RegExp(`free list for blocks of ${request} bytes or more begins with byte ${block * 4}, `)
    expectError(() => heap.malloc(request - 4), CORRUPT, message)
  })

  test('finds nothing for more than the heap has, whatever lies behind its lists', () => {
    for (let size = 400; size < 4000; size += 8) {
      const heap = Heap.format(new ArrayBuffer(BYTES), { placement, slabs: false })
      const first = heap.malloc(size)
      // Passes for the header of an enormous block.
      heap.i32.fill(headerOf(2 ** 29, PREVIOUS_USED), first / 4, (first + size) / 4)
      for (const bytes of [BYTES - 8, BYTES - 4, BYTES]) expect(heap.malloc(bytes)).toBe(0)
    }
  })

  test('ends with an error where a list leads round in a circle', () => {
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

describe('segregated fit', () => {
  test('takes from the wilderness rather than from far back in a list', () => {
    // All of one class; the only one that is large enough was freed first.
    const { heap, free } = holed('segregated-fit', [1032, 1024, 1024, 1024, 1024])
    const { top } = heap.stats()
    expect(heap.malloc(1028)).toBe(top + 4)
    heap.malloc(heap.stats().wilderness - 500)
    expect(heap.malloc(1028)).toBe((free[0] ?? 0) * 4 + 4)
  })
})

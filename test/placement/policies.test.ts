/** The names of the placement policies, and what check() reports about two of their indexes. */
import { expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { NEXT, PREVIOUS } from '../../lib/layout/block.js'
import { link, unlink } from '../../lib/layout/free-list.js'
import { HEADER_WORDS } from '../../lib/layout/header.js'
import { isPlacement, placements } from '../../lib/placement/policies.js'
import { expectError } from '../heap/support.js'

test('isPlacement accepts the name of every policy, and nothing else', () => {
  expect(placements).toEqual(['first-fit', 'segregated-fit', 'best-fit', 'next-fit'])
  for (const name of placements) expect(isPlacement(name)).toBe(true)
  for (const other of ['worst-fit', 'First-Fit', '', 0, undefined, null, placements]) {
    expect(isPlacement(other)).toBe(false)
  }
})

/** Where a node of best fit's tree keeps its right child. */
const RIGHT = 4

/**
 * A heap with free blocks of these sizes, a used one after each, and the word indexes of the free
 * ones.
 */
function holed(sizes: readonly number[]): { heap: Heap; free: number[] } {
  const heap = Heap.format(new ArrayBuffer(2 ** 16), { placement: 'best-fit' })
  const pointers = sizes.map(size => [heap.malloc(size - 4), heap.malloc(8)][0] ?? 0)
  for (const pointer of pointers) heap.free(pointer)
  heap.check()
  return { heap, free: pointers.map(pointer => pointer / 4 - 1) }
}

test('best fit: check() finds two blocks that changed places in the list of their class', () => {
  const { heap, free } = holed([48, 48, 48])
  const [first = 0, second = 0] = free
  unlink(heap.i32, first)
  link(heap.i32, first, second, heap.i32[second + NEXT] ?? 0)
  expect(heap.i32[first + PREVIOUS]).toBe(second)
  const message = new RegExp(
    `byte ${second * 4} has a different place in its list than in its tree`
  )
  expectError(() => heap.check(), 'ERR_OFFHEAP_CORRUPT', message)
})

test('best fit: check() finds a block in the tree of a class that is not in its list', () => {
  const { heap, free } = holed([48, 96])
  const [small = 0, large = 0] = free
  heap.i32[small + RIGHT] = large
  expectError(
    () => heap.check(),
    'ERR_OFFHEAP_CORRUPT',
    /tree of size class 6 holds a block that its list does not/
  )
})

/** Where next fit keeps the block that the last search found: the first word of its index. */
const ROVER = HEADER_WORDS

test('next fit: check() finds a rover outside the heap', () => {
  const heap = Heap.format(new ArrayBuffer(16384), { placement: 'next-fit' })
  const [pointer] = [heap.malloc(100), heap.malloc(100)]
  heap.free(pointer)
  expect(heap.malloc(40)).toBe(pointer)
  for (const rover of [-1, -(2 ** 31), 4096, 4097, 2 ** 31 - 1]) {
    heap.i32[ROVER] = rover
    expectError(
      () => heap.check(),
      'ERR_OFFHEAP_CORRUPT',
      new RegExp(`ended at byte ${rover * 4}, outside the heap`)
    )
  }
  for (const rover of [0, pointer / 4 - 1, 4095]) {
    heap.i32[ROVER] = rover
    heap.check()
  }
})

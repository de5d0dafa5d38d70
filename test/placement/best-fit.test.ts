/** Best fit: that check() compares the list of each size class with its tree. */
import { expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { NEXT, PREVIOUS } from '../../lib/layout/block.js'
import { link, unlink } from '../../lib/layout/free-list.js'
import { expectError } from '../heap/support.js'

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

test('check() finds two blocks that changed places in the list of their class', () => {
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

test('check() finds a block in the tree of a class that is not in its list', () => {
  const { heap, free } = holed([48, 96])
  const [small = 0, large = 0] = free
  heap.i32[small + RIGHT] = large
  expectError(
    () => heap.check(),
    'ERR_OFFHEAP_CORRUPT',
    /tree of size class 6 holds a block that its list does not/
  )
})

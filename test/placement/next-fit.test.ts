/** Next fit: what check() reports about the place where the last search ended. */
import { expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { HEADER_WORDS } from '../../lib/layout/header.js'
import { expectError } from '../heap/support.js'

/** Where the policy keeps the block that the last search found: the first word of its index. */
const ROVER = HEADER_WORDS

test('check() of a next-fit heap finds a rover outside the heap', () => {
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

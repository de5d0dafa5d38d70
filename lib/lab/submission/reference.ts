/**
 * The reference for throughput: simple segregated storage. It rounds requests up to powers of two,
 * and has a free list, last in, first out, for each size. It never splits or merges blocks. It
 * wastes memory, but is as fast as an allocator on these views can be. A submission's speed
 * relative to it does not depend on how slow or busy the machine is.
 *
 * Do not change it: thresholds in the configurations of courses are shares of its speed.
 */

import type { Allocator, Memory } from './memory.js'

/** The bytes in front of each payload, which contain its class. */
const HEADER = 8
/** The binary logarithm of the smallest block, header included. */
const SMALLEST = 4
const CLASSES = 32

export function create(memory: Memory): Allocator {
  const { i32, u8 } = memory
  // The heads of the free lists are in front of the blocks. Each list ends with 0.
  const heads = memory.sbrk(CLASSES * 4) / 4

  function malloc(size: number): number {
    const order = Math.max(SMALLEST, 32 - Math.clz32(size + HEADER - 1))
    const head = i32[heads + order]
    if (head !== 0) {
      i32[heads + order] = i32[head >> 2]
      return head
    }
    const block = memory.sbrk(2 ** order)
    if (block === -1) return 0
    i32[block >> 2] = order
    return block + HEADER
  }

  function free(pointer: number): void {
    if (pointer === 0) return
    const order = i32[(pointer - HEADER) >> 2]
    i32[pointer >> 2] = i32[heads + order]
    i32[heads + order] = pointer
  }

  function realloc(pointer: number, size: number): number {
    if (pointer === 0) return malloc(size)
    const room = 2 ** i32[(pointer - HEADER) >> 2] - HEADER
    if (size <= room) return pointer
    const moved = malloc(size)
    if (moved === 0) return 0
    u8.copyWithin(moved, pointer, pointer + room)
    free(pointer)
    return moved
  }

  return { malloc, free, realloc }
}

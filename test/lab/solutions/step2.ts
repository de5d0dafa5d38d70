/**
 * Step 2: an implicit list with first fit and splitting. A header of one word; free blocks are
 * never merged.
 */

import type { Allocator, Memory } from '../../../lib/lab/submission/memory.js'

export function create(memory: Memory): Allocator {
  const { u8, i32 } = memory
  // Headers stand 4 bytes before a multiple of 8. The last word is an epilogue header: size 0,
  // used.
  const start = (memory.sbrk(8) + 4) / 4
  i32[start] = 1

  function extend(size: number): number {
    const epilogue = memory.high / 4 - 1
    if (memory.sbrk(size) === -1) return 0
    i32[epilogue] = size
    i32[epilogue + size / 4] = 1
    return epilogue
  }

  function find(size: number): number {
    for (let block = start; ; ) {
      const header = i32[block]
      if (header === 1) return extend(size)
      if ((header & 1) === 0 && header >= size) return block
      block += (header & ~7) / 4
    }
  }

  function malloc(bytes: number): number {
    const size = (bytes + 4 + 7) & ~7
    const block = find(size)
    if (block === 0) return 0
    const rest = i32[block] - size
    if (rest >= 8) {
      i32[block + size / 4] = rest
      i32[block] = size | 1
    } else i32[block] |= 1
    return (block + 1) * 4
  }

  function free(pointer: number): void {
    if (pointer !== 0) i32[pointer / 4 - 1] &= ~1
  }

  function realloc(pointer: number, bytes: number): number {
    const moved = malloc(bytes)
    if (pointer === 0 || moved === 0) return moved
    const old = (i32[pointer / 4 - 1] & ~7) - 4
    u8.copyWithin(moved, pointer, pointer + Math.min(old, bytes))
    free(pointer)
    return moved
  }

  return { malloc, free, realloc }
}

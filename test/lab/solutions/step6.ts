/**
 * Step 6: segregated fit, two lists for each power of two, the best of the first few candidates;
 * used blocks have no footer. Small and large requests come from opposite ends of a free block, so
 * that blocks that stay do not keep large holes apart.
 */

import type { Allocator, Memory } from '../../../lib/lab/submission/memory.js'

const MINIMUM = 16
const USED = 1
const LEFT_USED = 2
const FLAGS = 7
const LISTS = 64
/** Candidates looked at before the best of them is taken. */
const CANDIDATES = 10
/** Blocks smaller than this are taken from the front of a free block. */
const SMALL = 64
/** The most that is asked for in advance, in bytes, so that small blocks stand together. */
const CHUNK = 4096

export function create(memory: Memory): Allocator {
  const { u8, i32 } = memory
  const heads = memory.sbrk(LISTS * 4 + 8) / 4
  i32[memory.high / 4 - 1] = USED | LEFT_USED

  function listOf(size: number): number {
    const order = 31 - Math.clz32(size)
    return heads + order * 2 + ((size >> (order - 1)) & 1)
  }

  function insert(block: number, size: number): void {
    i32[block] = size | LEFT_USED
    i32[block + size / 4 - 1] = size
    i32[block + size / 4] &= ~LEFT_USED
    const list = listOf(size)
    const next = i32[list]
    i32[block + 1] = next
    i32[block + 2] = 0
    if (next !== 0) i32[next + 2] = block
    i32[list] = block
  }

  function remove(block: number): void {
    const next = i32[block + 1]
    const previous = i32[block + 2]
    if (next !== 0) i32[next + 2] = previous
    if (previous !== 0) i32[previous + 1] = next
    else i32[listOf(i32[block] & ~FLAGS)] = next
  }

  function coalesce(block: number, bytes: number, leftUsed: number): void {
    let first = block
    let size = bytes
    const right = i32[block + size / 4]
    if ((right & USED) === 0) {
      remove(block + size / 4)
      size += right & ~FLAGS
    }
    if (leftUsed === 0) {
      const left = i32[block - 1]
      first -= left / 4
      size += left
      remove(first)
    }
    insert(first, size)
  }

  function find(size: number): number {
    const end = heads + LISTS
    for (let list = listOf(size); list < end; list++) {
      let best = 0
      let bestSize = 2 ** 31
      let looked = 0
      for (let block = i32[list]; block !== 0 && looked < CANDIDATES; block = i32[block + 1]) {
        const room = i32[block] & ~FLAGS
        if (room < size) continue
        looked++
        if (room < bestSize) {
          best = block
          bestSize = room
          if (room === size) break
        }
      }
      if (best !== 0) return best
    }
    return 0
  }

  /** New memory at the end of the heap, on the lists; for small blocks more than they need. */
  function extend(size: number): number {
    const epilogue = memory.high / 4 - 1
    const leftUsed = i32[epilogue] & LEFT_USED
    const there = leftUsed === 0 ? i32[epilogue - 1] : 0
    const chunk = size < SMALL ? Math.min(CHUNK, (memory.high - memory.low) >> 4) & ~7 : 0
    const more = Math.max(MINIMUM, size + chunk - there)
    if (memory.sbrk(more) === -1) return 0
    i32[epilogue + more / 4] = USED | LEFT_USED
    coalesce(epilogue, more, leftUsed)
    return epilogue - there / 4
  }

  function sizeFor(bytes: number): number {
    return bytes <= 12 ? MINIMUM : (bytes + 4 + 7) & ~7
  }

  function malloc(bytes: number): number {
    const size = sizeFor(bytes)
    let block = find(size) || extend(size)
    if (block === 0) return 0
    const room = i32[block] & ~FLAGS
    const rest = room - size
    remove(block)
    if (rest < MINIMUM) {
      i32[block] |= USED
      i32[block + room / 4] |= LEFT_USED
    } else if (size < SMALL) {
      i32[block] = size | USED | LEFT_USED
      insert(block + size / 4, rest)
    } else {
      insert(block, rest)
      block += rest / 4
      i32[block] = size | USED
      i32[block + size / 4] |= LEFT_USED
    }
    return (block + 1) * 4
  }

  function free(pointer: number): void {
    if (pointer === 0) return
    const block = pointer / 4 - 1
    coalesce(block, i32[block] & ~FLAGS, i32[block] & LEFT_USED)
  }

  function realloc(pointer: number, bytes: number): number {
    if (pointer === 0) return malloc(bytes)
    const block = pointer / 4 - 1
    const size = sizeFor(bytes)
    const old = i32[block] & ~FLAGS
    if (size <= old) {
      trim(block, old, size)
      return pointer
    }
    const right = block + old / 4
    const room = (i32[right] & USED) === 0 ? i32[right] & ~FLAGS : 0
    if (old + room >= size) {
      remove(right)
      i32[block] += room
      i32[right + room / 4] |= LEFT_USED
      trim(block, old + room, size)
      return pointer
    }
    if (right * 4 + room === memory.high - 4) {
      if (memory.sbrk(size - old - room) === -1) return 0
      if (room > 0) remove(right)
      i32[block] += size - old
      i32[block + size / 4] = USED | LEFT_USED
      return pointer
    }
    const moved = malloc(bytes)
    if (moved === 0) return 0
    u8.copyWithin(moved, pointer, pointer + old - 4)
    free(pointer)
    return moved
  }

  function trim(block: number, old: number, size: number): void {
    if (old - size < MINIMUM) return
    i32[block] -= old - size
    coalesce(block + size / 4, old - size, LEFT_USED)
  }

  return { malloc, free, realloc }
}

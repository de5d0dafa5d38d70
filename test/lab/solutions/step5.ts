/**
 * Step 5: as step 4, and realloc keeps the block where it is when it can: it shrinks, or takes its
 * right neighbour or new memory.
 */

import type { Allocator, Memory } from '../../../lib/lab/submission/memory.js'

const MINIMUM = 16

export function create(memory: Memory): Allocator {
  const { u8, i32 } = memory
  // The head of the list, the prologue's two tags, the epilogue's header.
  const head = memory.sbrk(16) / 4
  const prologue = head + 1
  i32[prologue] = 8 | 1
  i32[prologue + 1] = 8 | 1
  i32[prologue + 2] = 1

  function tag(block: number, size: number, used: number): void {
    i32[block] = size | used
    i32[block + size / 4 - 1] = size | used
  }

  function insert(block: number): void {
    const next = i32[head]
    i32[block + 1] = next
    i32[block + 2] = 0
    if (next !== 0) i32[next + 2] = block
    i32[head] = block
  }

  function remove(block: number): void {
    const next = i32[block + 1]
    const previous = i32[block + 2]
    if (next !== 0) i32[next + 2] = previous
    if (previous !== 0) i32[previous + 1] = next
    else i32[head] = next
  }

  /** Merges a block that is on no list with its free neighbours, and lists the result. */
  function coalesce(block: number): number {
    let first = block
    let size = i32[block] & ~7
    const right = block + size / 4
    if ((i32[right] & 1) === 0) {
      remove(right)
      size += i32[right]
    }
    if ((i32[block - 1] & 1) === 0) {
      first -= i32[block - 1] / 4
      size += i32[block - 1]
      remove(first)
    }
    tag(first, size, 0)
    insert(first)
    return first
  }

  function extend(size: number): number {
    const block = memory.high / 4 - 1
    if (memory.sbrk(size) === -1) return 0
    tag(block, size, 0)
    i32[block + size / 4] = 1
    return coalesce(block)
  }

  function find(size: number): number {
    for (let block = i32[head]; block !== 0; block = i32[block + 1])
      if (i32[block] >= size) return block
    const last = memory.high / 4 - 2
    return extend((i32[last] & 1) === 0 ? size - i32[last] : size)
  }

  /** Marks a block that is on no list as used, and frees what it has beyond `size`. */
  function place(block: number, size: number): void {
    const rest = (i32[block] & ~7) - size
    if (rest < MINIMUM) {
      tag(block, size + rest, 1)
      return
    }
    tag(block, size, 1)
    tag(block + size / 4, rest, 0)
    coalesce(block + size / 4)
  }

  function sizeFor(bytes: number): number {
    return Math.max(MINIMUM, (bytes + 8 + 7) & ~7)
  }

  function malloc(bytes: number): number {
    const size = sizeFor(bytes)
    const block = find(size)
    if (block === 0) return 0
    remove(block)
    place(block, size)
    return (block + 1) * 4
  }

  function free(pointer: number): void {
    if (pointer === 0) return
    const block = pointer / 4 - 1
    tag(block, i32[block] & ~7, 0)
    coalesce(block)
  }

  function realloc(pointer: number, bytes: number): number {
    if (pointer === 0) return malloc(bytes)
    const block = pointer / 4 - 1
    const size = sizeFor(bytes)
    const old = i32[block] & ~7
    if (size > old && !grow(block, old, size)) {
      const moved = malloc(bytes)
      if (moved === 0) return 0
      u8.copyWithin(moved, pointer, pointer + old - 8)
      free(pointer)
      return moved
    }
    place(block, size)
    return pointer
  }

  /**
   * Joins a used block of `old` bytes with its right neighbour, when both together reach `size`.
   */
  function grow(block: number, old: number, size: number): boolean {
    const right = block + old / 4
    const neighbour = (i32[right] & 1) === 0 ? i32[right] : 0
    const isLast = i32[right + neighbour / 4] === 1
    if (old + neighbour < size) {
      if (!isLast || extend(Math.max(MINIMUM, size - old - neighbour)) === 0) return false
    }
    remove(right)
    tag(block, old + i32[right], 1)
    return true
  }

  /**
   * Every block's tags agree, no two free ones touch, and exactly the free ones are listed, linked
   * both ways.
   */
  function check(): void {
    let listed = 0
    for (
      let block = i32[head], previous = 0;
      block !== 0;
      previous = block, block = i32[block + 1]
    ) {
      if ((i32[block] & 1) !== 0) throw new Error(`block at ${block * 4} is listed but used`)
      if (i32[block + 2] !== previous) throw new Error(`block at ${block * 4} does not link back`)
      listed++
    }
    let wasFree = false
    let free = 0
    for (let block = prologue; i32[block] !== 1; block += (i32[block] & ~7) / 4) {
      const header = i32[block]
      if (i32[block + (header & ~7) / 4 - 1] !== header)
        throw new Error(`block at ${block * 4}: the tags differ`)
      const isFree = (header & 1) === 0
      if (isFree && wasFree) throw new Error(`block at ${block * 4}: two free blocks touch`)
      if (isFree) free++
      wasFree = isFree
    }
    if (free !== listed) throw new Error(`${free} blocks are free, ${listed} are listed`)
  }

  return { malloc, free, realloc, check }
}

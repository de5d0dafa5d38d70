/**
 * Step 4: an explicit, doubly linked free list, last in first out, through the payloads of free
 * blocks.
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

  function malloc(bytes: number): number {
    const size = Math.max(MINIMUM, (bytes + 8 + 7) & ~7)
    const block = find(size)
    if (block === 0) return 0
    remove(block)
    const rest = i32[block] - size
    if (rest >= MINIMUM) {
      tag(block, size, 1)
      tag(block + size / 4, rest, 0)
      insert(block + size / 4)
    } else tag(block, i32[block], 1)
    return (block + 1) * 4
  }

  function free(pointer: number): void {
    if (pointer === 0) return
    const block = pointer / 4 - 1
    tag(block, i32[block] & ~7, 0)
    coalesce(block)
  }

  function realloc(pointer: number, bytes: number): number {
    const moved = malloc(bytes)
    if (pointer === 0 || moved === 0) return moved
    const old = (i32[pointer / 4 - 1] & ~7) - 8
    u8.copyWithin(moved, pointer, pointer + Math.min(old, bytes))
    free(pointer)
    return moved
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

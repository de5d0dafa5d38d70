/** Step 3: boundary tags, header and footer on every block, and coalescing at once. */

import type { Allocator, Memory } from '../../../lib/lab/submission/memory.js'

const MINIMUM = 16

export function create(memory: Memory): Allocator {
  const { u8, i32 } = memory
  // One word of padding, the prologue's two tags, the epilogue's header.
  const prologue = memory.sbrk(16) / 4 + 1
  i32[prologue] = 8 | 1
  i32[prologue + 1] = 8 | 1
  i32[prologue + 2] = 1

  function tag(block: number, size: number, used: number): void {
    i32[block] = size | used
    i32[block + size / 4 - 1] = size | used
  }

  function coalesce(block: number): number {
    let first = block
    let size = i32[block] & ~7
    const right = block + size / 4
    if ((i32[right] & 1) === 0) size += i32[right]
    if ((i32[block - 1] & 1) === 0) {
      first -= i32[block - 1] / 4
      size += i32[block - 1]
    }
    tag(first, size, 0)
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
    for (let block = prologue; ; ) {
      const header = i32[block]
      if (header === 1) break
      if ((header & 1) === 0 && header >= size) return block
      block += (header & ~7) / 4
    }
    // The last block may be free: only what it lacks is asked for.
    const last = memory.high / 4 - 2
    return extend((i32[last] & 1) === 0 ? size - i32[last] : size)
  }

  function malloc(bytes: number): number {
    const size = Math.max(MINIMUM, (bytes + 8 + 7) & ~7)
    const block = find(size)
    if (block === 0) return 0
    const rest = i32[block] - size
    if (rest >= MINIMUM) {
      tag(block, size, 1)
      tag(block + size / 4, rest, 0)
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

  /** Walks from the prologue to the epilogue. */
  function check(): void {
    let wasFree = false
    let block = prologue
    for (; i32[block] !== 1; block += (i32[block] & ~7) / 4) {
      const header = i32[block]
      const size = header & ~7
      const footer = i32[block + size / 4 - 1]
      if (footer !== header)
        throw new Error(`block at ${block * 4}: header ${header}, footer ${footer}`)
      const isFree = (header & 1) === 0
      if (isFree && wasFree) throw new Error(`block at ${block * 4}: two free blocks touch`)
      wasFree = isFree
    }
    if (block * 4 !== memory.high - 4)
      throw new Error(`the epilogue is at ${block * 4}, the heap ends at ${memory.high}`)
  }

  return { malloc, free, realloc, check }
}

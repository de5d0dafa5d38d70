/**
 * A target for a timeline that shows whole blocks and the free list, for an allocator that
 * describes its heap (heap-description.ts).
 */

import { OffheapError } from '../errors.js'
import { type BlockDescription, type HeapDescription, readDescription } from './heap-description.js'
import type { TimelineTarget } from './timeline.js'

/** A target that shows the bounds of its heap. */
export type BoundedTarget = TimelineTarget & Required<Pick<TimelineTarget, 'extent'>>

/**
 * Adds to `target` what `describe` returns, which is called once after each operation. Its methods
 * throw ERR_OFFHEAP_CORRUPT for an invalid description, and for one without the block of a pointer.
 */
export function describedTarget(target: BoundedTarget, describe: () => unknown): TimelineTarget {
  let known: HeapDescription | undefined
  let tags: { header: number; footer: number } | undefined
  const now = (): HeapDescription => {
    if (known !== undefined) return known
    const { low, high } = target.extent()
    const description = readDescription(attempt(describe), low, high)
    if (typeof description === 'string') throw wrong(description)
    known = description
    return description
  }
  const blockAt = (pointer: number): BlockDescription => {
    const { blocks } = now()
    const block = blocks[lastBefore(blocks, pointer)]
    if (block?.used && pointer < block.offset + block.size) return block
    throw wrong(`describe(): no used block holds the pointer ${pointer}`)
  }
  /** After a call, the last description is stale. */
  const after = <Result>(result: Result): Result => {
    known = undefined
    return result
  }
  return {
    ...target,
    malloc: size => after(target.malloc(size)),
    calloc: (count, size) => after(target.calloc(count, size)),
    realloc: (pointer, size) => after(target.realloc(pointer, size)),
    free: pointer => after(target.free(pointer)),
    alignedAlloc: (alignment, size) => after(target.alignedAlloc(alignment, size)),
    usableSize: pointer => {
      const { offset, size, header, footer = 0 } = blockAt(pointer)
      tags ??= { header: header ?? pointer - offset, footer }
      return offset + size - pointer
    },
    freeBlocks: () => {
      const { blocks, freeList } = now()
      const free = blocks.filter(({ used }) => !used)
      if (freeList === undefined) return free
      const byOffset = new Map(free.map(block => [block.offset, block]))
      return freeList.flatMap(offset => byOffset.get(offset) ?? [])
    },
    tags: () => tags ?? { header: 0, footer: 0 }
  }
}

function attempt(describe: () => unknown): unknown {
  try {
    return describe()
  } catch (error) {
    throw wrong(`describe() threw ${error instanceof Error ? error.message : String(error)}`)
  }
}

function wrong(what: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_CORRUPT', what)
}

/** The index of the last block that begins before `pointer`, or at it; -1 if there is none. */
function lastBefore(blocks: readonly BlockDescription[], pointer: number): number {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (blocks[middle].offset <= pointer) low = middle + 1
    else high = middle
  }
  return low - 1
}

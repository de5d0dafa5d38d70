/** A walk over all blocks of a heap in address order. It trusts no byte: headers that lead nowhere are an error. */
import { isCached, MINIMUM_WORDS, pointerOf, quickSizeOf, sizeOf, USED } from '../block/block.js'
import { FIRST_WORD, OPTIONS_WORD, TOP_WORD, WITH_QUICK_LISTS } from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Pointer } from './arguments.js'

/** One block of a heap, as `heap.blocks()` gives it. */
export interface BlockInfo {
  /** The payload's byte offset: what malloc returned, when the block is used. */
  readonly pointer: Pointer
  /** The byte offset at which the block, that is, its header begins. */
  readonly offset: number
  /** The whole block in bytes, header included. */
  readonly size: number
  readonly used: boolean
  /** True for a block that was given back and waits in a quick list for the next request of its size; `used` is false. */
  readonly cached?: true
}

/** Is the block at a word index cached in a quick list? */
export function isCachedBlock(words: Int32Array, block: number): boolean {
  return isCached(words[block]) && (words[OPTIONS_WORD] & WITH_QUICK_LISTS) !== 0
}

/** The size in words of any block, cached or not. */
export function sizeAt(words: Int32Array, block: number): number {
  return (words[OPTIONS_WORD] & WITH_QUICK_LISTS) !== 0 ? quickSizeOf(words[block]) : sizeOf(words[block])
}

/** The blocks from the first to the wilderness, by word index. Throws ERR_OFFHEAP_CORRUPT at the first impossible size. */
export function* walk(words: Int32Array): Generator<number, void, undefined> {
  let block = words[FIRST_WORD]
  while (block < words[TOP_WORD]) {
    const size = sizeAt(words, block)
    if (size < MINIMUM_WORDS || block + size > words[TOP_WORD]) {
      throw corrupt(
        `the header of the block at byte ${block * 4} says ${size * 4} bytes, and the wilderness begins ${(words[TOP_WORD] - block) * 4} bytes behind it`
      )
    }
    yield block
    block += size
  }
}

/** What a caller sees of the block at a word index. */
export function describe(words: Int32Array, block: number): BlockInfo {
  const place = { pointer: pointerOf(block), offset: block * 4, size: sizeAt(words, block) * 4 }
  if (isCachedBlock(words, block)) return { ...place, used: false, cached: true }
  return { ...place, used: (words[block] & USED) !== 0 }
}

/** A walk over all blocks of a heap in address order. It trusts no byte: headers that lead nowhere are an error. */
import { MINIMUM_WORDS, pointerOf, sizeOf, USED } from '../block/block.js'
import { FIRST_WORD, TOP_WORD } from '../block/header.js'
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
}

/** The blocks from the first to the wilderness, by word index. Throws ERR_OFFHEAP_CORRUPT at the first impossible size. */
export function* walk(words: Int32Array): Generator<number, void, undefined> {
  let block = words[FIRST_WORD]
  while (block < words[TOP_WORD]) {
    const size = sizeOf(words[block])
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
  const header = words[block]
  return { pointer: pointerOf(block), offset: block * 4, size: sizeOf(header) * 4, used: (header & USED) !== 0 }
}

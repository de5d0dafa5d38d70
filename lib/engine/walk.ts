/**
 * Walks over the blocks of a heap in address order. Trusts no byte: an impossible header is an
 * error.
 */
import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, pointerOf, sizeOf, USED } from '../layout/block.js'
import { FIRST_WORD, TOP_WORD } from '../layout/header.js'
import {
  CLASS_MASK,
  FREE,
  GRANULE_BYTES,
  GRANULE_WORDS,
  INFO,
  KIND_MASK,
  mayBeChunk,
  SLOT_BYTES,
  STARTS,
  UNIT_BYTES
} from '../layout/slab.js'
import type { BlockInfo } from './engine.js'
import type { Slabs } from './slabs.js'

/**
 * Yields the blocks, by word index, up to the wilderness. Throws ERR_OFFHEAP_CORRUPT for an
 * impossible size.
 */
export function* walk(words: Int32Array): Generator<number, void, undefined> {
  let block = words[FIRST_WORD]
  while (block < words[TOP_WORD]) {
    const size = sizeOf(words[block])
    if (size < MINIMUM_WORDS || block + size > words[TOP_WORD]) {
      throw corrupt(
        `the header of the block at byte ${block * 4} says ${size * 4} bytes, but the ` +
          `wilderness begins ${(words[TOP_WORD] - block) * 4} bytes after it`
      )
    }
    yield block
    block += size
  }
}

/** Describes the block at a word index for a caller. */
export function describe(words: Int32Array, block: number): BlockInfo {
  return {
    pointer: pointerOf(block),
    offset: block * 4,
    size: sizeOf(words[block]) * 4,
    used: (words[block] & USED) !== 0
  }
}

/** Yields all blocks in address order; for a chunk, the slots of its slabs. */
export function* eachBlock(words: Int32Array, slabs: Slabs): Generator<BlockInfo, void, undefined> {
  for (const block of walk(words)) {
    if (isChunk(words, slabs, block)) yield* eachSlot(words, slabs, block)
    else yield describe(words, block)
  }
}

/** Is the block a chunk of slabs? Decides by the descriptor of its first granule. */
export function isChunk(words: Int32Array, slabs: Slabs, block: number): boolean {
  if (!mayBeChunk(words[block], block, slabs.chunkWords)) return false
  return words[slabs.descriptorOf((block + 1) / GRANULE_WORDS) + INFO] !== 0
}

/** Yields the slots of the slabs of a chunk, and its free granules, in address order. */
function* eachSlot(
  words: Int32Array,
  slabs: Slabs,
  block: number
): Generator<BlockInfo, void, undefined> {
  const first = (block + 1) / GRANULE_WORDS
  for (let granule = first; granule < first + slabs.chunkGranules; granule++) {
    const at = granule * GRANULE_BYTES
    const descriptor = slabs.descriptorOf(granule)
    const info = words[descriptor + INFO]
    if (info === FREE) {
      const size = granule === first + slabs.chunkGranules - 1 ? GRANULE_BYTES - 4 : GRANULE_BYTES
      yield { pointer: at, offset: at, size, used: false, slab: 0 }
      continue
    }
    const size = SLOT_BYTES[info & CLASS_MASK] ?? 0
    const starts = STARTS[info & KIND_MASK]
    for (let unit = 0; unit < 32; unit++) {
      const bit = 0x80000000 >>> unit
      if ((starts & bit) === 0) continue
      const pointer = at + unit * UNIT_BYTES
      yield { pointer, offset: pointer, size, used: (words[descriptor] & bit) !== 0, slab: size }
    }
  }
}

/**
 * Recovery: makes a sound heap of one whose last call was cut off after any single store. The blocks
 * are walked by their headers, which are right at every moment (see blocks.ts and slabs.ts); all
 * else is rebuilt: flags, footers, counters, the policy's lists and index, the slab tables.
 *
 * Recovery may itself be cut off after any store, and run again.
 */
import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, PREVIOUS_USED, sizeOf, USED } from '../layout/block.js'
import {
  BLOCKS_WORD,
  HIGH_WATER_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PEAK_USED_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../layout/header.js'
import { mayBeChunk } from '../layout/slab.js'
import type { Blocks } from './blocks.js'
import type { Pointer } from './engine.js'
import type { Slabs } from './slabs.js'
import { walk } from './walk.js'

/** What is recovered: an allocator. */
export interface Recoverable {
  readonly words: Int32Array
  readonly blocks: Blocks
  readonly slabs: Slabs
  usableSize(pointer: Pointer): number
  /** Frees a used block or slot. */
  release(pointer: Pointer): boolean
}

/** Throws ERR_OFFHEAP_CORRUPT, with nothing changed, when the blocks can't be walked. */
export function recover(heap: Recoverable): void {
  const { words, blocks, slabs } = heap
  const free = tile(words, blocks.first)
  blocks.policy.reset()
  // From the last block to the first: each goes in front of those that are there.
  for (const [block, size] of free.reverse()) blocks.policy.put(block, size)
  slabs.rebuild(possibleChunks(words, slabs))
  undoMove(heap)
}

/** The used blocks that may be chunks. Not all that look used are blocks: a chunk's header is written while it is still free. */
function possibleChunks(words: Int32Array, slabs: Slabs): Set<number> {
  const found = new Set<number>()
  if (slabs.granules === 0) return found
  for (const block of walk(words)) if (mayBeChunk(words[block], block, slabs.chunkWords)) found.add(block)
  return found
}

/** A walk that believes headers only. Merges free blocks, and sets flags, footers, counters and top right. Returns the free blocks. */
function tile(words: Int32Array, first: number): [block: number, size: number][] {
  const top = words[TOP_WORD]
  // Before anything changes, can the blocks be walked at all?
  for (let block = first; block < top; ) {
    const size = sizeOf(words[block])
    if (size < MINIMUM_WORDS || (block + size > top && (words[block] & USED) === 0)) {
      throw corrupt(
        `the header of the block at byte ${block * 4} says ${size * 4} bytes, and recovery can't go on there`
      )
    }
    block += size
  }
  const free: [number, number][] = []
  let [used, blocks, run, last] = [0, 0, 0, first]
  const flagOf = (): number => (run === 0 ? PREVIOUS_USED : 0)
  const endRun = (end: number): void => {
    if (run === 0) return
    // Header last: until then the blocks of the run are walked one by one.
    words[end - 1] = end - run
    words[run] = ((end - run) << 1) | PREVIOUS_USED
    free.push([run, end - run])
    run = 0
  }
  for (let block = first; block < top; ) {
    // A last block that was being grown ends at the top.
    const size = Math.min(sizeOf(words[block]), top - block)
    const next = block + size
    if ((words[block] & USED) === 0) {
      if (run === 0) run = block
    } else {
      words[block] = (size << 1) | flagOf() | USED
      endRun(block)
      used += size
      blocks++
      last = next
    }
    block = next
  }
  words[TOP_WORD] = last
  words[USED_WORD] = used
  words[BLOCKS_WORD] = blocks
  words[HIGH_WATER_WORD] = Math.max(words[HIGH_WATER_WORD], last)
  words[TOUCHED_WORD] = Math.max(words[TOUCHED_WORD], top)
  words[PEAK_USED_WORD] = Math.max(words[PEAK_USED_WORD], used)
  return free
}

/** Of a realloc that was cut off, the old block is kept while it is used, and else the new one. */
function undoMove(heap: Recoverable): void {
  const { words } = heap
  const from = words[MOVE_FROM_WORD] * 4
  const to = words[MOVE_TO_WORD] * 4
  if (heap.usableSize(from) >= 0) heap.release(to)
  words[MOVE_TO_WORD] = 0
  words[MOVE_FROM_WORD] = 0
}

/**
 * Recovery: repairs a heap whose last call was interrupted after any single store. It walks the
 * blocks by their headers, which are valid at every moment (see blocks.ts and slabs.ts), and
 * rebuilds everything else: flags, footers, counters, the policy's lists and index, the slab
 * tables.
 *
 * Recovery may itself be interrupted after any store, and run again.
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

/** The parts of an allocator that recovery works on. */
export interface Recoverable {
  readonly words: Int32Array
  readonly blocks: Blocks
  readonly slabs: Slabs
  usableSize(pointer: Pointer): number
  /** Frees a used block or slot. */
  release(pointer: Pointer): boolean
}

/** Recovers a heap. Throws ERR_OFFHEAP_CORRUPT, changing nothing, if the blocks can't be walked. */
export function recover(heap: Recoverable): void {
  const { words, blocks, slabs } = heap
  const free = tile(words, blocks.first)
  blocks.policy.reset()
  // Go from the last block to the first, so that each goes to the front of its list.
  for (const [block, size] of free.reverse()) blocks.policy.put(block, size)
  slabs.rebuild(possibleChunks(words, slabs))
  undoMove(heap)
}

/**
 * The used blocks that may be chunks. Some only look used: a chunk's header is written while it is
 * still free.
 */
function possibleChunks(words: Int32Array, slabs: Slabs): Set<number> {
  const found = new Set<number>()
  if (slabs.granules === 0) return found
  for (const block of walk(words))
    if (mayBeChunk(words[block], block, slabs.chunkWords)) found.add(block)
  return found
}

/**
 * Walks the blocks by their headers. Merges free blocks, and corrects flags, footers, counters and
 * top. Returns the free blocks.
 */
function tile(words: Int32Array, first: number): [block: number, size: number][] {
  const top = words[TOP_WORD]
  // Before changing anything, make sure that the blocks can be walked.
  for (let block = first; block < top; ) {
    const size = sizeOf(words[block])
    const end = block + size
    // A used block that is being grown reaches beyond the top, but never beyond the heap.
    const isWrong = end >= words.length || (end > top && (words[block] & USED) === 0)
    if (size < MINIMUM_WORDS || isWrong) {
      throw corrupt(
        `the header of the block at byte ${block * 4} says ${size * 4} bytes, so recovery ` +
          `can't continue there`
      )
    }
    block = end
  }
  const free: [number, number][] = []
  let [used, blocks, run, last] = [0, 0, 0, first]
  const flagOf = (): number => (run === 0 ? PREVIOUS_USED : 0)
  const endRun = (end: number): void => {
    if (run === 0) return
    // Write the header last: until then, a walk visits the blocks of the run one by one.
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
      const header = (size << 1) | flagOf() | USED
      // Store only what is wrong: pages of a file that don't change need not be written.
      if (words[block] !== header) words[block] = header
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

/**
 * Undoes an interrupted realloc: keeps the old block if it is still used, otherwise the new one.
 */
function undoMove(heap: Recoverable): void {
  const { words } = heap
  const from = words[MOVE_FROM_WORD] * 4
  const to = words[MOVE_TO_WORD] * 4
  if (heap.usableSize(from) >= 0) heap.release(to)
  words[MOVE_TO_WORD] = 0
  words[MOVE_FROM_WORD] = 0
}

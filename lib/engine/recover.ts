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
import { Allocator } from './allocator.js'
import type { Host } from './engine.js'
import type { Header } from './format.js'

/** What recovery found. */
export interface Recovered {
  /** The used blocks and slots. */
  readonly blocks: number
  /** Whether a realloc was cut off, and one of its two copies was freed. */
  readonly undone: boolean
}

/**
 * Recovers the ordinary heap in `words`, of the kind that `header` says. Throws ERR_OFFHEAP_CORRUPT, with
 * nothing changed, when the blocks can't be walked.
 */
export function recover(words: Int32Array, header: Header, host: Host): Recovered {
  const allocator = new Allocator(words, header, host)
  const free = tile(words, allocator.blocks.first)
  rebuildPolicy(allocator, free)
  allocator.slabs.rebuild()
  const undone = undoMove(allocator)
  return { blocks: allocator.stats(0).blocks, undone }
}

/** A walk that believes headers only. Merges free blocks, and sets flags, footers, counters and top right. Returns the free blocks. */
function tile(words: Int32Array, first: number): [block: number, size: number][] {
  const top = words[TOP_WORD]
  // Before anything changes, can the blocks be walked at all?
  for (let block = first; block < top; ) {
    const size = sizeOf(words[block])
    if (size < MINIMUM_WORDS || (block + size > top && (words[block] & USED) === 0)) {
      throw corrupt(`the header of the block at byte ${block * 4} says ${size * 4} bytes, and recovery can't go on there`)
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

/** Fills the policy's lists anew, from the last free block to the first. */
function rebuildPolicy({ blocks: { policy } }: Allocator, free: readonly [block: number, size: number][]): void {
  policy.reset()
  for (const [block, size] of [...free].reverse()) policy.put(block, size)
}

/** Of a realloc that was cut off, the old block is kept while it is used, and else the new one. */
function undoMove(allocator: Allocator): boolean {
  const words = allocator.words
  const from = words[MOVE_FROM_WORD] * 4
  const to = words[MOVE_TO_WORD] * 4
  const undone = from !== 0 && to !== 0 && allocator.usableSize(from) >= 0 && allocator.usableSize(to) >= 0
  if (undone) allocator.free(to)
  words[MOVE_TO_WORD] = 0
  words[MOVE_FROM_WORD] = 0
  return undone
}

/** Statistics of a heap, in bytes. */
import { MINIMUM_WORDS, sizeOf, USED } from '../layout/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  PEAK_USED_WORD,
  SIZE_WORD,
  TOP_WORD,
  USED_WORD
} from '../layout/header.js'
import type { Placement } from '../placement/placement.js'
import type { HeapStats } from './engine.js'
import type { Slabs } from './slabs.js'
import { eachBlock, isChunk, walk } from './walk.js'

/** The most bytes of block space, first block to top, ever in use. Reads the header only. */
export function highWaterOf(words: Int32Array): number {
  return (words[HIGH_WATER_WORD] - words[FIRST_WORD]) * 4
}

/**
 * Computes the statistics. Takes time proportional to the number of free blocks, or of all blocks
 * in a heap with slabs. Throws ERR_OFFHEAP_CORRUPT for invalid links or headers.
 */
export function readStats(
  words: Int32Array,
  policy: Placement,
  slabs: Slabs,
  residentBytes: number
): HeapStats {
  const first = words[FIRST_WORD]
  const top = words[TOP_WORD]
  const size = words[SIZE_WORD] * 8
  const end = size / 4 - 1
  let freeBlocks = 0
  let largest = end - top
  for (const block of policy.list()) {
    freeBlocks++
    largest = Math.max(largest, sizeOf(words[block]))
  }
  const slots = slabs.granules === 0 ? NO_SLOTS : countSlots(words, slabs)
  if (slots.empty > 0) largest = largestWhenReclaimed(words, slabs, end)
  const used = (words[USED_WORD] - slots.chunks * slabs.chunkWords) * 4 + slots.usedBytes
  const metadata =
    first * 4 + 4 + slots.chunks * slabs.chunkWords * 4 - slots.usedBytes - slots.freeBytes
  return {
    size,
    metadata,
    used,
    free: size - metadata - used,
    blocks: words[BLOCKS_WORD] - slots.chunks + slots.used,
    freeBlocks,
    quarantined: 0,
    quarantinedBlocks: 0,
    slabs: slots.chunks * slabs.chunkWords * 4,
    largestFree: Math.max(largest >= MINIMUM_WORDS ? largest * 4 - 4 : 0, slots.largestOpen),
    peakUsed: words[PEAK_USED_WORD] * 4,
    top: top * 4,
    wilderness: (end - top) * 4,
    highWater: highWaterOf(words),
    residentBytes
  }
}

interface Slots {
  /** The number of chunks, and of those without a used slot. */
  readonly chunks: number
  readonly empty: number
  /** Used slots, their bytes, and the bytes of free slots and free granules. */
  readonly used: number
  readonly usedBytes: number
  readonly freeBytes: number
  /** The size of the largest slot that can be allocated. */
  readonly largestOpen: number
}

const NO_SLOTS: Slots = { chunks: 0, empty: 0, used: 0, usedBytes: 0, freeBytes: 0, largestOpen: 0 }

function countSlots(words: Int32Array, slabs: Slabs): Slots {
  let [chunks, empty, used, usedBytes, freeBytes, largestOpen] = [0, 0, 0, 0, 0, 0]
  for (const block of walk(words)) {
    if (!isChunk(words, slabs, block)) continue
    chunks++
    if (slabs.isEmpty(block)) empty++
  }
  for (const { size, used: isUsed, slab } of eachBlock(words, slabs)) {
    if (slab === undefined) continue
    if (isUsed) {
      used++
      usedBytes += size
    } else {
      freeBytes += size
      largestOpen = Math.max(largestOpen, slab === 0 ? slabs.slots.limit : slab)
    }
  }
  return { chunks, empty, used, usedBytes, freeBytes, largestOpen }
}

/** The size, in words, of the largest free block that there would be if empty chunks were freed. */
function largestWhenReclaimed(words: Int32Array, slabs: Slabs, end: number): number {
  let largest = 0
  let run = 0
  for (const block of walk(words)) {
    const keeps =
      (words[block] & USED) !== 0 && !(isChunk(words, slabs, block) && slabs.isEmpty(block))
    run = keeps ? 0 : run + sizeOf(words[block])
    largest = Math.max(largest, run)
  }
  return Math.max(largest, run + end - words[TOP_WORD])
}

/** Figures about a heap, in bytes. */
import { MINIMUM_WORDS, sizeOf, USED } from '../block/block.js'
import {
  BLOCKS_WORD,
  CACHED_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  PEAK_USED_WORD,
  SIZE_WORD,
  TOP_WORD,
  USED_WORD
} from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement, PlacementName } from '../placement/placement.js'
import type { Allocator } from './allocator.js'
import { isCachedBlock, sizeAt, walk } from './walk.js'

/** Figures about a heap. Everything is in bytes, but for the two counts of blocks. */
export interface HeapStats {
  /** The whole heap: metadata + used + free. */
  readonly size: number
  /** The header, the index of the placement policy, and the sentinels of the quick lists. */
  readonly metadata: number
  /** Used blocks, their headers included. */
  readonly used: number
  /** Free blocks, cached blocks and wilderness. */
  readonly free: number
  /** How many blocks are used. */
  readonly blocks: number
  /** How many free blocks there are between them. */
  readonly freeBlocks: number
  /** Blocks that were given back and wait in quick lists, their headers included; and how many there are. */
  readonly cached: number
  readonly cachedBlocks: number
  /** The largest n for which malloc(n) succeeds now; 0 when nothing fits. */
  readonly largestFree: number
  /** The most that `used` ever was. */
  readonly peakUsed: number
  /** The byte offset at which the wilderness begins. */
  readonly top: number
  /** The bytes of wilderness, from `top` to the end. */
  readonly wilderness: number
  /** The most bytes of block space, first block to top, ever in use. Utilization is peak payload / highWater. */
  readonly highWater: number
  /** The bytes of the heap that are in physical memory; the whole size when the heap lies in an ordinary ArrayBuffer. */
  readonly residentBytes: number
}

/** What JSON.stringify and console.log show of a heap: see `HeapStats`. */
export interface HeapSummary {
  readonly size: number
  readonly placement: PlacementName
  readonly used: number
  readonly blocks: number
  readonly closed: boolean
}

/**
 * Reads the figures. Takes time in proportion to the number of free blocks; with cached blocks, to the number of all blocks.
 * Throws ERR_OFFHEAP_CORRUPT where links or headers lead nowhere.
 */
export function readStats(allocator: Allocator, residentBytes: number): HeapStats {
  const { words, placement } = allocator
  const first = words[FIRST_WORD]
  const top = words[TOP_WORD]
  const size = words[SIZE_WORD] * 8
  const used = words[USED_WORD] * 4
  const end = size / 4 - 1
  let freeBlocks = 0
  let largest = end - top
  for (const block of placement.list()) {
    freeBlocks++
    largest = Math.max(largest, sizeOf(words[block]))
  }
  let cachedBlocks = 0
  for (const _ of allocator.cachedBlocks()) cachedBlocks++
  if (cachedBlocks !== 0) largest = largestWhenMerged(words, end)
  return {
    size,
    metadata: first * 4 + 4,
    used,
    free: (end - first) * 4 - used,
    blocks: words[BLOCKS_WORD],
    freeBlocks,
    cached: words[CACHED_WORD] * 4,
    cachedBlocks,
    largestFree: largest >= MINIMUM_WORDS ? largest * 4 - 4 : 0,
    peakUsed: words[PEAK_USED_WORD] * 4,
    top: top * 4,
    wilderness: (end - top) * 4,
    highWater: (words[HIGH_WATER_WORD] - first) * 4,
    residentBytes
  }
}

/** The largest free block, in words, that there were if all cached blocks were freed. */
function largestWhenMerged(words: Int32Array, end: number): number {
  let largest = 0
  let run = 0
  for (const block of walk(words)) {
    const used = (words[block] & USED) !== 0 && !isCachedBlock(words, block)
    run = used ? 0 : run + sizeAt(words, block)
    largest = Math.max(largest, run)
  }
  return Math.max(largest, run + end - words[TOP_WORD])
}

/** The whole free pages of a heap, as [offset, length] in bytes: in the wilderness as far as touched, and in free blocks. */
export function* freePages(
  words: Int32Array,
  placement: Placement,
  touched: number,
  pageSize: number
): Generator<[number, number], void, undefined> {
  const [first, top] = [words[FIRST_WORD], words[TOP_WORD]]
  if (!(top >= first && touched >= top && touched < words.length)) {
    throw corrupt(`the wilderness is said to begin at byte ${top * 4}, and to be new from byte ${touched * 4} on`)
  }
  for (const block of placement.list()) {
    const size = sizeOf(words[block])
    if (!(block >= first && block + size <= top))
      throw corrupt(`byte ${block * 4} is in the free list: no block is there`)
    // Header, links and footer stay where they are.
    yield* wholePages((block + placement.keptWords) * 4, (block + size - 1) * 4, pageSize)
  }
  // What lies behind the heap in its last page is not the heap's.
  const end = Math.min(Math.ceil((touched * 4) / pageSize) * pageSize, words.byteLength)
  yield* wholePages(top * 4, end, pageSize)
}

function* wholePages(begin: number, end: number, pageSize: number): Generator<[number, number], void, undefined> {
  const first = Math.ceil(begin / pageSize) * pageSize
  const last = Math.floor(end / pageSize) * pageSize
  if (last > first) yield [first, last - first]
}

/** Figures about a hardened heap, and its blocks as a caller sees them: the ledger's, times four. */
import { MINIMUM_WORDS, sizeOf } from '../../block/block.js'
import {
  BLOCKS_WORD,
  CACHED_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  PEAK_LIVE_WORD,
  QUARANTINED_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../../block/header.js'
import type { HeapStats } from '../stats.js'
import { type BlockInfo, walk } from '../walk.js'
import type { HardenedAllocator } from './allocator.js'
import { SLOT_BYTES, slotOf } from './layout.js'
import type { Kind } from './seals.js'

/**
 * The blocks in address order, each with what it is under its seal. Throws ERR_OFFHEAP_CORRUPT at the first whose entry in the ledger
 * was overwritten.
 */
function* sealedBlocks(allocator: HardenedAllocator): Generator<[number, Kind], void, undefined> {
  for (const block of walk(allocator.words)) yield [block, sealedKind(allocator, block)]
}

function sealedKind({ seals, faults }: HardenedAllocator, block: number): Kind {
  const kind = seals.kindOf(block)
  if (kind === undefined) throw faults.entry(block)
  return kind
}

/** Reads the figures, in time proportional to the number of blocks. Throws ERR_OFFHEAP_CORRUPT. */
export function readHardenedStats(allocator: HardenedAllocator, residentBytes: number): HeapStats {
  const { words } = allocator
  const first = slotOf(words[FIRST_WORD])
  const top = slotOf(words[TOP_WORD])
  const end = slotOf(words.length - 1)
  const size = words[SIZE_WORD] * 8
  const used = (words[USED_WORD] - words[CACHED_WORD]) * SLOT_BYTES
  let freeBlocks = 0
  let largest = 0
  let run = 0
  for (const [block, kind] of sealedBlocks(allocator)) {
    if (kind === 'free') freeBlocks++
    run = kind === 'used' ? 0 : run + sizeOf(words[block])
    largest = Math.max(largest, run)
  }
  largest = Math.max(largest, run + words.length - 1 - words[TOP_WORD])
  return {
    size,
    metadata: first + size - end,
    used,
    free: end - first - used,
    blocks: words[BLOCKS_WORD] - words[QUARANTINED_WORD],
    freeBlocks,
    cached: words[CACHED_WORD] * SLOT_BYTES,
    cachedBlocks: words[QUARANTINED_WORD],
    // One byte at least is red zone.
    largestFree: largest >= MINIMUM_WORDS ? largest * SLOT_BYTES - 1 : 0,
    peakUsed: words[PEAK_LIVE_WORD] * SLOT_BYTES,
    top,
    wilderness: end - top,
    highWater: slotOf(words[HIGH_WATER_WORD]) - first,
    residentBytes
  }
}

/** What a caller sees of a block. Throws ERR_OFFHEAP_CORRUPT when its entry in the ledger was overwritten. */
export function describeHardened(allocator: HardenedAllocator, block: number): BlockInfo {
  const { words } = allocator
  const kind = sealedKind(allocator, block)
  const place = { pointer: slotOf(block), offset: slotOf(block), size: sizeOf(words[block]) * SLOT_BYTES }
  return kind === 'quarantined' ? { ...place, used: false, cached: true } : { ...place, used: kind === 'used' }
}

/** The whole free pages, as [offset, length] in bytes: in the wilderness as far as touched, in free and quarantined blocks. */
export function* freeSlotPages(
  allocator: HardenedAllocator,
  pageSize: number
): Generator<[number, number], void, undefined> {
  const { words } = allocator
  let begin = 0
  for (const [block, kind] of sealedBlocks(allocator)) {
    if (kind !== 'used') {
      if (begin === 0) begin = slotOf(block)
    } else if (begin !== 0) {
      yield* wholePages(begin, slotOf(block), pageSize)
      begin = 0
    }
  }
  yield* wholePages(begin === 0 ? slotOf(words[TOP_WORD]) : begin, slotOf(words[TOUCHED_WORD]), pageSize)
}

function* wholePages(begin: number, end: number, pageSize: number): Generator<[number, number], void, undefined> {
  const first = Math.ceil(begin / pageSize) * pageSize
  const last = Math.floor(end / pageSize) * pageSize
  if (last > first) yield [first, last - first]
}

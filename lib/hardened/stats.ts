/**
 * Statistics of a hardened heap, and its blocks as a caller sees them: those of the ledger, times
 * four.
 */
import type { BlockInfo, HeapStats } from '../engine/engine.js'
import { walk } from '../engine/walk.js'
import { MINIMUM_WORDS, sizeOf } from '../layout/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HELD_WORD,
  HIGH_WATER_WORD,
  PEAK_LIVE_WORD,
  QUARANTINED_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../layout/header.js'
import { SLOT_BYTES, slotOf } from './layout.js'
import type { Ledger } from './ledger.js'
import type { Kind } from './seals.js'

/**
 * Yields the blocks in address order, each with its kind. Throws ERR_OFFHEAP_CORRUPT at the first
 * whose entry in the ledger was overwritten.
 */
export function* sealedBlocks({
  words,
  seals,
  faults
}: Ledger): Generator<[number, Kind], void, undefined> {
  for (const block of walk(words)) {
    const kind = seals.kindOf(block)
    if (kind === undefined) throw faults.entry(block)
    yield [block, kind]
  }
}

/**
 * Computes the statistics. Takes time proportional to the number of blocks. Throws
 * ERR_OFFHEAP_CORRUPT.
 */
export function readHardenedStats(ledger: Ledger, residentBytes: number): HeapStats {
  const { words } = ledger
  const first = slotOf(words[FIRST_WORD])
  const top = slotOf(words[TOP_WORD])
  const end = slotOf(words.length - 1)
  const size = words[SIZE_WORD] * 8
  const used = (words[USED_WORD] - words[HELD_WORD]) * SLOT_BYTES
  let freeBlocks = 0
  let largest = 0
  let run = 0
  for (const [block, kind] of sealedBlocks(ledger)) {
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
    quarantined: words[HELD_WORD] * SLOT_BYTES,
    slabs: 0,
    quarantinedBlocks: words[QUARANTINED_WORD],
    // Subtract at least one byte of red zone.
    largestFree: largest >= MINIMUM_WORDS ? largest * SLOT_BYTES - 1 : 0,
    peakUsed: words[PEAK_LIVE_WORD] * SLOT_BYTES,
    top,
    wilderness: end - top,
    highWater: slotOf(words[HIGH_WATER_WORD]) - first,
    residentBytes
  }
}

/** A block as a caller sees it. */
export function describeHardened({ words }: Ledger, block: number, kind: Kind): BlockInfo {
  const place = {
    pointer: slotOf(block),
    offset: slotOf(block),
    size: sizeOf(words[block]) * SLOT_BYTES
  }
  return kind === 'quarantined'
    ? { ...place, used: false, quarantined: true }
    : { ...place, used: kind === 'used' }
}

/**
 * Yields the whole free pages as [offset, length] in bytes: in touched wilderness, in free blocks
 * and in quarantined ones.
 */
export function* freeSlotPages(
  ledger: Ledger,
  pageSize: number
): Generator<[number, number], void, undefined> {
  const { words } = ledger
  let begin = 0
  for (const [block, kind] of sealedBlocks(ledger)) {
    if (kind !== 'used') {
      if (begin === 0) begin = slotOf(block)
    } else if (begin !== 0) {
      yield* wholePages(begin, slotOf(block), pageSize)
      begin = 0
    }
  }
  yield* wholePages(
    begin === 0 ? slotOf(words[TOP_WORD]) : begin,
    slotOf(words[TOUCHED_WORD]),
    pageSize
  )
}

function* wholePages(
  begin: number,
  end: number,
  pageSize: number
): Generator<[number, number], void, undefined> {
  const first = Math.ceil(begin / pageSize) * pageSize
  const last = Math.floor(end / pageSize) * pageSize
  if (last > first) yield [first, last - first]
}

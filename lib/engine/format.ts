/** Writes the header of a new heap, and verifies an existing one (lib/layout/header.ts). */
import { constants } from 'node:buffer'
import { OffheapError, outOfRange } from '../errors.js'
import { MAXIMUM_HEAP_BYTES, MINIMUM_WORDS } from '../layout/block.js'
import {
  BLOCKS_WORD,
  CUT,
  DUE,
  FIRST_WORD,
  FREED_WORD,
  HARDENED,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  MAGIC,
  MAGIC_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  OPTIONS_WORD,
  PEAK_USED_WORD,
  PENDING_WORD,
  PLACEMENT_WORD,
  QUARANTINE_LIMIT_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  USED_WORD,
  VERSION,
  VERSION_WORD,
  WITH_SLABS
} from '../layout/header.js'
import { chunkGranules, slabLayout } from '../layout/slab.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { policyNumbered } from '../placement/policies.js'

/** The place of the blocks of a heap, as word indexes. */
export interface Layout {
  /** The first block: on an odd word, so that payloads are 8-byte aligned. */
  readonly first: number
  /** One word after the end of the wilderness. */
  readonly end: number
}

/** The kind of a heap, according to its header. */
export interface Header {
  readonly policy: PlacementPolicy
  /** WITH_SLABS or HARDENED, or 0. */
  readonly options: number
  /** The words of the heap. */
  readonly length: number
}

/** The layout of an ordinary heap of `words` words. */
export function ordinaryLayout(words: number, policy: PlacementPolicy, slabs: boolean): Layout {
  const index = HEADER_WORDS + policy.indexWords(words)
  return { first: (slabs ? slabLayout(words, index).end : index) | 1, end: words }
}

/**
 * A heap has at most this many bytes: 8 GiB less one unit of 8 bytes, so that its words have int32
 * indexes.
 */
const MOST_BYTES = MAXIMUM_HEAP_BYTES - 8
/** The most bytes that this version of Node can view: 4 GiB on Node 20. */
const VIEWABLE_BYTES = Math.min(MOST_BYTES, constants.MAX_LENGTH)

/**
 * The number of words of a new heap in `bytes` bytes of memory: as many whole units of 8 bytes as
 * possible.
 */
export function wordsIn(bytes: number): number {
  return Math.floor(Math.min(bytes, VIEWABLE_BYTES) / 8) * 2
}

/**
 * The words of `buffer` that a heap in it can use. A view of words can cover more than one of
 * bytes.
 */
export function wordsOf<Memory extends ArrayBufferLike>(buffer: Memory): Int32Array<Memory> {
  return new Int32Array(buffer, 0, Math.floor(Math.min(buffer.byteLength, MOST_BYTES) / 8) * 2)
}

/**
 * Checks that a heap of `bytes` bytes has room for a block. Throws ERR_OUT_OF_RANGE, which names
 * the smallest size that does.
 */
export function checkRoom(bytes: number, kind: string, layout: (words: number) => Layout): void {
  const hasRoom = (words: number): boolean => {
    const { first, end } = layout(words)
    return first + MINIMUM_WORDS < end
  }
  if (hasRoom(wordsIn(bytes))) return
  // A larger heap has a larger index: search for the smallest size that has room for both.
  let least = HEADER_WORDS
  while (!hasRoom(least)) least += 2
  throw outOfRange('size', `at least ${least * 4} bytes for a ${kind} heap`, bytes)
}

/** Writes the header of an empty heap. `zeroed`: the memory before its blocks is zero already. */
export function writeHeader(
  words: Int32Array,
  header: Header,
  layout: Layout,
  trimThreshold: number,
  zeroed: boolean
): void {
  if (!zeroed) words.fill(0, 0, layout.first)
  words[TRIM_THRESHOLD_WORD] = trimThreshold
  words[TOUCHED_WORD] = zeroed ? layout.first : layout.end - 1
  clearHeader(words, header, layout)
}

/**
 * Empties a heap: no blocks, no root. Keeps the record of what was touched. Trusts no word of the
 * header, so it also repairs a heap whose header was overwritten.
 */
export function clearHeader(
  words: Int32Array,
  { policy, options, length }: Header,
  layout: Layout
): void {
  words[MAGIC_WORD] = MAGIC
  words[VERSION_WORD] = VERSION
  words[SIZE_WORD] = length / 2
  words[PLACEMENT_WORD] = policy.number
  words[OPTIONS_WORD] = options
  words[FIRST_WORD] = layout.first
  words[TOP_WORD] = layout.first
  words[HIGH_WATER_WORD] = layout.first
  if (!isBlockEnd(words[TOUCHED_WORD], layout)) words[TOUCHED_WORD] = layout.end - 1
  for (const word of [TRIM_THRESHOLD_WORD, QUARANTINE_LIMIT_WORD])
    words[word] = Math.max(0, words[word])
  for (const word of CLEARED) words[word] = 0
}

/** The words that are 0 in an empty heap. */
const CLEARED = [
  USED_WORD,
  PEAK_USED_WORD,
  BLOCKS_WORD,
  ROOT_WORD,
  FREED_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PENDING_WORD
]

/** Can a block begin or end at this word? */
function isBlockEnd(word: number, { first, end }: Layout): boolean {
  return word >= first && word < end && word % 2 === 1
}

/**
 * Reads the kind of a heap from its header. Throws ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_UNSUPPORTED.
 */
export function readHeader(words: Int32Array): Header {
  if (words.length < HEADER_WORDS || words[MAGIC_WORD] !== MAGIC) {
    const swapped = words[MAGIC_WORD] === SWAPPED_MAGIC
    throw notAHeap(
      swapped
        ? 'it was written on a machine of the other byte order'
        : 'it does not begin with the bytes "offh", as every heap does'
    )
  }
  if (words[VERSION_WORD] !== VERSION) {
    throw notAHeap(
      `its layout version is ${words[VERSION_WORD]}, but this offheap reads version ${VERSION}`
    )
  }
  const length = words[SIZE_WORD] * 2
  if (!(length >= HEADER_WORDS && length <= words.length)) {
    throw notAHeap(
      `it says that it has ${words[SIZE_WORD] * 8} bytes, but the memory has ${words.length * 4}`
    )
  }
  if (length * 4 > VIEWABLE_BYTES) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `This heap has ${length * 4} bytes, and this Node can view at most ` +
        `${VIEWABLE_BYTES}; use Node 22 or later`
    )
  }
  const policy = policyNumbered(words[PLACEMENT_WORD])
  if (policy === undefined)
    throw notAHeap(`its placement policy, number ${words[PLACEMENT_WORD]}, is unknown`)
  const options = words[OPTIONS_WORD]
  // No heap has both.
  if (options !== 0 && options !== HARDENED && options !== WITH_SLABS) {
    throw notAHeap(`its options, ${options}, are unknown`)
  }
  if (options === WITH_SLABS && chunkGranules(length) === 0)
    throw notAHeap('it is too small for its slabs')
  return { policy, options, length }
}

/** 'hffo': the magic word on a machine of the other byte order. */
const SWAPPED_MAGIC = 0x6f666668

/** Verifies the positions and counters in the header. Throws ERR_OFFHEAP_NOT_A_HEAP. */
export function verifyHeader(words: Int32Array, layout: Layout): void {
  const { first, end } = layout
  if (words[FIRST_WORD] !== first) {
    throw notAHeap(
      `its first block is at byte ${words[FIRST_WORD] * 4}, but should be at byte ${first * 4}`
    )
  }
  for (const word of [TOP_WORD, TOUCHED_WORD, HIGH_WATER_WORD]) {
    if (!isBlockEnd(words[word], layout)) {
      throw notAHeap(
        `word ${word} of its header names byte ${words[word] * 4}, which lies outside its blocks`
      )
    }
  }
  const root = words[ROOT_WORD]
  if (root !== 0 && !(root > first && root < end && root % 2 === 0)) {
    throw notAHeap(`its root pointer is ${root * 4}, which lies outside its blocks`)
  }
  for (const word of [TRIM_THRESHOLD_WORD, FREED_WORD, QUARANTINE_LIMIT_WORD]) {
    if (words[word] < 0) throw notAHeap(`word ${word} of its header counts ${words[word]} words`)
  }
  if (![0, DUE, CUT].includes(words[PENDING_WORD])) {
    throw notAHeap(
      `word ${PENDING_WORD} of its header is ${words[PENDING_WORD]}, but should be 0, ` +
        `${DUE} or ${CUT}`
    )
  }
}

function notAHeap(why: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_NOT_A_HEAP',
    `There is no usable heap in this memory: ${why}`
  )
}

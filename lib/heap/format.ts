/** Writes the header of a new heap, and verifies the header of one that is there. Layout: see block/header.ts. */
import { constants } from 'node:buffer'
import { randomInt } from 'node:crypto'
import { MAXIMUM_HEAP_BYTES, MINIMUM_WORDS } from '../block/block.js'
import {
  BLOCKS_WORD,
  CACHED_WORD,
  FIRST_WORD,
  FREED_WORD,
  HARDENED,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  KEY_WORD,
  MAGIC,
  MAGIC_WORD,
  OPTIONS_WORD,
  PEAK_USED_WORD,
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
  WITH_QUICK_LISTS
} from '../block/header.js'
import { OffheapError, outOfRange } from '../errors.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { policyNumbered } from '../placement/policies.js'
import { hardenedLayout, ledgerWords } from './hardened/layout.js'
import { quickListWords } from './quick-lists.js'

/** What decides where everything lies in a heap of a given size. */
export interface Shape {
  readonly policy: PlacementPolicy
  readonly quickLists: boolean
  readonly hardened: boolean
}

/** What else a heap was asked to be. */
export interface Settings {
  /** In words; 0 for never. */
  readonly trimThreshold: number
  /** Of a hardened heap, in words of its ledger; 1/16 of the heap unless told. */
  readonly quarantine: number | undefined
}

/** Where the parts behind the header lie. */
export interface Layout {
  /** The sentinels of the quick lists; where the first block may begin when there are none. */
  readonly quickLists: number
  /** The first block: on an odd word, so that payloads are 8-byte aligned. */
  readonly first: number
  /** Where the blocks end: with the heap, or with the ledger of a hardened one. */
  readonly end: number
}

/** The layout of a heap of `words` words. */
export function layoutOf(words: number, { policy, quickLists, hardened }: Shape): Layout {
  const end = hardened ? ledgerWords(words) : words
  const index = HEADER_WORDS + policy.indexWords(end)
  if (hardened) return { quickLists: index, first: hardenedLayout(words, index).first, end }
  return { quickLists: index, first: (index + (quickLists ? quickListWords(words) : 0)) | 1, end }
}

/** A heap has at most this many bytes: words with int32 indexes, in arrays that this Node can make (4 GiB on Node 20). */
const LARGEST_BYTES = Math.min(MAXIMUM_HEAP_BYTES, constants.MAX_LENGTH)

/** The words that a heap in `bytes` bytes of memory has. Throws ERR_OUT_OF_RANGE when they are too few for one block. */
export function heapWords(bytes: number, shape: Shape): number {
  const words = Math.floor(Math.min(bytes, LARGEST_BYTES) / 8) * 2
  if (hasRoom(words, shape)) return words
  // A larger heap has a larger index: look for the smallest that has room for its own.
  let least = HEADER_WORDS
  while (!hasRoom(least, shape)) least += 2
  const kind = `${shape.hardened ? 'hardened ' : ''}${shape.policy.name}`
  throw outOfRange('size', `at least ${least * 4} bytes for a ${kind} heap`, bytes)
}

/** Has a heap of `words` words what none can do without: header, index, the smallest block, and a word at the end? */
function hasRoom(words: number, shape: Shape): boolean {
  const { first, end } = layoutOf(words, shape)
  return first + MINIMUM_WORDS < end
}

/** Writes the header of an empty heap over all of `words`. When `zeroed`, the memory is known to be untouched. */
export function writeHeader(words: Int32Array, shape: Shape, settings: Settings, zeroed: boolean): void {
  const { first, end } = layoutOf(words.length, shape)
  // A hardened heap wants to know what all of its memory holds.
  if (!zeroed) words.fill(0, 0, shape.hardened ? words.length : first)
  writeShape(words, shape)
  words[TRIM_THRESHOLD_WORD] = settings.trimThreshold
  words[TOUCHED_WORD] = zeroed || shape.hardened ? first : end - 1
  if (!shape.hardened) return
  words[KEY_WORD] = randomInt(1, 2 ** 32)
  words[QUARANTINE_LIMIT_WORD] = settings.quarantine ?? end >> 4
}

/** Writes what never changes while the heap lives. */
function writeShape(words: Int32Array, shape: Shape): void {
  words[MAGIC_WORD] = MAGIC
  words[VERSION_WORD] = VERSION
  words[SIZE_WORD] = words.length / 2
  words[PLACEMENT_WORD] = shape.policy.number
  words[OPTIONS_WORD] = (shape.quickLists ? WITH_QUICK_LISTS : 0) | (shape.hardened ? HARDENED : 0)
  words[FIRST_WORD] = layoutOf(words.length, shape).first
}

/**
 * Sets a heap to no block and no root; what was touched stays touched. Figures start anew. Nothing in the header is
 * trusted: a heap whose header was overwritten is sound afterwards.
 */
export function clearHeader(words: Int32Array, shape: Shape): void {
  writeShape(words, shape)
  const { first, end } = layoutOf(words.length, shape)
  const touched = words[TOUCHED_WORD]
  if (!isBlockEnd(touched, first, end)) words[TOUCHED_WORD] = end - 1
  for (const word of [TRIM_THRESHOLD_WORD, QUARANTINE_LIMIT_WORD]) words[word] = Math.max(0, words[word])
  words[TOP_WORD] = first
  words[HIGH_WATER_WORD] = first
  words[USED_WORD] = 0
  words[PEAK_USED_WORD] = 0
  words[BLOCKS_WORD] = 0
  words[ROOT_WORD] = 0
  words[CACHED_WORD] = 0
  words[FREED_WORD] = 0
}

/** Verifies the header of the heap in `words`; returns its shape, and its length in words. Throws ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_UNSUPPORTED. */
export function readHeader(words: Int32Array): { shape: Shape; length: number } {
  if (words.length < HEADER_WORDS || words[MAGIC_WORD] !== MAGIC)
    throw notAHeap('it does not begin with the mark of one')
  if (words[VERSION_WORD] !== VERSION) {
    throw notAHeap(`its layout version is ${words[VERSION_WORD]}, and this offheap reads version ${VERSION}`)
  }
  const length = words[SIZE_WORD] * 2
  if (!(length >= HEADER_WORDS && length <= words.length)) {
    throw notAHeap(`it says that it has ${words[SIZE_WORD] * 8} bytes, and the memory has ${words.length * 4}`)
  }
  if (length * 4 > LARGEST_BYTES) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `This heap has ${length * 4} bytes, and this Node can view at most ${LARGEST_BYTES}; use Node 22 or later`
    )
  }
  const shape = readShape(words)
  const { first, end } = layoutOf(length, shape)
  if (words[FIRST_WORD] !== first) {
    throw notAHeap(`its first block is at byte ${words[FIRST_WORD] * 4}, where byte ${first * 4} is expected`)
  }
  for (const word of [TOP_WORD, TOUCHED_WORD, HIGH_WATER_WORD]) {
    if (!isBlockEnd(words[word], first, end)) {
      throw notAHeap(`word ${word} of its header names byte ${words[word] * 4}, which lies outside its blocks`)
    }
  }
  const root = words[ROOT_WORD]
  if (root !== 0 && !(root > first && root < end && root % 2 === 0)) {
    throw notAHeap(`its root pointer is ${root * 4}, which lies outside its blocks`)
  }
  for (const word of [CACHED_WORD, TRIM_THRESHOLD_WORD, FREED_WORD, QUARANTINE_LIMIT_WORD]) {
    if (words[word] < 0) throw notAHeap(`word ${word} of its header counts ${words[word]} words`)
  }
  return { shape, length }
}

/** Can a block begin or end at this word? */
function isBlockEnd(word: number, first: number, end: number): boolean {
  return word >= first && word < end && word % 2 === 1
}

function readShape(words: Int32Array): Shape {
  const policy = policyNumbered(words[PLACEMENT_WORD])
  if (policy === undefined) throw notAHeap(`its placement policy, number ${words[PLACEMENT_WORD]}, is unknown`)
  const options = words[OPTIONS_WORD]
  // No heap has both.
  if (![0, WITH_QUICK_LISTS, HARDENED].includes(options)) throw notAHeap(`its options, ${options}, are unknown`)
  return { policy, quickLists: options === WITH_QUICK_LISTS, hardened: options === HARDENED }
}

function notAHeap(why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_NOT_A_HEAP', `There is no usable heap in this memory: ${why}`)
}

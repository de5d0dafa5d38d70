/** Writes the header of a new heap, and verifies the header of one that is there. Layout: see block/header.ts. */
import { MAXIMUM_HEAP_BYTES, MINIMUM_WORDS } from '../block/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  MAGIC,
  MAGIC_WORD,
  PEAK_USED_WORD,
  PLACEMENT_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD,
  VERSION,
  VERSION_WORD
} from '../block/header.js'
import { OffheapError, outOfRange } from '../errors.js'
import type { Placement, PlacementPolicy } from '../placement/placement.js'
import { type PlacementName, policyNumbered } from '../placement/policies.js'

/** Where the first block of a heap begins: behind header and index, on an odd word so that payloads are 8-byte aligned. */
function firstBlock(words: number, policy: PlacementPolicy): number {
  return (HEADER_WORDS + policy.indexWords(words)) | 1
}

/** The words that a heap in `bytes` bytes of memory has. Throws ERR_OUT_OF_RANGE when they are too few for one block. */
export function heapWords(bytes: number, policy: PlacementPolicy): number {
  const words = Math.floor(Math.min(bytes, MAXIMUM_HEAP_BYTES) / 8) * 2
  if (words >= leastWords(words, policy)) return words
  // A larger heap has a larger index: look for the smallest that has room for its own.
  let least = HEADER_WORDS
  while (least < leastWords(least, policy)) least += 2
  throw outOfRange('size', `at least ${least * 4} bytes for a ${policy.name} heap`, bytes)
}

/** What a heap of `words` words cannot do without: header, index, the smallest block, and a word at the end. */
function leastWords(words: number, policy: PlacementPolicy): number {
  return firstBlock(words, policy) + MINIMUM_WORDS + 1
}

/** Writes an empty heap over all of `words`. When `zeroed`, the memory is known to be untouched. */
export function writeHeader(words: Int32Array, policy: PlacementPolicy, zeroed: boolean): void {
  const first = firstBlock(words.length, policy)
  if (!zeroed) words.fill(0, 0, first)
  words[MAGIC_WORD] = MAGIC
  words[VERSION_WORD] = VERSION
  words[SIZE_WORD] = words.length / 2
  words[PLACEMENT_WORD] = policy.number
  words[FIRST_WORD] = first
  words[TOUCHED_WORD] = zeroed ? first : words.length - 1
}

/** Empties a heap whose header stands: no block, no root; what was touched stays touched. Figures start anew. */
export function clearHeap(words: Int32Array, placement: Placement): void {
  words[TOP_WORD] = words[FIRST_WORD]
  words[HIGH_WATER_WORD] = words[FIRST_WORD]
  words[USED_WORD] = 0
  words[PEAK_USED_WORD] = 0
  words[BLOCKS_WORD] = 0
  words[ROOT_WORD] = 0
  placement.reset()
}

/**
 * Verifies the header of the heap in `words` and returns its policy. Throws ERR_OFFHEAP_NOT_A_HEAP.
 */
export function readHeader(words: Int32Array): { name: PlacementName; first: number; length: number } {
  if (words.length < HEADER_WORDS || words[MAGIC_WORD] !== MAGIC)
    throw notAHeap('it does not begin with the mark of one')
  if (words[VERSION_WORD] !== VERSION) {
    throw notAHeap(`its layout version is ${words[VERSION_WORD]}, and this offheap reads version ${VERSION}`)
  }
  const length = words[SIZE_WORD] * 2
  if (!(length >= HEADER_WORDS && length <= words.length)) {
    throw notAHeap(`it says that it has ${words[SIZE_WORD] * 8} bytes, and the memory has ${words.length * 4}`)
  }
  const found = policyNumbered(words[PLACEMENT_WORD])
  if (found === undefined) throw notAHeap(`its placement policy, number ${words[PLACEMENT_WORD]}, is unknown`)
  const [name, policy] = found
  const first = firstBlock(length, policy)
  if (words[FIRST_WORD] !== first) {
    throw notAHeap(`its first block is at byte ${words[FIRST_WORD] * 4}, where byte ${first * 4} is expected`)
  }
  for (const word of [TOP_WORD, TOUCHED_WORD, HIGH_WATER_WORD]) {
    const limit = words[word]
    if (!(limit >= first && limit < length && limit % 2 === 1)) {
      throw notAHeap(`word ${word} of its header names byte ${limit * 4}, which lies outside its blocks`)
    }
  }
  const root = words[ROOT_WORD]
  if (root !== 0 && !(root > first && root < length && root % 2 === 0)) {
    throw notAHeap(`its root pointer is ${root * 4}, which lies outside its blocks`)
  }
  return { name, first, length }
}

function notAHeap(why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_NOT_A_HEAP', `There is no usable heap in this memory: ${why}`)
}

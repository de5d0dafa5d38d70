/** The invariants of a heap's blocks, stated as code. Each names the first block that breaks it. */
import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf, USED } from '../layout/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PEAK_USED_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../layout/header.js'
import type { Placement } from '../placement/placement.js'
import { walk } from './walk.js'

/** Verifies blocks, lists and index, but not slabs. Throws ERR_OFFHEAP_CORRUPT. */
export function checkBlocks(words: Int32Array, policy: Placement): void {
  const free = checkTiles(words)
  checkList(words, policy, free)
  policy.check()
}

/**
 * Verifies that blocks tile the heap, flags and footers agree, no two free blocks are adjacent, and
 * the counters are correct. Returns the free blocks.
 */
function checkTiles(words: Int32Array): Set<number> {
  const free = new Set<number>()
  let used = 0
  let blocks = 0
  let previousUsed = true
  for (const block of walk(words)) {
    const header = words[block]
    const size = sizeOf(header)
    const at = `the block at byte ${block * 4} (${size * 4} bytes)`
    if (((header & PREVIOUS_USED) !== 0) !== previousUsed) {
      throw corrupt(
        `${at} says that its left neighbour is ${previousUsed ? 'free' : 'used'}, but it is not`
      )
    }
    if ((header & USED) === 0) {
      if (!previousUsed)
        throw corrupt(`${at} is free, and so is its left neighbour: they were not merged`)
      if (words[block + size - 1] !== size) {
        throw corrupt(`${at} is free, but its footer says ${words[block + size - 1] * 4} bytes`)
      }
      free.add(block)
    } else {
      used += size
      blocks++
    }
    previousUsed = (header & USED) !== 0
  }
  if (!previousUsed) throw corrupt('the last block is free: it should have become wilderness')
  checkCounters(words, used, blocks)
  return free
}

function checkCounters(words: Int32Array, used: number, blocks: number): void {
  if (words[USED_WORD] !== used) {
    throw corrupt(
      `${used * 4} bytes are in used blocks, but the header says ${words[USED_WORD] * 4}`
    )
  }
  if (words[BLOCKS_WORD] !== blocks) {
    throw corrupt(`${blocks} blocks are used, but the header says ${words[BLOCKS_WORD]}`)
  }
  if (words[PEAK_USED_WORD] < used) {
    throw corrupt('more bytes are in use than the peak in the header')
  }
  if (words[HIGH_WATER_WORD] < words[TOP_WORD] || words[TOUCHED_WORD] < words[TOP_WORD]) {
    throw corrupt('the wilderness begins above the high water mark in the header')
  }
  if (words[PEAK_USED_WORD] > words[HIGH_WATER_WORD] - words[FIRST_WORD]) {
    throw corrupt('the peak in the header is larger than the block space ever was')
  }
  if (words[MOVE_FROM_WORD] !== 0 || words[MOVE_TO_WORD] !== 0) {
    throw corrupt('the header says that a realloc is moving a block, but none is')
  }
}

/** Verifies that the list holds every free block once, linked both ways. */
function checkList(words: Int32Array, policy: Placement, free: Set<number>): void {
  let listed = 0
  for (const block of policy.list()) {
    if (!free.has(block))
      throw corrupt(`byte ${block * 4} is in the free list, but no free block begins there`)
    if (
      words[words[block + NEXT] + PREVIOUS] !== block ||
      words[words[block + PREVIOUS] + NEXT] !== block
    ) {
      throw corrupt(`the free block at byte ${block * 4} is not linked both ways`)
    }
    listed++
    if (listed > free.size)
      throw corrupt(`the free list contains the block at byte ${block * 4} twice`)
  }
  if (listed !== free.size) {
    const lost = new Set(free)
    for (const block of policy.list()) lost.delete(block)
    const [first = words[FIRST_WORD]] = lost
    throw corrupt(`the free block at byte ${first * 4} is not in the free list`)
  }
}

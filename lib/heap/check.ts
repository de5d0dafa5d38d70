/** The invariants of a heap, stated as code. Each names the first block that breaks it. */
import { NEXT, PREVIOUS, PREVIOUS_USED, USED } from '../block/block.js'
import {
  BLOCKS_WORD,
  CACHED_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  OPTIONS_WORD,
  PEAK_USED_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement } from '../placement/placement.js'
import type { Allocator } from './allocator.js'
import { isCachedBlock, sizeAt, walk } from './walk.js'

/** Verifies every invariant of the heap. Throws ERR_OFFHEAP_CORRUPT. */
export function checkHeap(allocator: Allocator): void {
  const { words, placement } = allocator
  const { free, cached, cachedWords } = checkBlocks(words)
  checkList(words, placement, free)
  placement.check()
  allocator.checkCached(cached, cachedWords)
}

/** Blocks tile the heap, flags and footers agree, no two free blocks touch, the counters count. Says what was found. */
function checkBlocks(words: Int32Array): { free: Set<number>; cached: number; cachedWords: number } {
  const free = new Set<number>()
  let cached = 0
  let cachedWords = 0
  let used = 0
  let blocks = 0
  let previousUsed = true
  for (const block of walk(words)) {
    const header = words[block]
    const size = sizeAt(words, block)
    const at = `the block at byte ${block * 4} (${size * 4} bytes)`
    if (((header & PREVIOUS_USED) !== 0) !== previousUsed) {
      throw corrupt(`${at} says that its left neighbour is ${previousUsed ? 'free' : 'used'}, and it is not`)
    }
    if ((header & USED) === 0) {
      if (!previousUsed) throw corrupt(`${at} is free, and so is its left neighbour: they were not merged`)
      if (words[block + size - 1] !== size)
        throw corrupt(`${at} is free, and its footer says ${words[block + size - 1] * 4} bytes`)
      free.add(block)
    } else if (isCachedBlock(words, block)) {
      cached++
      cachedWords += size
    } else {
      used += size
      blocks++
    }
    previousUsed = (header & USED) !== 0
  }
  if (!previousUsed) throw corrupt('the last block is free: it should have become wilderness')
  if (words[USED_WORD] !== used)
    throw corrupt(`${used * 4} bytes are in used blocks, and the header says ${words[USED_WORD] * 4}`)
  if (words[BLOCKS_WORD] !== blocks)
    throw corrupt(`${blocks} blocks are used, and the header says ${words[BLOCKS_WORD]}`)
  if (words[PEAK_USED_WORD] < used)
    throw corrupt('the header says that there never were as many bytes in use as there are')
  if (words[HIGH_WATER_WORD] < words[TOP_WORD] || words[TOUCHED_WORD] < words[TOP_WORD]) {
    throw corrupt('the wilderness begins above the highest byte that the header says was ever used')
  }
  if (words[OPTIONS_WORD] === 0 && words[CACHED_WORD] !== 0)
    throw corrupt('the header counts bytes that wait to be used again, and the heap keeps none')
  if (words[PEAK_USED_WORD] > words[HIGH_WATER_WORD] - words[FIRST_WORD])
    throw corrupt('the header says that more bytes were in use once than blocks ever had')
  return { free, cached, cachedWords }
}

/** The list holds every free block once, linked both ways. */
function checkList(words: Int32Array, placement: Placement, free: Set<number>): void {
  let listed = 0
  for (const block of placement.list()) {
    if (!free.has(block)) throw corrupt(`byte ${block * 4} is in the free list, and no free block begins there`)
    if (words[words[block + NEXT] + PREVIOUS] !== block || words[words[block + PREVIOUS] + NEXT] !== block) {
      throw corrupt(`the free block at byte ${block * 4} is not linked both ways`)
    }
    listed++
    if (listed > free.size) throw corrupt(`the free list comes back to the block at byte ${block * 4}`)
  }
  if (listed !== free.size) {
    const lost = new Set(free)
    for (const block of placement.list()) lost.delete(block)
    const [first = words[FIRST_WORD]] = lost
    throw corrupt(`the free block at byte ${first * 4} is not in the free list`)
  }
}

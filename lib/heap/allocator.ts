/**
 * The algorithm of the heap, in word indexes: blocks are cut off the wilderness, split, merged, resized and taken back.
 * Arguments have been checked by the caller (heap.ts); which free block a request gets is for the placement policy to say.
 *
 * Free blocks merge at once: after every call no two of them touch, and none touches the wilderness, for a free block in
 * front of it becomes part of it.
 */
import { MINIMUM_WORDS, PREVIOUS_USED, sizeOf, USED, writeFree } from '../block/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HIGH_WATER_WORD,
  PEAK_USED_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement } from '../placement/placement.js'

/** A request that nothing can meet: more words than any block has. */
export const TOO_LARGE = 2 ** 31 - 1

/** Up to this many words a loop copies faster than TypedArray.copyWithin: 0.9 ns a word, where the call costs 15 ns. */
const SMALL_COPY = 16

export class Allocator {
  /** The whole heap as 32-bit words; empty when its memory is gone. */
  readonly words: Int32Array<ArrayBuffer>
  readonly placement: Placement
  protected readonly first: number
  /** The end of the wilderness. */
  private readonly limit: number

  constructor(words: Int32Array<ArrayBuffer>, placement: Placement) {
    this.words = words
    this.placement = placement
    this.first = words[FIRST_WORD]
    this.limit = words.length - 1
  }

  /** Forgets every free block. */
  reset(): void {
    this.placement.reset()
  }

  /** A used block of at least `need` words, or 0. */
  allocate(need: number): number {
    const block = this.placement.find(need)
    if (block === 0) return this.extend(need)
    this.take(block, need)
    return block
  }

  /** Makes a used block of the free `block`, and splits off what `need` words leave of it. */
  private take(block: number, need: number): void {
    const words = this.words
    const have = sizeOf(words[block])
    const rest = have - need
    let size = need
    if (rest >= MINIMUM_WORDS) {
      // Split: the front is handed out, the remainder takes the block's place in the list.
      this.placement.replace(block, have, block + need, rest)
      writeFree(words, block + need, rest)
    } else {
      this.placement.remove(block, have)
      words[block + have] |= PREVIOUS_USED
      size = have
    }
    words[block] = (size << 1) | PREVIOUS_USED | USED
    countBlock(words, size)
  }

  /** A used block of `need` words cut off the wilderness, or 0. */
  private extend(need: number): number {
    const words = this.words
    const block = words[TOP_WORD]
    // Also when the memory is gone, and `block` undefined.
    if (!(need <= this.limit - block)) return 0
    raiseTop(words, block + need)
    words[block] = (need << 1) | PREVIOUS_USED | USED
    countBlock(words, need)
    return block
  }

  /**
   * Does a used block begin here? As exact as its own header and its right neighbour's can tell, in constant time.
   * False for every block when the memory is gone.
   */
  isUsed(block: number): boolean {
    const words = this.words
    const top = words[TOP_WORD]
    if (block < this.first || !(block < top)) return false
    const header = words[block]
    const size = sizeOf(header)
    const next = block + size
    if ((header & USED) === 0 || size < MINIMUM_WORDS || next > top) return false
    return next === top || (words[next] & PREVIOUS_USED) !== 0
  }

  /** Takes back the used block `block`. False, and nothing changed, when no used block begins there (see isUsed). */
  free(block: number): boolean {
    const words = this.words
    const top = words[TOP_WORD]
    if (block < this.first || !(block < top)) return false
    const header = words[block]
    const size = sizeOf(header)
    const next = block + size
    if ((header & USED) === 0 || size < MINIMUM_WORDS || next > top) return false
    if (next === top) {
      this.giveToWilderness(block, size, header & PREVIOUS_USED)
    } else {
      const nextHeader = words[next]
      if ((nextHeader & PREVIOUS_USED) === 0) return false
      this.release(block, size, header & PREVIOUS_USED, next, nextHeader)
    }
    words[BLOCKS_WORD]--
    return true
  }

  /** Makes the `size` words from `block` to the top wilderness again, with a free left neighbour. */
  private giveToWilderness(block: number, size: number, previousUsed: number): void {
    const words = this.words
    const top = previousUsed !== 0 ? block : this.leftOf(block)
    words[block] &= ~USED
    if (top !== block) this.placement.remove(top, block - top)
    words[USED_WORD] -= size
    words[TOP_WORD] = top
  }

  /** Makes `size` words from `block` on free, and merges them with what is free beside them; `next` is no wilderness. */
  private release(block: number, size: number, previousUsed: number, next: number, nextHeader: number): void {
    const words = this.words
    const policy = this.placement
    const left = previousUsed !== 0 ? block : this.leftOf(block)
    // No longer a used block, even where it disappears inside a larger one: a second free must find it so.
    words[block] &= ~USED
    // The free neighbour, if any, that the merged block takes the place of.
    let from = left
    let fromSize = block - left
    let freeSize = next - left
    if ((nextHeader & USED) !== 0) {
      words[next] = nextHeader & ~PREVIOUS_USED
    } else {
      const nextSize = sizeOf(nextHeader)
      freeSize += nextSize
      if (fromSize === 0) {
        from = next
        fromSize = nextSize
      } else {
        policy.remove(next, nextSize)
      }
    }
    if (fromSize === 0) policy.insert(block, freeSize)
    else policy.replace(from, fromSize, left, freeSize)
    words[USED_WORD] -= size
    writeFree(words, left, freeSize)
  }

  /** The free left neighbour of `block`, by its boundary tag. Throws ERR_OFFHEAP_CORRUPT when tag and header disagree. */
  private leftOf(block: number): number {
    const size = this.words[block - 1]
    const left = block - size
    if (left < this.first || this.words[left] !== ((size << 1) | PREVIOUS_USED)) {
      throw corrupt(`the free block in front of byte ${block * 4} has a footer that does not match its header`)
    }
    return left
  }

  /** Gives a used block of `have` words `need` words, in place where that is possible. Returns it, moved or not; or 0. */
  resize(block: number, have: number, need: number): number {
    if (need <= have) {
      if (need < have) this.shrink(block, have, need)
      return block
    }
    if (this.growInPlace(block, have, need)) return block
    const moved = this.allocate(need)
    if (moved === 0) {
      // To look for another place may have emptied quick lists, and made room here.
      return this.growInPlace(block, have, need) ? block : this.growLeft(block, have, need)
    }
    const words = this.words
    if (have <= SMALL_COPY) for (let i = 1; i < have; i++) words[moved + i] = words[block + i]
    else words.copyWithin(moved + 1, block + 1, block + have)
    this.free(block)
    return moved
  }

  /** Shrinks a used block from `have` to `need` words; what can stand as free memory is given back. */
  private shrink(block: number, have: number, need: number): void {
    const words = this.words
    const next = block + have
    const rest = have - need
    if (rest === 0) return
    // A rest too small for a block of its own can only go to a free neighbour.
    if (rest < MINIMUM_WORDS && next !== words[TOP_WORD] && (words[next] & USED) !== 0) return
    words[block] -= rest << 1
    if (next === words[TOP_WORD]) this.giveToWilderness(block + need, rest, PREVIOUS_USED)
    else this.release(block + need, rest, PREVIOUS_USED, next, words[next])
  }

  /** Grows a used block into the wilderness or its free right neighbour. False when that is not enough. */
  private growInPlace(block: number, have: number, need: number): boolean {
    const grown = this.growRight(block, have, need)
    if (grown) notePeak(this.words)
    return grown
  }

  private growRight(block: number, have: number, need: number): boolean {
    const words = this.words
    const next = block + have
    const more = need - have
    if (next === words[TOP_WORD]) {
      if (need > this.limit - block) return false
      raiseTop(words, block + need)
    } else {
      const nextHeader = words[next]
      const nextSize = sizeOf(nextHeader)
      if ((nextHeader & USED) !== 0 || nextSize < more) return false
      const rest = nextSize - more
      if (rest < MINIMUM_WORDS) {
        this.placement.remove(next, nextSize)
        words[next + nextSize] |= PREVIOUS_USED
        words[block] += nextSize << 1
        words[USED_WORD] += nextSize
        return true
      }
      this.placement.replace(next, nextSize, block + need, rest)
      writeFree(words, block + need, rest)
    }
    words[block] += more << 1
    words[USED_WORD] += more
    return true
  }

  /** When nothing else is large enough: grows a used block into its free left neighbour as well. Returns it, or 0. */
  private growLeft(block: number, have: number, need: number): number {
    const words = this.words
    if ((words[block] & PREVIOUS_USED) !== 0) return 0
    const left = this.leftOf(block)
    const next = block + have
    const top = words[TOP_WORD]
    const beyond = next === top ? this.limit - top : (words[next] & USED) === 0 ? sizeOf(words[next]) : 0
    if (need > next + beyond - left) return 0
    // Left neighbour and block become one used block, which then grows or shrinks to what is needed.
    this.placement.remove(left, block - left)
    words[left] = ((next - left) << 1) | PREVIOUS_USED | USED
    // No block begins there any more: its old pointer must be found stale.
    words[block] &= ~USED
    words.copyWithin(left + 1, block + 1, next)
    words[USED_WORD] += block - left
    if (next !== top) words[next] |= PREVIOUS_USED
    if (need > next - left) this.growRight(left, next - left, need)
    else this.shrink(left, next - left, need)
    notePeak(words)
    return left
  }

  /** A used block of at least `need` words whose payload begins at a multiple of `alignment` words, or 0. */
  allocateAligned(alignment: number, need: number): number {
    const words = this.words
    const peak = words[PEAK_USED_WORD]
    const block = this.findAligned(alignment, need)
    if (block === 0) return 0
    const gap = gapBefore(block, alignment)
    const have = sizeOf(words[block])
    if (gap !== 0) {
      // Cut in two used blocks, of which the first is given back.
      words[block] = (gap << 1) | PREVIOUS_USED | USED
      words[block + gap] = ((have - gap) << 1) | PREVIOUS_USED | USED
      this.release(block, gap, PREVIOUS_USED, block + gap, words[block + gap])
    }
    this.shrink(block + gap, have - gap, need)
    // What was taken for a moment, and given back, does not count.
    words[PEAK_USED_WORD] = Math.max(peak, words[USED_WORD])
    return block + gap
  }

  /** Frees every block that is cached in a quick list. False when there is none. */
  flush(): boolean {
    return false
  }

  /** The blocks that are cached in quick lists. Throws ERR_OFFHEAP_CORRUPT. */
  *cachedBlocks(): Generator<number, void, undefined> {}

  /** Verifies that the quick lists hold the cached blocks of the heap: `blocks`, with `words` words. Throws the same. */
  checkCached(_blocks: number, _words: number): void {}

  /** A used block with room for `need` words behind its gap, or 0. */
  private findAligned(alignment: number, need: number): number {
    const words = this.words
    // Room for the widest gap is enough in any case; without it the gap of each candidate decides.
    const padded = need + alignment + 2
    const found = padded < TOO_LARGE ? this.placement.find(padded) : 0
    if (found !== 0) {
      this.take(found, padded)
      return found
    }
    const extended = this.extend(gapBefore(words[TOP_WORD], alignment) + need)
    if (extended !== 0) return extended
    for (const block of this.placement.list()) {
      const size = gapBefore(block, alignment) + need
      if (sizeOf(words[block]) < size) continue
      this.take(block, size)
      return block
    }
    return 0
  }
}

/** Notes one more used block, of `size` words. */
function countBlock(words: Int32Array, size: number): void {
  const used = words[USED_WORD] + size
  words[USED_WORD] = used
  words[BLOCKS_WORD]++
  if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
}

function notePeak(words: Int32Array): void {
  if (words[USED_WORD] > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = words[USED_WORD]
}

function raiseTop(words: Int32Array, top: number): void {
  words[TOP_WORD] = top
  if (top > words[HIGH_WATER_WORD]) words[HIGH_WATER_WORD] = top
  if (top > words[TOUCHED_WORD]) words[TOUCHED_WORD] = top
}

/** The words to leave free in front, so that the payload of a block at `block` is aligned: none, or enough for a block. */
function gapBefore(block: number, alignment: number): number {
  const gap = (alignment - ((block + 1) % alignment)) % alignment
  return gap === 0 || gap >= MINIMUM_WORDS ? gap : gap + alignment
}

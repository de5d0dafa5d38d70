/**
 * The algorithm of the heap, in word indexes: blocks are cut off the wilderness, split, merged, resized and taken back.
 * Arguments have been checked by the caller (heap.ts); which free block a request gets is for the placement policy to say.
 *
 * This is the algorithm for every policy, by the verbs of placement.ts. Heaps with first fit and segregated fit have it once
 * more, policy included, in one piece for malloc and one for free: first-fit-allocator.ts and segregated-allocator.ts.
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
import { isHolding } from '../events.js'
import type { Placement } from '../placement/placement.js'

/** A request that nothing can meet: more words than any block has. */
export const TOO_LARGE = 2 ** 31 - 1

/** Up to this many words a loop copies faster than TypedArray.copyWithin: 0.9 ns a word, where the call costs 15 ns. */
const SMALL_COPY = 16

/** The heap tells when its block space reaches another multiple of so many words: 1 MiB. */
const GROWTH_WORDS = 2 ** 18

export class Allocator {
  /** The whole heap as 32-bit words; empty when its memory is gone. */
  readonly words: Int32Array<ArrayBuffer>
  readonly placement: Placement
  protected readonly first: number
  /** The end of the wilderness. */
  private readonly limit: number
  /**
   * Called when the block space has reached another MiB, in the middle of an operation: to publish that afterwards. The block
   * space only gets there while events are held (see events.ts); without, a request for it gets 0, and changes nothing.
   */
  grown: () => void = () => {}

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
    const found = this.placement.find(need)
    return found === 0 ? this.extend(need) : this.place(found, need)
  }

  /** A used block of at least `need` words made of the free block `found`. */
  private place(found: number, need: number): number {
    const words = this.words
    const have = sizeOf(words[found])
    const rest = have - need
    if (rest < MINIMUM_WORDS) {
      this.placement.remove(found, have)
      words[found + have] |= PREVIOUS_USED
      return this.markUsed(found, have)
    }
    // Split: the front is handed out, the remainder takes the block's place in the list.
    this.placement.replace(found, have, found + need, rest)
    writeFree(words, found + need, rest)
    return this.markUsed(found, need)
  }

  /** Writes the header of a used block, and counts it. Returns it. */
  private markUsed(block: number, size: number): number {
    const words = this.words
    words[block] = (size << 1) | PREVIOUS_USED | USED
    const used = (words[USED_WORD] + size) | 0
    words[USED_WORD] = used
    words[BLOCKS_WORD]++
    if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
    return block
  }

  /** A used block of `need` words where no free block is large enough, or 0. */
  protected extend(need: number): number {
    return this.cutWilderness(need)
  }

  /** A used block of `need` words cut off the wilderness, or 0. */
  protected cutWilderness(need: number): number {
    const block = this.words[TOP_WORD]
    if (block < this.first) throw misplacedTop(block)
    // Also when the memory is gone, and `block` undefined.
    if (!(need <= this.limit - block)) return 0
    return this.raiseTop((block + need) | 0) ? this.markUsed(block, need) : 0
  }

  /** Has the wilderness got `need` words, which a request was refused because events are not held? */
  protected isDeclined(need: number): boolean {
    return need <= this.limit - this.words[TOP_WORD] && !isHolding()
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

  /** Blocks now reach up to `top`. False, and nothing changed, when that is to be published and events are not held. */
  private raiseTop(top: number): boolean {
    const words = this.words
    const highWater = words[HIGH_WATER_WORD]
    if (top > highWater) {
      const reaches = (top ^ highWater) >= GROWTH_WORDS
      if (reaches && !isHolding()) return false
      words[HIGH_WATER_WORD] = top
      if (reaches) this.grown()
    }
    words[TOP_WORD] = top
    if (top > words[TOUCHED_WORD]) words[TOUCHED_WORD] = top
    return true
  }

  /** Takes back the used block `block`. False, and nothing changed, when no used block begins there (see isUsed). */
  free(block: number): boolean {
    return this.release(block)
  }

  /** The same, past what subclasses do with a freed block: it becomes free memory, and merges with what is free beside it. */
  protected release(given: number): boolean {
    const words = this.words
    const block = given | 0
    const top = words[TOP_WORD]
    if (block < this.first || !(block < top)) return false
    const header = words[block]
    const size = sizeOf(header)
    const next = (block + size) | 0
    if ((header & USED) === 0 || size < MINIMUM_WORDS || next > top) return false
    const nextHeader = next === top ? USED : words[next]
    if (next !== top && (nextHeader & PREVIOUS_USED) === 0) return false
    const left = (header & PREVIOUS_USED) !== 0 ? block : this.leftOf(block)
    // No longer a used block, even where it disappears inside a larger one: a second free must find it so.
    words[block] = header & ~USED
    words[USED_WORD] -= size
    words[BLOCKS_WORD]--
    // The free neighbour, if any, that the merged block takes the place of.
    let from = left === block ? 0 : left
    let fromSize = (block - left) | 0
    if (next === top) {
      if (from !== 0) this.placement.remove(from, fromSize)
      words[TOP_WORD] = left
      return true
    }
    let freeSize = (next - left) | 0
    if ((nextHeader & USED) !== 0) {
      words[next] = nextHeader & ~PREVIOUS_USED
    } else {
      const nextSize = sizeOf(nextHeader)
      freeSize = (freeSize + nextSize) | 0
      if (from === 0) {
        from = next
        fromSize = nextSize
      } else {
        this.placement.remove(next, nextSize)
      }
    }
    this.placement.replace(from, fromSize, left, freeSize)
    writeFree(words, left, freeSize)
    return true
  }

  /** The free left neighbour of `block`, by its boundary tag. Throws ERR_OFFHEAP_CORRUPT when tag and header disagree. */
  protected leftOf(block: number): number {
    const size = this.words[block - 1]
    const left = block - size
    if (left < this.first || this.words[left] !== ((size << 1) | PREVIOUS_USED)) throw unmatchedFooter(block)
    return left
  }

  /**
   * Gives a used block of `have` words `need` words, in place where that is possible. Returns it, moved or not; or 0, also when
   * the block space would reach another MiB and events are not held: then nothing has changed.
   */
  resize(block: number, have: number, need: number): number {
    if (need <= have) {
      if (need < have) this.shrink(block, have, need)
      return block
    }
    if (this.growInPlace(block, have, need)) return block
    // A block at the top that may not grow there now must not go elsewhere.
    if (block + have === this.words[TOP_WORD] && this.isDeclined(need - have)) return 0
    const moved = this.allocate(need)
    if (moved === 0) {
      if (this.isDeclined(need)) return 0
      // To look for another place has emptied the quick lists, if there are any, and may have made room here.
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
    const rest = have - need
    if (rest >= MINIMUM_WORDS) {
      this.cut(block, have, need)
      this.release(block + need)
    } else if (rest !== 0) {
      this.lend(block, have, rest)
    }
  }

  /** Makes two used blocks of one, the first with `front` words. */
  private cut(block: number, have: number, front: number): void {
    const words = this.words
    words[block] -= (have - front) << 1
    words[block + front] = ((have - front) << 1) | PREVIOUS_USED | USED
    words[BLOCKS_WORD]++
  }

  /** Gives the last `rest` words of a used block, too few for a block of their own, to what is free behind it, if anything. */
  private lend(block: number, have: number, rest: number): void {
    const words = this.words
    const next = block + have
    if (next === words[TOP_WORD]) {
      words[TOP_WORD] -= rest
    } else {
      const nextHeader = words[next]
      if ((nextHeader & USED) !== 0) return
      const nextSize = sizeOf(nextHeader)
      this.placement.replace(next, nextSize, next - rest, nextSize + rest)
      writeFree(words, next - rest, nextSize + rest)
    }
    words[block] -= rest << 1
    words[USED_WORD] -= rest
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
      if (need > this.limit - block || !this.raiseTop(block + need)) return false
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
    // It may have to publish how far blocks reach then: nothing may be moved before that can be.
    if (next === top && need > next - left && !isHolding()) return 0
    // Left neighbour and block become one used block, which then grows or shrinks to what is needed.
    this.placement.remove(left, block - left)
    words[left] = ((next - left) << 1) | PREVIOUS_USED | USED
    // No block begins there any more: its old pointer must be found stale.
    words[block] &= ~USED
    words.copyWithin(left + 1, block + 1, next)
    words[USED_WORD] += block - left
    if (need > next - left) this.growRight(left, next - left, need)
    else this.shrink(left, next - left, need)
    notePeak(words)
    return left
  }

  /** A used block of at least `need` words whose payload begins at a multiple of `alignment` words, or 0. Events must be held. */
  allocateAligned(alignment: number, need: number): number {
    const words = this.words
    const peak = words[PEAK_USED_WORD]
    const block = this.findAligned(alignment, need)
    if (block === 0) return 0
    const gap = gapBefore(block, alignment)
    const have = sizeOf(words[block])
    if (gap !== 0) {
      this.cut(block, have, gap)
      this.release(block)
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
    if (found !== 0) return this.place(found, padded)
    const extended = this.cutWilderness(gapBefore(words[TOP_WORD], alignment) + need)
    if (extended !== 0) return extended
    for (const block of this.placement.list()) {
      const size = gapBefore(block, alignment) + need
      if (sizeOf(words[block]) >= size) return this.place(block, size)
    }
    return 0
  }
}

function unmatchedFooter(block: number): Error {
  return corrupt(`the free block in front of byte ${block * 4} has a footer that does not match its header`)
}

function misplacedTop(top: number): Error {
  return corrupt(`the wilderness is said to begin at byte ${top * 4}, which lies in front of all blocks`)
}

function notePeak(words: Int32Array): void {
  if (words[USED_WORD] > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = words[USED_WORD]
}

/** The words to leave free in front, so that the payload of a block at `block` is aligned: none, or enough for a block. */
function gapBefore(block: number, alignment: number): number {
  const gap = (alignment - ((block + 1) % alignment)) % alignment
  return gap === 0 || gap >= MINIMUM_WORDS ? gap : gap + alignment
}

/**
 * The algorithm of the heap, for every placement policy: takes blocks from the wilderness, splits,
 * merges, resizes and frees them. Arguments are word indexes and sizes in words;
 * lib/layout/block.ts draws a block. Which free block a request gets is the policy's decision
 * (lib/placement).
 *
 * Two invariants hold after every call: no two free blocks are adjacent, and none is adjacent to
 * the wilderness.
 *
 * The order of stores is part of the algorithm. After every single store the blocks can be walked
 * from the first to `top`, and everything else can be rebuilt from that walk (recover.ts):
 * - A block header is written before `top` moves beyond it.
 * - The header of a remainder is written before the header in front of it shrinks.
 * - One store of a header is the commit: of malloc, of free, of a split, of a merge.
 * - The header of a merged block is written before links that may lie where other headers were.
 */
import { corrupt } from '../errors.js'
import {
  MINIMUM_WORDS,
  PREVIOUS_USED,
  sizeOf,
  TOO_LARGE,
  USED,
  writeFree
} from '../layout/block.js'
import {
  BLOCKS_WORD,
  DUE,
  FIRST_WORD,
  HIGH_WATER_WORD,
  PEAK_USED_WORD,
  PENDING_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../layout/header.js'
import type { Placement } from '../placement/placement.js'

/**
 * Growth is reported each time the block space reaches another multiple of this many words: 1 MiB.
 */
const GROWTH_WORDS = 2 ** 18

/** Memory is committed in steps of this many words, 1 MiB, where the system charges for it. */
const COMMIT_WORDS = 2 ** 18

/** Makes sure that there is memory up to the word `end`, and returns whether there is. */
export type Commit = (end: number) => boolean

export class Blocks {
  /** The heap as 32-bit words; empty if its memory was detached. */
  readonly words: Int32Array
  readonly policy: Placement
  /** The first block. */
  readonly first: number
  /** The end of the wilderness. */
  readonly limit: number
  /** Blocks may reach up to here without a commit. */
  private ready: number
  private readonly commit: Commit | undefined
  /** True when the block space reached another MiB; see due.ts. */
  grown = false

  constructor(words: Int32Array, policy: Placement, commit?: Commit) {
    this.words = words
    this.policy = policy
    this.first = words[FIRST_WORD]
    this.limit = words.length - 1
    this.commit = commit
    this.ready = commit === undefined ? this.limit : 0
  }

  /** Returns a used block of at least `need` words, or 0. */
  allocate(need: number): number {
    const found = this.policy.find(need)
    return found === 0 ? this.extend(need) : this.place(found, need)
  }

  /** Does the wilderness have `need` words, and memory for them? */
  canExtend(need: number): boolean {
    const top = this.words[TOP_WORD]
    return need <= this.ready - top || this.prepare(top + need)
  }

  /**
   * Commits memory up to the word `end`, and more. Returns false if `end` is beyond the heap, or if
   * the system has no memory.
   */
  private prepare(end: number): boolean {
    const { limit, commit } = this
    if (commit === undefined || !(end <= limit)) return false
    const further = Math.min(limit, end + COMMIT_WORDS)
    if (commit(further)) this.ready = further
    else if (commit(end)) this.ready = end
    else return false
    return true
  }

  /** The wilderness was returned to the system: commit it again before it is used. */
  uncommit(): void {
    if (this.commit !== undefined) this.ready = 0
  }

  /**
   * Makes the free block `block` a used block of at least `need` words, and returns it. Splits it
   * if the remainder is large enough.
   */
  place(block: number, need: number): number {
    const words = this.words
    const header = words[block]
    const have = sizeOf(header)
    const rest = (have - need) | 0
    // Lists and index may have been overwritten: verify what they led to.
    if (
      !(
        block >= this.first &&
        block + have <= words[TOP_WORD] &&
        rest >= 0 &&
        (header & USED) === 0
      )
    )
      throw misled(block)
    if (rest >= MINIMUM_WORDS) {
      const remainder = (block + need) | 0
      // The policy first: its links may lie where the remainder's header will.
      this.policy.split(block, have, remainder, rest)
      writeFree(words, remainder, rest)
      words[block] = (need << 1) | PREVIOUS_USED | USED
      this.count(need)
    } else {
      this.policy.remove(block, have)
      words[block] = header | USED
      words[block + have] |= PREVIOUS_USED
      this.count(have)
    }
    return block
  }

  /**
   * Takes a used block of `need` words from the wilderness, and returns it; 0 if there is too
   * little.
   */
  extend(need: number): number {
    const block = this.words[TOP_WORD]
    if (!(need <= this.ready - block) && !this.prepare(block + need)) return 0
    if (!(block >= this.first))
      throw corrupt('its header says that the wilderness begins before the first block')
    this.touch(block + need)
    this.words[block] = (need << 1) | PREVIOUS_USED | USED
    this.raiseTop(block + need)
    this.count(need)
    return block
  }

  /** Counts a new used block of `size` words. */
  private count(size: number): void {
    const words = this.words
    const used = (words[USED_WORD] + size) | 0
    words[USED_WORD] = used
    words[BLOCKS_WORD]++
    if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
  }

  /** Notes that memory up to `end` is about to be written. */
  private touch(end: number): void {
    if (end > this.words[TOUCHED_WORD]) this.words[TOUCHED_WORD] = end
  }

  /** Moves the top to `top`; the header of the last block is written already. */
  private raiseTop(top: number): void {
    const words = this.words
    const highWater = words[HIGH_WATER_WORD]
    words[TOP_WORD] = top
    if (top > highWater) {
      words[HIGH_WATER_WORD] = top
      if ((top ^ highWater) >= GROWTH_WORDS) {
        this.grown = true
        words[PENDING_WORD] = DUE
      }
    }
  }

  /**
   * Does a used block begin here? Decides by its own header and that of its right neighbour, in
   * constant time. False for every block if the memory was detached.
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

  /** Frees the used block `given`. Returns false, changing nothing, if isUsed(given) is false. */
  free(given: number): boolean {
    const words = this.words
    const block = given | 0
    const top = words[TOP_WORD]
    if (block !== given || block < this.first || !(block < top)) return false
    const header = words[block]
    const size = sizeOf(header)
    const next = (block + size) | 0
    if ((header & USED) === 0 || size < MINIMUM_WORDS || next > top) return false
    const nextHeader = next === top ? PREVIOUS_USED | USED : words[next]
    if ((nextHeader & PREVIOUS_USED) === 0) return false
    if ((nextHeader & USED) === 0 && !(next + sizeOf(nextHeader) <= top)) throw unmatched(next)
    const left = (header & PREVIOUS_USED) !== 0 ? block : this.leftOf(block)
    words[block] = header & ~USED
    words[USED_WORD] -= size
    words[BLOCKS_WORD]--
    this.coalesce(left, block, next, nextHeader)
    return true
  }

  /** Merges the words from `block` to `next`, now free, with the free blocks on either side. */
  private coalesce(left: number, block: number, next: number, nextHeader: number): void {
    const { words, policy } = this
    if (next === words[TOP_WORD]) {
      // The block becomes part of the wilderness.
      if (left !== block) policy.remove(left, block - left)
      words[TOP_WORD] = left
      return
    }
    // The merged block takes the place of one of them in the lists: the left neighbour, else the
    // right.
    let from = left === block ? 0 : left
    let fromSize = (block - left) | 0
    let size = (next - left) | 0
    if ((nextHeader & USED) === 0) {
      const nextSize = sizeOf(nextHeader)
      size = (size + nextSize) | 0
      if (from === 0) {
        from = next
        fromSize = nextSize
      } else {
        policy.remove(next, nextSize)
      }
    }
    writeFree(words, left, size)
    if ((nextHeader & USED) !== 0) words[next] = nextHeader & ~PREVIOUS_USED
    if (from === 0) policy.put(left, size)
    else policy.merge(from, fromSize, left, size)
  }

  /**
   * Returns the free left neighbour of `block`, by its boundary tag. Throws ERR_OFFHEAP_CORRUPT if
   * tag and header disagree.
   */
  private leftOf(block: number): number {
    const size = this.words[block - 1]
    const left = block - size
    if (left < this.first || !(left < block) || this.words[left] !== ((size << 1) | PREVIOUS_USED))
      throw unmatched(block)
    return left
  }

  /**
   * Resizes a used block of `have` words to `need` words without moving it. Returns false, changing
   * nothing, if there is too little room.
   */
  resizeInPlace(block: number, have: number, need: number): boolean {
    if (need > have) return this.grow(block, have, need)
    const rest = have - need
    if (rest >= MINIMUM_WORDS) this.shrink(block, have, need)
    else if (rest !== 0) this.lend(block, have, rest)
    return true
  }

  /** Cuts the end off a used block, and frees it. */
  private shrink(block: number, have: number, need: number): void {
    const words = this.words
    const rest = block + need
    const next = block + have
    const nextHeader = words[next]
    words[rest] = ((have - need) << 1) | PREVIOUS_USED
    words[block] -= (have - need) << 1
    words[USED_WORD] -= have - need
    this.coalesce(rest, rest, next, nextHeader)
  }

  /**
   * Gives the last `rest` words of a used block, too few for a block, to the free memory after it,
   * if any.
   */
  private lend(block: number, have: number, rest: number): void {
    const words = this.words
    const next = block + have
    if (next === words[TOP_WORD]) {
      words[TOP_WORD] = next - rest
      words[block] -= rest << 1
    } else {
      const nextHeader = words[next]
      if ((nextHeader & USED) !== 0) return
      const size = sizeOf(nextHeader)
      if (!(next + size <= words[TOP_WORD])) throw unmatched(next)
      writeFree(words, next - rest, size + rest)
      words[block] -= rest << 1
      this.policy.merge(next, size, next - rest, size + rest)
    }
    words[USED_WORD] -= rest
  }

  /** Grows a used block into the wilderness or its free right neighbour. */
  private grow(block: number, have: number, need: number): boolean {
    const words = this.words
    const next = block + have
    let more = need - have
    if (next === words[TOP_WORD]) {
      if (need > this.ready - block && !this.prepare(block + need)) return false
      this.touch(block + need)
      words[block] += more << 1
      this.raiseTop(block + need)
    } else {
      const nextHeader = words[next]
      const size = sizeOf(nextHeader)
      const rest = size - more
      if ((nextHeader & USED) !== 0 || rest < 0) return false
      if (!(next + size <= words[TOP_WORD])) throw unmatched(next)
      if (rest >= MINIMUM_WORDS) {
        this.policy.split(next, size, block + need, rest)
        writeFree(words, block + need, rest)
      } else {
        more = size
        this.policy.remove(next, size)
        words[next + size] |= PREVIOUS_USED
      }
      words[block] += more << 1
    }
    const used = (words[USED_WORD] + more) | 0
    words[USED_WORD] = used
    if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
    return true
  }

  /**
   * Returns a used block of at least `need` words whose payload begins at a multiple of `alignment`
   * words, or 0. Tries a block with room for any gap, chosen by the policy; then the wilderness;
   * then any free block in which an aligned one fits.
   */
  allocateAligned(alignment: number, need: number): number {
    const padded = need + alignment + 2
    const found = padded < TOO_LARGE ? this.policy.find(padded) : 0
    if (found !== 0) return this.placeAligned(found, alignment, need)
    const extended = this.extendAligned(alignment, need)
    if (extended !== 0) return extended
    for (const block of this.policy.list()) {
      if (gapBefore(block, alignment) + need <= sizeOf(this.words[block]))
        return this.placeAligned(block, alignment, need)
    }
    return 0
  }

  /**
   * Where an aligned block of exactly `need` words can be placed: one of the first `tries` free
   * blocks that the policy offers, or the top; 0 if nowhere.
   */
  findAligned(alignment: number, need: number, tries: number): number {
    const { words, policy } = this
    let block = policy.find(need)
    for (let i = 0; i < tries && block !== 0; i++) {
      const rest = sizeOf(words[block]) - gapBefore(block, alignment) - need
      if (rest === 0 || rest >= MINIMUM_WORDS) return block
      block = policy.findNext(block, need)
    }
    const top = words[TOP_WORD]
    return this.canExtend(gapBefore(top, alignment) + need) ? top : 0
  }

  /**
   * Makes an aligned used block inside the free block `block`; the gap before it and the remainder
   * stay free.
   */
  placeAligned(block: number, alignment: number, need: number): number {
    const words = this.words
    if (block === words[TOP_WORD]) return this.extendAligned(alignment, need)
    const gap = gapBefore(block, alignment)
    if (gap === 0) return this.place(block, need)
    const header = words[block]
    const have = sizeOf(header)
    const aligned = block + gap
    const rest = have - gap - need
    const isFree =
      block >= this.first && block + have <= words[TOP_WORD] && rest >= 0 && (header & USED) === 0
    if (!isFree) throw misled(block)
    const size = rest >= MINIMUM_WORDS ? need : need + rest
    // What the policy keeps in the block may lie where headers are written now.
    this.policy.remove(block, have)
    if (size === need && rest !== 0) writeFree(words, aligned + size, rest)
    else words[aligned + size] |= PREVIOUS_USED
    words[aligned] = (size << 1) | USED
    // The commit: the free block ends where the aligned one begins.
    writeFree(words, block, gap)
    this.policy.put(block, gap)
    if (size === need && rest !== 0) this.policy.put(aligned + size, rest)
    this.count(size)
    return aligned
  }

  /** Takes an aligned block from the wilderness; 0 if there is too little room. */
  private extendAligned(alignment: number, need: number): number {
    const { words, policy } = this
    const block = words[TOP_WORD]
    const gap = gapBefore(block, alignment)
    if (!this.canExtend(gap + need)) return 0
    if (gap === 0) return this.extend(need)
    if (!(block >= this.first))
      throw corrupt('its header says that the wilderness begins before the first block')
    const aligned = block + gap
    this.touch(aligned + need)
    writeFree(words, block, gap)
    words[aligned] = (need << 1) | USED
    this.raiseTop(aligned + need)
    policy.put(block, gap)
    this.count(need)
    return aligned
  }
}

function misled(block: number): Error {
  return corrupt(
    `the lists of free blocks lead to byte ${block * 4}, where no free block of the right ` +
      'size begins'
  )
}

function unmatched(block: number): Error {
  return corrupt(
    `the blocks on either side of byte ${block * 4} disagree about whether the left one is free`
  )
}

/**
 * The words to leave free before a block so that its payload is aligned: none, or enough for a
 * block.
 */
export function gapBefore(block: number, alignment: number): number {
  const gap = (alignment - ((block + 1) % alignment)) % alignment
  return gap === 0 || gap >= MINIMUM_WORDS ? gap : gap + alignment
}

/**
 * Quick lists in front of the allocator: a small block that is given back stays as it is, in a list of blocks of exactly its
 * size, and the next request of that size gets it back, last in, first out. No splitting, no merging (deferred coalescing:
 * Weinstock and Wulf, "Quick Fit", 1988; Wilson et al. 1995, 3.11).
 *
 *     HEADS     │ 2 words: – │ 4 words │ 6 words │ 8 words │ …       one word for each size, behind the placement's index
 *                                 │
 *                                 ▼
 *                      ┌──────────────────────┐      ┌──────────────────────┐
 *                      │ 4 │ CACHED … USED    │  ┌──▶│ 4 │ CACHED … USED    │      header
 *                      ├──────────────────────┤  │   ├──────────────────────┤
 *                      │ next ────────────────┼──┘   │ next: 0              │      first word of the payload
 *                      └──────────────────────┘      └──────────────────────┘
 *
 * Cached blocks look used to their neighbours, and are counted neither as used nor as free blocks of the placement policy.
 * However many wait, a free never does more than this; but the block space does not grow over more than 1/16 of itself that
 * waits, or one block of the largest size. A request that only the wilderness can meet then empties all lists first, as does
 * one that nothing else can meet, and a realloc of a block too large for the lists that finds room behind it: every cached
 * block is freed in earnest, and merges. That is one walk over all blocks, in which a run of cached and free ones becomes one
 * free block.
 *
 * With 10,000 random live blocks this takes 19 ns a call; at a share of 1/32, 41; with lists emptied block by block at 1/32, 28.
 * A bound that each free kept, emptying the lists at 1/32, took 1.4 times as long over 18 recorded programs.
 */
import { CACHED, isCached, MINIMUM_WORDS, NEXT, PREVIOUS_USED, sizeOf, USED, writeFree } from '../block/block.js'
import { BLOCKS_WORD, CACHED_WORD, PEAK_USED_WORD, TOP_WORD, TRIM_THRESHOLD_WORD, USED_WORD } from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement } from '../placement/placement.js'
import type { Allocator } from './allocator.js'
import type { TrimmingKind } from './trimming.js'

/** Blocks of more words are never cached: payloads up to 1020 bytes are. */
const LARGEST_WORDS = 256
/** A block of so many words, 4 GiB, has the bit in its header that marks cached blocks. */
const MARKED_WORDS = 2 ** 30
/** The block space grows only while 1 / 2 ** SHARE_SHIFT of it waits at most, or no more than the largest block. */
const SHARE_SHIFT = 4

/** The largest block that a heap of `words` words caches; less in heaps so small that the heads would take more than 1/128. */
function largestFor(words: number): number {
  return Math.min(LARGEST_WORDS, Math.max(MINIMUM_WORDS, (words >> 6) & ~1))
}

/** How many words the heads take in a heap of `words` words: one for each even size from 0 on. */
export function quickListWords(words: number): number {
  return (largestFor(words) >> 1) + 1
}

/** An allocator with quick lists whose heads lie at `heads`; `trim` gives the free pages back. */
export type QuickKind<Policy extends Placement> = new (
  words: Int32Array<ArrayBuffer>,
  placement: Policy,
  trim: () => void,
  heads: number
) => Allocator

/** The kind of allocator that has quick lists in front, above a kind that has none. */
export function quickKind<Policy extends Placement>(Base: TrimmingKind<Policy>): QuickKind<Policy> {
  return class QuickAllocator extends Base {
    /** Where the heads lie. */
    private readonly heads: number
    /** The largest size that is cached. */
    private readonly largest: number

    constructor(words: Int32Array<ArrayBuffer>, placement: Policy, trim: () => void, heads: number) {
      super(words, placement, trim)
      this.heads = heads
      this.largest = words.length === 0 ? 0 : largestFor(words.length)
    }

    override reset(): void {
      super.reset()
      this.words.fill(0, this.heads, this.heads + (this.largest >> 1) + 1)
      this.words[CACHED_WORD] = 0
    }

    override allocate(need: number): number {
      if (need <= this.largest) {
        const words = this.words
        const head = this.heads + (need >> 1)
        const block = words[head]
        if (block !== 0) {
          const header = words[block]
          if ((header | PREVIOUS_USED) !== cachedHeader(need)) return this.nothingAt(need, block)
          words[head] = words[block + NEXT]
          words[block] = header ^ CACHED
          words[CACHED_WORD] -= need
          words[BLOCKS_WORD]++
          const used = words[USED_WORD] + need
          words[USED_WORD] = used
          if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
          return block
        }
      }
      return this.allocateAnew(need)
    }

    /** No cached block begins where a list leads: the heap is corrupt. 0 when its memory is gone, and every word undefined. */
    private nothingAt(need: number, block: number): number {
      if (this.words.length === 0) return 0
      throw broken(need, block)
    }

    /** A block that no quick list has. */
    private allocateAnew(need: number): number {
      return super.allocate(unmistakable(need))
    }

    /** Before the block space grows over too much that waits, and before a request is refused, the lists are emptied. */
    protected override extend(need: number): number {
      if (this.flushOverfull()) return super.allocate(need)
      const block = super.extend(need)
      return block !== 0 || !this.flush() ? block : super.allocate(need)
    }

    /** Empties the lists when so much waits that the block space may not grow. False when it may. */
    private flushOverfull(): boolean {
      const words = this.words
      const share = (words[TOP_WORD] - this.first) >> SHARE_SHIFT
      return words[CACHED_WORD] > Math.max(this.largest, share) && this.flush()
    }

    override allocateAligned(alignment: number, need: number): number {
      const size = unmistakable(need)
      this.flushOverfull()
      const block = super.allocateAligned(alignment, size)
      if (block !== 0 || !this.flush()) return block
      return super.allocateAligned(alignment, size)
    }

    override resize(block: number, have: number, need: number): number {
      const size = unmistakable(need)
      // A smaller block is copied in less time than the lists are emptied.
      if (have > this.largest && size > have && this.waitsBehind(block + have, block + size)) this.flush()
      return super.resize(block, have, size)
    }

    /** Is there room from the end of a block up to the word `end`, once the cached blocks in it are freed? */
    private waitsBehind(from: number, end: number): boolean {
      const words = this.words
      const top = words[TOP_WORD]
      let waits = false
      let next = from
      while (next < end && next < top) {
        const header = words[next]
        const cached = isCached(header)
        if (!cached && (header & USED) !== 0) return false
        const size = sizeOf(cached ? header ^ CACHED : header)
        if (size < MINIMUM_WORDS) return false
        waits ||= cached
        next += size
      }
      return waits
    }

    override isUsed(block: number): boolean {
      return !isCached(this.words[block]) && super.isUsed(block)
    }

    override free(block: number): boolean {
      const words = this.words
      const top = words[TOP_WORD]
      if (block < this.first || !(block < top)) return false
      const header = words[block]
      const size = sizeOf(header)
      if (size > this.largest) return this.freeInEarnest(block)
      const next = block + size
      if ((header & USED) === 0 || size < MINIMUM_WORDS || next > top) return false
      if (next !== top && (words[next] & PREVIOUS_USED) === 0) return false
      const head = this.heads + (size >> 1)
      words[block + NEXT] = words[head]
      words[block] |= CACHED
      words[head] = block
      words[CACHED_WORD] += size
      words[USED_WORD] -= size
      words[BLOCKS_WORD]--
      if (words[TRIM_THRESHOLD_WORD] !== 0) this.freed(size)
      return true
    }

    private freeInEarnest(block: number): boolean {
      return !isCached(this.words[block]) && super.free(block)
    }

    /** Frees every cached block in earnest. False when there is none. Throws ERR_OFFHEAP_CORRUPT. */
    override flush(): boolean {
      const words = this.words
      if (!(words[CACHED_WORD] > 0)) return false
      const top = words[TOP_WORD]
      let freed = 0
      for (let block = this.first; block < top; ) {
        const header = words[block]
        if (isCached(header)) {
          const end = this.endOfRun(block, top)
          freed += this.freeRun(block, end, top)
          block = end
        } else {
          block = this.behind(block, sizeOf(header), top)
        }
      }
      words.fill(0, this.heads, this.heads + (this.largest >> 1) + 1)
      if (freed !== words[CACHED_WORD]) throw miscounted(freed, words[CACHED_WORD])
      words[CACHED_WORD] = 0
      return true
    }

    /** Where the block behind a block of `size` words begins. Throws ERR_OFFHEAP_CORRUPT when that cannot be. */
    private behind(block: number, size: number, top: number): number {
      if (size < MINIMUM_WORDS || block + size > top) {
        throw corrupt(`the header of the block at byte ${block * 4} says ${size * 4} bytes`)
      }
      return block + size
    }

    /** The end of the cached and free blocks from the cached block `block` on. */
    private endOfRun(block: number, top: number): number {
      const words = this.words
      let end = block
      while (end < top) {
        const header = words[end]
        if (isCached(header)) end = this.behind(end, sizeOf(header ^ CACHED), top)
        else if ((header & USED) === 0) end = this.behind(end, sizeOf(header), top)
        else break
      }
      return end
    }

    /** Makes one free block of a run, and of the free block in front of it, if there is one. Returns how many words were cached. */
    private freeRun(begin: number, end: number, top: number): number {
      const { words, placement } = this
      const left = (words[begin] & PREVIOUS_USED) !== 0 ? begin : this.leftOf(begin)
      let cached = 0
      for (let block = begin; block < end; ) {
        const header = words[block]
        const size = sizeOf(isCached(header) ? header ^ CACHED : header)
        if (isCached(header)) {
          cached += size
          // No longer a used block: a second free must find it so.
          words[block] = header & ~(CACHED | USED)
        } else {
          placement.remove(block, size)
        }
        block += size
      }
      if (end === top) {
        if (left !== begin) placement.remove(left, begin - left)
        words[TOP_WORD] = left
        return cached
      }
      placement.replace(left === begin ? 0 : left, begin - left, left, end - left)
      writeFree(words, left, end - left)
      words[end] &= ~PREVIOUS_USED
      return cached
    }

    /** The cached blocks, list by list. Throws ERR_OFFHEAP_CORRUPT. */
    override *cachedBlocks(): Generator<number, void, undefined> {
      const words = this.words
      for (let size = MINIMUM_WORDS; size <= this.largest; size += 2) {
        let left = words.length / size
        for (let block = words[this.heads + (size >> 1)]; block !== 0; ) {
          if ((words[block] | PREVIOUS_USED) !== cachedHeader(size) || left-- < 0) throw broken(size, block)
          const next = words[block + NEXT]
          yield block
          block = next
        }
      }
    }

    /** Verifies the quick lists: they hold every cached block of the heap, of which there are `blocks` with `words` words. */
    override checkCached(blocks: number, words: number): void {
      let found = 0
      for (const block of this.cachedBlocks()) {
        if (block < this.first || block >= this.words[TOP_WORD]) throw broken(sizeOf(this.words[block] ^ CACHED), block)
        found++
      }
      if (found !== blocks) throw corrupt(`${blocks} blocks are cached, and the quick lists have ${found}`)
      if (this.words[CACHED_WORD] !== words) throw miscounted(words, this.words[CACHED_WORD])
    }
  }
}

/**
 * The words for a request of `need`: more for one of 4 GiB and up to a KiB beyond, whose header would say the same as that of
 * a small cached block. A used block may be left with two words more than was asked for.
 */
function unmistakable(need: number): number {
  if (need < MARKED_WORDS - 2 || need > MARKED_WORDS + LARGEST_WORDS) return need
  return MARKED_WORDS + LARGEST_WORDS + 2
}

/** The header of a cached block of `size` words whose left neighbour is used. */
function cachedHeader(size: number): number {
  return (size << 1) | CACHED | PREVIOUS_USED | USED
}

function miscounted(found: number, said: number): Error {
  return corrupt(`${found * 4} bytes are in cached blocks, and the header says ${said * 4}`)
}

function broken(size: number, block: number): Error {
  return corrupt(
    `the quick list for blocks of ${size * 4} bytes leads to byte ${block * 4}, where no such block is cached`
  )
}

/**
 * Quick lists in front of the allocator: a small block that is given back stays as it is, in a list of blocks of exactly its
 * size, and the next request of that size gets it back, last in, first out. No splitting, no merging (deferred coalescing:
 * Weinstock and Wulf, "Quick Fit", 1988; Wilson et al. 1995, 3.11).
 *
 *     LISTS     │ 4 words: next, previous │ 6 words │ 8 words │ …       a sentinel for each size, behind the placement's index
 *                  │     ▲
 *                  ▼     │
 *               ┌──────────────────────┐      ┌──────────────────────┐
 *               │ 4 │ CACHED … USED    │  ┌──▶│ 4 │ CACHED … USED    │      header
 *               ├──────────────────────┤  │   ├──────────────────────┤
 *               │ next ────────────────┼──┘   │ next: the sentinel   │      first word of the payload
 *               ├──────────────────────┤      ├──────────────────────┤
 *               │ previous: sentinel   │      │ previous             │      second word
 *               └──────────────────────┘      └──────────────────────┘
 *
 * Cached blocks look used to their neighbours, and are counted neither as used nor as free blocks of the placement policy.
 * However many wait, a free never does more than this; but while more than 1/16 of the block space waits, and more than one
 * block of the largest size, the block space does not get larger than it ever was, nor grow into pages that were given back to
 * the system. A request that it would have to do so for empties all lists first, as does one that nothing else can meet: every
 * cached block is freed in earnest, and merges. That is one walk over all blocks, in which a run of cached and free ones becomes
 * one free block. A realloc of a block too large for the lists frees the cached blocks behind it, and no others, when that is
 * the room it needs: therefore the second link.
 *
 * With 10,000 random live blocks this takes 19 ns a call; at a share of 1/32, 41; with lists emptied block by block at 1/32, 28.
 * A bound that each free kept, emptying the lists at 1/32, took 1.4 times as long over 18 recorded programs; lists that are
 * emptied whenever the block space grows, and for each such realloc, 1.2 times.
 */
import {
  CACHED,
  isCached,
  MINIMUM_WORDS,
  NEXT,
  PREVIOUS,
  PREVIOUS_USED,
  quickSizeOf,
  sizeOf,
  USED,
  writeFree
} from '../block/block.js'
import { clearList, unlink } from '../block/free-list.js'
import {
  BLOCKS_WORD,
  CACHED_WORD,
  HIGH_WATER_WORD,
  PEAK_USED_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement } from '../placement/placement.js'
import type { AllocatorKind } from './trimming.js'

/** Blocks of more words are never cached: payloads up to 1020 bytes are. */
const LARGEST_WORDS = 256
/** A block of so many words, 4 GiB, has the bit in its header that marks cached blocks. */
const MARKED_WORDS = 2 ** 30
/** While more than 1 / 2 ** SHARE_SHIFT of the block space waits, and more than the largest block, it gets no larger than it ever was. */
const SHARE_SHIFT = 4

/** The largest block that a heap of `words` words caches; less in heaps so small that the sentinels would take more than 1/128. */
function largestFor(words: number): number {
  return Math.min(LARGEST_WORDS, Math.max(MINIMUM_WORDS, (words >>> 7) & ~1))
}

/** How many words the sentinels take in a heap of `words` words: two for each even size. */
export function quickListWords(words: number): number {
  return largestFor(words) - MINIMUM_WORDS + 2
}

/** The kind of allocator that has quick lists in front, above a kind that has none. */
export function quickKind<Policy extends Placement>(
  Base: AllocatorKind<Policy>
): AllocatorKind<Policy, [lists: number]> {
  return class QuickAllocator extends Base {
    /** The sentinel of the size 0, if there were one: like a free block, a sentinel has its links in its second and third word. */
    private readonly sentinels: number
    /** The largest size that is cached. */
    private readonly largest: number

    /** The sentinels lie from the word `lists` on. */
    constructor(words: Int32Array<ArrayBuffer>, placement: Policy, lists: number) {
      super(words, placement)
      this.sentinels = lists - NEXT - MINIMUM_WORDS
      this.largest = words.length === 0 ? 0 : largestFor(words.length)
    }

    override reset(): void {
      super.reset()
      this.forget()
      this.words[CACHED_WORD] = 0
    }

    /** Makes every list empty. */
    private forget(): void {
      for (let size = MINIMUM_WORDS; size <= this.largest; size += 2) {
        clearList(this.words, this.sentinels + size)
      }
    }

    override allocate(need: number): number {
      if (need <= this.largest) {
        const words = this.words
        const sentinel = (this.sentinels + need) | 0
        const block = words[(sentinel + NEXT) | 0]
        if (block !== sentinel) {
          const header = words[block]
          if ((header | PREVIOUS_USED) !== cachedHeader(need)) return this.nothingAt(need, block)
          const next = words[(block + NEXT) | 0]
          words[(sentinel + NEXT) | 0] = next
          words[(next + PREVIOUS) | 0] = sentinel
          words[block] = header ^ CACHED
          words[CACHED_WORD] -= need
          words[BLOCKS_WORD]++
          const used = (words[USED_WORD] + need) | 0
          words[USED_WORD] = used
          if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
          return block
        }
        return super.allocate(need)
      }
      return this.allocateLarge(need)
    }

    /** No cached block begins where a list leads: the heap is corrupt. 0 when its memory is gone, and every word undefined. */
    private nothingAt(need: number, block: number): number {
      if (this.words.length === 0) return 0
      throw broken(need, block)
    }

    /** A block larger than quick lists have. */
    private allocateLarge(need: number): number {
      return super.allocate(unmistakable(need))
    }

    /** Before the block space gets larger than ever over too much that waits, and before a request is refused, the lists are emptied. */
    protected override extend(need: number): number {
      if (this.flushOverfull(need)) return super.allocate(need)
      const block = super.extend(need)
      return block !== 0 || this.isDeclined(need) || !this.flush() ? block : super.allocate(need)
    }

    /** Empties the lists when so much waits that the block space may not grow by `more` words. False when it may. */
    private flushOverfull(more: number): boolean {
      const words = this.words
      const top = words[TOP_WORD]
      if (top + more <= Math.min(words[HIGH_WATER_WORD], words[TOUCHED_WORD])) return false
      return words[CACHED_WORD] > Math.max(this.largest, (top - this.first) >> SHARE_SHIFT) && this.flush()
    }

    override allocateAligned(alignment: number, need: number): number {
      const size = unmistakable(need)
      // The gap in front may take two words more than the alignment: less than a block is none.
      this.flushOverfull(size + alignment + 2)
      const block = super.allocateAligned(alignment, size)
      if (block !== 0 || !this.flush()) return block
      return super.allocateAligned(alignment, size)
    }

    override resize(block: number, have: number, need: number): number {
      const size = unmistakable(need)
      // A smaller block is copied in less time.
      if (have > this.largest && size > have) this.makeRoom(block + have, block + size)
      return super.resize(block, have, size)
    }

    /** Frees the cached blocks from the end of a block up to the word `end`, or the wilderness, if with them all is free there. */
    private makeRoom(from: number, end: number): void {
      const words = this.words
      const top = words[TOP_WORD]
      const cached = []
      for (let block = from; block < end && block < top; block = this.behind(block, top)) {
        if (isCached(words[block])) cached.push(block)
        else if ((words[block] & USED) !== 0) return
      }
      for (const block of cached) this.uncache(block)
    }

    /** Frees one cached block in earnest. Throws ERR_OFFHEAP_CORRUPT. */
    private uncache(block: number): void {
      const words = this.words
      const size = quickSizeOf(words[block])
      const next = words[block + NEXT]
      const previous = words[block + PREVIOUS]
      const end = block + size
      const isLinked = words[next + PREVIOUS] === block && words[previous + NEXT] === block
      const looksUsed = end === words[TOP_WORD] || (words[end] & PREVIOUS_USED) !== 0
      if (!isLinked || !looksUsed) throw broken(size, block)
      unlink(words, block)
      words[block] ^= CACHED
      words[CACHED_WORD] -= size
      // As if it were used: to be taken back.
      words[USED_WORD] += size
      words[BLOCKS_WORD]++
      this.release(block)
    }

    override isUsed(block: number): boolean {
      return !isCached(this.words[block]) && super.isUsed(block)
    }

    override free(given: number): boolean {
      const words = this.words
      const block = given | 0
      const top = words[TOP_WORD]
      if (block < this.first || !(block < top)) return false
      const header = words[block]
      const size = sizeOf(header)
      if (size > this.largest) return this.freeInEarnest(block)
      const next = (block + size) | 0
      if ((header & USED) === 0 || size < MINIMUM_WORDS) return false
      if (next !== top && (next > top || (words[next] & PREVIOUS_USED) === 0)) return false
      const sentinel = (this.sentinels + size) | 0
      const first = words[(sentinel + NEXT) | 0]
      words[block] = header | CACHED
      words[(block + NEXT) | 0] = first
      words[(block + PREVIOUS) | 0] = sentinel
      words[(first + PREVIOUS) | 0] = block
      words[(sentinel + NEXT) | 0] = block
      words[CACHED_WORD] += size
      words[USED_WORD] -= size
      words[BLOCKS_WORD]--
      return true
    }

    private freeInEarnest(block: number): boolean {
      return !isCached(this.words[block]) && super.free(block)
    }

    /** Frees every cached block in earnest. False when there is none. Throws ERR_OFFHEAP_CORRUPT. */
    override flush(): boolean {
      const words = this.words
      const waiting = words[CACHED_WORD]
      if (!(waiting > 0)) return false
      const top = words[TOP_WORD]
      let freed = 0
      for (let block = this.first; block < top; ) {
        if (isCached(words[block])) {
          const end = this.endOfRun(block, top)
          freed += this.freeRun(block, end, top)
          block = end
        } else {
          block = this.behind(block, top)
        }
      }
      this.forget()
      words[CACHED_WORD] = waiting - freed
      if (freed !== waiting) throw miscounted(freed, waiting)
      return true
    }

    /** The end of a block, cached or not. Throws ERR_OFFHEAP_CORRUPT when it cannot be there. */
    private behind(block: number, top: number): number {
      const size = quickSizeOf(this.words[block])
      if (size < MINIMUM_WORDS || block + size > top) {
        throw corrupt(`the header of the block at byte ${block * 4} says ${size * 4} bytes`)
      }
      return block + size
    }

    /** The end of the cached and free blocks from the cached block `block` on. */
    private endOfRun(block: number, top: number): number {
      const words = this.words
      let end = block
      while (end < top && (isCached(words[end]) || (words[end] & USED) === 0)) end = this.behind(end, top)
      return end
    }

    /** Makes one free block of a run, and of the free block in front of it, if there is one. Returns how many words were cached. */
    private freeRun(begin: number, end: number, top: number): number {
      const { words, placement } = this
      const left = (words[begin] & PREVIOUS_USED) !== 0 ? begin : this.leftOf(begin)
      let cached = 0
      for (let block = begin; block < end; ) {
        const header = words[block]
        const size = quickSizeOf(header)
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
        const sentinel = this.sentinels + size
        let previous = sentinel
        for (let block = words[sentinel + NEXT]; block !== sentinel; ) {
          // A list that goes round comes back to a block with another one in front.
          const sound = (words[block] | PREVIOUS_USED) === cachedHeader(size) && words[block + PREVIOUS] === previous
          if (!sound) throw broken(size, block)
          const next = words[block + NEXT]
          yield block
          previous = block
          block = next
        }
        if (words[sentinel + PREVIOUS] !== previous) throw broken(size, words[sentinel + PREVIOUS])
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

/** The header of a cached block of `size` words whose left neighbour is used. A constant for the reason given in block.ts. */
const cachedHeader = (size: number): number => (size << 1) | CACHED | PREVIOUS_USED | USED

function miscounted(found: number, said: number): Error {
  return corrupt(`${found * 4} bytes are in cached blocks, and the header says ${said * 4}`)
}

function broken(size: number, block: number): Error {
  return corrupt(
    `the quick list for blocks of ${size * 4} bytes leads to byte ${block * 4}, where no such block is cached`
  )
}

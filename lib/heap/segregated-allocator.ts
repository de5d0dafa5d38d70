/**
 * The allocator of a heap with segregated fit: allocator.ts and placement/segregated-fit.ts once more, in one piece for malloc and
 * one for free. V8 inlines at most 920 bytes of bytecode into a function; by the policy's verbs the same work takes several calls,
 * and 18 recorded programs take 1.2 times as long. The property tests hold this to the same model as the other policies.
 */
import { MINIMUM_WORDS, NEXT, PREVIOUS, PREVIOUS_USED, sizeOf, USED, writeFree } from '../block/block.js'
import { BLOCKS_WORD, PEAK_USED_WORD, TOP_WORD, USED_WORD } from '../block/header.js'
import { misplaced, type SegregatedFit } from '../placement/segregated-fit.js'
import { ROWS, SUMMARY } from '../placement/size-classes.js'
import { Allocator } from './allocator.js'

export class SegregatedAllocator extends Allocator {
  private readonly fit: SegregatedFit
  /** What the policy says, see there: the sentinel of class 0; the first class with several sizes. */
  private readonly lists: number
  private readonly blurred: number

  constructor(words: Int32Array<ArrayBuffer>, fit: SegregatedFit) {
    super(words, fit)
    this.fit = fit
    this.lists = fit.lists
    this.blurred = fit.blurred
  }

  override allocate(need: number): number {
    const words = this.words
    const sizeClass = need >> 1
    let block = 0
    if (sizeClass < this.blurred) {
      let row = sizeClass >> 5
      let bits = words[ROWS + row] & (-1 >>> sizeClass)
      if (bits === 0) {
        const rows = words[SUMMARY] & (0x7fffffff >>> row)
        if (rows !== 0) {
          row = Math.clz32(rows)
          bits = words[ROWS + row]
        }
      }
      if (bits !== 0) {
        const sentinel = (this.lists + (row << 6) + 2 * Math.clz32(bits)) | 0
        block = words[sentinel + NEXT]
        // The bit was still set.
        if (block === sentinel) block = this.fit.frontFrom(sizeClass)
      }
    } else {
      block = this.fit.find(need)
    }
    if (block === 0) return this.extend(need)
    let size = need
    const have = sizeOf(words[block])
    const rest = (have - need) | 0
    if (rest < 0) throw misplaced(block, need)
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    words[previous + NEXT] = next
    words[next + PREVIOUS] = previous
    // The list is empty now: without the bit, no search looks here in vain.
    if (next === previous) this.fit.unmark((next - this.lists) >> 1)
    if (rest >= MINIMUM_WORDS) {
      this.put((block + need) | 0, rest)
    } else {
      words[block + have] |= PREVIOUS_USED
      size = have
    }
    words[block] = (size << 1) | PREVIOUS_USED | USED
    const used = (words[USED_WORD] + size) | 0
    words[USED_WORD] = used
    words[BLOCKS_WORD]++
    if (used > words[PEAK_USED_WORD]) words[PEAK_USED_WORD] = used
    return block
  }

  /** Makes free memory a free block at the front of the list of its class. */
  private put(block: number, size: number): void {
    const words = this.words
    writeFree(words, block, size)
    let sizeClass = size >> 1
    if (sizeClass >= this.blurred) sizeClass = this.fit.classOf(size)
    const sentinel = (this.lists + 2 * sizeClass) | 0
    const next = words[sentinel + NEXT]
    words[block + NEXT] = next
    words[block + PREVIOUS] = sentinel
    words[next + PREVIOUS] = block
    words[sentinel + NEXT] = block
    if (next === sentinel) this.fit.mark(sizeClass)
  }

  protected override release(given: number): boolean {
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
    let left = block
    if ((header & PREVIOUS_USED) === 0) {
      left = this.leftOf(block)
      const after = words[left + NEXT]
      const before = words[left + PREVIOUS]
      words[before + NEXT] = after
      words[after + PREVIOUS] = before
    }
    // No longer a used block, even where it disappears inside a larger one: a second free must find it so.
    words[block] = header & ~USED
    words[USED_WORD] -= size
    words[BLOCKS_WORD]--
    if (next === top) {
      words[TOP_WORD] = left
      return true
    }
    let freeSize = (next - left) | 0
    if ((nextHeader & USED) !== 0) {
      words[next] = nextHeader & ~PREVIOUS_USED
    } else {
      freeSize = (freeSize + sizeOf(nextHeader)) | 0
      const after = words[next + NEXT]
      const before = words[next + PREVIOUS]
      words[before + NEXT] = after
      words[after + PREVIOUS] = before
    }
    this.put(left, freeSize)
    return true
  }
}

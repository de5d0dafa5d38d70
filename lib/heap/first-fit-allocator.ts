/**
 * The allocator of a heap with first fit: allocator.ts and placement/first-fit.ts once more, in one piece for malloc and one for
 * free. V8 inlines at most 920 bytes of bytecode into a function; by the policy's verbs the same work takes several calls, and
 * 18 recorded programs take 1.1 times as long. The property tests hold this to the same model as the other policies.
 */
import { MINIMUM_WORDS, NEXT, PREVIOUS, PREVIOUS_USED, sizeOf, USED, writeFree } from '../block/block.js'
import { BLOCKS_WORD, HEADER_WORDS, PEAK_USED_WORD, TOP_WORD, USED_WORD } from '../block/header.js'
import { CARD_SHIFT, classOf, endOf } from '../placement/card-index.js'
import type { FirstFit } from '../placement/first-fit.js'
import { Allocator } from './allocator.js'

export class FirstFitAllocator extends Allocator {
  private readonly fit: FirstFit
  /** What the policy says, see there: how many hints and cards there are, and where FIRST and BOUND lie, by word and by byte. */
  private readonly classes: number
  private readonly cards: number
  private readonly firsts: number
  private readonly bounds: number

  constructor(words: Int32Array<ArrayBuffer>, fit: FirstFit) {
    super(words, fit)
    this.fit = fit
    this.classes = fit.classes
    this.cards = fit.cards
    this.firsts = fit.first
    this.bounds = fit.levels[0]
  }

  override allocate(need: number): number {
    const words = this.words
    const sizeClass = classOf(need)
    let block = 0
    let have = 0
    // The card that the hint says, if any: see there, and on from there.
    const hint = sizeClass < this.classes ? words[HEADER_WORDS + sizeClass] : -1
    if (hint >>> 0 < this.cards) {
      const end = endOf(hint)
      let previous = 0
      block = words[this.firsts + hint]
      for (;;) {
        if (!(block > previous && block < end)) {
          block = this.fit.search(need, sizeClass, hint)
          have = block === 0 ? 0 : sizeOf(words[block])
          break
        }
        have = sizeOf(words[block])
        if (have >= need) break
        previous = block
        block = words[block + NEXT]
      }
    }
    if (block === 0) return this.extend(need)
    let size = need
    const rest = (have - need) | 0
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    const card = block >>> CARD_SHIFT
    const isFirst = words[this.firsts + card] === block
    if (rest >= MINIMUM_WORDS) {
      const remainder = (block + need) | 0
      if (remainder >>> CARD_SHIFT !== card) {
        this.fit.replace(block, have, remainder, rest)
      } else {
        if (isFirst) words[this.firsts + card] = remainder
        words[remainder + NEXT] = next
        words[remainder + PREVIOUS] = previous
        words[previous + NEXT] = remainder
        words[next + PREVIOUS] = remainder
      }
      writeFree(words, remainder, rest)
    } else {
      if (isFirst) this.fit.removeFirst(card, block)
      words[previous + NEXT] = next
      words[next + PREVIOUS] = previous
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
    const left = (header & PREVIOUS_USED) !== 0 ? block : this.leftOf(block)
    // No longer a used block, even where it disappears inside a larger one: a second free must find it so.
    words[block] = header & ~USED
    words[USED_WORD] -= size
    words[BLOCKS_WORD]--
    if (next === top) {
      if (left !== block) this.fit.remove(left)
      words[TOP_WORD] = left
      return true
    }
    let freeSize = (next - left) | 0
    const card = left >>> CARD_SHIFT
    if ((nextHeader & USED) !== 0) {
      words[next] = nextHeader & ~PREVIOUS_USED
      if (left === block) this.insert(block, card)
    } else {
      freeSize = (freeSize + sizeOf(nextHeader)) | 0
      if (left !== block) {
        this.fit.remove(next)
      } else {
        const after = words[next + NEXT]
        const before = words[next + PREVIOUS]
        if (next >>> CARD_SHIFT !== card) this.fit.moveToCard(next, block, card)
        else if (words[this.firsts + card] === next) words[this.firsts + card] = block
        words[block + NEXT] = after
        words[block + PREVIOUS] = before
        words[before + NEXT] = block
        words[after + PREVIOUS] = block
      }
    }
    writeFree(words, left, freeSize)
    const sizeClass = classOf(freeSize)
    const at = (this.bounds + card) | 0
    if (sizeClass > ((words[at >> 2] >>> ((at & 3) << 3)) & 0x7f)) this.fit.raiseBounds(card, sizeClass)
    return true
  }

  /** Links a free block that touches no other in front of the first behind it. */
  private insert(block: number, card: number): void {
    const words = this.words
    let next = words[this.firsts + card]
    if (next === 0 || block < next) {
      if (next === 0) next = this.fit.firstFrom(card + 1)
      words[this.firsts + card] = block
    } else {
      let previous = 0
      while (next > previous && next < block) {
        previous = next
        next = words[next + NEXT]
      }
    }
    const previous = words[next + PREVIOUS]
    words[block + NEXT] = next
    words[block + PREVIOUS] = previous
    words[previous + NEXT] = block
    words[next + PREVIOUS] = block
  }
}

/**
 * A free list in address order with an index over it, so that neither the place of a new block nor the first block that is
 * large enough is looked for block by block. The heap is cut into cards of 2 KiB; a card knows its first free block, and
 * how large its largest may be. Above these bounds stands a tree: each word bounds 16 words of the level below.
 *
 *     bounds, level 2   ┌──┐
 *                       └┬─┘
 *     bounds, level 1    ├──┬──┬──┬ …             one word for 16 cards
 *                        ├──┬──┬──┬──┬──┬ …       one word for each card; 0: the card has no free block
 *     bounds, level 0    └┬─┴┬─┴┬─┴┬─┴┬─┴ …
 *     first block         │  │  │  │  │           one word for each card
 *
 * The bounds are lazy: taking a block lowers none of them. A search that a bound sent on a fool's errand lowers it. So a search
 * looks at no more than 32 words on each level, up and down again, and into few cards, and each of these has at most 64 free blocks.
 */
import { NEXT, PREVIOUS, sizeOf } from '../block/block.js'
import { clearList, link, unlink } from '../block/free-list.js'
import { corrupt } from '../errors.js'

const CARD_SHIFT = 9
const FAN_SHIFT = 4
const FAN = 1 << FAN_SHIFT

/** How many words each level of bounds has, for a heap of `words` words. */
function levelSizes(words: number): number[] {
  const sizes: number[] = []
  let size = (words >>> CARD_SHIFT) + 1
  for (; size > 1; size = ((size - 1) >>> FAN_SHIFT) + 1) sizes.push(size)
  return [...sizes, 1]
}

/** How many words of index a heap of `words` words needs. */
export function cardIndexWords(words: number): number {
  return levelSizes(words).reduce((sum, size) => sum + size, (words >>> CARD_SHIFT) + 1)
}

export class CardIndex {
  private readonly words: Int32Array
  private readonly sentinel: number
  /** Where the first blocks of the cards are kept. */
  private readonly firsts: number
  /** Where each level of bounds begins, and where the last one ends. */
  private readonly levels: readonly number[]

  /** The index in the words from `index` on, over the list of `sentinel`. */
  constructor(words: Int32Array, index: number, sentinel: number) {
    this.words = words
    this.sentinel = sentinel
    this.firsts = index
    const levels = [index + (words.length >>> CARD_SHIFT) + 1]
    for (const size of levelSizes(words.length)) levels.push(levels[levels.length - 1] + size)
    this.levels = levels
  }

  /** Makes the list empty. */
  reset(): void {
    clearList(this.words, this.sentinel)
    this.words.fill(0, this.firsts, this.levels[this.levels.length - 1])
  }

  /** The free block with the lowest address from `from` on; the sentinel when there is none. */
  after(from: number): number {
    const words = this.words
    const card = from >>> CARD_SHIFT
    const first = words[this.firsts + card]
    if (first === 0) return this.firstFrom(card + 1)
    let block = first
    while (block < from && block !== this.sentinel) block = this.follow(block)
    return block
  }

  /** The first block of the cards from `card` on; the sentinel when they have none. */
  private firstFrom(card: number): number {
    const found = this.cardFrom(card, 1, 0)
    return found < 0 ? this.sentinel : this.words[this.firsts + found]
  }

  /** Of all free blocks, the first that has `size` words; 0 when none has. */
  findFirst(size: number): number {
    const card = this.cardFrom(0, size, this.levels.length - 2)
    return card < 0 ? 0 : this.findFrom(this.words[this.firsts + card], size)
  }

  /** Of the free blocks from the free block `start` on, the first that has `size` words; 0 when none has. */
  findFrom(start: number, size: number): number {
    if (start === this.sentinel) return 0
    let card = start >>> CARD_SHIFT
    let block = start
    for (;;) {
      const found = this.findInCard(card, block, size)
      if (found !== 0) return found
      card = this.cardFrom(card + 1, size, 0)
      if (card < 0) return 0
      block = this.words[this.firsts + card]
    }
  }

  /** Whether there may be a block of `size` words at all. */
  mayHave(size: number): boolean {
    return this.words[this.levels[this.levels.length - 2]] >= size
  }

  /** The same within one card, of whose blocks `start` is one. */
  private findInCard(card: number, start: number, size: number): number {
    const words = this.words
    const whole = start === words[this.firsts + card]
    let largest = 0
    let block = start
    do {
      const has = sizeOf(words[block])
      if (has >= size) return block
      if (has > largest) largest = has
      block = this.follow(block)
    } while (block >>> CARD_SHIFT === card && block !== this.sentinel)
    if (whole) words[this.levels[0] + card] = largest
    return 0
  }

  /** The lowest card whose bound is at least `size`, from word `from` of a level on; -1 when there is none. */
  private cardFrom(from: number, size: number, fromLevel: number): number {
    const { words, levels } = this
    const depth = levels.length - 1
    let level = fromLevel
    let at = from
    while (level < depth) {
      const begin = levels[level] + at
      const end = Math.min(levels[level] + (((at >>> FAN_SHIFT) + 1) << FAN_SHIFT), levels[level + 1])
      let most = 0
      let word = begin
      for (; word < end && words[word] < size; word++) if (words[word] > most) most = words[word]
      if (word < end) {
        at = word - levels[level]
        if (level === 0) return at
        level--
        at <<= FAN_SHIFT
      } else {
        const parent = at >>> FAN_SHIFT
        // All that this bound is over has been seen: what it promised is not there.
        if (at % FAN === 0 && begin < end && level + 1 < depth) words[levels[level + 1] + parent] = most
        level++
        at = parent + 1
      }
    }
    return -1
  }

  /** Takes in a free block. */
  insert(block: number, size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    const next = this.after(block)
    const first = words[this.firsts + card]
    if (first === 0 || first === next) words[this.firsts + card] = block
    link(words, block, words[next + PREVIOUS], next)
    this.raise(card, size)
  }

  /** Lets go of a free block. */
  remove(block: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    if (words[this.firsts + card] === block) {
      const next = words[block + NEXT]
      const more = next !== this.sentinel && next >>> CARD_SHIFT === card
      words[this.firsts + card] = more ? next : 0
      if (!more) words[this.levels[0] + card] = 0
    }
    unlink(words, block)
  }

  /** The free block `from` becomes the free block `to`, with no other between them. */
  replace(from: number, to: number, size: number): void {
    const words = this.words
    if (from === to) {
      this.raise(to >>> CARD_SHIFT, size)
      return
    }
    const next = words[from + NEXT]
    const previous = words[from + PREVIOUS]
    this.remove(from)
    const card = to >>> CARD_SHIFT
    const first = words[this.firsts + card]
    if (first === 0 || first === next) words[this.firsts + card] = to
    link(words, to, previous, next)
    this.raise(card, size)
  }

  /** Card `card` has a block of `size` words. */
  private raise(card: number, size: number): void {
    const { words, levels } = this
    let at = card
    for (let level = 0; level < levels.length - 1 && words[levels[level] + at] < size; level++) {
      words[levels[level] + at] = size
      at >>>= FAN_SHIFT
    }
  }

  /** The block behind `block` in the list. Addresses ascend, and so every walk ends. */
  follow(block: number): number {
    const next = this.words[block + NEXT]
    if (next === this.sentinel || (next > block && next < this.words.length)) return next
    throw corrupt(`the free list goes from the block at byte ${block * 4} to byte ${next * 4}`)
  }

  /** The free blocks in address order. Throws ERR_OFFHEAP_CORRUPT when they are not. */
  *list(): Iterable<number> {
    for (let block = this.words[this.sentinel + NEXT]; block !== this.sentinel; block = this.follow(block)) yield block
  }

  /** Verifies the cards and the bounds against the list. */
  check(): void {
    const { words, levels } = this
    const firsts = new Map<number, number>()
    for (const block of this.list()) {
      const card = block >>> CARD_SHIFT
      if (!firsts.has(card)) firsts.set(card, block)
      let at = card
      for (let level = 0; level < levels.length - 1; level++) {
        if (words[levels[level] + at] < sizeOf(words[block])) {
          throw corrupt(`the free block at byte ${block * 4} is larger than the index says of its surroundings`)
        }
        at >>>= FAN_SHIFT
      }
    }
    for (let card = 0; card <= words.length >>> CARD_SHIFT; card++) {
      const first = firsts.get(card) ?? 0
      if (words[this.firsts + card] !== first || (words[levels[0] + card] === 0) !== (first === 0)) {
        throw corrupt(`the index is wrong about the first free block from byte ${(card << CARD_SHIFT) * 4} on`)
      }
    }
  }
}

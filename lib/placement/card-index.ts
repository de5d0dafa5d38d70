/**
 * A free list in address order with an index over it. The index finds both the place of a block in
 * the list and the first block that is large enough, without walking the list. The heap is divided
 * into cards of 4 KiB:
 *
 *     cards     │ 0           │ 1           │ 2           │ 3           │ …
 *     FIRST     │ block       │ 0: none     │ block       │ block       │   word: first free block
 *     BOUND     │ class 6     │ 0           │ class 20    │ class 3     │   byte: no larger class
 *               └──────┬──────┴─ … 16 … ────┴──────┬──────┘
 *     level 1       class 20                    …            byte: the maximum of 16 cards,
 *     level 2       …                                        of 16 times 16, … a tree of maxima
 *
 * Bounds are size classes, so that four of them can be compared at once: set the high bit of every
 * byte of a word, subtract the class from each byte, and the bit remains where the bound is at
 * least the class.
 *
 * Bounds are lazy. Taking a block leaves them unchanged; a search that finds nothing in a card, or
 * in a family of 16 bounds, corrects that bound. A card without free blocks always has the exact
 * bound 0. So a search reads at most 8 words on each level, up and down again, and opens few cards.
 *
 * Blocks of less than 512 bytes have a class for each size: coarser classes would open more cards.
 */

import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, NEXT, PREVIOUS, sizeOf } from '../layout/block.js'
import { checkLinks, clearList, link, relink, unlink } from '../layout/free-list.js'
import { LINKED_WORDS } from './placement.js'

/** A card has 2 ** CARD_SHIFT words: 4 KiB. */
export const CARD_SHIFT = 10
/** A bound of the tree covers a family of 2 ** FAMILY_SHIFT bounds below it. */
const FAMILY_SHIFT = 4
const FAMILY_MASK = (1 << FAMILY_SHIFT) - 1
/** The high bit of each byte of a word; no class uses it. */
const HIGH_BITS = 0x80808080
/** Smaller blocks have a class for each size. */
const EXACT_WORDS = 128

/**
 * The size class of a block of `size` words: from 2, for the smallest block, to 111. From 128 words
 * on there are two classes to an octave.
 */
export const classOf = (size: number): number =>
  size < EXACT_WORDS ? size >> 1 : coarseClassOf(size)

const coarseClassOf = (size: number): number => {
  const power = 31 - Math.clz32(size)
  return 2 * power + 50 + ((size >>> (power - 1)) & 1)
}

const SMALLEST_CLASS = classOf(MINIMUM_WORDS)

/** Where the parts of the index lie, from the word `index` on, in a heap of `words` words. */
function layoutOf(words: number, index: number) {
  const cards = ((words - 1) >>> CARD_SHIFT) + 1
  /**
   * The bytes where the levels of the tree begin, and where the last one ends; each begins with a
   * word.
   */
  const levels: number[] = [(index + cards) * 4]
  let end = index + cards
  for (let bounds = cards; ; bounds = ((bounds - 1) >>> FAMILY_SHIFT) + 1) {
    end += (bounds + 3) >>> 2
    levels.push(end * 4)
    if (bounds <= FAMILY_MASK + 1) return { cards, levels, end }
  }
}

/** The number of words of an index for a heap of `words` words. */
export function cardIndexWords(words: number): number {
  return layoutOf(words, 0).end
}

/** The word after a card; 2 ** 31 for the last card of a heap of 8 GiB. */
export const endOf = (card: number): number => ((card + 1) << CARD_SHIFT) >>> 0

export class CardIndex {
  readonly keptWords = LINKED_WORDS
  protected readonly words: Int32Array
  /** The number of cards. */
  readonly cards: number
  private readonly sentinel: number
  /** The word indexes of FIRST and of its end. */
  readonly first: number
  private readonly end: number
  /**
   * Byte offsets: of BOUND (level 0 of the tree), of each further level, of the end of the last.
   */
  readonly levels: readonly number[]
  /** The byte offset of BOUND. */
  private readonly bounds: number

  /** An index at the word `index`, over the list of `sentinel`, which is before all blocks. */
  constructor(words: Int32Array, index: number, sentinel: number) {
    const { cards, levels, end } = layoutOf(words.length, index)
    this.words = words
    this.cards = cards
    this.sentinel = sentinel
    this.first = index
    this.levels = levels
    this.bounds = levels[0]
    this.end = end
  }

  /** Empties the list. */
  reset(): void {
    clearList(this.words, this.sentinel)
    this.words.fill(0, this.first, this.end)
  }

  /** Returns the first free block at or after `from`, or the sentinel. */
  after(from: number): number {
    const words = this.words
    const card = from >>> CARD_SHIFT
    let block = words[this.first + card]
    if (block === 0) return this.firstFrom(card + 1)
    let previous = 0
    while (block > previous && block < from) {
      previous = block
      block = words[block + NEXT]
    }
    return block
  }

  /** Returns the first free block in `card` or a later card, or the sentinel. */
  firstFrom(card: number): number {
    const found = this.nextCard(card, SMALLEST_CLASS)
    return found < this.cards ? this.words[this.first + found] : this.sentinel
  }

  /** Can there be a free block of `size` words at all? */
  mayHave(size: number): boolean {
    return this.nextCard(0, classOf(size)) < this.cards
  }

  /** Returns the first free block with at least `size` words, or 0. */
  findFirst(size: number): number {
    return this.findInCards(0, size)
  }

  /**
   * Returns the first free block with at least `size` words at or after the free block `start`, or
   * 0.
   */
  findFrom(start: number, size: number): number {
    if (start === this.sentinel) return 0
    const card = start >>> CARD_SHIFT
    const found = this.findBetween(start, endOf(card), size)
    return found === 0 ? this.findInCards(card + 1, size) : found
  }

  /** Returns the first free block with at least `size` words in the cards from `from` on, or 0. */
  private findInCards(from: number, size: number): number {
    const sizeClass = classOf(size)
    let card = this.nextCard(from, sizeClass)
    while (card < this.cards) {
      const found = this.findInCard(card, size)
      if (found !== 0) return found
      card = this.nextCard(card + 1, sizeClass)
    }
    return 0
  }

  /**
   * Returns the first free block with at least `size` words that begins in `card`, or 0 after it
   * corrected the bound of the card.
   */
  protected findInCard(card: number, size: number): number {
    const words = this.words
    const end = endOf(card)
    let block = words[this.first + card]
    let previous = 0
    let largest = 0
    while (block > previous && block < end) {
      const have = sizeOf(words[block])
      if (have >= size) return block
      if (have > largest) largest = have
      previous = block
      block = words[block + NEXT]
    }
    this.setBound(this.bounds + card, largest === 0 ? 0 : classOf(largest))
    return 0
  }

  /**
   * Returns the first with at least `size` words of the free blocks from `start` to the word `end`,
   * or 0.
   */
  private findBetween(start: number, end: number, size: number): number {
    const words = this.words
    let block = start
    let previous = 0
    while (block > previous && block < end) {
      if (sizeOf(words[block]) >= size) return block
      previous = block
      block = words[block + NEXT]
    }
    return 0
  }

  /** The bound at a byte of the tree. */
  private boundAt(at: number): number {
    return (this.words[at >> 2] >>> ((at & 3) << 3)) & 0x7f
  }

  private setBound(at: number, sizeClass: number): void {
    const shift = (at & 3) << 3
    this.words[at >> 2] = (this.words[at >> 2] & ~(0xff << shift)) | (sizeClass << shift)
  }

  /** The bound of a card. */
  boundOf(card: number): number {
    return this.boundAt(this.bounds + card)
  }

  /**
   * Returns the first card from `from` on whose bound is at least the class `least`, or the number
   * of cards if there is none.
   */
  protected nextCard(from: number, least: number): number {
    const { levels, cards } = this
    // After the last card there is no family whose bound could be lowered.
    if (from >= cards) return cards
    const top = levels.length - 2
    let level = 0
    let index = from
    for (;;) {
      const found = this.reaching(level, index, least)
      if (found >= 0) {
        if (level === 0) return Math.min(found, cards)
        level--
        index = found << FAMILY_SHIFT
        continue
      }
      // Nothing in the rest of the family: go up a level, and continue after it. If the whole
      // family was scanned, its parent's bound is too high: lower it.
      if (level === top) return cards
      if ((index & FAMILY_MASK) === 0) this.lower(level, index)
      index = (index >> FAMILY_SHIFT) + 1
      level++
      while ((index & FAMILY_MASK) === 0) {
        if (level === top) return cards
        index >>= FAMILY_SHIFT
        level++
      }
    }
  }

  /**
   * Returns the first bound of at least the class `least`, from `index` on, in the family of
   * `index` on a level; -1 if there is none.
   */
  private reaching(level: number, index: number, least: number): number {
    const words = this.words
    const begin = this.levels[level]
    const last = (Math.min(begin + (index | FAMILY_MASK), this.levels[level + 1] - 1) | 0) >> 2
    const classes = Math.imul(least, 0x01010101)
    const at = begin + index
    let word = at >> 2
    if (word > last) return -1
    let hits = ((words[word] | HIGH_BITS) - classes) & HIGH_BITS & (-1 << ((at & 3) << 3))
    while (hits === 0) {
      if (word === last) return -1
      word++
      hits = ((words[word] | HIGH_BITS) - classes) & HIGH_BITS
    }
    return (word << 2) + ((31 - Math.clz32(hits & -hits)) >> 3) - begin
  }

  /** Corrects the bound above the family that begins at `index` of a level. */
  private lower(level: number, index: number): void {
    const begin = this.levels[level] + index
    const end = Math.min(begin + FAMILY_MASK + 1, this.levels[level + 1])
    let largest = 0
    for (let at = begin; at < end; at++) largest = Math.max(largest, this.boundAt(at))
    this.setBound(this.levels[level + 1] + (index >> FAMILY_SHIFT), largest)
  }

  /** Adds a free block that is adjacent to no other. */
  put(block: number, size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    let next = words[this.first + card]
    if (next === 0 || block < next) {
      if (next === 0) next = this.firstFrom(card + 1)
      words[this.first + card] = block
    } else {
      let previous = 0
      while (next > previous && next < block) {
        previous = next
        next = words[next + NEXT]
      }
    }
    link(words, block, words[next + PREVIOUS], next)
    this.raise(card, size)
  }

  /** Removes a free block. */
  remove(block: number, _size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    if (words[this.first + card] === block) this.removeFirst(card, block)
    unlink(words, block)
  }

  /** Removes the first free block of a card. */
  private removeFirst(card: number, block: number): void {
    const words = this.words
    const next = words[block + NEXT]
    if (next > block && next >>> CARD_SHIFT === card) {
      words[this.first + card] = next
    } else {
      words[this.first + card] = 0
      this.setBound(this.bounds + card, 0)
    }
  }

  /**
   * Puts the remainder in the block's place. Its card's bound can only be too high, which is
   * allowed.
   */
  split(block: number, _size: number, rest: number, restSize: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    if (rest >>> CARD_SHIFT !== card) {
      this.moveToCard(block, rest, rest >>> CARD_SHIFT)
      this.raise(rest >>> CARD_SHIFT, restSize)
    } else if (words[this.first + card] === block) {
      words[this.first + card] = rest
    }
    relink(words, block, rest)
  }

  /** Puts the merged block in the place of `from`. */
  merge(from: number, _fromSize: number, to: number, toSize: number): void {
    const words = this.words
    const card = to >>> CARD_SHIFT
    if (from !== to) {
      if (from >>> CARD_SHIFT !== card) this.moveToCard(from, to, card)
      else if (words[this.first + card] === from) words[this.first + card] = to
      relink(words, from, to)
    }
    this.raise(card, toSize)
  }

  private moveToCard(from: number, to: number, card: number): void {
    const words = this.words
    const old = from >>> CARD_SHIFT
    if (words[this.first + old] === from) this.removeFirst(old, from)
    const first = words[this.first + card]
    if (first === 0 || to < first) words[this.first + card] = to
  }

  /** Raises the bound of a card to the class of a free block of `size` words. */
  private raise(card: number, size: number): void {
    const sizeClass = classOf(size)
    const at = (this.bounds + card) | 0
    if (sizeClass > ((this.words[at >> 2] >>> ((at & 3) << 3)) & 0x7f))
      this.raiseBounds(card, sizeClass)
  }

  /** Raises the bound of a card to a class, and the bounds above it. */
  raiseBounds(card: number, sizeClass: number): void {
    const levels = this.levels
    let index = card
    for (let level = 0; level < levels.length - 1; level++) {
      const at = levels[level] + index
      if (this.boundAt(at) >= sizeClass) break
      this.setBound(at, sizeClass)
      index >>>= FAMILY_SHIFT
    }
  }

  /** Yields the free blocks in address order. Throws ERR_OFFHEAP_CORRUPT if they are not. */
  *list(): Iterable<number> {
    const { words, sentinel } = this
    let block = words[sentinel + NEXT]
    while (block !== sentinel) {
      yield block
      const next = words[block + NEXT]
      if (next !== sentinel && !(next > block && next < words.length)) {
        throw corrupt(`the free list goes from the block at byte ${block * 4} to byte ${next * 4}`)
      }
      block = next
    }
  }

  /** Verifies the index. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void {
    this.checkCards()
  }

  /**
   * Verifies cards and bounds. Returns the largest class of the free blocks of each card that has
   * any.
   */
  protected checkCards(): Map<number, number> {
    const { words, levels } = this
    checkLinks(words, this.sentinel, this.list())
    const largest = new Map<number, number>()
    for (const block of this.list()) {
      const card = block >>> CARD_SHIFT
      if (!largest.has(card) && words[this.first + card] !== block)
        throw wrong(card, 'its first free block')
      largest.set(card, Math.max(largest.get(card) ?? 0, classOf(sizeOf(words[block]))))
    }
    for (let card = 0; card < this.cards; card++) {
      const sizeClass = largest.get(card) ?? 0
      if (sizeClass === 0 && words[this.first + card] !== 0)
        throw wrong(card, 'its first free block')
      const bound = this.boundOf(card)
      if (sizeClass === 0 ? bound !== 0 : bound < sizeClass)
        throw wrong(card, 'its largest free block')
    }
    // Raising stops at the first bound that is high enough already, so every bound must cover those
    // below.
    for (let level = 0; level + 2 < levels.length; level++) {
      for (let index = 0; levels[level] + index < levels[level + 1]; index++) {
        const above = this.boundAt(levels[level + 1] + (index >>> FAMILY_SHIFT))
        if (above < this.boundAt(levels[level] + index)) {
          throw wrong(index << (level * FAMILY_SHIFT), 'its largest free block')
        }
      }
    }
    return largest
  }
}

/** The error for a card about which the index disagrees with the list. */
export function wrong(card: number, about: string): Error {
  return corrupt(`the index is wrong about the card at byte ${(card << CARD_SHIFT) * 4}: ${about}`)
}

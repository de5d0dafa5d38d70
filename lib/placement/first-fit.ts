/**
 * First fit, exact and address-ordered: of all free blocks that are large enough, the one with the lowest address.
 *
 * The free list is one doubly linked list in address order. An index keeps both of its walks short, the one to the first
 * block that fits and the one to the place of a block that is freed. The heap is cut into cards of 4 KiB:
 *
 *     cards     │ 0           │ 1           │ 2           │ 3           │ …
 *     FIRST     │ block       │ 0: none     │ block       │ block       │     the first free block that begins in the card
 *     BOUND     │ 12 words    │ 0           │ 40 words    │ 6 words     │     no free block of the card is larger
 *               └──────┬──────┴─ … 16 … ────┴──────┬──────┘
 *     level 1       40 words                    …                              the largest bound of 16 cards,
 *     level 2       …                                                          of 16 times 16, and so on: a tree of maxima
 *
 *     HINT      │ class 0: card 0 │ class 1: card 0 │ … │ class 7: card 2 │    no card before it has a block of the class
 *
 * - A search begins at the hint of its size class (two classes for each power of two) and ends, nearly always, in that very
 *   card. Otherwise the tree leads to the next card whose bound is large enough.
 * - Bounds are lazy: taking a block leaves them as they are; a card, or a family of 16 bounds, in which nothing was found gets
 *   the right one. Only for a card without free blocks the bound is exact: 0.
 * - Hints never decrease from one class to the next. A block that raises the bound of its card moves the hints of its class and
 *   those below back to it; a search moves the hints of the classes above up to where it ended.
 *
 * Over 18 recorded programs this costs about 13 ns per operation more than an oracle that knows every answer beforehand; a
 * bitmap of cards for each size class instead of the tree and the hints cost 16. Cards of 2 KiB or 8 KiB make no difference to
 * recorded programs, and cost a quarter more with 100,000 random live blocks.
 *
 * Address-ordered first fit and its merits: Wilson, Johnstone, Neely, Boles, "Dynamic Storage Allocation" (1995), 3.5.
 */
import { MINIMUM_WORDS, NEXT, PREVIOUS, sizeOf } from '../block/block.js'
import { clearList, link, relink, unlink } from '../block/free-list.js'
import { FREE_LIST, HEADER_WORDS } from '../block/header.js'
import { corrupt } from '../errors.js'
import type { Placement, PlacementPolicy } from './placement.js'

/** A card has 2 ** CARD_SHIFT words: 4 KiB. */
const CARD_SHIFT = 10
/** A bound of the tree covers a family of 2 ** FAMILY_SHIFT bounds below it. */
const FAMILY_SHIFT = 4
const FAMILY_MASK = (1 << FAMILY_SHIFT) - 1

/** The size class of a block of `size` words, 4 or more: 0 for 4 and 5, 1 for 6 and 7, 2 for 8 to 11, 3 for 12 to 15, … */
function classOf(size: number): number {
  const power = 31 - Math.clz32(size | 0)
  return 2 * power - 4 + ((size >>> (power - 1)) & 1)
}

/** The smallest size of a class. */
function floorOf(sizeClass: number): number {
  const power = (sizeClass + 4) >>> 1
  return (1 << power) | ((sizeClass & 1) << (power - 1))
}

/** Where the parts of the index lie, by word index. */
function layoutOf(words: number) {
  const cards = ((words - 1) >>> CARD_SHIFT) + 1
  const hints = HEADER_WORDS
  const classes = classOf(words) + 1
  // One entry more than there are classes: a hint that is never passed.
  const first = hints + classes + 1
  const levels: number[] = []
  let end = first + cards
  let bounds = cards
  for (;;) {
    levels.push(end)
    end += bounds
    if (bounds === 1) return { cards, hints, classes, first, levels, end }
    bounds = ((bounds - 1) >>> FAMILY_SHIFT) + 1
  }
}

class FirstFit implements Placement {
  private readonly words: Int32Array
  private readonly cards: number
  private readonly classes: number
  /** Word indexes of HINT, of FIRST, of BOUND, which is level 0 of the tree, and of each level. */
  private readonly hints: number
  private readonly first: number
  private readonly bounds: number
  private readonly levels: readonly number[]
  /** The end of the index. */
  private readonly end: number

  constructor(words: Int32Array) {
    const { cards, hints, classes, first, levels, end } = layoutOf(words.length)
    this.words = words
    this.cards = cards
    this.classes = classes
    this.hints = hints
    this.first = first
    this.bounds = first + cards
    this.levels = levels
    this.end = end
  }

  reset(): void {
    const { words } = this
    clearList(words, FREE_LIST)
    words.fill(0, this.first, this.end)
    // No class has a block anywhere.
    words.fill(this.cards, this.hints, this.first - 1)
    words[this.first - 1] = this.cards
  }

  find(size: number): number {
    const words = this.words
    const sizeClass = classOf(size)
    if (sizeClass >= this.classes) return 0
    const card = words[this.hints + sizeClass]
    // None has a block of this class; or the hint was overwritten.
    if (card >>> 0 >= this.cards) return 0
    if (words[this.bounds + card] >= size) {
      const block = this.findIn(card, size)
      if (block !== 0) return block
    }
    return this.search(size, sizeClass, card)
  }

  /** The first block of a card with at least `size` words, or 0. */
  private findIn(card: number, size: number): number {
    const words = this.words
    const end = (card + 1) << CARD_SHIFT
    let block = words[this.first + card]
    let previous = 0
    while (block > previous && block < end) {
      if (sizeOf(words[block]) >= size) return block
      previous = block
      block = words[block + NEXT]
    }
    return 0
  }

  /** The same from the card `from` on, after a look at the hint was not enough. Sets bounds and hints right on its way. */
  private search(size: number, sizeClass: number, from: number): number {
    const words = this.words
    const { cards, hints } = this
    const floor = floorOf(sizeClass)
    // The class's hint belongs at the first card that reaches the floor of the class, if not the size itself.
    let hint = cards
    let found = 0
    let card = this.nextCard(from, floor)
    while (card < cards) {
      if (words[this.bounds + card] >= size) {
        found = this.findIn(card, size)
        if (found !== 0) break
        words[this.bounds + card] = this.largestIn(card)
      }
      if (hint === cards && words[this.bounds + card] >= floor) hint = card
      card = this.nextCard(card + 1, hint < cards ? size : floor)
    }
    words[hints + sizeClass] = Math.min(hint, card)
    for (let above = hints + sizeClass + 1; words[above] < card; above++) words[above] = card
    return found
  }

  /** The first card from `from` on whose bound is at least `size`; the number of cards when there is none. */
  private nextCard(from: number, size: number): number {
    const words = this.words
    const levels = this.levels
    let level = 0
    let index = from
    for (;;) {
      // The rest of the family; then, a level up, the families behind it.
      const count = level + 1 < levels.length ? levels[level + 1] - levels[level] : 1
      const end = Math.min((index | FAMILY_MASK) + 1, count)
      while (index < end && words[levels[level] + index] < size) index++
      if (index < end) {
        if (level === 0) return index
        level--
        index = this.descend(level, index, size)
      } else {
        level++
        if (level >= levels.length) return this.cards
        index = ((index - 1) >>> FAMILY_SHIFT) + 1
      }
    }
  }

  /**
   * Where to go on at `level`, below a bound of at least `size` one level up: the first member of its family that is as large,
   * or the end of the family, when the bound promised too much; then it is lowered.
   */
  private descend(level: number, parent: number, size: number): number {
    const words = this.words
    const begin = this.levels[level]
    const end = Math.min(((parent + 1) << FAMILY_SHIFT) + begin, this.levels[level + 1])
    let largest = 0
    for (let member = begin + (parent << FAMILY_SHIFT); member < end; member++) {
      if (words[member] >= size) return member - begin
      if (words[member] > largest) largest = words[member]
    }
    words[this.levels[level + 1] + parent] = largest
    return end - begin
  }

  insert(block: number, size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    const first = words[this.first + card]
    if (first === 0) {
      this.insertAlone(block, card)
    } else if (block < first) {
      words[this.first + card] = block
      link(words, block, words[first + PREVIOUS], first)
    } else {
      let previous = first
      let next = words[first + NEXT]
      while (next > previous && next < block) {
        previous = next
        next = words[next + NEXT]
      }
      link(words, block, previous, next)
    }
    this.raise(card, size)
  }

  /** Links the only free block of a card in front of the next card's first. */
  private insertAlone(block: number, card: number): void {
    const words = this.words
    const after = this.nextCard(card + 1, MINIMUM_WORDS)
    const next = after === this.cards ? FREE_LIST : words[this.first + after]
    words[this.first + card] = block
    link(words, block, words[next + PREVIOUS], next)
  }

  remove(block: number, _size: number): void {
    const words = this.words
    const card = block >>> CARD_SHIFT
    if (words[this.first + card] === block) this.removeFirst(card, words[block + NEXT])
    unlink(words, block)
  }

  /** The first free block of a card goes; `next` is the one behind it, of whichever card. */
  private removeFirst(card: number, next: number): void {
    const words = this.words
    if (next >>> CARD_SHIFT === card && next !== FREE_LIST) {
      words[this.first + card] = next
    } else {
      words[this.first + card] = 0
      words[this.bounds + card] = 0
    }
  }

  replace(from: number, _fromSize: number, to: number, toSize: number): void {
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
    if (words[this.first + old] === from) this.removeFirst(old, words[from + NEXT])
    const first = words[this.first + card]
    if (first === 0 || to < first) words[this.first + card] = to
  }

  /** A card has a free block of `size` words. */
  private raise(card: number, size: number): void {
    if (size > this.words[this.bounds + card]) this.raiseBounds(card, size)
  }

  private raiseBounds(card: number, size: number): void {
    const words = this.words
    let index = card
    for (const level of this.levels) {
      if (words[level + index] >= size) break
      words[level + index] = size
      index >>>= FAMILY_SHIFT
    }
    for (let hint = this.hints + classOf(size); hint >= this.hints && words[hint] > card; hint--) words[hint] = card
  }

  /** The size of the largest free block of a card; 0 when it has none. */
  private largestIn(card: number): number {
    const words = this.words
    const end = (card + 1) << CARD_SHIFT
    let largest = 0
    let previous = 0
    for (let block = words[this.first + card]; block > previous && block < end; block = words[block + NEXT]) {
      largest = Math.max(largest, sizeOf(words[block]))
      previous = block
    }
    return largest
  }

  *list(): Iterable<number> {
    const words = this.words
    for (let block = words[FREE_LIST + NEXT]; block !== FREE_LIST; block = words[block + NEXT]) {
      yield block
      const next = words[block + NEXT]
      if (next !== FREE_LIST && !(next > block && next < words.length)) {
        throw corrupt(`the free list goes from the block at byte ${block * 4} to byte ${next * 4}`)
      }
    }
  }

  check(): void {
    const { words, levels } = this
    const largest = new Map<number, number>()
    let before = -1
    for (const block of this.list()) {
      const card = block >>> CARD_SHIFT
      if (card !== before) {
        this.checkEmpty(before + 1, card)
        if (words[this.first + card] !== block) throw wrong(card, 'its first free block')
        before = card
      }
      largest.set(card, Math.max(largest.get(card) ?? 0, sizeOf(words[block])))
    }
    this.checkEmpty(before + 1, this.cards)
    for (const [card, size] of largest) {
      for (const [level, begin] of levels.entries()) {
        if (words[begin + (card >>> (level * FAMILY_SHIFT))] < size) throw wrong(card, 'its largest free block')
      }
      for (let sizeClass = classOf(size); sizeClass >= 0; sizeClass--) {
        if (words[this.hints + sizeClass] > card) throw wrong(card, 'where to look for a block of its size')
      }
    }
    for (let hint = this.hints; hint < this.first - 1; hint++) {
      if (!(words[hint] >= 0 && words[hint] <= words[hint + 1]))
        throw corrupt('the hints of the index are not in order')
    }
    if (words[this.first - 1] !== this.cards) throw corrupt('the hints of the index have no end')
  }

  /** The cards from `begin` up to `end` have no free block, and say so. */
  private checkEmpty(begin: number, end: number): void {
    for (let card = begin; card < end; card++) {
      if (this.words[this.first + card] !== 0) throw wrong(card, 'its first free block')
      if (this.words[this.bounds + card] !== 0) throw wrong(card, 'its largest free block')
    }
  }
}

function wrong(card: number, about: string): Error {
  return corrupt(`the index is wrong about the memory from byte ${(card << CARD_SHIFT) * 4} on: ${about}`)
}

export const firstFit: PlacementPolicy = {
  name: 'first-fit',
  number: 1,
  indexWords: words => layoutOf(words).end - HEADER_WORDS,
  open: words => new FirstFit(words)
}

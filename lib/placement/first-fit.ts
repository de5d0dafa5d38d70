/**
 * First fit, exact and address-ordered: of all free blocks that are large enough, the one with the lowest address.
 *
 * The free list is in address order, under a card index (card-index.ts), and behind that stand hints, one for each size class
 * (two classes for each power of two):
 *
 *     HINT      │ class 0: card 0 │ class 1: card 0 │ … │ class 7: card 2 │ …    no card before it has a block of the class
 *
 * A search begins at the hint of its class and ends, nearly always, in that very card; else the index leads on to the next card
 * that may have a block. Hints never decrease from one class to the next. A block that raises the bound of its card moves the
 * hints of its class and of those below back to the card; a search moves the hints of the classes above up to where it ended.
 *
 * Over 18 recorded programs this costs about 13 ns per operation more than an oracle that knows every answer beforehand. A bitmap
 * of cards for each size class, instead of the tree and the hints, cost 16. Cards of 2 KiB or 8 KiB make no difference there,
 * and cost a quarter more with 100,000 random live blocks.
 *
 * Address-ordered first fit and its merits: Wilson, Johnstone, Neely, Boles, "Dynamic Storage Allocation" (1995), 3.5.
 */
import { FREE_LIST, HEADER_WORDS } from '../block/header.js'
import { corrupt } from '../errors.js'
import { CardIndex, cardIndexWords, wrong } from './card-index.js'
import type { Placement, PlacementPolicy } from './placement.js'

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

/** How many hints a heap of `words` words has: one more than there are classes, which is never passed. */
function hintsFor(words: number): number {
  return classOf(words) + 2
}

class FirstFit extends CardIndex implements Placement {
  /** Where the hints lie, and how many classes there are. */
  private readonly hints: number
  private readonly classes: number

  constructor(words: Int32Array) {
    const hints = hintsFor(words.length)
    super(words, HEADER_WORDS + hints, FREE_LIST)
    this.hints = HEADER_WORDS
    this.classes = hints - 1
  }

  override reset(): void {
    super.reset()
    // No class has a block anywhere.
    this.words.fill(this.cards, this.hints, this.hints + this.classes + 1)
  }

  find(size: number): number {
    const words = this.words
    const sizeClass = classOf(size)
    if (sizeClass >= this.classes) return 0
    const card = words[this.hints + sizeClass]
    // None has a block of this class; or the hint was overwritten.
    if (card >>> 0 >= this.cards) return 0
    if (words[this.bounds + card] >= size) {
      const block = this.findInCard(card, size)
      if (block !== 0) return block
    }
    return this.search(size, sizeClass, card)
  }

  /** The same from the card `from` on, after a look at the hint was not enough. Sets the hints right on its way. */
  private search(size: number, sizeClass: number, from: number): number {
    const words = this.words
    const { bounds, cards, hints } = this
    const floor = floorOf(sizeClass)
    // The class's hint belongs at the first card that reaches the floor of the class, if not the size itself.
    let hint = cards
    let found = 0
    let card = this.nextCard(from, floor)
    while (card < cards) {
      if (words[bounds + card] >= size) {
        found = this.findInCard(card, size)
        if (found !== 0) break
      }
      if (hint === cards && words[bounds + card] >= floor) hint = card
      card = this.nextCard(card + 1, hint < cards ? size : floor)
    }
    words[hints + sizeClass] = Math.min(hint, card)
    for (let above = hints + sizeClass + 1; words[above] < card; above++) words[above] = card
    return found
  }

  protected override raiseBounds(card: number, size: number): void {
    super.raiseBounds(card, size)
    const words = this.words
    for (let hint = this.hints + classOf(size); hint >= this.hints && words[hint] > card; hint--) words[hint] = card
  }

  override check(): void {
    const { words, hints, classes } = this
    for (const [card, size] of this.checkCards()) {
      for (let sizeClass = classOf(size); sizeClass >= 0; sizeClass--) {
        if (words[hints + sizeClass] > card) throw wrong(card, 'where to look for a block of its size')
      }
    }
    for (let hint = hints; hint < hints + classes; hint++) {
      if (!(words[hint] >= 0 && words[hint] <= words[hint + 1]))
        throw corrupt('the hints of the index are not in order')
    }
    if (words[hints + classes] !== this.cards) throw corrupt('the hints of the index have no end')
  }
}

export const firstFit: PlacementPolicy = {
  name: 'first-fit',
  number: 1,
  indexWords: words => hintsFor(words) + cardIndexWords(words),
  open: words => new FirstFit(words)
}

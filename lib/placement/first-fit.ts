/**
 * First fit, exact and address-ordered: of all free blocks that are large enough, the one with the
 * lowest address.
 *
 * The free list is in address order, with a card index over it (card-index.ts). For each size class
 * there is a hint, a card such that no card before it has a block of the class:
 *
 *     HINT      │ class 0: card 0 │ class 1: card 0 │ … │ class 7: card 2 │ …
 *
 * A search begins at the hint of its class and nearly always ends in that card; otherwise the index
 * leads to the next card that may have a block. Hints never decrease from one class to the next. A
 * block that raises the bound of its card moves the hints of its class and of those below back to
 * the card; a search moves the hints of the classes above forward to where it ended.
 *
 * Address-ordered first fit and its merits: Wilson, Johnstone, Neely, Boles, "Dynamic Storage
 * Allocation" (1995), 3.5.
 */

import { corrupt } from '../errors.js'
import { NEXT, sizeOf } from '../layout/block.js'
import { FREE_LIST, HEADER_WORDS } from '../layout/header.js'
import { CardIndex, cardIndexWords, classOf, endOf, wrong } from './card-index.js'
import type { Placement, PlacementPolicy } from './placement.js'

/** The number of hints in a heap of `words` words: one for each class that its blocks can have. */
function hintsFor(words: number): number {
  return classOf(words) + 1
}

export class FirstFit extends CardIndex implements Placement {
  /** The number of hints, which lie after the heap's header. */
  readonly classes: number

  constructor(words: Int32Array) {
    const classes = hintsFor(words.length)
    super(words, HEADER_WORDS + classes, FREE_LIST)
    this.classes = classes
  }

  override reset(): void {
    super.reset()
    // No class has a block anywhere.
    this.words.fill(this.cards, HEADER_WORDS, HEADER_WORDS + this.classes)
  }

  find(size: number): number {
    const words = this.words
    const sizeClass = classOf(size)
    const card = sizeClass < this.classes ? words[HEADER_WORDS + sizeClass] : -1
    // No card has a block of this class; or the hint was overwritten.
    if (card >>> 0 >= this.cards) return 0
    const end = endOf(card)
    let block = words[this.first + card]
    let previous = 0
    while (block > previous && block < end) {
      if (sizeOf(words[block]) >= size) return block
      previous = block
      block = words[block + NEXT]
    }
    return this.search(size, sizeClass, card)
  }

  findNext(block: number, size: number): number {
    return this.findFrom(this.words[block + NEXT], size)
  }

  /**
   * Returns the first free block with at least `size` words in the cards from `from` on, or 0. The
   * slow path, when the hinted card has none: it also corrects the hints.
   */
  search(size: number, sizeClass: number, from: number): number {
    const { words, cards } = this
    // The class's hint belongs at the first card with a block of the class, even if it is too
    // small.
    let hint = cards
    let found = 0
    let card = this.nextCard(from, sizeClass)
    while (card < cards) {
      found = this.findInCard(card, size)
      if (found !== 0) break
      if (hint === cards && this.boundOf(card) >= sizeClass) hint = card
      card = this.nextCard(card + 1, sizeClass)
    }
    words[HEADER_WORDS + sizeClass] = Math.min(hint, card)
    for (
      let above = sizeClass + 1;
      above < this.classes && words[HEADER_WORDS + above] < card;
      above++
    ) {
      words[HEADER_WORDS + above] = card
    }
    return found
  }

  override raiseBounds(card: number, sizeClass: number): void {
    super.raiseBounds(card, sizeClass)
    const words = this.words
    for (let hint = HEADER_WORDS + sizeClass; hint >= HEADER_WORDS && words[hint] > card; hint--)
      words[hint] = card
  }

  override check(): void {
    const { words, classes } = this
    for (const card of this.checkCards().keys()) {
      // Use the bound, not the class of the largest block: a block below the bound moves no hint.
      const bound = this.boundOf(card)
      if (bound >= classes) throw wrong(card, 'its largest free block')
      for (let sizeClass = bound; sizeClass >= 0; sizeClass--) {
        if (words[HEADER_WORDS + sizeClass] > card)
          throw wrong(card, 'where to look for a block of its size')
      }
    }
    for (let sizeClass = 0; sizeClass < classes; sizeClass++) {
      const next = sizeClass + 1 < classes ? words[HEADER_WORDS + sizeClass + 1] : this.cards
      const hint = words[HEADER_WORDS + sizeClass]
      if (!(hint >= 0 && hint <= next)) throw corrupt('the hints of the index are not in order')
    }
  }
}

export const firstFit: PlacementPolicy = {
  name: 'first-fit',
  number: 1,
  slabs: false,
  indexWords: words => hintsFor(words) + cardIndexWords(words),
  open: words => new FirstFit(words)
}

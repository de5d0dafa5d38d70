/**
 * Next fit: first fit from where the last search ended, and round to the beginning when nothing lies behind (Knuth, TAOCP 1,
 * 2.5, exercise 6). The free list is in address order; card-index.ts finds the place in it without a walk.
 *
 * What the policy promises, so that its answers can be predicted: a search begins with the first free block that ends behind
 * the address where the block began that the last successful search found. Of the free blocks from there on it takes
 * the first that is large enough; else the first of all. A new heap begins at its first block.
 */

import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS, sizeOf } from '../layout/block.js'
import { FREE_LIST, HEADER_WORDS } from '../layout/header.js'
import { CardIndex, cardIndexWords } from './card-index.js'
import type { Placement, PlacementPolicy } from './placement.js'

/** Where the rover is kept: the block that the last search found, free or not by now. */
const ROVER = HEADER_WORDS

class NextFit extends CardIndex implements Placement {
  constructor(words: Int32Array) {
    super(words, ROVER + 1, FREE_LIST)
  }

  override reset(): void {
    this.words[ROVER] = 0
    super.reset()
  }

  find(size: number): number {
    if (!this.mayHave(size)) return 0
    let found = this.findFrom(this.start(), size)
    if (found === 0) found = this.findFirst(size)
    if (found !== 0) this.words[ROVER] = found
    return found
  }

  findNext(block: number, size: number): number {
    return this.findFrom(this.words[block + NEXT], size)
  }

  /** The free block that the rover is in, or the first behind it. */
  private start(): number {
    const words = this.words
    const rover = words[ROVER]
    const next = this.after(rover)
    const previous = words[next + PREVIOUS]
    return previous !== FREE_LIST && previous + sizeOf(words[previous]) > rover ? previous : next
  }

  override check(): void {
    const rover = this.words[ROVER]
    if (rover < 0 || rover >= this.words.length) {
      throw corrupt(`the last search is said to have ended at byte ${rover * 4}, which is outside`)
    }
    super.check()
  }
}

export const nextFit: PlacementPolicy = {
  name: 'next-fit',
  number: 4,
  slabs: false,
  indexWords: words => 1 + cardIndexWords(words),
  open: words => new NextFit(words)
}

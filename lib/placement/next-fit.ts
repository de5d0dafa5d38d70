/**
 * Next fit: first fit from where the last search ended, wrapping around to the beginning (Knuth,
 * TAOCP 1, 2.5, exercise 6). The free list is in address order; card-index.ts finds a place in it
 * without a walk.
 *
 * The exact rule, so that its answers can be predicted: let the rover be the address of the block
 * that the last successful search found. A search begins with the first free block that ends after
 * the rover. It takes the first block from there on that is large enough, or else the first of all.
 * The rover of a new heap is its first block.
 */

import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS, sizeOf } from '../layout/block.js'
import { FREE_LIST, HEADER_WORDS } from '../layout/header.js'
import { CardIndex, cardIndexWords } from './card-index.js'
import type { Placement, PlacementPolicy } from './placement.js'

/**
 * The word that holds the rover: the block that the last search found, whether still free or not.
 */
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

  /** Returns the free block that contains the rover, or the first after it. */
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
      throw corrupt(`the last search ended at byte ${rover * 4}, outside the heap`)
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

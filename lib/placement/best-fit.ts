/**
 * Best fit: of all free blocks that are large enough, the smallest; among equals, the one with the
 * lowest address.
 *
 * There is a free list for each size class (size-classes.ts), in order of size and address. A
 * request takes the front block of a list, unless its own class has several sizes. A tree in the
 * blocks of each class (size-tree.ts) finds a block's place in its list. The smallest blocks, of 16
 * bytes, have no room for tree links: they all have one size, and a card index over their addresses
 * (card-index.ts) serves them. Every operation takes logarithmic time.
 *
 * The index, after the lists and their bitmap: the roots of the trees, one word for each class;
 * then the card index.
 */

import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, sizeOf } from '../layout/block.js'
import { HEADER_WORDS } from '../layout/header.js'
import { CardIndex, cardIndexWords } from './card-index.js'
import type { Placement, PlacementPolicy } from './placement.js'
import { SizeClasses, sizeClassCount, sizeClassWords } from './size-classes.js'
import { plant, smallestFrom, TREE_WORDS, treeOf, uproot } from './size-tree.js'

class BestFit extends SizeClasses implements Placement {
  readonly keptWords = TREE_WORDS
  private readonly roots: number
  private readonly smallest: CardIndex

  constructor(words: Int32Array) {
    super(words)
    this.roots = HEADER_WORDS + sizeClassWords(words.length)
    this.smallest = new CardIndex(
      words,
      this.roots + this.classes,
      this.sentinelOf(this.classOf(MINIMUM_WORDS))
    )
  }

  override reset(): void {
    super.reset()
    this.words.fill(0, this.roots, this.roots + this.classes)
    this.smallest.reset()
  }

  find(size: number): number {
    const words = this.words
    if (size >= words.length) return 0
    const sizeClass = this.classOf(size)
    if (sizeClass >= this.blurred) {
      const own = smallestFrom(words, this.roots + sizeClass, size)
      if (own !== 0) return own
    }
    const block = this.frontFrom(sizeClass < this.blurred ? sizeClass : sizeClass + 1)
    if (block === 0 || sizeOf(words[block]) >= size) return block
    throw corrupt(
      `the free list for blocks of ${size * 4} bytes or more begins at byte ${block * 4}, ` +
        `where no such block is`
    )
  }

  /** Returns a block of the next larger size; its only caller needs no more. */
  findNext(block: number, _size: number): number {
    return this.find(sizeOf(this.words[block]) + 2)
  }

  put(block: number, size: number): void {
    const sizeClass = this.classOf(size)
    if (size === MINIMUM_WORDS) this.smallest.put(block, size)
    else plant(this.words, this.roots + sizeClass, this.sentinelOf(sizeClass), block, size)
    this.mark(sizeClass)
  }

  remove(block: number, size: number): void {
    if (size === MINIMUM_WORDS) this.smallest.remove(block, size)
    else uproot(this.words, this.roots + this.classOf(size), block, size)
  }

  split(block: number, size: number, rest: number, restSize: number): void {
    this.remove(block, size)
    this.put(rest, restSize)
  }

  merge(from: number, fromSize: number, to: number, toSize: number): void {
    this.remove(from, fromSize)
    this.put(to, toSize)
  }

  override check(): void {
    super.check()
    this.smallest.check()
    for (let i = this.classOf(MINIMUM_WORDS) + 1; i < this.classes; i++) {
      const tree = treeOf(this.words, this.roots + i)
      for (const block of this.listOf(i)) {
        if (tree.next().value === block) continue
        throw corrupt(
          `the free block at byte ${block * 4} has a different place in its list than in its tree`
        )
      }
      if (tree.next().done !== true)
        throw corrupt(`the tree of size class ${i} holds a block that its list does not`)
    }
  }
}

export const bestFit: PlacementPolicy = {
  name: 'best-fit',
  number: 3,
  slabs: false,
  indexWords: words => sizeClassWords(words) + sizeClassCount(words) + cardIndexWords(words),
  open: words => new BestFit(words)
}

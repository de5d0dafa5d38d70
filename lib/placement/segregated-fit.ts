/**
 * Segregated fit: a free list for each size class (size-classes.ts), first fit within a class, and
 * otherwise the next larger class that has a block. Finding, inserting and removing take constant
 * time.
 *
 * The exact rule, so that its answers can be predicted:
 * - Each list is last in, first out: a free block that is new, or whose address or size has
 *   changed, goes to the front.
 * - Where every size has a class of its own, a request takes the front block of the lowest class
 *   that is large enough and has one.
 * - Above, it looks at the first WALK blocks of its own class and takes the first that is large
 *   enough; then the front block of the next larger class that has one, where every block is large
 *   enough; and if the wilderness has too little room as well, the first of its own class that is
 *   large enough, however far back. So no request fails while there is a block for it.
 */

import { corrupt } from '../errors.js'
import { NEXT, PREVIOUS, sizeOf } from '../layout/block.js'
import { link } from '../layout/free-list.js'
import { TOP_WORD } from '../layout/header.js'
import { LINKED_WORDS, type Placement, type PlacementPolicy } from './placement.js'
import { SizeClasses, sizeClassWords } from './size-classes.js'

/** The number of blocks of its own class that a request looks at before it takes a larger one. */
const WALK = 4

export class SegregatedFit extends SizeClasses implements Placement {
  readonly keptWords = LINKED_WORDS

  find(size: number): number {
    const words = this.words
    if (size >= words.length) return 0
    const sizeClass = this.classOf(size)
    if (sizeClass >= this.blurred) return this.findBlurred(sizeClass, size)
    const block = this.frontFrom(sizeClass)
    if (block !== 0 && sizeOf(words[block]) < size) throw misplaced(block, size)
    return block
  }

  /** Returns the free block for a request whose class has several sizes, or 0. */
  private findBlurred(sizeClass: number, size: number): number {
    const words = this.words
    const near = this.walk(sizeClass, size, WALK)
    if (near !== 0) return near
    const block = this.frontFrom(sizeClass + 1)
    if (block === 0)
      return size < words.length - words[TOP_WORD]
        ? 0
        : this.walk(sizeClass, size, words.length >>> 2)
    if (sizeOf(words[block]) < size) throw misplaced(block, size)
    return block
  }

  /** Returns the first of the first `limit` blocks of a class that is large enough, or 0. */
  private walk(sizeClass: number, size: number, limit: number): number {
    const words = this.words
    const sentinel = this.sentinelOf(sizeClass)
    let block = words[sentinel + NEXT]
    for (let i = 0; i < limit && block !== sentinel; i++) {
      if (sizeOf(words[block]) >= size) return block
      block = words[block + NEXT]
    }
    return 0
  }

  findNext(block: number, size: number): number {
    const words = this.words
    const sizeClass = this.classOf(sizeOf(words[block]))
    const sentinel = this.sentinelOf(sizeClass)
    let next = words[block + NEXT]
    for (let i = 0; i < WALK && next !== sentinel; i++) {
      if (sizeOf(words[next]) >= size) return next
      next = words[next + NEXT]
    }
    return this.frontFrom(sizeClass + 1)
  }

  put(block: number, size: number): void {
    const words = this.words
    const sizeClass = this.classOf(size)
    const sentinel = this.sentinelOf(sizeClass)
    const next = words[sentinel + NEXT]
    link(words, block, sentinel, next)
    if (next === sentinel) this.mark(sizeClass)
  }

  /** Clears the bit of a list whose last block it removes, so that searches meet few stale bits. */
  remove(block: number, _size: number): void {
    const words = this.words
    const next = words[block + NEXT]
    const previous = words[block + PREVIOUS]
    words[previous + NEXT] = next
    words[next + PREVIOUS] = previous
    // If both neighbours are the same, they are the sentinel. An overwritten link may lead to no
    // list.
    const emptied = (next - this.lists) >> 1
    if (next === previous && emptied >>> 0 < this.classes) this.unmark(emptied)
  }

  split(block: number, size: number, rest: number, restSize: number): void {
    this.remove(block, size)
    this.put(rest, restSize)
  }

  merge(from: number, fromSize: number, to: number, toSize: number): void {
    this.remove(from, fromSize)
    this.put(to, toSize)
  }
}

/** The error for a list of blocks of `size` words or more that begins with a smaller one. */
export function misplaced(block: number, size: number): Error {
  return corrupt(
    `the free list for blocks of ${size * 4} bytes or more begins at byte ${block * 4}, ` +
      `where no such block is`
  )
}

export const segregatedFit: PlacementPolicy = {
  name: 'segregated-fit',
  number: 2,
  slabs: true,
  indexWords: sizeClassWords,
  open: words => new SegregatedFit(words)
}

/** The free memory at a moment, its sum and its largest piece, updated as blocks come and go. */

import type { Blocks, Moment, MomentListener } from './moment.js'

/** The sizes of free pieces. */
class Pieces {
  /** The number of pieces of each size. */
  readonly #counts = new Map<number, number>()
  #total = 0
  #largest = 0

  change(size: number, by: 1 | -1): void {
    const count = (this.#counts.get(size) ?? 0) + by
    this.#total += size * by
    if (count > 0) this.#counts.set(size, count)
    else this.#counts.delete(size)
    if (by === 1) this.#largest = Math.max(this.#largest, size)
    else if (count === 0 && size === this.#largest)
      this.#largest = Math.max(0, ...this.#counts.keys())
  }

  /** 1 - largest / total, with one more piece of `last` bytes; 0 when nothing is free. */
  fragmentation(last: number): number {
    const total = this.#total + last
    return total === 0 ? 0 : 1 - Math.max(this.#largest, last) / total
  }
}

/** The blocks of the free list, for an allocator that shows it. Free slots of slabs don't count. */
export class ListedPieces implements MomentListener {
  readonly #pieces = new Pieces()

  added(): void {}

  removed(): void {}

  listed(size: number, by: 1 | -1): void {
    this.#pieces.change(size, by)
  }

  fragmentation(): number {
    return this.#pieces.fragmentation(0)
  }
}

/** The gaps between the blocks, for an allocator that shows no free list. */
export class Gaps implements MomentListener {
  readonly #blocks: Blocks
  readonly #low: number
  /** Smaller gaps don't count. */
  readonly #smallest: number
  readonly #pieces = new Pieces()

  constructor(blocks: Blocks, low: number, smallest: number) {
    this.#blocks = blocks
    this.#low = low
    this.#smallest = smallest
  }

  added(moment: Moment, index: number, block: number): void {
    const [before, behind] = this.#around(moment, index)
    if (behind !== undefined) this.#change(behind - before, -1)
    this.#change(this.#blocks.offset(block) - before, 1)
    if (behind !== undefined) this.#change(behind - this.#blocks.end(block), 1)
  }

  removed(moment: Moment, index: number, block: number): void {
    const [before, behind] = this.#around(moment, index)
    if (behind !== undefined) this.#change(behind - before, 1)
    this.#change(this.#blocks.offset(block) - before, -1)
    if (behind !== undefined) this.#change(behind - this.#blocks.end(block), -1)
  }

  listed(): void {}

  /**
   * 1 - largest / total, with one more gap of `last` bytes at the heap's end; 0 when nothing is
   * free.
   */
  fragmentation(last: number): number {
    return this.#pieces.fragmentation(last >= this.#smallest ? last : 0)
  }

  /** Where the left neighbour of the block at `index` ends, and where the right one begins. */
  #around(moment: Moment, index: number): [number, number | undefined] {
    const before = index === 0 ? this.#low : this.#blocks.end(moment.blocks[index - 1])
    const behind =
      index + 1 === moment.count ? undefined : this.#blocks.offset(moment.blocks[index + 1])
    return [before, behind]
  }

  #change(size: number, by: 1 | -1): void {
    if (size >= this.#smallest) this.#pieces.change(size, by)
  }
}

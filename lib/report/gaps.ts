/** The free memory between the blocks of a moment, kept up to date as blocks come and go: its sum and its largest piece. */

import type { Blocks, Moment, MomentListener } from './moment.js'

export class Gaps implements MomentListener {
  readonly #blocks: Blocks
  readonly #low: number
  /** Smaller gaps don't count. */
  readonly #smallest: number
  /** How many gaps of each size there are. */
  readonly #counts = new Map<number, number>()
  #total = 0
  #largest = 0

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

  /** 1 - largest / total, with one more gap of `last` bytes at the heap's end; 0 when nothing is free. */
  fragmentation(last: number): number {
    const counted = last >= this.#smallest ? last : 0
    const total = this.#total + counted
    return total === 0 ? 0 : 1 - Math.max(this.#largest, counted) / total
  }

  /** Where the left neighbour of the block at `index` ends, and where the right one begins. */
  #around(moment: Moment, index: number): [number, number | undefined] {
    const before = index === 0 ? this.#low : this.#blocks.end(moment.blocks[index - 1])
    const behind = index + 1 === moment.count ? undefined : this.#blocks.offset(moment.blocks[index + 1])
    return [before, behind]
  }

  #change(size: number, by: 1 | -1): void {
    if (size < this.#smallest) return
    const count = (this.#counts.get(size) ?? 0) + by
    this.#total += size * by
    if (count > 0) this.#counts.set(size, count)
    else this.#counts.delete(size)
    if (by === 1) this.#largest = Math.max(this.#largest, size)
    else if (count === 0 && size === this.#largest) this.#largest = Math.max(0, ...this.#counts.keys())
  }
}

/**
 * What quick lists promise, said once more in the simplest way, on top of the slow model:
 * - A block of at most `largest` bytes that is given back is cached as it is, whatever waits already. A larger block is freed as ever.
 * - A request takes the cached block of exactly its size that came last.
 * - The lists are emptied all at once, from the lowest address to the highest, and only
 *   - when more than 1/16 of the block space waits in them, and more than `largest` bytes: before a request takes from the
 *     wilderness, and before one for an aligned block. The free blocks are asked once more before the wilderness is taken.
 *   - before a request is refused.
 *   - before a block of more than `largest` bytes grows, when what lies from its end up to where it is to reach, or up to the wilderness, is free or cached,
 *     and something of it is cached.
 *   - each time that blocks of `threshold` bytes were given back, cached ones included, since the last time.
 */
import { Model, type ModelBlock } from '../model.js'

export class QuickModel extends Model {
  /** Bytes. */
  largest = 0
  /** Bytes. */
  threshold = Number.POSITIVE_INFINITY
  /** Cached blocks in the order in which they came. */
  cached: ModelBlock[] = []
  /** Bytes that were given back since the threshold was reached. */
  #givenBack = 0

  override free(pointer: number): void {
    const block = this.at(pointer)
    const { size } = block
    if (size > this.largest) {
      super.free(pointer)
    } else {
      block.cached = true
      this.cached.push(block)
    }
    this.#count(size)
  }

  protected override place(need: number): ModelBlock | undefined {
    const block = this.cached.findLast(({ size }) => size === need)
    if (block !== undefined) {
      this.cached.splice(this.cached.indexOf(block), 1)
      block.cached = false
      return block
    }
    if (this.chosen(need) === undefined) this.#flushMuch()
    return super.place(need) ?? (this.flush() ? super.place(need) : undefined)
  }

  override alignedAlloc(alignment: number, size: number): number {
    // No address in the heap is aligned so far: nothing is tried.
    if (alignment >= this.end + 4) return 0
    if (alignment > this.rules.unit) this.#flushMuch()
    const pointer = super.alignedAlloc(alignment, size)
    return pointer === 0 && this.flush() ? super.alignedAlloc(alignment, size) : pointer
  }

  override realloc(pointer: number, size: number): number {
    const lost = pointer === 0 || size === 0 ? 0 : this.at(pointer).size - this.blockSize(size)
    const resized = super.realloc(pointer, size)
    if (lost > 0) this.#count(lost)
    return resized
  }

  protected override beforeGrowth(block: ModelBlock, need: number): void {
    const reached = this.blocks.filter(({ offset }) => offset > block.offset && offset < block.offset + need)
    const isRoom = block.size > this.largest && reached.every(({ used, cached }) => !used || cached)
    if (isRoom && reached.some(({ cached }) => cached)) this.flush()
  }

  /** Frees all cached blocks. False when there are none. */
  flush(): boolean {
    const blocks = this.cached.sort((a, b) => a.offset - b.offset)
    this.cached = []
    for (const block of blocks) {
      block.cached = false
      super.free(block.offset + 4)
    }
    return blocks.length > 0
  }

  /** The same when much is cached. */
  #flushMuch(): void {
    const waiting = this.cached.reduce((sum, { size }) => sum + size, 0)
    const share = Math.floor((this.top - this.first) / 4 / 16) * 4
    if (waiting > Math.max(this.largest, share)) this.flush()
  }

  #count(bytes: number): void {
    this.#givenBack += bytes
    if (this.#givenBack < this.threshold) return
    this.#givenBack = 0
    this.flush()
  }
}

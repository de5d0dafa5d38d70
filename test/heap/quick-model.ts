/**
 * What quick lists promise, said once more in the simplest way, on top of the slow model:
 * - A block of at most `largest` bytes that is given back is cached as it is, whatever waits already. A larger block is freed as ever.
 * - A request takes the cached block of exactly its size that came last.
 * - The lists are emptied all at once, from the lowest address to the highest, and only
 *   - when more than 1/16 of the block space waits in them, and more than `largest` bytes: before a request takes so much from the
 *     wilderness that the block space gets larger than it ever was, or reaches memory that was given back, and before one for an
 *     aligned block that might. The free blocks are asked once more before the wilderness is taken.
 *   - before a request is refused.
 *   - each time that blocks of `threshold` bytes were given back, cached ones included, since the last time. The whole pages of
 *     the wilderness are given back then.
 * - Before a block of more than `largest` bytes grows, when what lies from its end up to where it is to reach, or up to the
 *   wilderness, is free or cached, the cached blocks there are freed, from the lowest address to the highest, and no others.
 */
import { Model, type ModelBlock } from '../model.js'

export class QuickModel extends Model {
  /** Bytes. */
  largest = 0
  /** Bytes. */
  threshold = Number.POSITIVE_INFINITY
  /** Bytes. */
  pageSize = 1
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
    if (this.chosen(need) === undefined) this.#flushMuch(need)
    return super.place(need) ?? (this.flush() ? super.place(need) : undefined)
  }

  override alignedAlloc(alignment: number, size: number): number {
    // No address in the heap is aligned so far: nothing is tried.
    if (alignment >= this.end + 4) return 0
    if (alignment > this.rules.unit) this.#flushMuch(this.blockSize(size) + alignment + this.rules.unit)
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
    if (block.size <= this.largest || reached.some(({ used, cached }) => used && !cached)) return
    this.#freeAll(this.cached.filter(block => reached.includes(block)))
  }

  /** Frees all cached blocks. False when there are none. */
  flush(): boolean {
    const some = this.cached.length > 0
    this.#freeAll(this.cached)
    return some
  }

  #freeAll(cached: readonly ModelBlock[]): void {
    this.cached = this.cached.filter(block => !cached.includes(block))
    for (const block of [...cached].sort((a, b) => a.offset - b.offset)) {
      block.cached = false
      super.free(block.offset + 4)
    }
  }

  /** The wilderness is as if it were never touched, from its first whole page on. */
  giveBack(): void {
    this.touched = Math.min(this.touched, Math.ceil(this.top / this.pageSize) * this.pageSize + 4)
  }

  /** Empties the lists when much is cached, and `more` bytes of block space would be more than ever, or in memory given back. */
  #flushMuch(more: number): void {
    if (this.top + more <= Math.min(this.first + this.highWater, this.touched)) return
    const waiting = this.cached.reduce((sum, { size }) => sum + size, 0)
    const share = Math.floor((this.top - this.first) / 4 / 16) * 4
    if (waiting > Math.max(this.largest, share)) this.flush()
  }

  #count(bytes: number): void {
    this.#givenBack += bytes
    if (this.#givenBack < this.threshold) return
    this.#givenBack = 0
    this.flush()
    this.giveBack()
  }
}

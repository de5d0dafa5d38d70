/**
 * What quick lists promise, said once more in the simplest way, on top of the slow model:
 * - A block of at most `largest` bytes that is given back is cached as it is, unless the lists would then hold more than 1/32 of
 *   the block space, and more than `largest` bytes: then all of them are emptied first. A larger block is freed as ever.
 * - A request takes the cached block of exactly its size that came last.
 * - Before a request is refused, the lists are emptied: from the smallest size to the largest, what came last first.
 */
import { Model, type ModelBlock } from '../model.js'

export class QuickModel extends Model {
  /** Bytes. */
  largest = 0
  /** Cached blocks in the order in which they came. */
  cached: ModelBlock[] = []

  override free(pointer: number): void {
    const block = this.at(pointer)
    const budget = Math.max(this.largest, Math.floor((this.top - this.first) / 4 / 32) * 4)
    if (block.size > this.largest) {
      super.free(pointer)
      return
    }
    if (this.cached.reduce((sum, { size }) => sum + size, block.size) > budget) this.flush()
    block.cached = true
    this.cached.push(block)
  }

  protected override place(need: number): ModelBlock | undefined {
    const block = this.cached.findLast(({ size }) => size === need)
    if (block === undefined) return super.place(need) ?? (this.flush() ? super.place(need) : undefined)
    this.cached.splice(this.cached.indexOf(block), 1)
    block.cached = false
    return block
  }

  override alignedAlloc(alignment: number, size: number): number {
    // No address in the heap is aligned so far: nothing is tried.
    if (alignment >= this.end + 4) return 0
    const pointer = super.alignedAlloc(alignment, size)
    return pointer === 0 && this.flush() ? super.alignedAlloc(alignment, size) : pointer
  }

  /** Frees all cached blocks. False when there are none. */
  flush(): boolean {
    const blocks = this.cached.reverse().sort((a, b) => a.size - b.size)
    this.cached = []
    for (const block of blocks) {
      block.cached = false
      super.free(block.offset + 4)
    }
    return blocks.length > 0
  }
}

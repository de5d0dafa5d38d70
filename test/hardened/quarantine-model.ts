/**
 * What a hardened heap promises about places, said once more in the simplest way, on top of the
 * slow model: blocks have no header among the payloads, come in multiples of 32 bytes from 64 on,
 * and have at least one byte to spare. What is given back waits, first in, first out, as long as
 * all that waits together keeps within a limit; a block that alone is more does not wait. Before a
 * request is refused, all that waits is freed; unless it is for more bytes than there are in all.
 */
import { type Choice, Model, type ModelBlock } from '../model.js'

export class QuarantineModel extends Model {
  /** Bytes. */
  readonly limit: number
  readonly size: number
  /** In the order in which they came. */
  held: ModelBlock[] = []

  /** In a heap of `size` bytes. */
  constructor(first: number, end: number, size: number, limit: number, choose?: Choice) {
    super(first, end, choose, { header: 0, overhead: 1, unit: 32, smallest: 64 })
    this.size = size
    this.limit = limit
  }

  override reset(choose: Choice): void {
    super.reset(choose)
    this.held = []
  }

  override free(pointer: number): void {
    const block = this.at(pointer)
    if (block.size > this.limit) {
      super.free(pointer)
      return
    }
    this.beforeMove(block)
    block.quarantined = true
    this.held.push(block)
  }

  protected override beforeMove(block: ModelBlock): void {
    if (block.size > this.limit) return
    while (this.held.reduce((sum, { size }) => sum + size, block.size) > this.limit) this.#letGo()
  }

  protected override place(need: number): ModelBlock | undefined {
    if (need > this.end) return undefined
    return super.place(need) ?? (this.#flush() ? super.place(need) : undefined)
  }

  override alignedAlloc(alignment: number, size: number): number {
    // No address in the heap is aligned so far, or it has not as many bytes: nothing is tried.
    if (alignment >= this.size || this.blockSize(size) > this.end) return 0
    const pointer = super.alignedAlloc(alignment, size)
    return pointer === 0 && this.#flush() ? super.alignedAlloc(alignment, size) : pointer
  }

  #flush(): boolean {
    const any = this.held.length > 0
    while (this.held.length > 0) this.#letGo()
    return any
  }

  #letGo(): void {
    const block = this.held.shift()
    if (block === undefined) return
    block.quarantined = false
    super.free(block.offset)
  }
}

/**
 * The simplest model of where a hardened heap places blocks, on top of the slow model: blocks have
 * no header between the payloads, their sizes are multiples of 32 bytes from 64 on, and they have
 * at least one byte more than requested. Freed blocks wait in a first-in, first-out queue whose
 * total size is limited; a block larger than the limit does not wait. Before a request fails, all
 * waiting blocks are freed, unless the request is larger than the heap.
 */
import { type Choice, Model, type ModelBlock } from '../model.js'

export class QuarantineModel extends Model {
  /** Bytes. */
  readonly limit: number
  readonly size: number
  /** In the order of their arrival. */
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
    // No address in the heap has that alignment, or the heap is smaller than that: nothing is
    // tried.
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

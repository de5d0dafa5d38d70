/**
 * All moments of a timeline: the lifetime of each block, curves of used and wasted memory, and
 * access to any moment in the time of a few hundred operations.
 */

import { FREE, REALLOC, type Trace } from '../trace/trace.js'
import { Gaps, ListedPieces } from './gaps.js'
import { Blocks, type Keyframe, Moment } from './moment.js'
import { SlabHistory } from './slab-history.js'
import type { Timeline } from './timeline.js'

/** Figures after each number of operations, 0 … length: bytes, or shares from 0 to 1. */
export interface Curves {
  /** The payload bytes that were allocated. */
  readonly payload: Float64Array
  /** The size of the heap at that time. */
  readonly heap: Float64Array
  /** Peak payload so far / largest heap so far: what the CS:APP malloc lab grades. */
  readonly utilization: Float64Array
  /**
   * 1 - largest free block / all bytes in free blocks: the share of the free memory that no single
   * request can get. Free slots of slabs don't count.
   */
  readonly externalFragmentation: Float64Array
}

/** The number of operations between two copies of a moment. */
const KEYFRAME_INTERVAL = 512
/**
 * If the allocator shows no free list, gaps of at least this size are free memory, smaller ones
 * headers.
 */
const SMALLEST_UNKNOWN_GAP = 32

export class History extends Blocks {
  /**
   * The operation that ends each block, by the operation that made it; `trace.length` if none does.
   */
  readonly deaths: Int32Array
  /** The operation that allocated each block first, before any realloc. */
  readonly births: Int32Array
  readonly curves: Curves
  readonly slabs: SlabHistory
  /** The lowest byte offset that the heap ever had, and the highest. */
  readonly low: number
  readonly high: number
  readonly #keyframes: Keyframe[] = []

  constructor(trace: Trace, timeline: Timeline) {
    super(trace, timeline)
    const { length } = trace
    this.deaths = new Int32Array(length).fill(length)
    this.births = new Int32Array(length)
    for (let i = 0; i < length; i++) {
      const gone = this.ended[i]
      if (gone !== -1) this.deaths[gone] = i
      this.births[i] = gone !== -1 && trace.kinds[i] === REALLOC ? this.births[gone] : i
    }
    this.slabs = new SlabHistory(timeline.slabs, length)
    this.low = timeline.low ?? this.#lowest()
    this.curves = this.#replay()
    this.high = this.low + largest(this.curves.heap)
  }

  /**
   * Whether everything outside the blocks is free. If the allocator shows neither its blocks nor
   * its free list, headers and padding lie there too.
   */
  get showsFree(): boolean {
    return this.timeline.freeList !== undefined || this.timeline.wholeBlocks
  }

  /** A new moment at the beginning, for `seek` to move. */
  open(): Moment {
    return new Moment(this)
  }

  /** Moves `moment` to after `operations` operations, 0 … trace.length. */
  seek(moment: Moment, operations: number): void {
    const nearest = this.#keyframes[Math.floor(operations / KEYFRAME_INTERVAL)]
    if (moment.operations > operations || moment.operations < nearest.operations)
      moment.restore(nearest)
    while (moment.operations < operations) moment.step()
  }

  /** Calls `visit` for every block that ever existed, in the order of allocation. */
  forEachBlock(visit: (block: number) => void): void {
    for (let i = 0; i < this.trace.length; i++) {
      if (this.trace.kinds[i] !== FREE && this.timeline.pointers[i] !== 0) visit(i)
    }
  }

  #lowest(): number {
    let low = Number.POSITIVE_INFINITY
    this.forEachBlock(block => {
      low = Math.min(low, this.offset(block))
    })
    return Number.isFinite(low) ? low : 0
  }

  /** One pass over all operations. */
  #replay(): Curves {
    const { trace, timeline, low } = this
    const { length } = trace
    const payload = new Float64Array(length + 1)
    const heap = new Float64Array(length + 1)
    const utilization = new Float64Array(length + 1)
    const externalFragmentation = new Float64Array(length + 1)
    const gaps =
      timeline.freeList === undefined
        ? new Gaps(this, low, timeline.wholeBlocks ? 1 : SMALLEST_UNKNOWN_GAP)
        : new ListedPieces()
    const moment = new Moment(this, gaps)
    let peakPayload = 0
    let largestHeap = 0
    this.#keyframes.push(moment.copy())
    for (let i = 0; i < length; i++) {
      moment.step()
      const t = i + 1
      const gone = this.ended[i]
      payload[t] =
        payload[i] -
        (gone === -1 ? 0 : this.payload(gone)) +
        (timeline.pointers[i] === 0 ? 0 : this.payload(i))
      const lastEnd = moment.count === 0 ? low : this.end(moment.blocks[moment.count - 1])
      const end = timeline.ends === undefined ? lastEnd : timeline.ends[i]
      heap[t] = end - low
      peakPayload = Math.max(peakPayload, payload[t])
      largestHeap = Math.max(largestHeap, heap[t])
      utilization[t] = largestHeap === 0 ? 0 : peakPayload / largestHeap
      externalFragmentation[t] = gaps.fragmentation(end - lastEnd)
      if (t % KEYFRAME_INTERVAL === 0) this.#keyframes.push(moment.copy())
    }
    return { payload, heap, utilization, externalFragmentation }
  }
}

function largest(values: Float64Array): number {
  let most = 0
  for (const value of values) most = Math.max(most, value)
  return most
}

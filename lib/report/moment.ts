/**
 * The heap at one moment of a timeline: its blocks in address order, and its free list in list
 * order. A moment moves forward by replaying operations. history.ts keeps copies of some moments to
 * go back.
 */

import { FREE, NULL_ID, payloadOf, REALLOC, type Trace } from '../trace/trace.js'
import type { Timeline } from './timeline.js'

/** Called for blocks that come and go. */
export interface MomentListener {
  /**
   * The block of operation `block` was inserted at (removed from) index `index` of `moment.blocks`.
   */
  added(moment: Moment, index: number, block: number): void
  removed(moment: Moment, index: number, block: number): void
  /** A block of this many bytes entered the free list (1), or left it (-1). */
  listed(size: number, by: 1 | -1): void
}

/** A copy of a moment, to return to. */
export interface Keyframe {
  readonly operations: number
  readonly blocks: Int32Array
  readonly freeOffsets: readonly number[]
  readonly freeSizes: readonly number[]
  readonly removed: number
  readonly inserted: number
}

/**
 * What is the same at all moments. A block is identified by the operation that allocated it: a
 * malloc, or its last realloc.
 */
export class Blocks {
  readonly trace: Trace
  readonly timeline: Timeline
  /** The block that each operation ends, by the operation that made it; -1 for none. */
  readonly ended: Int32Array

  constructor(trace: Trace, timeline: Timeline) {
    this.trace = trace
    this.timeline = timeline
    this.ended = new Int32Array(trace.length).fill(-1)
    const last = new Int32Array(trace.ids).fill(-1)
    for (let i = 0; i < trace.length; i++) {
      const id = trace.idOf[i]
      if (id === NULL_ID) continue
      const kind = trace.kinds[i]
      if (kind === FREE || kind === REALLOC) this.ended[i] = last[id]
      last[id] = timeline.pointers[i] === 0 ? -1 : i
    }
  }

  /** Is the block a slot of a slab? */
  isSlot(block: number): boolean {
    return this.timeline.slabs?.inSlot[block] === 1
  }

  /** The bytes of a block's header; a slot has none. */
  header(block: number): number {
    return this.isSlot(block) ? 0 : this.timeline.headerBytes
  }

  /** The bytes of a block's boundary tag, which lies at its end. */
  footer(block: number): number {
    return this.isSlot(block) ? 0 : this.timeline.footerBytes
  }

  /** The byte offset of a block, its header included. */
  offset(block: number): number {
    return this.timeline.pointers[block] - this.header(block)
  }

  /** The requested bytes. */
  payload(block: number): number {
    return payloadOf(this.trace, block)
  }

  /** The whole block in bytes: header, payload and slack. */
  size(block: number): number {
    return this.header(block) + payloadOf(this.trace, block) + this.timeline.slacks[block]
  }

  /** The byte offset of the end of a block. */
  end(block: number): number {
    return (
      this.timeline.pointers[block] + payloadOf(this.trace, block) + this.timeline.slacks[block]
    )
  }
}

export class Moment {
  readonly #all: Blocks
  readonly #listener: MomentListener | undefined
  /** The number of operations up to here. */
  operations = 0
  /** The blocks in address order, `count` of them. */
  blocks = new Int32Array(64)
  count = 0
  /** The free list in list order. */
  freeOffsets: number[] = []
  freeSizes: number[] = []
  /** The number of applied entries of the free list's edits. */
  #removed = 0
  #inserted = 0

  constructor(all: Blocks, listener?: MomentListener) {
    this.#all = all
    this.#listener = listener
  }

  /** Applies the next operation. */
  step(): void {
    const i = this.operations
    const gone = this.#all.ended[i]
    if (gone !== -1) this.#remove(gone)
    if (this.#all.timeline.pointers[i] !== 0) this.#add(i)
    this.#editFreeList(i)
    this.operations = i + 1
  }

  /**
   * The index in `blocks` of the last block that begins at or before `address`; -1 if there is
   * none.
   */
  find(address: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#all.offset(this.blocks[middle]) <= address) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  copy(): Keyframe {
    return {
      operations: this.operations,
      blocks: this.blocks.slice(0, this.count),
      freeOffsets: this.freeOffsets.slice(),
      freeSizes: this.freeSizes.slice(),
      removed: this.#removed,
      inserted: this.#inserted
    }
  }

  /** Restores the moment that `frame` is a copy of. */
  restore(frame: Keyframe): void {
    this.operations = frame.operations
    this.count = frame.blocks.length
    if (this.blocks.length < this.count) this.blocks = new Int32Array(this.count * 2)
    this.blocks.set(frame.blocks)
    this.freeOffsets = frame.freeOffsets.slice()
    this.freeSizes = frame.freeSizes.slice()
    this.#removed = frame.removed
    this.#inserted = frame.inserted
  }

  #add(block: number): void {
    const index = this.find(this.#all.offset(block)) + 1
    if (this.count === this.blocks.length) {
      const larger = new Int32Array(this.count * 2)
      larger.set(this.blocks)
      this.blocks = larger
    }
    this.blocks.copyWithin(index + 1, index, this.count)
    this.blocks[index] = block
    this.count++
    this.#listener?.added(this, index, block)
  }

  #remove(block: number): void {
    let index = this.find(this.#all.offset(block))
    // A faulty allocator may have returned the same address twice.
    while (index >= 0 && this.blocks[index] !== block) index--
    if (index < 0) return
    this.#listener?.removed(this, index, block)
    this.blocks.copyWithin(index, index + 1, this.count)
    this.count--
  }

  #editFreeList(i: number): void {
    const edits = this.#all.timeline.freeList
    if (edits === undefined) return
    for (let k = edits.removals[i]; k > 0; k--) {
      const at = edits.removedAt[this.#removed++]
      this.#listener?.listed(this.freeSizes[at], -1)
      this.freeOffsets.splice(at, 1)
      this.freeSizes.splice(at, 1)
    }
    for (let k = edits.insertions[i]; k > 0; k--) {
      const n = this.#inserted++
      this.freeOffsets.splice(edits.insertedAt[n], 0, edits.offsets[n])
      this.freeSizes.splice(edits.insertedAt[n], 0, edits.sizes[n])
      this.#listener?.listed(edits.sizes[n], 1)
    }
  }
}

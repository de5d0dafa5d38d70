/**
 * The slabs of a heap over time: each state of a granule, with the operations that began and ended
 * it.
 */

import type { Moment } from './moment.js'

/** In place of a slot size: the granule is in no chunk, or in a chunk but no slab. */
export const NO_CHUNK = -1
export const NO_SLAB = 0

export interface SlabEdits {
  /** The bytes of a granule, which begins at a multiple of them; the granules of a chunk. */
  readonly granuleBytes: number
  readonly chunkGranules: number
  /** 1 for each operation whose block is a slot. */
  readonly inSlot: Uint8Array
  /** The number of granules that each operation changed. */
  readonly changes: Uint32Array
  /**
   * For each change the granule, and what it becomes: the slot size of a slab, NO_SLAB or NO_CHUNK.
   */
  readonly granules: Uint32Array
  readonly slots: Int16Array
}

/** A granule in one state. */
export interface Granule {
  readonly offset: number
  /** In bytes; the last granule of a chunk has 4 fewer than the others. */
  readonly size: number
  /** The slot size of the slab in bytes; 0 if it is not a slab. */
  readonly slot: number
  /** True for the first granule of a chunk, which the chunk's header precedes. */
  readonly first: boolean
  /** The state begins after `from` operations, and ends after `until`. */
  readonly from: number
  readonly to: number
}

/**
 * A chunk's header lies before its first granule; that of the next block at the end of its last
 * one.
 */
export const CHUNK_HEADER_BYTES = 4

export class SlabHistory {
  /** In the order in which they began. */
  readonly all: readonly Granule[]
  readonly #byNumber = new Map<number, Granule[]>()
  readonly #granuleBytes: number

  /** The slabs of a trace of `operations` operations; none if `edits` is undefined. */
  constructor(edits: SlabEdits | undefined, operations: number) {
    this.#granuleBytes = edits?.granuleBytes ?? 1
    this.all = edits === undefined ? [] : granulesOf(edits, operations)
    for (const granule of this.all) {
      const number = granule.offset / this.#granuleBytes
      const list = this.#byNumber.get(number)
      if (list === undefined) this.#byNumber.set(number, [granule])
      else list.push(granule)
    }
  }

  /** Yields the granules of chunks after `operations` operations, in no particular order. */
  *at(operations: number): Generator<Granule, void, undefined> {
    for (const granule of this.all) if (isThere(granule, operations)) yield granule
  }

  /** The granule that contains `address`; undefined if no chunk does. */
  find(address: number, operations: number): Granule | undefined {
    const list = this.#byNumber.get(Math.floor(address / this.#granuleBytes))
    const found = list?.find(granule => isThere(granule, operations))
    return found !== undefined && address < found.offset + found.size ? found : undefined
  }
}

/** The number of slots of a slab; 0 for a granule that is not a slab. */
export function slotsOf({ size, slot }: Granule): number {
  return slot === 0 ? 0 : Math.floor(size / slot)
}

/** The number of used slots of a slab at a moment. */
export function usedSlotsOf({ offset, size }: Granule, moment: Moment): number {
  return moment.find(offset + size - 1) - moment.find(offset - 1)
}

function isThere({ from, to }: Granule, operations: number): boolean {
  return operations >= from && operations < to
}

function granulesOf(edits: SlabEdits, operations: number): Granule[] {
  const { granuleBytes, chunkGranules, changes, granules, slots } = edits
  const found: { -readonly [Key in keyof Granule]: Granule[Key] }[] = []
  const now = new Map<number, number>()
  let at = 0
  for (let i = 0; i < operations; i++) {
    for (let k = changes[i]; k > 0; k--, at++) {
      const number = granules[at]
      const before = now.get(number)
      if (before !== undefined) found[before].to = i + 1
      now.delete(number)
      if (slots[at] === NO_CHUNK) continue
      now.set(number, found.length)
      const place = number % chunkGranules
      found.push({
        offset: number * granuleBytes,
        size: granuleBytes - (place === chunkGranules - 1 ? CHUNK_HEADER_BYTES : 0),
        slot: slots[at],
        first: place === 0,
        from: i + 1,
        to: Number.POSITIVE_INFINITY
      })
    }
  }
  return found
}

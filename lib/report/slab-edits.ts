/** The history of a heap's slabs: which blocks are slots, and each granule that becomes another. */

/** What stands for a slot size: the granule is not in a chunk, or is in one and is no slab. */
export const NO_CHUNK = -1
export const NO_SLAB = 0

export interface SlabEdits {
  /** A granule has this many bytes, and begins at a multiple of them. A chunk has this many granules. */
  readonly granuleBytes: number
  readonly chunkGranules: number
  /** 1 for each operation whose block is a slot. */
  readonly inSlot: Uint8Array
  /** How many granules each operation changed. */
  readonly changes: Uint32Array
  /** For each change the granule, and what it is from then on: the slot size of a slab, NO_SLAB or NO_CHUNK. */
  readonly granules: Uint32Array
  readonly slots: Int16Array
}

/** The history of a heap's slabs: which blocks are slots, and each change of a granule. */

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

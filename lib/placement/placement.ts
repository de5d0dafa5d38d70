/**
 * Placement: which free block a request gets. The engine splits, merges, and writes headers and
 * footers (lib/engine/blocks.ts); a policy keeps the free blocks in its lists, with an index over
 * them if it has one, and answers `find`. One file for each policy.
 *
 * Blocks and sizes are in words, as in lib/layout/block.ts. A policy sees only free blocks, not
 * used ones or the wilderness.
 *
 * The engine decides when headers and footers are written, so that the blocks can be walked after
 * every single store: after `split`, before `put` and `merge`. A policy therefore uses the sizes
 * that it is given, and does not read the headers of the blocks that a call is about. The links of
 * a block that is split, merged or removed are intact.
 */

/** The words at the front of a free block that is only in a list: header, next, previous. */
export const LINKED_WORDS = 3

export interface Placement {
  /**
   * The words at the front of a free block, header included, that trim() must keep, besides its
   * footer.
   */
  readonly keptWords: number
  /** Removes every free block, and clears the index. */
  reset(): void
  /**
   * Returns the free block for a request of `size` words, still in its list; 0 if none is large
   * enough.
   */
  find(size: number): number
  /**
   * Returns the next block after `block` that `find(size)` could have returned; 0 if there is none.
   */
  findNext(block: number, size: number): number
  /** Adds a free block that is adjacent to no other free block. */
  put(block: number, size: number): void
  /** Removes a free block. */
  remove(block: number, size: number): void
  /**
   * The front of `block` becomes used: its last `restSize` words, from `rest` on, are now a free
   * block.
   */
  split(block: number, size: number, rest: number, restSize: number): void
  /**
   * The free block `from` becomes part of the free block `to`. There is no other free block between
   * them.
   */
  merge(from: number, fromSize: number, to: number, toSize: number): void
  /**
   * Yields each free block once, in the order of the lists. Throws ERR_OFFHEAP_CORRUPT for bad
   * links.
   */
  list(): Iterable<number>
  /** Verifies what the policy keeps besides the list. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void
}

/** The names of the policies; policies.ts has the policies themselves. */
export type PlacementName = 'first-fit' | 'segregated-fit' | 'best-fit' | 'next-fit'

/** A policy, before it is opened on a heap. */
export interface PlacementPolicy {
  /** The name that a caller gives: `Heap.map({ placement: name })`. */
  readonly name: PlacementName
  /** Its number in the heap's header; never used for another policy. */
  readonly number: number
  /** Whether its heaps have slabs by default. */
  readonly slabs: boolean
  /** The size of the index, in words, of a heap of `words` words. */
  indexWords(words: number): number
  /** Opens the policy on a heap whose header and index are written. */
  open(words: Int32Array): Placement
}

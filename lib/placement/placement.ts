/**
 * Placement: which free block a request gets. The heap splits, merges and writes headers and footers; a policy keeps the
 * free blocks in its list or lists (and an index over them, if it has one) and answers `find`. One file for each policy.
 *
 * Blocks and sizes are in words, as in block.ts. A policy is never told of a used block nor of the wilderness.
 */

/** The words at the front of a free block that is in a list and in nothing else: header, next, previous. */
export const LINKED_WORDS = 3

export interface Placement {
  /** How many words at the front of a free block, header included, must stay in memory. The last word must too: the footer. */
  readonly keptWords: number
  /** Forgets every free block and clears the index. */
  reset(): void
  /** The free block that a request of `size` words gets by this policy, still in the list; 0 when none is large enough. */
  find(size: number): number
  /** Lets go of a free block. */
  remove(block: number, size: number): void
  /**
   * The free block `from` becomes the free block `to`: the remainder of a split (`to` lies inside `from`), or the result of
   * a merge (`from` lies inside `to`). No free block lies between the two. When `from` is 0, `to` is a new free block, which
   * touches no other. Header and footer of `to` are written afterwards, for they may lie where the links of `from` still are:
   * read those before you write any.
   */
  replace(from: number, fromSize: number, to: number, toSize: number): void
  /** The free blocks in the order of the list or lists, each once. Throws when the links contradict each other. */
  list(): Iterable<number>
  /** Verifies what the policy keeps besides the list. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void
}

/** The names of the policies; policies.ts has the policies themselves. */
export type PlacementName = 'first-fit' | 'segregated-fit' | 'best-fit' | 'next-fit'

/** What a policy is, before it works on a heap. */
export interface PlacementPolicy {
  /** The name that a caller gives: `Heap.map({ placement: name })`. */
  readonly name: PlacementName
  /** What the heap's header says; never given to another policy. */
  readonly number: number
  /** Whether its heaps have quick lists unless told. */
  readonly quickLists: boolean
  /** How many words of index a heap of `words` words needs behind its header. */
  indexWords(words: number): number
  /** The policy at work on a heap whose header and index are written. */
  open(words: Int32Array): Placement
}

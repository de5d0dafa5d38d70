/**
 * What a block looks like in memory. The heap's bytes are seen as 32-bit words, and a block is named by the index of
 * its first word (byte offset / 4), an int32 for every heap up to 8 GiB: the JIT then keeps all of this in integers.
 *
 *     used block                              free block
 *     ┌──────────────────────────┐ block      ┌──────────────────────────┐ block
 *     │ size │ PREVIOUS_USED │ 1 │            │ size │ PREVIOUS_USED │ 0 │  header
 *     ├──────────────────────────┤ block + 1  ├──────────────────────────┤ block + 1
 *     │                          │            │ next free block          │
 *     │ payload                  │            ├──────────────────────────┤ block + 2
 *     │ (8-byte aligned)         │            │ previous free block      │
 *     │                          │            ├──────────────────────────┤
 *     │                          │            │ …                        │
 *     │                          │            ├──────────────────────────┤ block + size - 1
 *     │                          │            │ size in words            │  footer: the boundary tag
 *     └──────────────────────────┘            └──────────────────────────┘ block + size
 *
 * Only a free block has a footer: its right neighbour looks for it only when its own PREVIOUS_USED bit is clear (Knuth's
 * boundary tags, TAOCP 1, 2.5, with the used block's tag left out as in CS:APP 9.9). So a used block costs one word.
 *
 * Sizes are even numbers of words, payloads begin on even words, and therefore a block begins on an odd one. A header holds
 * twice the size in words, which leaves its two low bits to the flags and its high end to blocks of nearly 8 GiB.
 */

/** This block is used. */
export const USED = 1
/** The left neighbour is used; there is no footer in front of this block. */
export const PREVIOUS_USED = 2

/**
 * With USED, in a heap with quick lists: this block was given back and is cached there (see heap/quick-lists.ts); to its
 * neighbours it looks used. The bit is the highest of the size, which no block in a quick list comes near.
 */
export const CACHED = 1 << 31

/** The word of a free block that names the next free block. */
export const NEXT = 1
/** The word of a free block that names the previous free block. */
export const PREVIOUS = 2

/** The smallest block, in words: header, next, previous, footer. */
export const MINIMUM_WORDS = 4
/** A heap addresses at most this many bytes: its words must have int32 indexes. */
export const MAXIMUM_HEAP_BYTES = 2 ** 33

// Constants and not function declarations, here and in free-list.ts: a declaration can be assigned to, and V8 asks at every inlined
// call whether it was, which costs 3 % over recorded programs.

/** The size of a block, in words, from its header. */
export const sizeOf = (header: number): number => (header >>> 1) & ~1

/** A header for a block of `size` words. */
export const headerOf = (size: number, flags: number): number => (size << 1) | flags

/** The headers of cached blocks are below this: they have at most 256 words. Others with that bit have 4 GiB and more. */
const CACHED_END = CACHED + (258 << 1)

/** Is this, in a heap with quick lists, the header of a cached block? */
export const isCached = (header: number): boolean => header < CACHED_END && (header & USED) !== 0

/** The size of a block, cached or not, of a heap with quick lists, in words, from its header. */
export const quickSizeOf = (header: number): number => sizeOf(isCached(header) ? header ^ CACHED : header)

/** Writes the header and the footer of a free block. Its left neighbour is used: no two free blocks touch. */
export const writeFree = (words: Int32Array, block: number, size: number): void => {
  words[block] = (size << 1) | PREVIOUS_USED
  words[block + size - 1] = size
}

/** The payload's byte offset: a block's public name. */
export const pointerOf = (block: number): number => (block + 1) * 4

/** The words of the block that a payload of `bytes` needs: header added, rounded up to whole double words. From 0 to 2 ** 31 - 1. */
export const smallWordsFor = (bytes: number): number => (bytes <= 12 ? MINIMUM_WORDS : ((bytes + 11) >>> 3) << 1)

/** The same for any integer from 0 to 2 ** 33: up to 2 GiB in integers, beyond in doubles. */
export const wordsFor = (bytes: number): number =>
  (bytes | 0) === bytes ? smallWordsFor(bytes) : Math.floor((bytes + 11) / 8) * 2

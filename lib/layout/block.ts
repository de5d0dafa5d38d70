/**
 * The layout of a block in memory. The heap is an array of 32-bit words, and a block is identified
 * by the index of its first word (byte offset / 4): an int32 for every heap up to 8 GiB.
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
 *     │                          │            │ size in words            │  footer: boundary tag
 *     └──────────────────────────┘            └──────────────────────────┘ block + size
 *
 * Only a free block has a footer: its right neighbour reads it only if its own PREVIOUS_USED bit is
 * clear (Knuth's boundary tags, TAOCP 1, 2.5, without the used block's tag as in CS:APP 9.9). So a
 * used block costs one word.
 *
 * Sizes are even numbers of words and payloads begin on even words, so a block begins on an odd
 * one. A header holds twice the size in words: its two low bits are free for the flags, and blocks
 * can have nearly 8 GiB.
 */

/** This block is used. */
export const USED = 1
/** The left neighbour is used, so there is no footer before this block. */
export const PREVIOUS_USED = 2

/** The word of a free block that refers to the next free block. */
export const NEXT = 1
/** The word of a free block that refers to the previous free block. */
export const PREVIOUS = 2

/** The smallest block, in words: header, next, previous, footer. */
export const MINIMUM_WORDS = 4
/** A heap addresses at most this many bytes: its words must have int32 indexes. */
export const MAXIMUM_HEAP_BYTES = 2 ** 33

// Use constants here and in free-list.ts, not function declarations: V8 checks at each inlined call
// whether a declaration was reassigned.

/** The size of a block, in words, from its header. */
export const sizeOf = (header: number): number => (header >>> 1) & ~1

/** A header for a block of `size` words. */
export const headerOf = (size: number, flags: number): number => (size << 1) | flags

/**
 * Writes the header and the footer of a free block. Its left neighbour is used, because no two free
 * blocks are adjacent.
 */
export const writeFree = (words: Int32Array, block: number, size: number): void => {
  words[block] = (size << 1) | PREVIOUS_USED
  words[block + size - 1] = size
}

/** The pointer of a block: the byte offset of its payload. */
export const pointerOf = (block: number): number => (block + 1) * 4

/** The block whose pointer this is; any integer is allowed. */
export const blockOf = (pointer: number): number =>
  ((pointer | 0) === pointer ? pointer >> 2 : Math.floor(pointer / 4)) - 1

/** The size of a request that is too large for any heap: more words than any block has. */
export const TOO_LARGE = 2 ** 31 - 1

/**
 * Returns the size in words of the block that a payload of `bytes` needs: header added, rounded up
 * to a multiple of 8 bytes. `bytes` is an integer from 0. Returns TOO_LARGE beyond 8 GiB.
 */
export const wordsFor = (bytes: number): number =>
  (bytes | 0) === bytes
    ? bytes <= 12
      ? MINIMUM_WORDS
      : ((bytes + 11) >>> 3) << 1
    : bytes < MAXIMUM_HEAP_BYTES
      ? Math.floor((bytes + 11) / 8) * 2
      : TOO_LARGE

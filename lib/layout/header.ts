/**
 * The header of a heap: its first 32 words. With the index of its placement policy, its slab tables
 * and its blocks, it is all the state that a heap has. A `Heap` object holds views and constants,
 * which anyone can rebuild from these bytes.
 *
 *     byte 0   128                                              first block     top          end
 *     ┌────────┬────────────────────┬──────────────────────────┬─────────────┬───────────────┐
 *     │ header │ index of the       │ slab tables, if the heap │ blocks,     │ wilderness:   │
 *     │        │ placement policy   │ has slabs (slab.ts)      │ no gaps     │ never used,   │
 *     │        │ (lib/placement)    │                          │ (block.ts)  │ or given back │
 *     └────────┴────────────────────┴──────────────────────────┴─────────────┴───────────────┘
 *
 * The constants below are word indexes. Positions in the heap are word indexes too, and sizes are
 * in words. Words are in the machine's byte order.
 */

/** 'offh': this is a heap. */
export const MAGIC_WORD = 0
export const MAGIC = 0x6866666f
/** The layout version: raised whenever the meaning of a byte changes. */
export const VERSION_WORD = 1
export const VERSION = 4
/** The size of the heap in units of 8 bytes. */
export const SIZE_WORD = 2
/** The placement policy, by its number. */
export const PLACEMENT_WORD = 3
/** Where the first block begins. */
export const FIRST_WORD = 4
/** Where the wilderness begins. */
export const TOP_WORD = 5
/** From this word to the end, no byte was ever written: all are zero. */
export const TOUCHED_WORD = 6
/** The highest value that `top` ever had. */
export const HIGH_WATER_WORD = 7
/** Words in used blocks, now and at most. A chunk of slabs is one used block. */
export const USED_WORD = 8
export const PEAK_USED_WORD = 9
/** The number of used blocks. */
export const BLOCKS_WORD = 10
/** The caller's root pointer, as a word index; 0 is NULL. */
export const ROOT_WORD = 11
/** The options of the heap: a sum of the flags below. */
export const OPTIONS_WORD = 12
export const WITH_SLABS = 1
/** The heap is hardened: this header describes its ledger. See lib/hardened/layout.ts. */
export const HARDENED = 2
/**
 * The free list's sentinel, laid out like a free block: `next` and `previous` are the words after
 * it.
 */
export const FREE_LIST = 13
/** The trim threshold in words, 0 for none; and the words freed since the last trim. */
export const TRIM_THRESHOLD_WORD = 16
export const FREED_WORD = 17
/** The payloads that a realloc is moving from and to, as word indexes; 0 when it is moving none. */
export const MOVE_FROM_WORD = 18
export const MOVE_TO_WORD = 19
/** Hardened heaps only, up to HEADER_SEAL_WORD. The key of the checksums. */
export const KEY_WORD = 20
/** The most words that used blocks outside the quarantine ever had. */
export const PEAK_LIVE_WORD = 21
/**
 * The quarantine: the words that it may hold, those that it holds, its blocks, the oldest, the
 * newest.
 */
export const QUARANTINE_LIMIT_WORD = 22
export const HELD_WORD = 23
export const QUARANTINED_WORD = 24
export const OLDEST_WORD = 25
export const NEWEST_WORD = 26
/** A checksum over all other words of this header. */
export const HEADER_SEAL_WORD = 27
/**
 * DUE: an event or a trim is due at the end of this call. CUT: a call was interrupted between two
 * stores, and the next call must recover the heap first (lib/engine/recover.ts). Otherwise 0.
 */
export const PENDING_WORD = 28
export const DUE = 1
export const CUT = 2
/** The size of the header, in words. */
export const HEADER_WORDS = 32

/**
 * The header of a heap: its first 32 words. With the index behind it and the blocks themselves it is all the state that a
 * heap has; a `Heap` object holds views and constants that anyone can rebuild from these bytes.
 *
 *     byte 0                128                            first block             top                    end
 *     ┌─────────────────────┬──────────────┬───────────────┬───────────────────────┬──────────────────────┐
 *     │ header              │ index of the │ quick lists,  │ blocks, without a gap │ wilderness: never    │
 *     │ (this file)         │ placement    │ if it has any │                       │ handed out, or given │
 *     │                     │              │               │                       │ back                 │
 *     └─────────────────────┴──────────────┴───────────────┴───────────────────────┴──────────────────────┘
 *
 * The names below are word indexes. Positions in the heap are kept as word indexes, amounts as numbers of words.
 */

/** 'offh': this is a heap. */
export const MAGIC_WORD = 0
export const MAGIC = 0x6866666f
/** Which layout: raised whenever the meaning of a byte changes. */
export const VERSION_WORD = 1
export const VERSION = 3
/** The size of the heap in 8-byte units. */
export const SIZE_WORD = 2
/** The placement policy, by its number. */
export const PLACEMENT_WORD = 3
/** Where the first block begins. */
export const FIRST_WORD = 4
/** Where the wilderness begins. */
export const TOP_WORD = 5
/** From here to the end no byte was ever written: all zero. */
export const TOUCHED_WORD = 6
/** The highest that `top` ever was. */
export const HIGH_WATER_WORD = 7
/** Words in used blocks, now and at the most. */
export const USED_WORD = 8
export const PEAK_USED_WORD = 9
/** How many used blocks there are. */
export const BLOCKS_WORD = 10
/** The caller's root pointer, as a word index; 0 is NULL. */
export const ROOT_WORD = 11
/** What the heap was asked to be besides: a sum of the options below. */
export const OPTIONS_WORD = 12
export const WITH_QUICK_LISTS = 1
/** The words of this header then count and place the words of the ledger: see heap/hardened/layout.ts. */
export const HARDENED = 2
/** The free list's sentinel, laid out like a free block: its `next` and `previous` are the two words behind it. */
export const FREE_LIST = 13
/** Words in cached blocks, or in quarantined ones. */
export const CACHED_WORD = 16
/** After so many freed words free pages are given back to the system, 0 for never; and how many were freed since. */
export const TRIM_THRESHOLD_WORD = 17
export const FREED_WORD = 18
/** Of a hardened heap: the key of its checks; the most words that used blocks outside the quarantine ever had. */
export const KEY_WORD = 19
export const PEAK_LIVE_WORD = 20
/** Its quarantine: the words that it may hold, how many blocks it holds (CACHED_WORD has their words), the oldest, the newest. */
export const QUARANTINE_LIMIT_WORD = 21
export const QUARANTINED_WORD = 22
export const OLDEST_WORD = 23
export const NEWEST_WORD = 24
/** Its checksum over all other words of this header. */
export const HEADER_SEAL_WORD = 25
/** The size of the header, in words. */
export const HEADER_WORDS = 32

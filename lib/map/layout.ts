/**
 * The layout of a map. A map is a header, an index and one block for each entry; all of them are
 * blocks of a heap. They refer to each other by their offset in the heap / 8 (a "reference"; 0 for
 * none). The code uses the index of their first 32-bit word, which is twice the reference.
 *
 *     header ──▶ directory ──▶ segment ──▶ entry
 *          └────── oldest, newest, hand ────▶┘
 *
 * Header, 128 bytes:
 *
 *     word   0       1          2           3            4         5       6        7
 *          ┌───────┬──────────┬───────────┬────────────┬─────────┬───────┬────────┬────────┐
 *          │ magic │ version, │ directory │ generation │ changes │ count │ oldest │ newest │
 *          │       │ policy   │           │            │         │       │        │        │
 *          └───────┴──────────┴───────────┴────────────┴─────────┴───────┴────────┴────────┘
 *            8      9       10      11        12        13         14, 15  16, 17
 *          ┌──────┬───────┬───────┬─────────┬─────────┬──────────┬───────┬──────────────┐
 *          │ hand │ sweep │ timed │ evicted │ expired │ rebuilds │ bytes │ most entries │
 *          └──────┴───────┴───────┴─────────┴─────────┴──────────┴───────┴──────────────┘
 *            18, 19       20, 21       22, 23   24 to 26  27      28, 29   30, 31
 *          ┌────────────┬────────────┬────────┬─────────┬───────┬────────┬────────┐
 *          │ most bytes │ most bytes │ TTL    │ pending │ split │ doomed │ record │
 *          │            │ of one     │        │         │       │        │ bytes  │
 *          └────────────┴────────────┴────────┴─────────┴───────┴────────┴────────┘
 *
 * Directory: 8 words, then 2 ** depth references to segments, indexed by the top `depth` bits of a
 * hash.
 *
 *     word   0       1       2       3       4             5 to 7   8
 *          ┌───────┬───────┬───────┬───────┬─────────────┬────────┬─────────┬─────────┬───
 *          │ depth │ mask  │ seed  │ seed  │ hash kind   │ 0      │ segment │ segment │ …
 *          └───────┴───────┴───────┴───────┴─────────────┴────────┴─────────┴─────────┴───
 *
 * Segment: 16 words, then mask + 1 slots. The low bits of a hash select the first slot; linear
 * probing continues from there. The entry of an empty slot is 0.
 *
 *     word   0             1        2       3 to 15   16                17
 *          ┌─────────────┬────────┬───────┬─────────┬─────────────────┬───────┬──────┬───────┬───
 *          │ local depth │ prefix │ count │ 0       │ hash            │ entry │ hash │ entry │ …
 *          └─────────────┴────────┴───────┴─────────┴─────────────────┴───────┴──────┴───────┴───
 *
 * Entry:
 *
 *     word   0      1       2       3      4             5 to 8          then
 *          ┌──────┬───────┬───────┬──────┬─────────────┬───────────────┬──────────────────┬───────┐
 *          │ hash │ older │ newer │ kind │ value bytes │ expiry, TTL,  │ key, padded to 4 │ value │
 *          │      │       │       │      │             │ if it is timed│                  │       │
 *          └──────┴───────┴───────┴──────┴─────────────┴───────────────┴──────────────────┴───────┘
 *
 * `kind` of an entry:
 *
 *     bit    0 to 16     17, 18     19 to 22   23      24        25
 *          ┌───────────┬──────────┬──────────┬───────┬─────────┬──────┐
 *          │ key bytes │ key      │ value    │ timed │ visited │ mark │
 *          │           │ encoding │ kind     │       │         │      │
 *          └───────────┴──────────┴──────────┴───────┴─────────┴──────┘
 */

// ---- the header ---------------------------------------------------------------------------------

export const HEADER_BYTES = 128
/** "HMap" */
export const MAGIC = 0x70614d48
export const LAYOUT_VERSION = 1

export const MAGIC_WORD = 0
/**
 * The layout version in bits 0 to 7, the eviction policy in bits 8 to 11, and `crashSafe` in bit
 * 12.
 */
export const FORMAT_WORD = 1
export const DIRECTORY = 2
/** Changes whenever the directory is replaced: cached copies of it are then stale. */
export const GENERATION = 3
/** Odd while a call is changing the map. */
export const CHANGES = 4
export const COUNT = 5
export const OLDEST = 6
export const NEWEST = 7
/** The entry where the eviction policy continues. */
export const HAND = 8
/** The entry where the search for expired entries continues. */
export const SWEEP = 9
/** The number of entries with an expiry time. */
export const TIMED_COUNT = 10
export const EVICTED = 11
export const EXPIRED = 12
/** The number of times that the hash was changed. */
export const REBUILDS = 13
/** Indexes of 64-bit numbers in the header: the bytes of all entries, then the limits. */
export const BYTES_F64 = 7
export const MAX_ENTRIES_F64 = 8
export const MAX_BYTES_F64 = 9
export const MAX_ENTRY_BYTES_F64 = 10
export const TTL_F64 = 11
/** The size of a record in a map of records; 0 in any other. */
export const RECORD_BYTES_F64 = 15
/**
 * Blocks that an interrupted call may have lost: recovery frees those that the map does not use.
 */
export const PENDING = 24
export const PENDING_WORDS = 3
/**
 * 1 while the directory changes from one segment (the third pending block) to two (the first and
 * the second).
 */
export const SPLIT = 27
/**
 * Two directories that are being discarded, with their segments and the entries that only they
 * refer to.
 */
export const DOOMED = 28

export const CRASH_SAFE = 1 << 12
export const POLICY_SHIFT = 8

// ---- the index ----------------------------------------------------------------------------------

export const DIRECTORY_WORDS = 8
export const DEPTH = 0
export const MASK = 1
export const SEED_A = 2
export const SEED_B = 3
export const HASH_KIND = 4

export const SEGMENT_WORDS = 16
export const LOCAL_DEPTH = 0
export const PREFIX = 1
export const SEGMENT_COUNT = 2

/** A map begins with one small segment, which doubles until it has full size. */
export const LEAST_SLOTS = 16
export const MOST_SLOTS = 1024
/**
 * The low bits of a hash select the slot of a full-size segment; the others are for the directory.
 */
export const MOST_DEPTH = 22

/**
 * The most entries in a segment of `slots` slots. At least one slot stays empty, so that every
 * search ends.
 */
export const capacityOf = (slots: number): number => (slots * 13) >> 4

// ---- the entry ----------------------------------------------------------------------------------

export const HASH = 0
export const OLDER = 1
export const NEWER = 2
export const KIND = 3
export const VALUE_BYTES = 4
/** The expiry time of the entry, in milliseconds since the epoch, and its TTL. */
export const EXPIRY = 5
export const ENTRY_TTL = 7
export const ENTRY_WORDS = 5
export const EXPIRY_WORDS = 4

export const MOST_KEY_BYTES = 65_536
export const KEY_BYTES_MASK = 0x1ffff
export const KEY_ENCODING_SHIFT = 17
/** The bits of `kind` that belong to the key. */
export const KEY_MASK = 0x7ffff
export const VALUE_KIND_SHIFT = 19
export const VALUE_KIND_MASK = 15
export const TIMED = 1 << 23
export const VISITED = 1 << 24
/** Used only during recovery. */
export const MARK = 1 << 25

/** The first word of the key of an entry. */
export const keyAt = (entry: number, kind: number): number =>
  entry + ENTRY_WORDS + ((kind & TIMED) !== 0 ? EXPIRY_WORDS : 0)

/** The first byte of the value of an entry. */
export const valueAt = (entry: number, kind: number): number =>
  (keyAt(entry, kind) + (((kind & KEY_BYTES_MASK) + 3) >> 2)) * 4

/**
 * What the bytes of a map mean. A map is a header, an index and one block for each entry, all of
 * them blocks of a heap. They refer to each other by their offset in the heap / 8 (a "reference"; 0
 * is none); the code names them by the index of their first 32-bit word, which is twice the
 * reference.
 *
 *     header ──▶ directory ──▶ segment ──▶ entry
 *          └────── oldest, newest, hand ────▶┘
 *
 * Header, 128 bytes:
 *
 *     word   0        1         2          3           4        5       6       7       8     9
 *          ┌────────┬─────────┬──────────┬───────────┬────────┬───────┬───────┬───────┬─────┬──────┐
 *          │ magic  │ version,│directory │generation │changes │ count │oldest │newest │hand │sweep │
 *          │        │ policy  │          │           │        │       │       │       │     │      │
 *          └────────┴─────────┴──────────┴───────────┴────────┴───────┴───────┴───────┴─────┴──────┘
 *            10       11        12         13          14, 15   16, 17        18, 19
 *          ┌────────┬─────────┬──────────┬───────────┬────────┬─────────────┬───────────────────────┐
 *          │ timed  │ evicted │ expired  │ rebuilds  │ bytes  │ most entries│ most bytes            │
 *          └────────┴─────────┴──────────┴───────────┴────────┴─────────────┴───────────────────────┘
 *            20, 21             22, 23     24 to 26    27       28       29 to 31
 *          ┌──────────────────┬──────────┬───────────┬────────┬────────┬────────────────────────────┐
 *          │most bytes of one │ TTL      │ pending   │ split  │ doomed │ 0                          │
 *          └──────────────────┴──────────┴───────────┴────────┴────────┴────────────────────────────┘
 *
 * Directory: 8 words, then 2 ** depth references to segments. The top `depth` bits of a hash say
 * which.
 *
 *     word   0       1       2       3       4             5 to 7   8
 *          ┌───────┬───────┬───────┬───────┬─────────────┬────────┬─────────┬─────────┬───
 *          │ depth │ mask  │ seed  │ seed  │ hash kind   │ 0      │ segment │ segment │ …
 *          └───────┴───────┴───────┴───────┴─────────────┴────────┴─────────┴─────────┴───
 *
 * Segment: 16 words, then mask + 1 slots. The low bits of a hash say at which slot to begin; linear
 * probing from there. An empty slot has no entry.
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
 *     kind   │ key bytes 0-16 │ key encoding 17-18 │ value kind 19-22 │ timed 23 │ visited 24 │ mark 25 │
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
/** Another number whenever the directory was replaced: what readers keep of it is then stale. */
export const GENERATION = 3
/** Odd while a call changes the map. */
export const CHANGES = 4
export const COUNT = 5
export const OLDEST = 6
export const NEWEST = 7
/** Where the eviction policy goes on. */
export const HAND = 8
/** Where the search for expired entries goes on. */
export const SWEEP = 9
/** The number of entries with an expiry. */
export const TIMED_COUNT = 10
export const EVICTED = 11
export const EXPIRED = 12
/** How often the hash was changed. */
export const REBUILDS = 13
/** Indexes of 64-bit numbers, from the header's own: the bytes of all entries, then the limits. */
export const BYTES_F64 = 7
export const MAX_ENTRIES_F64 = 8
export const MAX_BYTES_F64 = 9
export const MAX_ENTRY_BYTES_F64 = 10
export const TTL_F64 = 11
/**
 * Blocks that a call which was cut off may have left over: whoever recovers the map frees those
 * that it does not own.
 */
export const PENDING = 24
export const PENDING_WORDS = 3
/**
 * 1 while the directory changes from one segment, the third pending block, to two, the first and
 * the second.
 */
export const SPLIT = 27
/** A directory that is given up, with its segments; the entries that only it refers to as well. */
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

/** A map begins with one small segment, which doubles until it is of full size. */
export const LEAST_SLOTS = 16
export const MOST_SLOTS = 1024
/** The low bits of a hash choose a slot of a full segment; the others are for the directory. */
export const MOST_DEPTH = 22

/**
 * The most entries in a segment of `slots` slots. One slot at least is empty, so that every search
 * ends.
 */
export const capacityOf = (slots: number): number => (slots * 13) >> 4

// ---- the entry ----------------------------------------------------------------------------------

export const HASH = 0
export const OLDER = 1
export const NEWER = 2
export const KIND = 3
export const VALUE_BYTES = 4
/**
 * When the entry expires, in milliseconds since the epoch, and how long it lives from each renewal.
 */
export const EXPIRY = 5
export const ENTRY_TTL = 7
export const ENTRY_WORDS = 5
export const EXPIRY_WORDS = 4

export const MOST_KEY_BYTES = 65_536
export const KEY_BYTES_MASK = 0x1ffff
export const KEY_ENCODING_SHIFT = 17
/** The bits of `kind` by which keys differ. */
export const KEY_MASK = 0x7ffff
export const VALUE_KIND_SHIFT = 19
export const VALUE_KIND_MASK = 15
export const TIMED = 1 << 23
export const VISITED = 1 << 24
/** Set for a moment, while a map is recovered. */
export const MARK = 1 << 25

/** The word at which the key of an entry begins. */
export const keyAt = (entry: number, kind: number): number =>
  entry + ENTRY_WORDS + ((kind & TIMED) !== 0 ? EXPIRY_WORDS : 0)

/** The byte at which the value of an entry begins. */
export const valueAt = (entry: number, kind: number): number =>
  (keyAt(entry, kind) + (((kind & KEY_BYTES_MASK) + 3) >> 2)) * 4

/**
 * The layout of slabs in memory. A slab is a granule of 512 bytes, divided into slots of one size
 * for small requests. A slot has no header, only a bit. The state of a slab is in its descriptor,
 * apart from the slots, out of reach of a write past the end of a slot.
 *
 * Granules come in chunks. A chunk is an ordinary used block of the heap whose payload begins at a
 * multiple of the chunk's size; its last word is the header of the next block, so its last granule
 * has 4 bytes less.
 *
 *     chunk     ┌────────┬───────────┬───────────┬───────────┬───┬───────────┐
 *               │ header │ granule 0 │ granule 1 │ granule 2 │ … │ granule 7 │
 *               └────────┴───────────┴─────┬─────┴───────────┴───┴───────────┘
 *     granule   ┌──────┬──────┬──────┬─────┴┬──────┬──────┬───┬──────┬──────┐
 *     (48-byte  │ slot │ slot │ slot │ slot │ slot │ slot │ … │ slot │ rest │
 *     slots)    └──────┴──────┴──────┴──────┴──────┴──────┴───┴──────┴──────┘
 *
 * Slots begin at multiples of 16 bytes. Each unit of 16 bytes has a bit, from the highest down, and
 * a slot is named by the bit of its first unit.
 *
 * The tables lie between the placement policy's index and the first block:
 *
 *     ┌───────┬─────────────────────────────┬────────────────────────────┐
 *     │ state │ a record for each place     │ a descriptor for each      │
 *     │       │ where a chunk can lie       │ granule of the heap        │
 *     └───────┴─────────────────────────────┴────────────────────────────┘
 *
 *     state        { descriptor, starts, info, – } of the current slab for each size step;
 *                  lists; counters
 *     record       { free, next, previous, – }   free: a bit for each granule that is no slab
 *     descriptor   { used, info }                used: the bits of the used slots
 *
 *     info         31     30        29       28 … 5           4      3 … 0
 *                  FULL   CURRENT   LISTED   next granule     LAST   class
 *
 * If info is 0, the granule is in no chunk. If it is FREE, the granule is in a chunk, but is not a
 * slab.
 */
import { sizeOf, USED } from './block.js'

/** A granule has 2 ** GRANULE_SHIFT bytes. */
export const GRANULE_SHIFT = 9
export const GRANULE_BYTES = 1 << GRANULE_SHIFT
export const GRANULE_WORDS = GRANULE_BYTES / 4
export const UNIT_BYTES = 16
/** The units of a granule: one for each bit of a word. */
export const UNITS = GRANULE_BYTES / UNIT_BYTES

/** The slot sizes of the classes, in bytes. There is no class 0. */
export const SLOT_BYTES: readonly number[] = [0, 16, 32, 48, 64, 80, 96, 128, 160]
export const CLASSES = SLOT_BYTES.length
/** Requests of up to this many bytes can be served from slabs. */
export const LARGEST_SLOT = SLOT_BYTES[CLASSES - 1] ?? 0

/** The word of a descriptor that holds its info. */
export const INFO = 1
export const CLASS_MASK = 15
/** This granule is the last of its chunk. */
export const LAST = 16
/** The class and LAST. */
export const KIND_MASK = 31
export const NEXT_SHIFT = 5
export const NEXT_MASK = 0xffffff
/** This slab is in the list of its class. */
export const LISTED = 1 << 29
/** The next request of its class is served from this slab. */
export const CURRENT = 1 << 30
/** This slab had no open slot when it was last checked: it is neither listed nor current. */
export const FULL = 1 << 31
/** The class and the three flags that say where a slab is. */
export const STATE_MASK = FULL | CURRENT | LISTED | CLASS_MASK
/** The info of a granule that belongs to a chunk, but is not a slab. */
export const FREE = CURRENT | LISTED

/**
 * The words of a record: the bits of its free granules; its neighbours in the list of such chunks.
 */
export const RECORD_WORDS = 4
export const RECORD_NEXT = 1
export const RECORD_PREVIOUS = 2

/**
 * The state, in front of the records. It begins with an entry of 4 words for each size step: the
 * descriptor of the current slab, the bits where its slots begin, and its info. An entry is valid
 * only while the info in the descriptor is the one in the entry.
 */
export const ENTRY_SHIFT = 2
export const ENTRY_STARTS = 1
export const ENTRY_INFO = 2
/** For each class its list: the first and the last granule. */
export const HEADS = 48
export const TAILS = 64
/**
 * The number of chunks, the number of those without slabs, and the first chunk with a free granule.
 */
export const CHUNKS = 80
export const EMPTY_CHUNKS = 81
export const OPEN_CHUNKS = 82
/**
 * The class at which the next reclaim begins; and the words that growth took since the last one.
 */
export const CURSOR = 83
export const GROWTH = 84
/** The number of slabs in lists without used slots. */
export const EMPTY_SLABS = 85
export const STATE_WORDS = 96

/** The fewest words of a heap with slabs. Small heaps have small chunks. */
const SMALLEST_HEAP = 2 ** 14

/** The number of granules in a chunk, in a heap of `words` words; 0 if it has no slabs. */
export function chunkGranules(words: number): number {
  if (words < SMALLEST_HEAP) return 0
  return words < 2 ** 16 ? 2 : words < 2 ** 18 ? 4 : 8
}

/** The parts of the slab tables in a heap, as word indexes. */
export interface SlabLayout {
  readonly state: number
  readonly records: number
  readonly descriptors: number
  readonly end: number
}

/** The layout of the slab tables after the word `index`; empty in a heap that is too small. */
export function slabLayout(words: number, index: number): SlabLayout {
  const granules = chunkGranules(words)
  if (granules === 0) return { state: index, records: index, descriptors: index, end: index }
  const state = (index + 1) & ~1
  const records = state + STATE_WORDS
  const descriptors = records + RECORD_WORDS * Math.ceil(words / (granules * GRANULE_WORDS))
  return { state, records, descriptors, end: descriptors + 2 * Math.ceil(words / GRANULE_WORDS) }
}

/** The class of requests of `bytes` bytes, from 0 to LARGEST_SLOT. */
export function slotClassOf(bytes: number): number {
  return SLOT_BYTES.findIndex((size, i) => i > 0 && size >= bytes)
}

/** For each class, and for its last granules (class | LAST): the bits where slots begin. */
export const STARTS: Int32Array = Int32Array.from({ length: KIND_MASK + 1 }, (_, kind) => {
  const size = SLOT_BYTES[kind & CLASS_MASK] ?? 0
  const bytes = (kind & LAST) === 0 ? GRANULE_BYTES : GRANULE_BYTES - 4
  let bits = 0
  if (size > 0) for (let at = 0; at + size <= bytes; at += size) bits |= bitOf(at)
  return bits
})

/** The class of each size step: a request of `bytes` bytes has step (bytes + 15) >> 4. */
export const STEP_CLASS: readonly number[] = Array.from(
  { length: LARGEST_SLOT / UNIT_BYTES + 1 },
  (_, step) => slotClassOf(step * UNIT_BYTES)
)

/** The bit of the unit that begins `bytes` bytes into a granule. */
function bitOf(bytes: number): number {
  return 0x80000000 >>> (bytes / UNIT_BYTES)
}

/** Has the used block at `block` the size and the alignment of a chunk of `words` words? */
export function mayBeChunk(header: number, block: number, words: number): boolean {
  return (header & USED) !== 0 && sizeOf(header) === words && (block + 1) % words === 0
}

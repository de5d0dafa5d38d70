/**
 * The loops for all allocators that are called from JavaScript. A process opens only one allocator,
 * so that each call in a loop has one target.
 *
 * The loops are generators that yield nothing, because V8 never inlines the body of a generator.
 * The mid-tier compiler of Node 22 and later inlines an ordinary function into its caller, which
 * measures the time; the loop then runs there and is never compiled by the optimizing compiler,
 * which is much slower.
 */
// The kinds of operations are defined in this file, which uses them: an imported constant is loaded
// from memory and checked for initialization at each operation. In the C++ loop they are constants
// as well.
export const MALLOC = 0
export const CALLOC = 1
export const REALLOC = 2
export const ALIGNED = 3
export const FREE = 4

/**
 * The operations that a loop replays, one entry for each in every column; columns.ts makes them.
 */
export interface Columns {
  readonly name: string
  /** One of MALLOC … FREE for each operation. */
  readonly kinds: Uint8Array
  /**
   * The slot of the pointer table that each operation works on. The last slot is never allocated:
   * it is NULL.
   */
  readonly slots: Int32Array
  /** Bytes; for CALLOC the size of an element; 0 for FREE. */
  readonly sizes: Int32Array
  /** CALLOC: number of elements; ALIGNED: alignment in bytes; else 0. */
  readonly extras: Int32Array
  /** The number of slots of the pointer table, including that for NULL. */
  readonly slotCount: number
  /** The number of operations that prepare the heap and are not timed. */
  readonly start: number
  /**
   * Whether the timed operations leave the same slots live as before, so that they can run again at
   * once.
   */
  readonly steady: boolean
}

/**
 * An allocator as the loop sees it: a Heap itself, the exports of a WebAssembly module, or a few
 * functions.
 */
export interface Allocator<P> {
  malloc(size: number): P
  calloc(count: number, size: number): P
  realloc(pointer: P, size: number): P
  alignedAlloc(alignment: number, size: number): P
  free(pointer: P): void
}

/** Where the loop stores pointers: a typed array for numbers, an array for objects. */
export interface Table<P> {
  [slot: number]: P
  readonly length: number
}

/** A loop that runs from its first call of next() to its end. */
type Loop = Generator<never, void, undefined>

/**
 * Replays operations `from` up to `to`. The work outside the allocator: read four columns, read or
 * write the table.
 */
export function replay<P>(
  allocator: Allocator<P>,
  columns: Columns,
  table: Table<P>,
  none: P,
  from: number,
  to: number
): void {
  replaying(allocator, columns, table, none, from, to).next()
}

// biome-ignore lint/correctness/useYield: see above
function* replaying<P>(
  allocator: Allocator<P>,
  columns: Columns,
  table: Table<P>,
  none: P,
  from: number,
  to: number
): Loop {
  const { kinds, slots, sizes, extras } = columns
  for (let i = from; i < to; i++) {
    const slot = slots[i]
    switch (kinds[i]) {
      case MALLOC:
        table[slot] = allocator.malloc(sizes[i])
        break
      case FREE:
        allocator.free(table[slot])
        table[slot] = none
        break
      case REALLOC:
        table[slot] = allocator.realloc(table[slot], sizes[i])
        break
      case CALLOC:
        table[slot] = allocator.calloc(extras[i], sizes[i])
        break
      case ALIGNED:
        table[slot] = allocator.alignedAlloc(extras[i], sizes[i])
        break
    }
  }
}

/**
 * Frees the blocks that the trace left allocated, so that the next replay starts with an empty
 * heap. Not timed.
 */
export function freeAll<P>(
  allocator: Allocator<P>,
  slots: Int32Array,
  table: Table<P>,
  none: P
): void {
  for (const slot of slots) {
    allocator.free(table[slot])
    table[slot] = none
  }
}

/** `count` times malloc and free. */
export function pairs<P>(allocator: Allocator<P>, size: number, count: number): void {
  pairing(allocator, size, count).next()
}

// biome-ignore lint/correctness/useYield: see above
function* pairing<P>(allocator: Allocator<P>, size: number, count: number): Loop {
  for (let i = 0; i < count; i++) allocator.free(allocator.malloc(size))
}

/** `count` times calloc and free. */
export function zeroedPairs<P>(allocator: Allocator<P>, size: number, count: number): void {
  pairingZeroed(allocator, size, count).next()
}

// biome-ignore lint/correctness/useYield: see above
function* pairingZeroed<P>(allocator: Allocator<P>, size: number, count: number): Loop {
  for (let i = 0; i < count; i++) allocator.free(allocator.calloc(1, size))
}

/**
 * The loops that every allocator called from JavaScript is measured with. A process opens one
 * allocator only, so that the calls in a loop have one target.
 *
 * The loops are generators, though they yield nothing, because V8 never inlines the body of one. An
 * ordinary function is inlined into the one that takes the time as soon as the middle compiler of
 * Node 22 and later gets to it; there the loop stays, and the best compiler never sees it: malloc
 * and free of 64 bytes took 16 ns instead of 10.
 */
// The kinds of operations are here, where they are told apart: an imported constant is read from
// memory, and asked whether it has a value yet, at each operation. In the C++ loop they are
// constants as well.
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
   * Which slot of the pointer table each operation works on. The last slot is never allocated: it
   * stands for NULL.
   */
  readonly slots: Int32Array
  /** Bytes; for CALLOC the size of an element; 0 for FREE. */
  readonly sizes: Int32Array
  /** CALLOC: number of elements; ALIGNED: alignment in bytes; else 0. */
  readonly extras: Int32Array
  /** Slots of the pointer table, the one for NULL included. */
  readonly slotCount: number
  /** Operations before this index bring the heap into its state and are not timed. */
  readonly start: number
  /**
   * Whether the timed operations leave every slot as live as they found it, and can run again at
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

/**
 * Where the loop keeps what the allocator returned: a typed array for numbers, an array for
 * objects.
 */
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
 * Frees what the trace left alive, so that the next replay starts from an empty heap. Not timed.
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

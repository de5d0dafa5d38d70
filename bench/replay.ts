/**
 * The loop that every allocator called from JavaScript is measured with, and the same work once with every byte
 * checked. A process opens one allocator only, so that the calls in the loop have one target.
 */
import { ALIGNED, CALLOC, type Columns, FREE, MALLOC, REALLOC } from './columns.js'

/** An allocator as the loop sees it: a Heap itself, the exports of a WebAssembly module, or a few functions. */
export interface Allocator<P> {
  malloc(size: number): P
  calloc(count: number, size: number): P
  realloc(pointer: P, size: number): P
  alignedAlloc(alignment: number, size: number): P
  free(pointer: P): void
}

/** Where the loop keeps what the allocator returned: a typed array for numbers, an array for objects. */
export interface Table<P> {
  [slot: number]: P
  readonly length: number
}

/** Replays operations `from` up to `to`. The work outside the allocator: read four columns, read or write the table. */
export function replay<P>(
  allocator: Allocator<P>,
  columns: Columns,
  table: Table<P>,
  none: P,
  from: number,
  to: number
) {
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

/** Frees what the trace left alive, so that the next replay starts from an empty heap. Not timed. */
export function freeAll<P>(allocator: Allocator<P>, slots: Int32Array, table: Table<P>, none: P): void {
  for (const slot of slots) {
    allocator.free(table[slot])
    table[slot] = none
  }
}

/** `count` times malloc and free. */
export function pairs<P>(allocator: Allocator<P>, size: number, count: number): void {
  for (let i = 0; i < count; i++) allocator.free(allocator.malloc(size))
}

/** `count` times calloc and free. */
export function zeroedPairs<P>(allocator: Allocator<P>, size: number, count: number): void {
  for (let i = 0; i < count; i++) allocator.free(allocator.calloc(1, size))
}

/** The target of a verified replay (verify.ts): any allocator whose payloads can be seen. */

import { Payloads } from './pattern.js'
import type { FullHeap } from './room.js'

/** One block, as an allocator lists it. */
export interface ListedBlock {
  /** The pointer that malloc returned, if it is used. */
  readonly pointer: number
  /** The byte offset at which it begins. */
  readonly offset: number
  /** Its size in bytes. */
  readonly size: number
  /** Blocks of any state but this one are the allocator's own. */
  readonly used: boolean
}

/** An allocator in one memory, such as a `Heap`. Pointers are byte offsets in `u8`; 0 is NULL. */
export interface ReplayTarget extends FullHeap {
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  free(pointer: number): void
  alignedAlloc(alignment: number, size: number): number
  /** The whole heap. */
  readonly u8: Uint8Array
  /** Throws if the heap is inconsistent. */
  check(): void
  /** Every block in address order. */
  blocks?(): Iterable<ListedBlock>
}

/** Where the payload of a block lies: `payloads` has it at `at`. */
export interface Place {
  readonly payloads: Payloads
  readonly at: number
}

/** An allocator of any kind. P is the type of its pointers: byte offsets, addresses, or objects. */
export interface Verifiable<P> {
  readonly calls: {
    malloc(size: number): P
    calloc(count: number, size: number): P
    realloc(pointer: P, size: number): P
    free(pointer: P): void
    alignedAlloc(alignment: number, size: number): P
  }
  /** The value of NULL. */
  readonly none: P
  /** Every payload begins at a multiple of this, in bytes. */
  readonly alignment: number
  /** Whether alignedAlloc honours its alignment. */
  readonly aligns: boolean
  /**
   * The size in bytes of the memory that holds all payloads, at the offsets that `addressOf`
   * returns; undefined if there is no such memory.
   */
  readonly size: number | undefined
  /** The address or offset of a payload in bytes; undefined if it is unknown. */
  addressOf(pointer: P): number | undefined
  /** Where the `size` bytes of a payload are; undefined if they can't be read. */
  placeOf(pointer: P, size: number): Place | undefined
  /** Describes the heap in errors when it is out of memory. */
  readonly heap?: FullHeap
  /** Throws if the allocator is inconsistent. */
  check?(): void
  /** Every block in address order. */
  blocks?(): Iterable<ListedBlock>
}

/** Every payload of a heap begins at a multiple of this. */
const ALIGNMENT = 8

/** A heap in one memory. */
export function inOneMemory(heap: ReplayTarget): Verifiable<number> {
  const payloads = new Payloads(heap.u8)
  return {
    calls: heap,
    none: 0,
    alignment: ALIGNMENT,
    aligns: true,
    size: heap.u8.length,
    addressOf: pointer => pointer,
    placeOf: pointer => ({ payloads, at: pointer }),
    heap,
    check: () => heap.check(),
    ...(heap.blocks === undefined ? {} : { blocks: () => heap.blocks?.() ?? [] })
  }
}

/** The bytes of a block that has a view of its own. */
export function inView(bytes: Uint8Array): Place {
  return { payloads: new Payloads(bytes), at: 0 }
}

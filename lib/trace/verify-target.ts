/** What a verified replay (verify.ts) is run on: any allocator whose payloads can be seen. */

import { Payloads } from './pattern.js'
import type { FullHeap } from './room.js'

/** One block, as an allocator lists it. */
export interface ListedBlock {
  /** What malloc returned for it, when it is used. */
  readonly pointer: number
  /** Where it begins, in bytes. */
  readonly offset: number
  /** How many bytes it has from there. */
  readonly size: number
  /** Blocks of any state but this one are the allocator's own. */
  readonly used: boolean
}

/** What a replay needs of an allocator in one memory; `Heap` is one. Pointers are byte offsets in `u8`, 0 is NULL. */
export interface ReplayTarget extends FullHeap {
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  free(pointer: number): void
  alignedAlloc(alignment: number, size: number): number
  /** The whole heap. */
  readonly u8: Uint8Array
  /** Throws when the heap contradicts itself. */
  check(): void
  /** Every block in address order. */
  blocks?(): Iterable<ListedBlock>
}

/** Where the payload of a block lies: `payloads` has it at `at`. */
export interface Place {
  readonly payloads: Payloads
  readonly at: number
}

/** An allocator of any kind. P is what it returns: a byte offset, an address, or an object with the bytes. */
export interface Verifiable<P> {
  readonly calls: {
    malloc(size: number): P
    calloc(count: number, size: number): P
    realloc(pointer: P, size: number): P
    free(pointer: P): void
    alignedAlloc(alignment: number, size: number): P
  }
  /** What stands for NULL. */
  readonly none: P
  /** Every payload begins at a multiple of this, in bytes. */
  readonly alignment: number
  /** Whether alignedAlloc promises more. */
  readonly aligns: boolean
  /** Bytes of the memory in which all payloads lie, at the offsets that `addressOf` tells; undefined when there is no such memory. */
  readonly size: number | undefined
  /** Where a payload begins, as a number of bytes; undefined when that can't be known. */
  addressOf(pointer: P): number | undefined
  /** Where to find the `size` bytes of a payload; undefined when nothing is there to look at. */
  placeOf(pointer: P, size: number): Place | undefined
  /** What is known of it when it has no memory left. */
  readonly heap?: FullHeap
  /** Throws when the allocator contradicts itself. */
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

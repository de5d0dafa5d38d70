/**
 * What a heap needs of its engine, and all that it knows of it. There are two: the allocator
 * (allocator.ts), and the hardened engine (lib/hardened), which verifies everything and has an
 * allocator's blocks for its ledger. Pointers are byte offsets, and amounts are bytes.
 */

import type { OffheapError } from '../errors.js'
import type { PlacementName } from '../placement/placement.js'
import type { Slots } from './slots.js'

/** A payload's byte offset in the heap's memory; a multiple of 8. 0 is NULL. */
export type Pointer = number

/** One block of a heap, or one slot of a slab, as `heap.blocks()` yields it. */
export interface BlockInfo {
  /** The payload's byte offset: what malloc returned, when the block is used. */
  readonly pointer: Pointer
  /** The byte offset at which the block begins: with its header, if it has one. */
  readonly offset: number
  /** The size of the block in bytes, header included. */
  readonly size: number
  readonly used: boolean
  /** The slot size in bytes of the slab that the block is a slot of; 0 for a granule of a chunk that is no slab. */
  readonly slab?: number
  /** True for a block of a hardened heap that was freed and waits in the quarantine; `used` is false. */
  readonly quarantined?: true
}

/** Figures about a heap, in bytes, except for the counts of blocks. */
export interface HeapStats {
  /** The whole heap: metadata + used + free. */
  readonly size: number
  /** What no payload can have: header, index, slab tables, and what slabs leave over. */
  readonly metadata: number
  /** Used blocks, headers included, and used slots. */
  readonly used: number
  /** Free blocks, free slots, quarantined blocks and wilderness. */
  readonly free: number
  /** The number of used blocks and slots. */
  readonly blocks: number
  /** The number of free blocks between them. Free slots don't count. */
  readonly freeBlocks: number
  /** Of a hardened heap: the bytes of freed blocks that wait in the quarantine, and how many there are. */
  readonly quarantined: number
  readonly quarantinedBlocks: number
  /** The bytes of the chunks that slabs are in. */
  readonly slabs: number
  /** The largest n for which malloc(n) succeeds now; 0 when nothing fits. */
  readonly largestFree: number
  /** The most bytes that used blocks ever had. A chunk of slabs counts as a whole. */
  readonly peakUsed: number
  /** The byte offset at which the wilderness begins. */
  readonly top: number
  /** The bytes of wilderness, from `top` to the end. */
  readonly wilderness: number
  /** The most bytes of block space, first block to top, ever in use. Utilization is peak payload / highWater. */
  readonly highWater: number
  /** The bytes of the heap in physical memory; the whole size when the heap is not on mapped memory. */
  readonly residentBytes: number
}

/** What JSON.stringify and console.log show of a heap: see `HeapStats`. */
export interface HeapSummary {
  readonly size: number
  readonly placement: PlacementName
  readonly used: number
  readonly blocks: number
  readonly closed: boolean
}

/** What can give pages back to the system. */
export interface Pages {
  readonly pageSize: number
  /** Gives whole pages back; they are zero afterwards. Throws ERR_OFFHEAP_SYSTEM. */
  decommit(offset: number, length: number): void
}

/** Blocks that were never freed, of one stack. */
export interface Leak {
  /** The number of blocks. */
  readonly count: number
  /** The bytes that were asked for, of all of them. */
  readonly bytes: number
  /** Where they were allocated, one call a line. */
  readonly stack: string
}

/** What an engine asks of the heap that holds it. */
export interface Host {
  /**
   * Makes sure that the system has memory for the first `bytes` bytes of the heap, and returns whether it has. Undefined
   * when no call is needed: memory that nothing limits but its size.
   */
  readonly commit: ((bytes: number) => boolean) | undefined
  /** Why the memory is not what it was; undefined as long as it is. Left out where that can't happen. */
  readonly lost?: () => OffheapError | undefined
  /** The block space reached another MiB. Called as the last step of a call. */
  grown(): void
  /** Gives free pages back: the trim threshold was reached. Called as the last step of a call. */
  trim(): void
  /** An engine that verifies everything is about to throw this. */
  fault(error: Error): void
  /** The functions of the heap by which a caller allocates and frees: stacks are taken above them. */
  readonly calls: Calls
}

/** The functions of a heap by which a caller allocates and frees. */
export interface Calls {
  malloc(size: number): Pointer
  calloc(count: number, size: number): Pointer
  alignedAlloc(alignment: number, size: number): Pointer
  realloc(block: Pointer, size: number): Pointer
  free(block: Pointer): void
}

/** Whoever must be asked before a block is freed: see `Engine.watch`. */
export interface Watch {
  /** Throws when the used block at `pointer` may be neither freed nor resized. Changes nothing. */
  mayChange(pointer: Pointer): void
  /** The block at `pointer` was freed, or has moved away. */
  freed(pointer: Pointer): void
}

export interface Engine {
  readonly placement: PlacementName
  /** False when the memory is gone. */
  readonly open: boolean
  /** The fast path of malloc, free and realloc: what these need no engine for. */
  readonly slots: Slots
  /** A used block of at least `bytes` bytes, an integer from 0; 0 when nothing is large enough. */
  allocate(bytes: number): Pointer
  /** The same with the first `bytes` bytes zero. */
  allocateZeroed(bytes: number): Pointer
  /** The same at a multiple of `alignment`, a power of two. */
  allocateAligned(alignment: number, bytes: number): Pointer
  /** Frees a block. False, with nothing changed, when no used block begins at the pointer. */
  free(pointer: Pointer): boolean
  /** Gives the used block at `pointer` room for `bytes` bytes, an integer from 1. Its new pointer; 0, with nothing changed, when nothing is large enough, and -1 when no used block begins there. */
  resize(pointer: Pointer, bytes: number): Pointer
  /** From now on `free` and `resize` ask and tell `watch`, and `slots` frees and resizes nothing; undefined ends that. */
  watch(watch: Watch | undefined): void
  /** The bytes that the used block at `pointer` can hold; -1 when none begins there. Any integer is allowed. */
  usableSize(pointer: Pointer): number
  /** What is wrong with a pointer that the calls above refused: the error to throw. */
  refusal(call: string, pointer: Pointer): Error
  /** The root pointer; the setter takes 0 or the pointer of a used block. */
  root: Pointer
  /** The most bytes of block space ever in use. */
  highWater(): number
  stats(residentBytes: number): HeapStats
  /** Some figures of stats(), in constant time; the slots of slabs count as the chunks that they are in. */
  summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'>
  /** All blocks in address order. Throws ERR_OFFHEAP_CORRUPT. */
  eachBlock(): Generator<BlockInfo, void, undefined>
  /** The free blocks in the order of the policy's lists. Throws ERR_OFFHEAP_CORRUPT. */
  eachFreeBlock(): Generator<BlockInfo, void, undefined>
  /** Verifies every invariant. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void
  /** Gives whole free pages back; returns their bytes, in physical memory or not. Throws ERR_OFFHEAP_SYSTEM. */
  trim(pages: Pages): number
  /** Forgets every block. */
  reset(): void
  /** Lets go of the memory: from now on it is not `open`, holds no block, and has none to give. */
  close(): void
  /** The blocks that were not freed so far, the most bytes first; undefined when the engine doesn't keep them. */
  leaks(): Leak[] | undefined
}

/**
 * The interface between a heap and its engine. There are two engines: the allocator (allocator.ts),
 * and the hardened engine (lib/hardened), which verifies everything and keeps its ledger in an
 * allocator's blocks. Pointers are byte offsets; sizes are in bytes.
 */

import type { OffheapError } from '../errors.js'
import type { PlacementName } from '../placement/placement.js'
import type { FastPath } from './slots.js'

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
  /**
   * For a slot: the slot size of its slab, in bytes. 0 for a granule of a chunk that is not a slab.
   */
  readonly slab?: number
  /**
   * True for a block of a hardened heap that was freed and waits in the quarantine; `used` is
   * false.
   */
  readonly quarantined?: true
}

/** Figures about a heap, in bytes, except for the counts of blocks. */
export interface HeapStats {
  /** The whole heap: metadata + used + free. */
  readonly size: number
  /** Bytes that no payload can use: header, index, slab tables, and what slabs leave over. */
  readonly metadata: number
  /** Used blocks, headers included, and used slots. */
  readonly used: number
  /** Free blocks, free slots, quarantined blocks and wilderness. */
  readonly free: number
  /** The number of used blocks and slots. */
  readonly blocks: number
  /** The number of free blocks between them. Free slots don't count. */
  readonly freeBlocks: number
  /** Hardened heaps only. The bytes, and the number, of freed blocks in the quarantine. */
  readonly quarantined: number
  readonly quarantinedBlocks: number
  /** The bytes of the chunks that slabs are in. */
  readonly slabs: number
  /** The largest n for which malloc(n) would succeed now; 0 if none would. */
  readonly largestFree: number
  /** The most bytes that used blocks ever had. A chunk of slabs counts as a whole. */
  readonly peakUsed: number
  /** The byte offset at which the wilderness begins. */
  readonly top: number
  /** The bytes of wilderness, from `top` to the end. */
  readonly wilderness: number
  /**
   * The most bytes of block space, first block to top, ever in use. Utilization is peak payload /
   * highWater.
   */
  readonly highWater: number
  /**
   * The bytes of the heap in physical memory; the whole size if the heap is not on mapped memory.
   */
  readonly residentBytes: number
}

/** The figures that JSON.stringify and console.log show of a heap, as in `HeapStats`. */
export interface HeapSummary {
  readonly size: number
  readonly placement: PlacementName
  readonly used: number
  readonly blocks: number
  readonly closed: boolean
}

/** Memory that can return pages to the system. */
export interface Pages {
  readonly pageSize: number
  /** Returns whole pages to the system; they read as zero afterwards. Throws ERR_OFFHEAP_SYSTEM. */
  decommit(offset: number, length: number): void
}

/** Blocks that were allocated at one stack and not freed. */
export interface Leak {
  /** The number of blocks. */
  readonly count: number
  /** The bytes that were requested for them together. */
  readonly bytes: number
  /** The stack where they were allocated, one call on each line. */
  readonly stack: string
}

/** The calls of an engine to the heap that holds it. */
export interface Host {
  /**
   * Makes sure that the system has memory for the first `bytes` bytes of the heap. Returns whether
   * it has. Undefined if no call is needed, because only the size limits the memory.
   */
  readonly commit: ((bytes: number) => boolean) | undefined
  /**
   * Returns an error if the memory was lost, for example because its file was truncated. Absent if
   * that can't happen.
   */
  readonly lost?: () => OffheapError | undefined
  /** Called as the last step of a call in which the block space reached another MiB. */
  grown(): void
  /**
   * Called as the last step of a call in which the trim threshold was reached: returns free pages.
   */
  trim(): void
  /** Called before a hardened engine throws `error`. */
  fault(error: Error): void
  /** The public methods of the heap: recorded stacks begin at their callers. */
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

/** The host of an engine that no heap holds: it limits nothing, and listens to nothing. */
export const QUIET: Host = {
  commit: undefined,
  grown: () => {},
  trim: () => {},
  fault: () => {},
  calls: {
    malloc: () => 0,
    calloc: () => 0,
    alignedAlloc: () => 0,
    realloc: () => 0,
    free: () => {}
  }
}

/** Asked before a block is freed: see `Engine.watch`. */
export interface Watch {
  /** Throws if the used block at `pointer` must not be freed or resized. Changes nothing. */
  mayChange(pointer: Pointer): void
  /** The block at `pointer` was freed, or has moved away. */
  freed(pointer: Pointer): void
}

/** Locks in words of a heap that several threads use. */
export interface Locks {
  /**
   * Waits for the lock in a word of the heap, and takes it. Returns whether its holder ended
   * without releasing it. Throws ERR_OFFHEAP_BUSY.
   */
  acquire(word: number): boolean
  /**
   * Takes the lock if it is free. Returns false if it is held, or its holder ended without
   * releasing it.
   */
  tryAcquire(word: number): boolean
  release(word: number): void
}

export interface Engine {
  readonly placement: PlacementName
  /** False after close(), and after the memory was detached or lost. */
  readonly open: boolean
  /** The fast path of malloc, free and realloc, which bypasses the engine. */
  readonly slots: FastPath
  /** Allocates at least `bytes` bytes, an integer from 0. Returns 0 when out of memory. */
  allocate(bytes: number): Pointer
  /** Allocates a block whose first `bytes` bytes are zero. Returns 0 when out of memory. */
  allocateZeroed(bytes: number): Pointer
  /** Allocates at a multiple of `alignment`, a power of two. Returns 0 when out of memory. */
  allocateAligned(alignment: number, bytes: number): Pointer
  /** Frees a block. Returns false, changing nothing, if no used block begins at the pointer. */
  free(pointer: Pointer): boolean
  /**
   * Resizes the used block at `pointer` to `bytes` bytes, an integer from 1. Returns its new
   * pointer; 0, changing nothing, when out of memory; and -1 if no used block begins there.
   */
  resize(pointer: Pointer, bytes: number): Pointer
  /**
   * Makes `free` and `resize` ask and inform `watch`, and turns off freeing and resizing by
   * `slots`. Undefined ends this.
   */
  watch(watch: Watch | undefined): void
  /**
   * Returns the number of bytes that the used block at `pointer`, any integer, can hold; -1 if none
   * begins there.
   */
  usableSize(pointer: Pointer): number
  /** Returns the error to throw for a pointer that one of the calls above rejected. */
  refusal(call: string, pointer: Pointer): Error
  /** The root pointer; the setter takes 0 or the pointer of a used block. */
  root: Pointer
  /** The most bytes of block space that were ever in use. */
  highWater(): number
  stats(residentBytes: number): HeapStats
  /**
   * Some figures of stats(), in constant time. Slots of slabs count as the chunks that hold them.
   */
  summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'>
  /** Yields all blocks in address order. Throws ERR_OFFHEAP_CORRUPT. */
  eachBlock(): Generator<BlockInfo, void, undefined>
  /** Yields the free blocks in the order of the policy's lists. Throws ERR_OFFHEAP_CORRUPT. */
  eachFreeBlock(): Generator<BlockInfo, void, undefined>
  /** Verifies every invariant. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void
  /**
   * Returns whole free pages to the system. The result is their size in bytes, resident or not.
   * Throws ERR_OFFHEAP_SYSTEM.
   */
  trim(pages: Pages): number
  /** Frees all blocks. */
  reset(): void
  /** Locks for the callers of several threads; absent if one thread alone uses the heap. */
  readonly locks?: Locks
  /** Releases the memory: `open` becomes false, and the engine has no blocks and allocates none. */
  close(): void
  /**
   * The blocks that were not freed so far, the most bytes first; undefined if they are not tracked.
   */
  leaks(): Leak[] | undefined
}

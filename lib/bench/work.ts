/**
 * What `offheap bench` measures: `live` blocks of one size are alive, and one after the other is freed and
 * allocated anew. Of each new block a byte in every page is written, so that nobody gets by with memory
 * that the system has only promised.
 */

/** What a caller gets: a number, a Buffer, or a Uint8Array. */
export type As = 'pointer' | 'buffer' | 'array'

export const KINDS: readonly As[] = ['pointer', 'buffer', 'array']

export interface Work {
  /** Bytes of each block. */
  readonly size: number
  /** How many are alive. */
  readonly live: number
  readonly as: As
  /** Whether the blocks must be zero. */
  readonly cleared: boolean
}

/** The most that may be alive, in bytes: twice that must fit into this machine's memory. */
export const MOST_LIVE_BYTES = 2 ** 30

export const PAGE_BYTES = 4096

/** Hands out numbers, offsets into `memory`. */
export interface PointerAllocator {
  readonly kind: 'pointer'
  allocate(size: number): number
  release(block: number): void
  readonly memory: Uint8Array
}

/** Hands out objects. */
export interface ViewAllocator {
  readonly kind: 'view'
  allocate(size: number): Uint8Array
  release(block: Uint8Array): void
}

export type Allocator = PointerAllocator | ViewAllocator

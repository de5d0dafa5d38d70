/**
 * What `offheap bench` measures: there are `live` blocks of one size, and one after another is
 * freed and replaced by a new one. A byte in every page of each new block is written, so that page
 * faults are included.
 */

/** What an allocation returns: a number, a Buffer, or a Uint8Array. */
export type As = 'pointer' | 'buffer' | 'array'

export const KINDS: readonly As[] = ['pointer', 'buffer', 'array']

export interface Work {
  /** Bytes of each block. */
  readonly size: number
  /** The number of live blocks. */
  readonly live: number
  readonly as: As
  /** Whether the blocks must be zero. */
  readonly cleared: boolean
}

/** The most live bytes: twice as much must fit into this machine's memory. */
export const MOST_LIVE_BYTES = 2 ** 30

export const PAGE_BYTES = 4096

/** An allocator of numbers, offsets into `memory`. */
export interface PointerAllocator {
  readonly kind: 'pointer'
  allocate(size: number): number
  release(block: number): void
  readonly memory: Uint8Array
}

/** An allocator of objects. */
export interface ViewAllocator {
  readonly kind: 'view'
  allocate(size: number): Uint8Array
  release(block: Uint8Array): void
}

export type Allocator = PointerAllocator | ViewAllocator

/** An open contender that is called from JavaScript. */
import type { Allocator, Table } from '../work/replay.js'

/** An allocator called from JavaScript; P is a pointer, or a Buffer. */
export interface Subject<P> {
  readonly allocator: Allocator<P>
  readonly none: P
  /** The payload of a block, or nothing when the contender has none. */
  bytes(pointer: P, size: number): Uint8Array | undefined
  /** Bytes that every payload is aligned to. */
  readonly alignment: number
  /**
   * Whether alignedAlloc keeps its promise; some have none, and are asked for more bytes instead.
   */
  readonly aligns: boolean
  table(slots: number): Table<P>
  /** The most bytes of memory ever in use, the index's share included, where it can be known. */
  mostMemory?(): number
  /** Verifies the allocator's own invariants, where it can. */
  check?(): void
}

export type Bytes = Uint8Array | undefined

/** A contender opened: one that hands out pointers, or one that hands out Buffers. */
export type Opened = { readonly pointers: Subject<number> } | { readonly buffers: Subject<Bytes> }

/** The common part of contenders that return numbers. */
export const numbers = {
  none: 0,
  alignment: 8,
  aligns: true,
  table: (slots: number) => new Int32Array(slots)
}

/** The common part of contenders that return Buffers. */
export const objects = {
  none: undefined,
  alignment: 1,
  aligns: false,
  table: (slots: number) => new Array<Bytes>(slots).fill(undefined),
  bytes: (bytes: Bytes) => bytes
}

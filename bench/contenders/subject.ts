/** An open contender that is called from JavaScript. */
import type { Allocator, Table } from '../work/replay.js'

/** An allocator called from JavaScript; P is a pointer, or a Buffer. */
export interface Subject<P> {
  readonly allocator: Allocator<P>
  readonly none: P
  /** The payload of a block; undefined if the contender has none. */
  bytes(pointer: P, size: number): Uint8Array | undefined
  /** The alignment of every payload in bytes. */
  readonly alignment: number
  /** Whether alignedAlloc aligns; contenders without it are asked for more bytes instead. */
  readonly aligns: boolean
  table(slots: number): Table<P>
  /** The most bytes of memory ever in use, including the index; absent if it is unknown. */
  mostMemory?(): number
  /** Verifies the allocator's own invariants; absent if it can't. */
  check?(): void
}

export type Bytes = Uint8Array | undefined

/** An open contender: one that returns pointers, or one that returns Buffers. */
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

/**
 * What the grader gives to your allocator, and what it wants back. Types only: there is nothing to change here.
 */

/** The memory that your heap lives in. All offsets and lengths are in bytes. */
export interface Memory {
  /** Where your heap begins. Never 0, so that 0 can be NULL. A multiple of `pageSize`. */
  readonly low: number
  /** Where your heap ends: the first byte that is not yours yet. Equal to `low` before the first `sbrk`. */
  readonly high: number
  /** Bytes of a page of this system. */
  readonly pageSize: number
  /**
   * Moves the end of the heap up by `bytes`, an integer from 0. Returns where the new bytes begin (the old `high`), or -1 when the
   * memory is exhausted, and then nothing changes. New bytes are zero. The heap can't shrink.
   */
  sbrk(bytes: number): number

  // The memory, seen as elements of different sizes. All of them show the same bytes:
  // byte p is u8[p]; the 4 bytes from byte p, a multiple of 4, are u32[p / 4]; the 8 bytes from p are f64[p / 8].
  readonly u8: Uint8Array
  readonly i8: Int8Array
  readonly u16: Uint16Array
  readonly i16: Int16Array
  readonly u32: Uint32Array
  readonly i32: Int32Array
  readonly f32: Float32Array
  readonly f64: Float64Array
  readonly i64: BigInt64Array
  readonly u64: BigUint64Array
  /** Any type at any offset: dataView.getUint32(p, true). */
  readonly dataView: DataView
}

/** What `create(memory)` returns. A pointer is the byte offset of a payload; 0 is NULL. */
export interface Allocator {
  /**
   * A block of at least `size` bytes, its payload at a multiple of 8; 0 when there is no memory for it. `malloc(0)` may return 0.
   */
  malloc(size: number): number
  /** Takes a block back. `free(0)` does nothing. */
  free(pointer: number): void
  /**
   * A block of `size` bytes that begins with what the old one held (as much of it as fits), at the same place or another.
   * `realloc(0, size)` is `malloc(size)`. `realloc(pointer, 0)` frees the block and returns 0, or returns a block of no bytes. Returns 0, and leaves the old block alone, when there is no memory.
   */
  realloc(pointer: number, size: number): number
  /** A block for `count` elements of `size` bytes, all zero. Optional: step 8. */
  calloc?(count: number, size: number): number
  /** Looks whether your heap is in order: throw an error, or return a string, that says what is wrong. */
  check?(): unknown
  /** What your heap consists of, for pictures: `offheap play` and `offheap view` draw it. Nobody grades it. */
  describe?(): HeapDescription
}

/** Your heap as you see it. */
export interface HeapDescription {
  /** All blocks, in address order. */
  readonly blocks: Iterable<BlockDescription>
  /** The offsets of the free blocks, in the order of your list. Without it: in address order. */
  readonly freeList?: Iterable<number>
}

export interface BlockDescription {
  /** Where the block begins, with its header, if it has one. */
  readonly offset: number
  /** Bytes of the whole block. */
  readonly size: number
  readonly used: boolean
  /** Bytes of header. Default: from `offset` to the payload. */
  readonly header?: number
  /** Bytes of footer, at the end of the block. Default: 0. */
  readonly footer?: number
}

declare global {
  interface Console {
    /** Prints to the terminal, also while you are graded. */
    log(...values: unknown[]): void
  }
  var console: Console
}

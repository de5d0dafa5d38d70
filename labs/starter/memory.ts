/**
 * What the grader passes to your allocator, and what it expects in return. These are only types: do
 * not change them.
 */

/** The memory that your heap lives in. All offsets and lengths are in bytes. */
export interface Memory {
  /** The offset of your heap: a multiple of `pageSize`, and never 0, so that 0 can be NULL. */
  readonly low: number
  /** The end of your heap: the first byte after it. Equal to `low` before the first `sbrk`. */
  readonly high: number
  /** The system's page size, in bytes. */
  readonly pageSize: number
  /**
   * Grows the heap by `bytes`, an integer of 0 or more. Returns the offset of the new bytes (the
   * old `high`). They are zero. Returns -1, and changes nothing, if the memory is exhausted. The
   * heap can't shrink.
   */
  sbrk(bytes: number): number

  // The memory as elements of different sizes. All views show the same bytes: byte p is u8[p]; the
  // 4 bytes from p on, a multiple of 4, are u32[p / 4]; the 8 bytes from p on, a multiple of 8, are
  // f64[p / 8].
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
  /** Reads and writes any type at any offset, as in `dataView.getUint32(p, true)`. */
  readonly dataView: DataView
}

/** What `create(memory)` returns. A pointer is the byte offset of a payload; 0 is NULL. */
export interface Allocator {
  /**
   * Allocates a block of at least `size` bytes, an integer from 0 to 2 ** 28: never more than all
   * that `sbrk` can hand out. Returns its payload's offset, a multiple of 8, or 0 if out of memory.
   * `malloc(0)` may return 0.
   */
  malloc(size: number): number
  /** Frees a block. `free(0)` does nothing. */
  free(pointer: number): void
  /**
   * Resizes a block to `size` bytes, with the limits of `malloc`, in place or by moving it. Keeps
   * its contents, as far as they fit. Returns the offset of the payload, or 0 if out of memory;
   * then the old block is untouched. `realloc(0, size)` is `malloc(size)`. `realloc(pointer, 0)`
   * frees the block and returns 0, or returns an empty block.
   */
  realloc(pointer: number, size: number): number
  /**
   * Allocates `count` elements of `size` bytes, all zero; 2 ** 28 bytes at most. Optional: step 8.
   */
  calloc?(count: number, size: number): number
  /** Checks your heap. Throw an error, or return a string, that says what is wrong. */
  check?(): unknown
  /** Describes your heap for `offheap play` and `offheap view`, which draw it. Not graded. */
  describe?(): HeapDescription
}

/** The blocks and the free list of your heap. */
export interface HeapDescription {
  /** All blocks, in address order. */
  readonly blocks: Iterable<BlockDescription>
  /** The offsets of the free blocks, in list order. Default: in address order. */
  readonly freeList?: Iterable<number>
}

export interface BlockDescription {
  /** The offset of the block, or of its header if it has one. */
  readonly offset: number
  /** Bytes of the whole block, header included. */
  readonly size: number
  readonly used: boolean
  /** Bytes of header. Default: from `offset` to the payload. */
  readonly header?: number
  /** Bytes of footer, at the end of the block. Default: 0. */
  readonly footer?: number
}

declare global {
  interface Console {
    /**
     * Prints to the terminal, even during grading. The grader runs your allocator several times on
     * each trace, dozens of times on a measured one, and prints what it says each time, up to 1 MiB
     * in all.
     */
    log(...values: unknown[]): void
  }
  var console: Console
}

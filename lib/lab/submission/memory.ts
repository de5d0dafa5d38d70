/**
 * The memory of a student's allocator: a `Region` with the interface of a process's heap in C,
 * where `sbrk` moves the end of the heap (the break) up. The grader uses a `LabMemory`; the student
 * sees only its `face`.
 *
 *     0            low                            high                         byteLength
 *     ├────────────┼──────────────────────────────┼───┬────────────────────────┤
 *     │ NULL page  │ what sbrk has handed out     │ g │ not handed out yet     │
 *     └────────────┴──────────────────────────────┴───┴────────────────────────┘
 *
 * The first page is never handed out, so that 0 can be NULL. While a submission is verified, the
 * `g` bytes after the break and those in front of `low` contain a pattern, so that writes there are
 * detected.
 */

import { invalidType, outOfRange } from '../../errors.js'
import { Region } from '../../memory/region.js'
import type { DescribedHeap } from '../../report/heap-description.js'

/**
 * The mapped memory as typed arrays. All of them show the same bytes: element `i` of `u32` is the
 * four bytes from byte `4 * i` on.
 */
export interface Views {
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
  /** Reads and writes any type at any byte offset, aligned or not. */
  readonly dataView: DataView
}

/** The argument of `create(memory)`. Offsets and lengths are in bytes. */
export interface Memory extends Views {
  /** The offset of the heap: a multiple of `pageSize`, never 0. */
  readonly low: number
  /** The end of the heap: the first byte after it. Equal to `low` before the first `sbrk`. */
  readonly high: number
  /** The system's page size. */
  readonly pageSize: number
  /**
   * Grows the heap by `bytes`, an integer of 0 or more. Returns the offset of the new bytes (the
   * old `high`). They are zero. Returns -1, and changes nothing, if the memory is exhausted. The
   * heap can't shrink.
   */
  sbrk(bytes: number): number
}

/**
 * The result of a student's `create(memory)`. Pointers are byte offsets of payloads; 0 is NULL.
 */
export interface Allocator {
  /** Allocates a block of at least `size` bytes. Returns 0 if out of memory. */
  malloc(size: number): number
  /** Frees a block. `free(0)` does nothing. */
  free(pointer: number): void
  /**
   * Resizes a block to `size` bytes, in place or by moving it. Returns 0, and leaves the block
   * untouched, if out of memory.
   */
  realloc(pointer: number, size: number): number
  /** Allocates `count` elements of `size` bytes, all zero. Optional. */
  calloc?(count: number, size: number): number
  /**
   * Checks the heap. Throws, returns `false`, or returns a message as a string if something is
   * wrong.
   */
  check?(): unknown
  /** Describes the heap, for pictures. Not graded. */
  describe?(): DescribedHeap
}

export type Create = (memory: Memory) => Allocator

/** The number of guard bytes on either side of the heap, and their value. */
const GUARD_BYTES = 64
const GUARD = 0xa7
/** The largest page size of all systems that Node runs on, in bytes. */
const LARGEST_PAGE = 65536

export interface GuardBreach {
  /** The byte offset. */
  readonly at: number
  readonly found: number
}

/** The memory of one allocator at a time. Call `close()` to unmap it. */
export class LabMemory {
  readonly low: number
  readonly views: Views
  readonly face: Memory
  /** The bytes of the last failed `sbrk`; 0 for none. */
  refused = 0
  readonly #region: Region
  readonly #limit: number
  #high: number
  #guarded = false

  /**
   * @param limit the most bytes that `sbrk` hands out in total
   */
  constructor(limit: number) {
    this.#region = Region.map(limit + 2 * LARGEST_PAGE)
    this.#limit = limit
    this.low = this.#region.pageSize
    this.#high = this.low
    this.views = viewsOf(this.#region.buffer)
    this.face = this.faceOver(this.views)
  }

  get high(): number {
    return this.#high
  }

  /** Returns a face with other views of the same bytes, such as views that watch accesses. */
  faceOver(views: Views): Memory {
    const lab = this
    return Object.freeze({
      ...views,
      low: this.low,
      pageSize: this.#region.pageSize,
      get high() {
        return lab.#high
      },
      sbrk: (bytes: number) => lab.#sbrk(bytes)
    })
  }

  /** Starts to guard both ends of the heap. */
  guard(): void {
    this.#guarded = true
    this.views.u8.fill(GUARD, this.low - GUARD_BYTES, this.low)
    this.views.u8.fill(GUARD, this.#high, this.#high + GUARD_BYTES)
  }

  /** Returns the first changed guard byte, if any. */
  breach(): GuardBreach | undefined {
    const { u8 } = this.views
    for (let at = this.low - GUARD_BYTES; at < this.low; at++)
      if (u8[at] !== GUARD) return { at, found: u8[at] }
    const end = this.#high + GUARD_BYTES
    for (let at = this.#high; at < end; at++) if (u8[at] !== GUARD) return { at, found: u8[at] }
    return undefined
  }

  /**
   * Resets the memory: zero, nothing handed out, no guards. The pages stay in memory, so that
   * timing is not disturbed by page faults.
   */
  clear(): void {
    this.views.u8.fill(0, 0, this.#high + GUARD_BYTES)
    this.#high = this.low
    this.#guarded = false
    this.refused = 0
  }

  close(): void {
    this.#region.close()
  }

  #sbrk(bytes: number): number {
    if (typeof bytes !== 'number') throw invalidType('bytes', 'of type number', bytes)
    if (!Number.isInteger(bytes) || bytes < 0)
      throw outOfRange('bytes', 'an integer, 0 or more', bytes)
    const old = this.#high
    if (old - this.low + bytes > this.#limit) {
      this.refused = bytes
      return -1
    }
    this.#high = old + bytes
    if (this.#guarded) {
      this.views.u8.fill(0, old, old + GUARD_BYTES)
      this.views.u8.fill(GUARD, this.#high, this.#high + GUARD_BYTES)
    }
    return old
  }
}

export function viewsOf(buffer: ArrayBuffer): Views {
  return {
    u8: new Uint8Array(buffer),
    i8: new Int8Array(buffer),
    u16: new Uint16Array(buffer),
    i16: new Int16Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    i64: new BigInt64Array(buffer),
    u64: new BigUint64Array(buffer),
    dataView: new DataView(buffer)
  }
}

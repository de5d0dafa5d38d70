/**
 * The memory that a student's allocator works on: a `Region` behind the face of a process's heap in
 * C, where `sbrk` moves the end of the heap (the break) upwards. The grader holds a `LabMemory`;
 * the student sees only its `face`.
 *
 *     0            low                            high                         byteLength
 *     ├────────────┼──────────────────────────────┼───┬────────────────────────┤
 *     │ NULL page  │ what sbrk has handed out     │ g │ not handed out yet     │
 *     └────────────┴──────────────────────────────┴───┴────────────────────────┘
 *
 * The first page is never handed out, so that 0 can be NULL. While a submission is verified, the
 * `g` bytes behind the break and those in front of `low` hold a pattern that tells when something
 * wrote there.
 */

import { invalidType, outOfRange } from '../../errors.js'
import { Region } from '../../memory/region.js'
import type { DescribedHeap } from '../../report/heap-description.js'

/**
 * The mapped memory as typed arrays; element `i` of `u32` is the four bytes from byte `4 * i`. All
 * of them show the same bytes.
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
  /** Any type at any byte offset, aligned or not. */
  readonly dataView: DataView
}

/** What `create(memory)` is given. Offsets and lengths are in bytes. */
export interface Memory extends Views {
  /** Where the heap begins: a multiple of `pageSize`, never 0. */
  readonly low: number
  /**
   * Where the heap ends: the first byte that is not yours yet. Equal to `low` before the first
   * `sbrk`.
   */
  readonly high: number
  /** Bytes of a page of this system. */
  readonly pageSize: number
  /**
   * Moves the end of the heap up by `bytes`, an integer from 0. Returns where the new bytes begin
   * (the old `high`), or -1 when the memory is exhausted, and then nothing changes. New bytes are
   * zero. The heap can't shrink.
   */
  sbrk(bytes: number): number
}

/** What a student's `create(memory)` returns. Pointers are byte offsets of payloads; 0 is NULL. */
export interface Allocator {
  /** A block of at least `size` bytes; 0 when there is no memory for it. */
  malloc(size: number): number
  /** Takes a block back; `free(0)` does nothing. */
  free(pointer: number): void
  /**
   * The block's first bytes in a block of `size` bytes, perhaps elsewhere; 0, and the block
   * untouched, when there is no memory.
   */
  realloc(pointer: number, size: number): number
  /** A block for `count` elements of `size` bytes, all zero; optional. */
  calloc?(count: number, size: number): number
  /**
   * Looks whether the heap is in order. Fails by throwing, by returning `false`, or by returning
   * what is wrong as a string.
   */
  check?(): unknown
  /** What the heap consists of, for pictures. Nothing of it is graded. */
  describe?(): DescribedHeap
}

export type Create = (memory: Memory) => Allocator

/** Bytes of pattern on either side of the heap, and the pattern. */
const GUARD_BYTES = 64
const GUARD = 0xa7
/** No system that Node runs on has larger pages, in bytes. */
const LARGEST_PAGE = 65536

export interface GuardBreach {
  /** Byte offset. */
  readonly at: number
  readonly found: number
}

/** One mapped memory for one allocator at a time. `close()` it. */
export class LabMemory {
  readonly low: number
  readonly views: Views
  readonly face: Memory
  /** Bytes of the last `sbrk` that was refused; 0 when none was. */
  refused = 0
  readonly #region: Region
  readonly #limit: number
  #high: number
  #guarded = false

  /** @param limit the most bytes that `sbrk` hands out altogether */
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

  /**
   * The face with other views over the same bytes, such as views that watch what is done to them.
   */
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

  /** Begins to guard both ends of the heap. */
  guard(): void {
    this.#guarded = true
    this.views.u8.fill(GUARD, this.low - GUARD_BYTES, this.low)
    this.views.u8.fill(GUARD, this.#high, this.#high + GUARD_BYTES)
  }

  /** The first guard byte that was changed, if any was. */
  breach(): GuardBreach | undefined {
    const { u8 } = this.views
    for (let at = this.low - GUARD_BYTES; at < this.low; at++)
      if (u8[at] !== GUARD) return { at, found: u8[at] }
    const end = this.#high + GUARD_BYTES
    for (let at = this.#high; at < end; at++) if (u8[at] !== GUARD) return { at, found: u8[at] }
    return undefined
  }

  /**
   * As new: zero, with nothing handed out and no guards. The pages stay in memory, so that timing
   * meets no page faults.
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

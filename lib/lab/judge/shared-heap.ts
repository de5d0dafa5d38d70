/** The judge's view of a submission's heap: the same pages, in another process. */

import { HEAP_WORDS, HEAPS, HIGH, LIMIT, REFUSED } from '../submission/channel.js'
import { type Views, viewsOf } from '../submission/memory.js'
import type { HeapState } from '../submission/verify.js'

/** The bytes on either side of the heap that must stay zero. */
const GUARD_BYTES = 64

export class SharedHeap implements HeapState {
  readonly views: Views
  readonly low: number
  readonly #words: Int32Array
  readonly #at: number
  readonly #limit: number
  /** The highest end of the heap so far: it never shrinks. */
  #high: number
  /** The most bytes that this heap had, from the first page on, since the pages were made. */
  peak = 0

  /**
   * @param words the channel's words
   */
  constructor(
    buffer: ArrayBuffer,
    words: Int32Array,
    instance: number,
    low: number,
    limit: number
  ) {
    this.views = viewsOf(buffer)
    this.low = this.#high = low
    this.#words = words
    this.#at = HEAPS + instance * HEAP_WORDS
    this.#limit = limit
  }

  get high(): number {
    const told = this.#words[this.#at + HIGH]
    if (told > this.#high && told <= this.low + this.#limit) this.#high = told
    if (this.#high > this.peak) this.peak = this.#high
    return this.#high
  }

  get refused(): number {
    return this.#words[this.#at + REFUSED]
  }

  breach(): { readonly at: number; readonly found: number } | undefined {
    const { u8 } = this.views
    for (let at = this.low - GUARD_BYTES; at < this.low; at++)
      if (u8[at] !== 0) return { at, found: u8[at] }
    const { high } = this
    for (let at = high; at < high + GUARD_BYTES; at++)
      if (u8[at] !== 0) return { at, found: u8[at] }
    return undefined
  }

  /** Returns how many of the `bytes` after the heap are not zero. */
  writtenBeyond(bytes: number): number {
    const { high } = this
    const behind = this.views.u8.subarray(high, high + bytes)
    this.peak = Math.max(this.peak, high + bytes)
    return behind.reduce((count, byte) => (byte === 0 ? count : count + 1), 0)
  }

  /**
   * Resets the heap: zero, nothing handed out. The pages stay in memory, so that timing is not
   * disturbed by page faults.
   */
  clear(): void {
    this.views.u8.fill(0, 0, this.high + GUARD_BYTES)
    this.#high = this.low
    this.#words[this.#at + HIGH] = this.low
    this.#words[this.#at + REFUSED] = 0
    this.#words[this.#at + LIMIT] = this.#limit
  }
}

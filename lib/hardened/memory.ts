/**
 * Fills unowned memory, and detects changes in it. All unowned bytes (free blocks, blocks in the
 * quarantine, red zones, wilderness that was used before) hold one pattern, so any other byte was
 * written by mistake. The pattern comes from the key and has 256 bytes. None of them is 0 or 255,
 * the most frequent bytes of stray writes.
 *
 * Pages that were returned to the system are zero instead: see given-back.ts.
 */
import { GivenBack } from './given-back.js'
import { PAGE_UNIT } from './layout.js'
import { mix } from './seals.js'

const PATTERN_WORDS = 64
const PATTERN_MASK = PATTERN_WORDS - 1
/** Beyond this many bytes the native compare and copy are faster than a loop. */
const SMALL = 256

export class Memory {
  private readonly words: Int32Array
  private readonly bytes: Buffer<ArrayBufferLike>
  readonly givenBack: GivenBack
  /** A page of the pattern, as words and as bytes. */
  private readonly pattern: Int32Array<ArrayBuffer>
  private readonly page: Buffer<ArrayBuffer>

  /** `words`: the whole heap. The notes about pages given back begin at the word `notes`. */
  constructor(words: Int32Array, notes: number, key: number) {
    this.words = words
    this.bytes = Buffer.from(words.buffer, 0, words.byteLength)
    this.givenBack = new GivenBack(words, notes, key)
    this.page = Buffer.from(new ArrayBuffer(PAGE_UNIT))
    this.pattern = new Int32Array(this.page.buffer, 0, PATTERN_WORDS)
    for (let i = 0; i < SMALL; i++) this.page[i] = 1 + ((mix(key, i) >>> 8) % 254)
    for (let i = SMALL; i < PAGE_UNIT; i += SMALL) this.page.copyWithin(i, 0, SMALL)
  }

  /** Writes the pattern from one byte offset to another. */
  fill(begin: number, end: number): void {
    if (end - begin > SMALL) {
      for (let at = begin; at < end; ) {
        const from = at % PAGE_UNIT
        const to = Math.min(PAGE_UNIT, from + end - at)
        this.page.copy(this.bytes, at, from, to)
        at += to - from
      }
      return
    }
    let at = begin
    for (; at < end && at % 4 !== 0; at++) this.bytes[at] = this.page[at % PAGE_UNIT]
    for (; at + 4 <= end; at += 4) this.words[at / 4] = this.pattern[(at / 4) & PATTERN_MASK]
    for (; at < end; at++) this.bytes[at] = this.page[at % PAGE_UNIT]
  }

  /** Copies bytes, which may overlap. */
  copy(from: number, to: number, length: number): void {
    this.bytes.copyWithin(to, from, from + length)
  }

  /** Makes memory zero, as if it had never been touched. */
  zero(begin: number, end: number): void {
    this.bytes.fill(0, begin, end)
  }

  /** The first byte between two offsets that differs from the pattern; -1 if none does. */
  firstChanged(begin: number, end: number): number {
    if (end - begin > SMALL) return this.firstChangedOfMany(begin, end)
    let at = begin
    for (; at < end && at % 4 !== 0; at++) if (this.isChanged(at)) return at
    for (; at + 4 <= end; at += 4) {
      if (this.words[at / 4] === this.pattern[(at / 4) & PATTERN_MASK]) continue
      for (let byte = at; byte < at + 4; byte++) if (this.isChanged(byte)) return byte
    }
    for (; at < end; at++) if (this.isChanged(at)) return at
    return -1
  }

  /** The first changed byte of a larger range, compared page by page; -1 if there is none. */
  private firstChangedOfMany(begin: number, end: number): number {
    for (let at = begin; at < end; ) {
      const from = at % PAGE_UNIT
      const to = Math.min(PAGE_UNIT, from + end - at)
      const next = at + to - from
      if (this.givenBack.has(Math.floor(at / PAGE_UNIT))) {
        const touched = this.firstTouched(at, next)
        if (touched !== -1) return touched
      } else if (
        // With offsets, Deno's compare takes the length of one buffer for that of the other.
        Buffer.compare(this.bytes.subarray(at, next), this.page.subarray(from, to)) !== 0
      ) {
        while (!this.isChanged(at)) at++
        return at
      }
      at = next
    }
    return -1
  }

  private isChanged(at: number): boolean {
    const byte = this.bytes[at]
    return (
      byte !== this.page[at % PAGE_UNIT] &&
      !(byte === 0 && this.givenBack.has(Math.floor(at / PAGE_UNIT)))
    )
  }

  /**
   * The first byte between two offsets that is not 0, in memory that was never used; -1 if all are.
   */
  firstTouched(begin: number, end: number): number {
    let at = begin
    for (; at < end && at % 4 !== 0; at++) if (this.bytes[at] !== 0) return at
    for (; at + 4 <= end && this.words[at / 4] === 0; at += 4);
    for (; at < end; at++) if (this.bytes[at] !== 0) return at
    return -1
  }

  /** Notes that the whole pages between two offsets were given back. */
  noteGivenBack(begin: number, end: number): void {
    for (let page = begin / PAGE_UNIT; page < end / PAGE_UNIT; page++) this.givenBack.add(page)
  }

  /**
   * Prepares memory between two offsets for use: fills the rest of its pages with the pattern
   * again.
   */
  claim(begin: number, end: number): void {
    const last = Math.floor((end - 1) / PAGE_UNIT)
    for (let page = Math.floor(begin / PAGE_UNIT); page <= last; page++) {
      if (!this.givenBack.has(page)) continue
      this.givenBack.delete(page)
      const from = page * PAGE_UNIT
      if (from < begin) this.fill(from, begin)
      if (from + PAGE_UNIT > end) this.fill(end, from + PAGE_UNIT)
    }
  }
}

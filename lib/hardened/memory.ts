/**
 * The slots: what a free one must look like, and whether it does. All bytes that belong to nobody (free blocks, blocks in
 * the quarantine, red zones, wilderness that was used once) hold the same pattern, so that a byte which does not was written by
 * somebody who had no right to. The pattern comes from the key, has 256 bytes, and none of them is 0 or 255, which stray
 * writes are made of most often.
 *
 * Pages that were given back to the system are zero instead: see given-back.ts.
 */
import { GivenBack } from './given-back.js'
import { PAGE_UNIT } from './layout.js'
import { mix } from './seals.js'

const PATTERN_WORDS = 64
const PATTERN_MASK = PATTERN_WORDS - 1
/** Beyond so many bytes the native compare and copy are faster than a loop. */
const SMALL = 256

export class Memory {
  private readonly words: Int32Array
  private readonly bytes: Buffer<ArrayBufferLike>
  readonly givenBack: GivenBack
  /** The pattern as words, and as bytes: a page of it. */
  private readonly pattern: Int32Array<ArrayBuffer>
  private readonly page: Buffer<ArrayBuffer>

  /** The memory of the whole heap as words; the notes on pages that were given back lie from the word `notes` on. */
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

  /** The first byte between two offsets that is not what it must be where nobody may write; -1 when all are. */
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

  /** The same, page by page. */
  private firstChangedOfMany(begin: number, end: number): number {
    for (let at = begin; at < end; ) {
      const from = at % PAGE_UNIT
      const to = Math.min(PAGE_UNIT, from + end - at)
      const next = at + to - from
      if (this.givenBack.has(Math.floor(at / PAGE_UNIT))) {
        const touched = this.firstTouched(at, next)
        if (touched !== -1) return touched
      } else if (this.page.compare(this.bytes, at, next, from, to) !== 0) {
        while (!this.isChanged(at)) at++
        return at
      }
      at = next
    }
    return -1
  }

  private isChanged(at: number): boolean {
    const byte = this.bytes[at]
    return byte !== this.page[at % PAGE_UNIT] && !(byte === 0 && this.givenBack.has(Math.floor(at / PAGE_UNIT)))
  }

  /** The first byte between two offsets that is not 0; -1 when all are. For memory that was never handed out. */
  firstTouched(begin: number, end: number): number {
    let at = begin
    for (; at < end && at % 4 !== 0; at++) if (this.bytes[at] !== 0) return at
    for (; at + 4 <= end && this.words[at / 4] === 0; at += 4);
    for (; at < end; at++) if (this.bytes[at] !== 0) return at
    return -1
  }

  /** Notes that whole pages between two offsets were given back. */
  noteGivenBack(begin: number, end: number): void {
    for (let page = begin / PAGE_UNIT; page < end / PAGE_UNIT; page++) this.givenBack.add(page)
  }

  /** Memory from one offset to another is used from now on: what else lies in its pages holds the pattern again. */
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

/**
 * Notes about the pages of a hardened heap that were returned to the system: they are zero instead
 * of holding the pattern. When a block is allocated in such a page, the memory around it is filled
 * again. With an overwritten note, that could destroy payloads, so each note has a checksum. One
 * word for 8 pages:
 *
 *     ┌────────────────────────────────────────────────┬─────────────────────┐
 *     │ 24 bits: a keyed checksum over place and pages │ 8 pages: a bit each │  0: none given back
 *     └────────────────────────────────────────────────┴─────────────────────┘
 */
import { corrupt } from '../errors.js'
import { PAGE_UNIT, PAGES_IN_WORD, pageWords } from './layout.js'
import { mix } from './seals.js'

const PAGES_MASK = (1 << PAGES_IN_WORD) - 1

export class GivenBack {
  private readonly words: Int32Array
  private readonly begin: number
  private readonly end: number
  private readonly key: number

  /** The notes of the heap in `words`, which begin at the word `begin`. */
  constructor(words: Int32Array, begin: number, key: number) {
    this.words = words
    this.begin = begin
    this.end = begin + pageWords(words.length)
    this.key = key
  }

  /** Was a page given back? Throws ERR_OFFHEAP_CORRUPT if its note was overwritten. */
  has(page: number): boolean {
    return (this.pagesAt(this.wordOf(page)) & bitOf(page)) !== 0
  }

  /** Verifies the notes for all pages between two byte offsets. Throws ERR_OFFHEAP_CORRUPT. */
  verify(begin: number, end: number): void {
    if (end <= begin) return
    const last = this.wordOf(Math.floor((end - 1) / PAGE_UNIT))
    for (let at = this.wordOf(Math.floor(begin / PAGE_UNIT)); at <= last; at++) this.pagesAt(at)
  }

  /** Verifies all notes. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void {
    for (let at = this.begin; at < this.end; at++) this.pagesAt(at)
  }

  /** Was any page between two byte offsets, in whole or in part, given back? */
  hasAny(begin: number, end: number): boolean {
    for (let page = Math.floor(begin / PAGE_UNIT); page * PAGE_UNIT < end; page++)
      if (this.has(page)) return true
    return false
  }

  /** Notes that a page was given back. */
  add(page: number): void {
    const at = this.wordOf(page)
    this.words[at] = this.sealed(at, this.pagesAt(at) | bitOf(page))
  }

  /** Notes that a page is used again. */
  delete(page: number): void {
    const at = this.wordOf(page)
    this.words[at] = this.sealed(at, this.pagesAt(at) & ~bitOf(page))
  }

  /** Clears all notes. Does not touch pages of the system that hold none. */
  reset(): void {
    const words = this.words
    for (let at = this.begin; at < this.end; at++) if (words[at] !== 0) words[at] = 0
  }

  private wordOf(page: number): number {
    return this.begin + Math.floor(page / PAGES_IN_WORD)
  }

  private pagesAt(at: number): number {
    const word = this.words[at]
    if (word === 0) return 0
    const pages = word & PAGES_MASK
    if (word === this.sealed(at, pages)) return pages
    throw corrupt(`the note at byte ${at * 4} about pages returned to the system was overwritten`)
  }

  private sealed(at: number, pages: number): number {
    if (pages === 0) return 0
    const hash = mix(mix(this.key, at), pages) << PAGES_IN_WORD
    // Never 0: a bit without a checksum must not be valid.
    return (hash === 0 ? 1 << PAGES_IN_WORD : hash) | pages
  }
}

function bitOf(page: number): number {
  return 1 << (page % PAGES_IN_WORD)
}

/**
 * Seals: a keyed checksum for every block of the ledger, over all that is known about it, kept in a table of its own. A
 * pointer is right when the seal of a used block stands where it leads to, and a header, a size or a link is believed only
 * when it agrees with its seal. The header of the heap has one of its own. A copy of a seal is worth nothing elsewhere, for it covers the place too.
 *
 * The key is drawn for each heap, and lies in the heap: it makes accidents impossible, not attacks.
 */
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf, USED } from '../layout/block.js'
import { HEADER_SEAL_WORD, HEADER_WORDS } from '../layout/header.js'
import { sealIndex, sealOrigin } from './layout.js'

/** What a block is, as its seal says. */
export type Kind = 'used' | 'quarantined' | 'free'

const SALTS: Readonly<Record<Kind, number>> = { used: 0x2c1b3c6d, quarantined: 0x297a2d39, free: 0x1b56c4f5 }

/** The word of a used or quarantined block with the slack of its slot. */
export const SLACK = 1
/** The word of a quarantined block that names the one that came after it. */
export const NEXT_HELD = 2

export class Seals {
  private readonly words: Int32Array
  private readonly key: number
  private readonly table: number
  private readonly origin: number
  /** One for each word of the header, made of the key. */
  private readonly multipliers: Int32Array

  /** The seals in the words from `table` on; `words` ends with the ledger. */
  constructor(words: Int32Array, table: number, key: number) {
    this.words = words
    this.key = key
    this.table = table
    this.origin = sealOrigin(words.length)
    // Odd, so that no change of one word is lost; and the seal is not part of what it seals.
    this.multipliers = Int32Array.from({ length: HEADER_WORDS }, (_, word) => mix(key, word) | 1)
    this.multipliers[HEADER_SEAL_WORD] = 0
  }

  /** Is this what the block is, and are its size and the words that belong to it those that were sealed? */
  holds(kind: Kind, block: number): boolean {
    const words = this.words
    const header = words[block]
    if (((header & USED) === 0) !== (kind === 'free')) return false
    if (kind === 'free') return this.agrees(block, sizeOf(header), words[block + NEXT], words[block + PREVIOUS])
    return (
      this.sealed(block) ===
      this.sealFor(kind, block, sizeOf(header), words[block + SLACK], this.heldBehind(block, kind))
    )
  }

  /** What a block is under its seal; undefined when the two disagree. */
  kindOf(block: number): Kind | undefined {
    if (this.holds('used', block)) return 'used'
    if (this.holds('quarantined', block)) return 'quarantined'
    return this.holds('free', block) ? 'free' : undefined
  }

  /** Seals a used or quarantined block, whose words are all written. */
  seal(kind: 'used' | 'quarantined', block: number): void {
    const words = this.words
    const size = sizeOf(words[block])
    words[this.placeOf(block)] = this.sealFor(kind, block, size, words[block + SLACK], this.heldBehind(block, kind))
  }

  /** Seals a free block that is linked. Its header may not be written yet. */
  sealFree(block: number, size: number): void {
    const words = this.words
    words[this.placeOf(block)] = this.sealFor('free', block, size, words[block + NEXT], words[block + PREVIOUS])
  }

  /** Is a free block of `size` words sealed here, with these links? */
  agrees(block: number, size: number, next: number, previous: number): boolean {
    return this.sealed(block) === this.sealFor('free', block, size, next, previous)
  }

  /** Is there no seal here, as where no block begins? */
  isClear(block: number): boolean {
    return this.sealed(block) === 0
  }

  /** From now on no block begins here. */
  clear(block: number): void {
    this.words[this.placeOf(block)] = 0
  }

  /** How many blocks have a seal, of those in front of the word `end`. */
  count(end: number): number {
    let count = 0
    for (let place = this.table; place <= this.placeOf(end); place++) if (this.words[place] !== 0) count++
    return count
  }

  /** Forgets the seals of all blocks in front of the word `end`. */
  reset(end: number): void {
    this.words.fill(0, this.table, this.placeOf(end) + 1)
  }

  /** Is the header of the heap as the last call left it? */
  headerHolds(): boolean {
    return this.words[HEADER_SEAL_WORD] === this.headerSeal()
  }

  /** Seals the header of the heap as it is. */
  sealHeader(): void {
    this.words[HEADER_SEAL_WORD] = this.headerSeal()
  }

  /** From now on the header holds for nobody, as if it had been overwritten. */
  breakHeader(): void {
    this.words[HEADER_SEAL_WORD] = ~this.headerSeal()
  }

  /** Was breakHeader() the last to write the seal? */
  isHeaderBroken(): boolean {
    return this.words[HEADER_SEAL_WORD] === ~this.headerSeal()
  }

  private headerSeal(): number {
    const { words, multipliers } = this
    let sum = 0
    for (let word = 0; word < HEADER_WORDS; word++) sum = (sum + Math.imul(words[word], multipliers[word])) | 0
    const hash = mix(sum, this.key)
    return hash === 0 ? 1 : hash
  }

  private heldBehind(block: number, kind: Kind): number {
    return kind === 'quarantined' ? this.words[block + NEXT_HELD] : 0
  }

  private placeOf(block: number): number {
    return this.table + sealIndex(block - this.origin)
  }

  private sealed(block: number): number {
    return this.words[this.placeOf(block)]
  }

  /**
   * Multilinear: each part is hidden by the key and multiplied by an odd number of its own, so that a change of one part always
   * changes the sum, and one of several does but once in four billion. The products don't wait for each other.
   */
  private sealFor(kind: Kind, block: number, size: number, first: number, second: number): number {
    const key = this.key
    const sum =
      Math.imul(block ^ key, 0x9e3779b1) +
      Math.imul(size + key, 0x85ebca6b) +
      Math.imul(first ^ (key >>> 7), 0xc2b2ae35) +
      Math.imul(second + (key >>> 3), 0x27d4eb2f)
    const hash = mix(sum | 0, key ^ SALTS[kind])
    // No seal at all is 0.
    return hash === 0 ? 1 : hash
  }
}

/** Takes a word into a hash: each bit of either changes about half of the result. */
export function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}

/** Does the left neighbour of a block say, in the footer in front of it, that it is free, under a seal? */
export function hasFreeLeft(words: Int32Array, seals: Seals, block: number, first: number): boolean {
  const size = words[block - 1]
  const left = block - size
  return size > 0 && left >= first && words[left] === ((size << 1) | PREVIOUS_USED) && seals.holds('free', left)
}

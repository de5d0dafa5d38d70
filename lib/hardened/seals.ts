/**
 * Seals: a keyed checksum for every block of the ledger, over its header, size and links, stored in
 * a separate table. A pointer is valid if it leads to the seal of a used block, and a header, a
 * size or a link is used only if it agrees with its seal. A seal covers the address too, so a copy
 * of it is invalid elsewhere. The header of the heap has a seal of its own.
 *
 * The key is random for each heap, and lies in the heap: seals detect accidents, not attacks.
 */
import { NEXT, PREVIOUS, PREVIOUS_USED, sizeOf, USED } from '../layout/block.js'
import { HEADER_SEAL_WORD, HEADER_WORDS } from '../layout/header.js'
import { sealIndex, sealOrigin } from './layout.js'

/** The kind of a block, according to its seal. */
export type Kind = 'used' | 'quarantined' | 'free'

const SALTS: Readonly<Record<Kind, number>> = {
  used: 0x2c1b3c6d,
  quarantined: 0x297a2d39,
  free: 0x1b56c4f5
}

/** The word of a used or quarantined block that holds the slack of its slot. */
export const SLACK = 1
/** The word of a quarantined block that names the next newer one. */
export const NEXT_HELD = 2

export class Seals {
  private readonly words: Int32Array
  private readonly key: number
  private readonly table: number
  private readonly origin: number
  /** A multiplier for each word of the header, made from the key. */
  private readonly multipliers: Int32Array

  /** The seals begin at the word `table`; `words` ends with the ledger. */
  constructor(words: Int32Array, table: number, key: number) {
    this.words = words
    this.key = key
    this.table = table
    this.origin = sealOrigin(words.length)
    // Odd, so that every change of one word changes the sum. The seal's own word is left out.
    this.multipliers = Int32Array.from({ length: HEADER_WORDS }, (_, word) => mix(key, word) | 1)
    this.multipliers[HEADER_SEAL_WORD] = 0
  }

  /** Does the seal say that the block has this kind, and its current size and words? */
  holds(kind: Kind, block: number): boolean {
    const words = this.words
    const header = words[block]
    if (((header & USED) === 0) !== (kind === 'free')) return false
    if (kind === 'free')
      return this.agrees(block, sizeOf(header), words[block + NEXT], words[block + PREVIOUS])
    return (
      this.sealed(block) ===
      this.sealFor(kind, block, sizeOf(header), words[block + SLACK], this.heldBehind(block, kind))
    )
  }

  /** The kind of a block according to its seal; undefined if the two disagree. */
  kindOf(block: number): Kind | undefined {
    if (this.holds('used', block)) return 'used'
    if (this.holds('quarantined', block)) return 'quarantined'
    return this.holds('free', block) ? 'free' : undefined
  }

  /** Seals a used or quarantined block whose words are all written. */
  seal(kind: 'used' | 'quarantined', block: number): void {
    const words = this.words
    const size = sizeOf(words[block])
    words[this.placeOf(block)] = this.sealFor(
      kind,
      block,
      size,
      words[block + SLACK],
      this.heldBehind(block, kind)
    )
  }

  /** Seals a free block that is linked. Its header need not be written yet. */
  sealFree(block: number, size: number): void {
    const words = this.words
    words[this.placeOf(block)] = this.sealFor(
      'free',
      block,
      size,
      words[block + NEXT],
      words[block + PREVIOUS]
    )
  }

  /** Is a free block of `size` words sealed here, with these links? */
  agrees(block: number, size: number, next: number, previous: number): boolean {
    return this.sealed(block) === this.sealFor('free', block, size, next, previous)
  }

  /** Is there no seal, because no block begins here? */
  isClear(block: number): boolean {
    return this.sealed(block) === 0
  }

  /** Removes the seal: no block begins here any more. */
  clear(block: number): void {
    this.words[this.placeOf(block)] = 0
  }

  /** The number of seals of blocks before the word `end`. */
  count(end: number): number {
    let count = 0
    for (let place = this.table; place <= this.placeOf(end); place++)
      if (this.words[place] !== 0) count++
    return count
  }

  /** Removes the seals of all blocks before the word `end`. */
  reset(end: number): void {
    this.words.fill(0, this.table, this.placeOf(end) + 1)
  }

  /** Is the heap's header unchanged since the last call? */
  headerHolds(): boolean {
    return this.words[HEADER_SEAL_WORD] === this.headerSeal()
  }

  /** Seals the heap's header as it is. */
  sealHeader(): void {
    this.words[HEADER_SEAL_WORD] = this.headerSeal()
  }

  /** Invalidates the header's seal, as if the header had been overwritten. */
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
    for (let word = 0; word < HEADER_WORDS; word++)
      sum = (sum + Math.imul(words[word], multipliers[word])) | 0
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
   * A multilinear hash: each part is masked by the key and multiplied by an odd number of its own.
   * A change of one part always changes the sum; a change of several goes unnoticed once in 2 **
   * 32. The products are independent, so they can be computed in parallel.
   */
  private sealFor(kind: Kind, block: number, size: number, first: number, second: number): number {
    const key = this.key
    const sum =
      Math.imul(block ^ key, 0x9e3779b1) +
      Math.imul(size + key, 0x85ebca6b) +
      Math.imul(first ^ (key >>> 7), 0xc2b2ae35) +
      Math.imul(second + (key >>> 3), 0x27d4eb2f)
    const hash = mix(sum | 0, key ^ SALTS[kind])
    // 0 stands for no seal.
    return hash === 0 ? 1 : hash
  }
}

/** Mixes a word into a hash: each bit of either changes about half of the result. */
export function mix(hash: number, word: number): number {
  let mixed = Math.imul(hash ^ word, 0x9e3779b1)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}

/** Is there a sealed free block to the left of a block, according to the footer before it? */
export function hasFreeLeft(
  words: Int32Array,
  seals: Seals,
  block: number,
  first: number
): boolean {
  const size = words[block - 1]
  const left = block - size
  return (
    size > 0 &&
    left >= first &&
    words[left] === ((size << 1) | PREVIOUS_USED) &&
    seals.holds('free', left)
  )
}

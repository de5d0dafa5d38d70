/**
 * The quarantine: freed blocks wait here, first in, first out, before their memory is used again.
 * Until then a second free is always detected, and a write to the block is detected when it leaves.
 * The allocator treats a block in the quarantine as used. The queue is linked through the ledger,
 * and the total size of its blocks is limited:
 *
 *     OLDEST ──▶ block ──▶ block ──▶ block ◀── NEWEST
 */
import { corrupt } from '../errors.js'
import { sizeOf } from '../layout/block.js'
import {
  FIRST_WORD,
  HELD_WORD,
  NEWEST_WORD,
  OLDEST_WORD,
  QUARANTINE_LIMIT_WORD,
  QUARANTINED_WORD,
  TOP_WORD
} from '../layout/header.js'
import { SLOT_BYTES } from './layout.js'
import { NEXT_HELD, type Seals } from './seals.js'

export class Quarantine {
  private readonly words: Int32Array
  private readonly seals: Seals

  constructor(words: Int32Array, seals: Seals) {
    this.words = words
    this.seals = seals
  }

  /** Removes every block. */
  reset(): void {
    for (const word of [HELD_WORD, QUARANTINED_WORD, OLDEST_WORD, NEWEST_WORD]) this.words[word] = 0
  }

  /** Is the quarantine large enough for a block of `size` words? */
  admits(size: number): boolean {
    return size <= this.words[QUARANTINE_LIMIT_WORD]
  }

  /** Must the oldest block leave to make room for one of `size` words? */
  isFullFor(size: number): boolean {
    return this.words[HELD_WORD] + size > this.words[QUARANTINE_LIMIT_WORD]
  }

  /** The block that leaves next, verified; 0 if there is none. Throws ERR_OFFHEAP_CORRUPT. */
  oldest(): number {
    const block = this.words[OLDEST_WORD]
    if (block !== 0) this.verify(block)
    return block
  }

  /**
   * Verifies the newest block, which push() will link and seal again. Throws ERR_OFFHEAP_CORRUPT.
   */
  verifyNewest(): void {
    const newest = this.words[NEWEST_WORD]
    if (newest !== 0) this.verify(newest)
  }

  /** Appends a used block. The newest one must be verified. */
  push(block: number): void {
    const words = this.words
    const newest = words[NEWEST_WORD]
    if (newest === 0) {
      words[OLDEST_WORD] = block
    } else {
      words[newest + NEXT_HELD] = block
      this.seals.seal('quarantined', newest)
    }
    words[NEWEST_WORD] = block
    words[block + NEXT_HELD] = 0
    this.seals.seal('quarantined', block)
    words[HELD_WORD] += sizeOf(words[block])
    words[QUARANTINED_WORD]++
  }

  /** Removes `oldest()`, which stays sealed. */
  shift(): void {
    const words = this.words
    const block = words[OLDEST_WORD]
    const next = words[block + NEXT_HELD]
    words[OLDEST_WORD] = next
    if (next === 0) words[NEWEST_WORD] = 0
    words[HELD_WORD] -= sizeOf(words[block])
    words[QUARANTINED_WORD]--
  }

  /** Yields the blocks, oldest first. Throws ERR_OFFHEAP_CORRUPT. */
  *blocks(): Generator<number, void, undefined> {
    const words = this.words
    let left = words[QUARANTINED_WORD]
    for (let block = words[OLDEST_WORD]; block !== 0; block = words[block + NEXT_HELD]) {
      this.verify(block)
      if (left-- === 0) throw corrupt('more blocks are in the quarantine than the header says')
      yield block
    }
    if (left !== 0)
      throw corrupt(`the quarantine ends ${left} blocks before the header says it does`)
  }

  /** Verifies the queue and its counters. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void {
    const words = this.words
    let size = 0
    let last = 0
    for (const block of this.blocks()) {
      size += sizeOf(words[block])
      last = block
    }
    if (words[HELD_WORD] !== size || words[NEWEST_WORD] !== last) {
      throw corrupt(
        `the quarantine holds ${size * SLOT_BYTES} bytes, but the header counts differently`
      )
    }
  }

  private verify(block: number): void {
    const words = this.words
    if (
      block >= words[FIRST_WORD] &&
      block < words[TOP_WORD] &&
      this.seals.holds('quarantined', block)
    )
      return
    throw corrupt(
      `the quarantine leads to byte ${block * 4} of the ledger, where no quarantined block ` +
        `is sealed`
    )
  }
}

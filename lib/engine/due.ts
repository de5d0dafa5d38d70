/**
 * Work that becomes due in the middle of a call, and is done at its end: the event that the heap
 * has grown, and a trim after enough was freed. Both may run the caller's code, so the heap must be
 * consistent and the call complete.
 *
 * The trim threshold spreads the cost of a trim over that many freed bytes: a program that frees
 * and allocates the same block repeatedly does not make a system call each time.
 */
import { DUE, FREED_WORD, PENDING_WORD, TRIM_THRESHOLD_WORD } from '../layout/header.js'
import type { Blocks } from './blocks.js'
import type { Host } from './engine.js'

export class Due {
  private readonly words: Int32Array
  private readonly blocks: Blocks
  private readonly host: Host
  private readonly threshold: number

  constructor(words: Int32Array, blocks: Blocks, host: Host) {
    this.words = words
    this.blocks = blocks
    this.host = host
    this.threshold = words[TRIM_THRESHOLD_WORD]
  }

  /** Counts freed words for the trim threshold, if the heap has one. */
  countFreed(size: number): void {
    const { words, threshold } = this
    if (threshold === 0) return
    // Stay within an int32, however much is freed before the next settle().
    words[FREED_WORD] = Math.min(words[FREED_WORD] + size, threshold)
    if (words[FREED_WORD] >= threshold) words[PENDING_WORD] = DUE
  }

  /** Does what is due. The heap must be consistent, and the call complete. */
  settle(): void {
    if (this.blocks.grown) {
      this.blocks.grown = false
      this.host.grown()
    }
    if (this.takeTrim()) this.host.trim()
  }

  /** Returns whether a trim is due, and if so restarts the count. */
  takeTrim(): boolean {
    if (!(this.threshold > 0 && this.words[FREED_WORD] >= this.threshold)) return false
    this.words[FREED_WORD] = 0
    return true
  }
}

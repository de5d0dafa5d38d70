/**
 * An allocator that gives free pages back to the system by itself: each time that blocks of `trimThreshold` bytes have been
 * freed since the last time. So the cost of a look at all free blocks is spread over as many bytes, and a program that frees
 * and allocates the same block over and over pays no system call for each.
 */
import { sizeOf } from '../block/block.js'
import { FREED_WORD, TRIM_THRESHOLD_WORD } from '../block/header.js'
import type { Placement } from '../placement/placement.js'
import { Allocator } from './allocator.js'

export class TrimmingAllocator extends Allocator {
  /** Gives the free pages back. */
  private readonly trim: () => void

  constructor(words: Int32Array<ArrayBuffer>, placement: Placement, trim: () => void) {
    super(words, placement)
    this.trim = trim
  }

  override free(block: number): boolean {
    const size = sizeOf(this.words[block])
    if (!super.free(block)) return false
    this.freed(size)
    return true
  }

  override resize(block: number, have: number, need: number): number {
    const resized = super.resize(block, have, need)
    if (need < have) this.freed(have - need)
    return resized
  }

  /** Counts what was given back; when it is enough, free pages go to the system. */
  protected freed(size: number): void {
    const words = this.words
    const threshold = words[TRIM_THRESHOLD_WORD]
    if (threshold === 0) return
    const freed = words[FREED_WORD] + size
    words[FREED_WORD] = freed < threshold ? freed : 0
    if (freed < threshold) return
    this.beforeTrim()
    this.trim()
  }

  /** Makes free memory of what waits to be. A hardened heap keeps its quarantine: what it finds wrong there is told by other calls. */
  protected beforeTrim(): void {}
}

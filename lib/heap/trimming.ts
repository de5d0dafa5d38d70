/**
 * An allocator that gives free pages back to the system by itself: each time that blocks of `trimThreshold` bytes have been
 * freed since the last time. So the cost of a look at all free blocks is spread over as many bytes, and a program that frees
 * and allocates the same block over and over pays no system call for each.
 *
 * That is published, so it only happens while events are held (see events.ts): without, such a free, or a realloc that may free as
 * much, changes nothing and fails.
 */
import { sizeOf } from '../block/block.js'
import { FREED_WORD, TRIM_THRESHOLD_WORD } from '../block/header.js'
import { isHolding } from '../events.js'
import type { Placement } from '../placement/placement.js'
import type { Allocator } from './allocator.js'

/** An allocator on the words of a heap, with a policy at work on them; `Rest`: what that kind needs besides. */
export type AllocatorKind<Policy extends Placement, Rest extends unknown[] = []> = new (
  words: Int32Array<ArrayBuffer>,
  placement: Policy,
  ...rest: Rest
) => Allocator

/** The kind of allocator that gives free pages back by itself, with `trim`, above a kind that does not. */
export function trimmingKind<Policy extends Placement, Rest extends unknown[]>(
  Base: AllocatorKind<Policy, Rest>
): AllocatorKind<Policy, [trim: () => void, ...rest: Rest]> {
  return class TrimmingAllocator extends Base {
    private readonly trim: () => void

    constructor(words: Int32Array<ArrayBuffer>, placement: Policy, trim: () => void, ...rest: Rest) {
      super(words, placement, ...rest)
      this.trim = trim
    }

    override free(block: number): boolean {
      const size = sizeOf(this.words[block])
      const reaches = this.reaches(size)
      if (reaches && !isHolding()) return false
      if (!super.free(block)) return false
      this.freed(size, reaches)
      return true
    }

    override resize(block: number, have: number, need: number): number {
      if (this.reaches(have) && !isHolding()) return 0
      const resized = super.resize(block, have, need)
      if (need < have) this.freed(have - need, this.reaches(have - need))
      return resized
    }

    /** With `size` words more, will so many have been freed that free pages go to the system? */
    private reaches(size: number): boolean {
      const words = this.words
      const threshold = words[TRIM_THRESHOLD_WORD]
      // A hardened heap is of this kind whether it has a threshold or not.
      return threshold !== 0 && words[FREED_WORD] + size >= threshold
    }

    /** Counts what was given back; when it is enough, free pages go to the system. */
    private freed(size: number, reaches: boolean): void {
      const words = this.words
      if (words[TRIM_THRESHOLD_WORD] === 0) return
      words[FREED_WORD] = reaches ? 0 : words[FREED_WORD] + size
      if (reaches) this.trim()
    }
  }
}

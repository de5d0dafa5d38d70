/**
 * An allocator that gives free pages back to the system by itself: each time that blocks of `trimThreshold` bytes have been
 * freed since the last time. So the cost of a look at all free blocks is spread over as many bytes, and a program that frees
 * and allocates the same block over and over pays no system call for each.
 */
import { sizeOf } from '../block/block.js'
import { FREED_WORD, TRIM_THRESHOLD_WORD } from '../block/header.js'
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
    private freed(size: number): void {
      const words = this.words
      const threshold = words[TRIM_THRESHOLD_WORD]
      // A hardened heap is of this kind whether it has a threshold or not.
      if (threshold === 0) return
      const freed = words[FREED_WORD] + size
      words[FREED_WORD] = freed < threshold ? freed : 0
      if (freed >= threshold) this.trim()
    }
  }
}

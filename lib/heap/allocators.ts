/** Which allocator works for a heap: one for each placement, plain, with quick lists in front, with trimming, and with both. */
import { bestFit } from '../placement/best-fit.js'
import { FirstFit } from '../placement/first-fit.js'
import { nextFit } from '../placement/next-fit.js'
import type { Placement, PlacementName } from '../placement/placement.js'
import { SegregatedFit } from '../placement/segregated-fit.js'
import { Allocator } from './allocator.js'
import { FirstFitAllocator } from './first-fit-allocator.js'
import { quickKind } from './quick-lists.js'
import { SegregatedAllocator } from './segregated-allocator.js'
import { type AllocatorKind, trimmingKind } from './trimming.js'

type Words = Int32Array<ArrayBuffer>

/** How to open the allocators of a placement on the words of a heap; `trim` and `lists`: see trimming.ts and quick-lists.ts. */
interface Openers {
  plain(words: Words): Allocator
  trimming(words: Words, trim: () => void): Allocator
  quick(words: Words, lists: number): Allocator
  quickTrimming(words: Words, trim: () => void, lists: number): Allocator
}

function openers<Policy extends Placement>(open: (words: Words) => Policy, Plain: AllocatorKind<Policy>): Openers {
  const Quick = quickKind(Plain)
  const Trimming = trimmingKind(Plain)
  const QuickTrimming = trimmingKind(Quick)
  return {
    plain: words => new Plain(words, open(words)),
    trimming: (words, trim) => new Trimming(words, open(words), trim),
    quick: (words, lists) => new Quick(words, open(words), lists),
    quickTrimming: (words, trim, lists) => new QuickTrimming(words, open(words), trim, lists)
  }
}

export const allocators: Readonly<Record<PlacementName, Openers>> = {
  'first-fit': openers(words => new FirstFit(words), FirstFitAllocator),
  'segregated-fit': openers(words => new SegregatedFit(words), SegregatedAllocator),
  'best-fit': openers<Placement>(bestFit.open, Allocator),
  'next-fit': openers<Placement>(nextFit.open, Allocator)
}

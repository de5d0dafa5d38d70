/** The statistics of a shared heap: sums over its arenas. */
import type { HeapStats } from '../engine/engine.js'

/**
 * Adds up the statistics of arenas that begin at the pointers `base`. `top` is that of the last
 * arena that has ever been used. `peakUsed` and `highWater` are sums of the arenas' peaks, which
 * may have occurred at different times.
 */
export function sumOf(
  arenas: readonly (readonly [base: number, stats: HeapStats])[],
  residentBytes: number
): HeapStats {
  const sum = (figure: (stats: HeapStats) => number): number =>
    arenas.reduce((total, [, stats]) => total + figure(stats), 0)
  return {
    size: sum(({ size }) => size),
    metadata: sum(({ metadata }) => metadata),
    used: sum(({ used }) => used),
    free: sum(({ free }) => free),
    blocks: sum(({ blocks }) => blocks),
    freeBlocks: sum(({ freeBlocks }) => freeBlocks),
    quarantined: 0,
    quarantinedBlocks: 0,
    slabs: sum(({ slabs }) => slabs),
    largestFree: Math.max(...arenas.map(([, { largestFree }]) => largestFree)),
    peakUsed: sum(({ peakUsed }) => peakUsed),
    top: Math.max(
      ...arenas.map(([base, { top, highWater }], index) =>
        highWater > 0 || index === 0 ? base + top : 0
      )
    ),
    wilderness: sum(({ wilderness }) => wilderness),
    highWater: sum(({ highWater }) => highWater),
    residentBytes
  }
}

/**
 * Segregated fit for the slow model, from the specification of the policy: classes of sizes, each a
 * stack of blocks.
 */
import type { Choice, FreeBlock, Request } from '../model.js'

/** All classes of a heap: for each, the smallest size in units of 8 bytes that belongs to it. */
export function classesOf(heapBytes: number): number[] {
  const units = Math.floor(heapBytes / 8)
  for (let steps = 32; ; steps /= 2) {
    const bounds: number[] = []
    for (let bound = 0; bound < 2 * steps; bound++) bounds.push(bound)
    for (let octave = 2 * steps; octave < units; octave *= 2) {
      for (let step = 0; step < steps; step++) bounds.push(octave + (octave / steps) * step)
    }
    // Each class takes 8 bytes of index, and all of them at most 1/32 of the heap.
    if (steps === 2 || bounds.length * 8 <= heapBytes / 32) return bounds
  }
}

export function segregatedFit(heapBytes: number): Choice {
  const bounds = classesOf(heapBytes)
  const classOf = (bytes: number): number => bounds.findLastIndex(bound => bound <= bytes / 8)
  const order = (a: FreeBlock, b: FreeBlock): number =>
    classOf(a.size) - classOf(b.size) || b.since - a.since
  const choose = (
    fits: readonly FreeBlock[],
    { need, room, free }: Request
  ): FreeBlock | undefined => {
    const own = classOf(need)
    const ownList = free.filter(block => classOf(block.size) === own).sort(order)
    const larger = fits.filter(block => classOf(block.size) > own).sort(order)
    const enough = (block: FreeBlock): boolean => block.size >= need
    return (
      ownList.slice(0, 4).find(enough) ??
      larger[0] ??
      (need <= room ? undefined : ownList.find(enough))
    )
  }
  return Object.assign(choose, { order })
}

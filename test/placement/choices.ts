/**
 * The choices of each placement, for the slow model of a heap of a given size: simple versions of
 * the policies, written from their specifications.
 */
import type { PlacementName } from '../../lib/index.js'
import { type Choice, type FreeBlock, lowestAddress, type Request } from '../model.js'

/** Best fit. */
function bestFit(): Choice {
  const order = (a: FreeBlock, b: FreeBlock): number => a.size - b.size || a.offset - b.offset
  return Object.assign((fits: readonly FreeBlock[]): FreeBlock => [...fits].sort(order)[0], {
    order
  })
}

/** Next fit. */
function nextFit(): Choice {
  let rover = 0
  return (fits: readonly FreeBlock[]): FreeBlock => {
    const found = fits.find(block => block.offset + block.size > rover) ?? fits[0]
    rover = found.offset
    return found
  }
}

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

/** Segregated fit: classes of sizes, each a stack of blocks. */
function segregatedFit(heapBytes: number): Choice {
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

const choices: Record<PlacementName, (heapBytes: number) => Choice> = {
  'first-fit': () => lowestAddress,
  'segregated-fit': segregatedFit,
  'best-fit': bestFit,
  'next-fit': nextFit
}

/**
 * The choice of a policy in a heap of `bytes` bytes. A new one for each heap: next fit has a state.
 */
export function choiceOf(placement: PlacementName, bytes: number, hardened = false): Choice {
  return hardened ? hardenedChoice(placement, bytes) : choices[placement](bytes)
}

/**
 * The choice among slots, each of which is four times as large as its block in the ledger of a
 * hardened heap.
 */
function hardenedChoice(placement: PlacementName, bytes: number): Choice {
  const choose = choices[placement](Math.floor(bytes / 32) * 8)
  const small = ({ offset, size, since }: FreeBlock): FreeBlock => ({
    offset: offset / 4,
    size: size / 4,
    since
  })
  const scaled: Choice = (fits, { need, room, free }) => {
    const found = choose(fits.map(small), { need: need / 4, room: room / 4, free: free.map(small) })
    return found && { offset: found.offset * 4, size: found.size * 4 }
  }
  const { order } = choose
  return order === undefined
    ? scaled
    : Object.assign(scaled, { order: (a: FreeBlock, b: FreeBlock) => order(small(a), small(b)) })
}

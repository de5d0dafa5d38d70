/**
 * Finds books that an allocator keeps anywhere but in its heap, whatever they are made of: in the
 * middle of a replay, everything in the heap but the payloads is wiped. Who keeps the books there
 * knows nothing any more of the blocks that are free. Who goes on to find many of them, one after
 * the other and each where it was, has read it elsewhere.
 */

import { FREE, MALLOC, type Trace, TraceBuilder } from '../../trace/trace.js'
import { type Fault, faultOf } from '../submission/fault.js'
import { HINTS } from '../submission/hints.js'
import type { Remote } from './remote.js'
import type { Variant } from './salt.js'
import { Gone, type Moment, type Stop } from './seat.js'
import type { SharedHeap } from './shared-heap.js'

const GRANULE = 8
/**
 * Free stretches that were found again, from which on it is no luck: variables may know the heads
 * of some lists.
 */
const STRETCHES = 48
/** Blocks of the replay; every other one is free when the books are wiped, more or less. */
const BLOCKS = 400
const SMALLEST = 8
const LARGEST = 200
/**
 * An allocator that lost its books may go in circles: for so many milliseconds, and so many times
 * as long as it took with them.
 */
const PATIENCE = 60
const SLOWER = 4

/** What is replayed: blocks, holes between them, and blocks that fit the holes. */
export interface Holes {
  readonly trace: Trace
  /** The operation before which the books are wiped. */
  readonly moment: number
}

/** @param random gives numbers from 0 to 1, that no submission can know */
export function holes(random: () => number): Holes {
  const builder = new TraceBuilder()
  const sizes = Array.from(
    { length: BLOCKS },
    () => SMALLEST + Math.floor(random() * (LARGEST - SMALLEST))
  )
  for (const [id, size] of sizes.entries()) builder.add(MALLOC, id, size)
  const freed: number[] = []
  for (let id = 1; id < BLOCKS - 1; id += random() < 0.2 ? 3 : 2) {
    builder.add(FREE, id)
    freed.push(sizes[id] ?? SMALLEST)
  }
  const moment = builder.length
  // Largest first: then a hole that fits is there for each.
  for (const [index, size] of freed.sort((a, b) => b - a).entries())
    builder.add(MALLOC, BLOCKS + index, size)
  return { trace: builder.build('holes'), moment }
}

/** Replays with the books wiped, and without. Returns a fault when that makes no difference. */
export function amnesia(
  remote: Remote,
  heap: SharedHeap,
  variant: Variant,
  moment: number,
  patience: Patience
): Fault | undefined {
  const { results } = remote.seat.channel
  const replay = (from: number, until: number) => remote.run(0, from, until) === undefined
  heap.clear()
  remote.create(0)
  const before = remote.seat.spent
  if (!replay(0, variant.length)) return undefined
  patience.settle(remote.seat.spent - before)
  const expected = results.slice(0, variant.length)
  const snapshot = () => new Snapshot(variant, expected, moment, heap.high)
  if (foundAgain(expected, expected, snapshot(), moment).stretches < STRETCHES) return undefined
  heap.clear()
  remote.create(0)
  if (!replay(0, moment)) return undefined
  wipe(heap, snapshot())
  try {
    if (!replay(moment, variant.length)) return undefined
  } catch (error) {
    // It goes in circles, as it should.
    if (error instanceof Gone) return undefined
    throw error
  }
  const { stretches, same } = foundAgain(expected, results, snapshot(), moment)
  if (!same || stretches < STRETCHES) return undefined
  return faultOf('state-outside', 'the allocator keeps state outside the mapped memory', {
    details: [
      `With ${BLOCKS} blocks and ${variant.length - moment} holes between them, everything ` +
        'in the heap but the payloads was set to 0.',
      `The allocator found ${stretches} of the holes again all the same, each where it had been.`
    ],
    hint: HINTS.outsideState
  })
}

/** How long a replay is waited for. */
export class Patience {
  #milliseconds: number

  /** @param milliseconds for a replay with all books */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /** From here on, a replay that takes much longer than this one has lost its books. */
  settle(milliseconds: number): void {
    this.#milliseconds = PATIENCE + SLOWER * milliseconds
  }

  readonly look = (moment: Moment): Stop | undefined =>
    moment.inCommand > this.#milliseconds ? 'stuck' : undefined
}

function wipe(heap: SharedHeap, { variant, live }: Snapshot): void {
  const { u8 } = heap.views
  const kept = new Uint8Array(heap.high)
  for (const { pointer, operation } of live.values())
    kept.fill(1, pointer, pointer + variant.payloads[operation])
  for (let at = heap.low; at < kept.length; at++) if (kept[at] === 0) u8[at] = 0
}

/** How many stretches that were free at `moment` are used again by results that are the same. */
function foundAgain(
  expected: Int32Array,
  results: Int32Array,
  { stretches, live, pinned, variant }: Snapshot,
  moment: number
): { readonly stretches: number; readonly same: boolean } {
  const seen = new Set<number>()
  for (let i = moment; i < variant.length; i++) {
    const id = variant.idOf[i]
    const old = live.get(id)
    if (old !== undefined) {
      pinned[old.pointer / GRANULE] = 0
      live.delete(id)
    }
    if (variant.kinds[i] === FREE) continue
    if (results[i] !== expected[i]) return { stretches: seen.size, same: false }
    const stretch = stretches[Math.floor(results[i] / GRANULE)]
    // Between two blocks that have been there since: only who knows of this very stretch finds it.
    if (stretch !== undefined && pinned[stretch.left] === 1 && pinned[stretch.right] === 1)
      seen.add(stretch.left)
  }
  return { stretches: seen.size, same: true }
}

interface Stretch {
  /** First granules of the blocks on either side. */
  readonly left: number
  readonly right: number
}

/** The heap before operation `moment`: the blocks in use, and what is free between them. */
class Snapshot {
  readonly variant: Variant
  readonly live = new Map<number, { readonly pointer: number; readonly operation: number }>()
  /** 1 for the first granule of each block that is in use. */
  readonly pinned: Uint8Array
  /** For each granule between two blocks, which they are. */
  readonly stretches: (Stretch | undefined)[] = []

  constructor(variant: Variant, results: Int32Array, moment: number, high: number) {
    this.variant = variant
    this.pinned = new Uint8Array(Math.ceil(high / GRANULE) + 1)
    for (let i = 0; i < moment; i++) {
      const id = variant.idOf[i]
      this.live.delete(id)
      if (variant.kinds[i] !== FREE && results[i] !== 0)
        this.live.set(id, { pointer: results[i], operation: i })
    }
    const blocks = [...this.live.values()].sort((a, b) => a.pointer - b.pointer)
    for (const [index, block] of blocks.entries()) {
      this.pinned[block.pointer / GRANULE] = 1
      const next = blocks[index + 1]
      if (next === undefined) break
      const stretch = { left: block.pointer / GRANULE, right: next.pointer / GRANULE }
      const end = Math.ceil((block.pointer + variant.payloads[block.operation]) / GRANULE)
      for (let granule = end; granule < stretch.right; granule++) this.stretches[granule] = stretch
    }
  }
}

/**
 * Detects state of any kind outside the heap. In the middle of a replay, it wipes everything in
 * the heap but the payloads. An allocator that keeps its state there then knows nothing about its
 * free blocks. If it still finds many of them, each where it was, it has read that elsewhere.
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
 * The least number of free ranges found again that is not luck: variables may hold the heads of
 * some lists.
 */
const STRETCHES = 48
/** The number of blocks of the replay. About every other one is free when the heap is wiped. */
const BLOCKS = 400
const SMALLEST = 8
const LARGEST = 200
/**
 * An allocator that lost its state may loop. It gets this many milliseconds, plus this many times
 * the duration with its state.
 */
const PATIENCE = 60
const SLOWER = 4

/** The trace of the replay: blocks, holes between them, and blocks that fit the holes. */
export interface Holes {
  readonly trace: Trace
  /** The operation before which the heap is wiped. */
  readonly moment: number
}

/**
 * @param random returns numbers from 0 to 1 that no submission can predict
 */
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
  // The largest first, so that there is a fitting hole for each.
  for (const [index, size] of freed.sort((a, b) => b - a).entries())
    builder.add(MALLOC, BLOCKS + index, size)
  return { trace: builder.build('holes'), moment }
}

/** Replays the trace with and without wiping. Returns a fault if that makes no difference. */
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
    // It loops, as expected of an allocator without its state.
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

/** Limits the time of a replay. */
export class Patience {
  #milliseconds: number

  /**
   * @param milliseconds the limit of a replay without wiping
   */
  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /** From here on, a replay that takes much longer than this one counts as lost. */
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

/** Returns how many ranges that were free at `moment` are reused by equal results. */
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
    // It is between two blocks that are still there, so only an allocator that knows it finds it.
    if (stretch !== undefined && pinned[stretch.left] === 1 && pinned[stretch.right] === 1)
      seen.add(stretch.left)
  }
  return { stretches: seen.size, same: true }
}

interface Stretch {
  /** The first granules of the blocks on either side. */
  readonly left: number
  readonly right: number
}

/** The heap before operation `moment`: the used blocks, and the free ranges between them. */
class Snapshot {
  readonly variant: Variant
  readonly live = new Map<number, { readonly pointer: number; readonly operation: number }>()
  /** 1 for the first granule of each used block. */
  readonly pinned: Uint8Array
  /** For each granule between two blocks, these blocks. */
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

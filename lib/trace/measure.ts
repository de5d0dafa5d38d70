/**
 * Replays a trace on a mapped heap, and measures the shape of the heap and the time per operation.
 */

import { performance } from 'node:perf_hooks'
import { Heap } from '../heap/heap.js'
import type { HeapOptions } from '../heap/options.js'
import { type OptionNames, readOptions } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { pointersFor, replay } from './replay.js'
import { roomFor } from './room.js'
import { peaksOf, type Trace } from './trace.js'
import { verifiedReplay } from './verify.js'

export interface MeasureOptions {
  /** The size of the heap in bytes. Default: `roomFor(trace)`. */
  readonly size?: number
  /** The options of the heap, as for `Heap.map`. Default: none. */
  readonly heap?: HeapOptions
  /** Whether a first replay, which is not timed, checks every byte. Default: false. */
  readonly verify?: boolean
  /** Whether further replays are timed. Default: true. */
  readonly timed?: boolean
  /** Called with the heap at the peak of its payload, and the number of operations up to there. */
  readonly inspect?: (heap: Heap, operations: number) => void
  /** Called from time to time with the share of the work that is done, from 0 to 1. */
  readonly progress?: (share: number) => void
}

const measureOptions: OptionNames<MeasureOptions> = {
  size: true,
  heap: true,
  verify: true,
  timed: true,
  inspect: true,
  progress: true
}

/** The shape of a heap, in bytes, except for the two counts of blocks. */
export interface HeapShape {
  readonly used: number
  readonly free: number
  readonly blocks: number
  readonly freeBlocks: number
  readonly largestFree: number
  readonly top: number
}

export interface Measurement {
  readonly trace: string
  readonly operations: number
  readonly placement: PlacementName
  /** The most payload bytes that were allocated at one time. */
  readonly peakPayload: number
  /** Peak payload / high water; NaN for a trace without operations. */
  readonly utilization: number
  /** The median over the rounds, in nanoseconds; NaN without rounds. */
  readonly nsPerOperation: number
  /** The number of timed replays; 0 for a trace without operations. */
  readonly rounds: number
  readonly verified: boolean
  /** The size of the heap. */
  readonly size: number
  /** The most bytes of block space that were ever in use. */
  readonly highWater: number
  /** The heap when its payload was at its peak. */
  readonly atPeak: HeapShape
  /** The heap at the end of the trace. */
  readonly atEnd: HeapShape
  readonly notes: readonly string[]
}

/** The least number of timed replays… */
const MIN_ROUNDS = 5
/** …and their least total time in milliseconds, pauses included. */
const MIN_TIME = 300
/** Roughly the share of the first replay in the whole work. */
const FIRST_SHARE = 0.6

/**
 * Replays the trace on a heap of its own, which it closes afterwards. Throws an `OffheapError` that
 * names the operation if the heap is too small (`ERR_OFFHEAP_OUT_OF_MEMORY`) or misbehaves
 * (`ERR_OFFHEAP_CORRUPT`).
 */
export function measure(trace: Trace, options: MeasureOptions = {}): Measurement {
  const {
    size,
    heap: kind,
    verify = false,
    timed = true,
    inspect,
    progress
  } = readOptions('measure', options, measureOptions)
  const room = size ?? roomFor(trace)
  const heap = Heap.map({ ...kind, size: room })
  try {
    const pointers = pointersFor(trace, room)
    const verified = verify ? verifiedReplay(trace, heap) : undefined
    const peak = peaksOf(trace)
    const report = (done: number) => progress?.((done / trace.length) * FIRST_SHARE)
    const replayPart = (from: number, to: number) => {
      if (verified === undefined) replay(trace, heap, pointers, from, to)
      else verified.run(to, report)
    }
    replayPart(0, peak.operations)
    const atPeak = shapeOf(heap)
    inspect?.(heap, peak.operations)
    replayPart(peak.operations, trace.length)
    const atEnd = shapeOf(heap)
    const { size, highWater } = heap.stats()
    verified?.release()
    const { nanoseconds, rounds } = timed
      ? time(trace, heap, pointers, progress)
      : { nanoseconds: Number.NaN, rounds: 0 }
    return {
      trace: trace.name,
      operations: trace.length,
      placement: heap.placement,
      peakPayload: peak.payload,
      utilization: peak.payload / highWater,
      nsPerOperation: nanoseconds / trace.length,
      rounds,
      verified: verify,
      size,
      highWater,
      atPeak,
      atEnd,
      notes: trace.notes ?? []
    }
  } finally {
    heap.close()
  }
}

function shapeOf(heap: Heap): HeapShape {
  const { used, free, blocks, freeBlocks, largestFree, top } = heap.stats()
  return { used, free, blocks, freeBlocks, largestFree, top }
}

/**
 * Replays repeatedly on the emptied heap, whose pages are warm, so that only the allocator is
 * timed.
 */
function time(
  trace: Trace,
  heap: Heap,
  pointers: Int32Array | Float64Array,
  progress: MeasureOptions['progress']
): { nanoseconds: number; rounds: number } {
  if (trace.length === 0) return { nanoseconds: Number.NaN, rounds: 0 }
  const times: number[] = []
  const begin = performance.now()
  let total = 0
  while (times.length < MIN_ROUNDS || total < MIN_TIME) {
    heap.reset()
    const start = performance.now()
    replay(trace, heap, pointers)
    const end = performance.now()
    times.push(end - start)
    total = end - begin
    progress?.(
      FIRST_SHARE + (1 - FIRST_SHARE) * Math.min(1, times.length / MIN_ROUNDS, total / MIN_TIME)
    )
  }
  times.sort((a, b) => a - b)
  return { nanoseconds: times[times.length >> 1] * 1e6, rounds: times.length }
}

/** Traces and their timelines for the tests of the view. */

import { Heap } from '../../lib/heap/heap.js'
import type { PlacementName } from '../../lib/placement/placement.js'
import { heapTarget } from '../../lib/report/heap-target.js'
import { recordTimeline, type Timeline } from '../../lib/report/timeline.js'
import { parseTrace } from '../../lib/trace/parse.js'
import type { Trace } from '../../lib/trace/trace.js'

/** A trace of these operations, under a name. */
export function traceOf(operations: readonly string[], name = 'trace'): Trace {
  return parseTrace(operations.map(line => `${line}\n`).join(''), name)
}

/** A trace of `length` operations of every kind; the same for the same seed. */
export function randomTrace(length: number, seed = 1): Trace {
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const live: number[] = []
  const lines: string[] = []
  for (let id = 0; lines.length < length; ) {
    const what = random(100)
    const size = random(10) === 0 ? random(3000) : random(120)
    if (what < 42 && live.length > 0) lines.push(`f ${live.splice(random(live.length), 1)[0]}`)
    else if (what < 55 && live.length > 0) lines.push(`r ${live[random(live.length)]} ${size + 1}`)
    else {
      live.push(id)
      lines.push(
        what < 65 ? `c ${id} 3 ${size}` : what < 70 ? `m ${id} 64 ${size}` : `a ${id} ${size}`
      )
      id++
    }
  }
  return traceOf(lines, `random ${seed}`)
}

/** The timeline of the trace on a heap with this placement. */
export function timelineOf(
  trace: Trace,
  placement: PlacementName = 'first-fit',
  size = 2 ** 22,
  slabs = false
): Timeline {
  using heap = Heap.map({ size, placement, slabs })
  return recordTimeline(trace, heapTarget(heap), placement)
}

/**
 * The traces that ship, on a heap of every kind: each placement, with and without each option of a
 * heap, and the defaults. A verified replay must pass on all of them. Here each kind replays the
 * beginnings of some traces, and each trace is replayed; with OFFHEAP_RUNS=20, as in .ci/run, each
 * kind gets 20,000 operations of every trace.
 */
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import type { HeapOptions } from '../../lib/heap/options.js'
import { placements } from '../../lib/placement/policies.js'
import { measure } from '../../lib/trace/measure.js'
import { readTrace } from '../../lib/trace/read.js'
import type { Trace } from '../../lib/trace/trace.js'
import { scaled } from '../runs.js'

const FOLDER = fileURLToPath(new URL('../../traces/', import.meta.url))
const FILES = readdirSync(FOLDER).filter(name => name.endsWith('.rep.gz'))
/** How much of each trace is replayed. */
const OPERATIONS = scaled(1000)
/** Each kind of heap replays one in this many traces. */
const TURNS = OPERATIONS < 20_000 ? 4 : 1

/** The options of a heap that are combined with every placement, alone and together. */
const OPTIONS: readonly HeapOptions[] = [
  {},
  { slabs: true },
  { slabs: false },
  { hardened: true }
].flatMap(options => [options, { ...options, trimThreshold: 65_536 }])
/** Options of a hardened heap that don't concern placements. */
const HARDENED: readonly HeapOptions[] = [
  { hardened: true, quarantine: 0 },
  { hardened: true, trackAllocations: true, onLeaks() {} }
]

const KINDS: readonly HeapOptions[] = [
  {},
  ...placements.flatMap(placement => OPTIONS.map(options => ({ placement, ...options }))),
  ...HARDENED
]

function beginning(trace: Trace, length: number): Trace {
  return { ...trace, length: Math.min(trace.length, length) }
}

describe('every trace in the package, verified', () => {
  const traces: Trace[] = []
  beforeAll(async () => {
    for (const file of FILES) traces.push(beginning(await readTrace(FOLDER + file), OPERATIONS))
  })

  it('is read, and there are some', () => {
    expect(traces.length).toBeGreaterThanOrEqual(8)
  })

  it.each(KINDS.map((heap, turn) => [JSON.stringify(heap), heap, turn] as const))(
    'on Heap.map(%s)',
    (_, heap, turn) => {
      for (const trace of traces.filter((_, i) => (i + turn) % TURNS === 0)) {
        expect(measure(trace, { heap, verify: true, timed: false }).verified).toBe(true)
      }
    }
  )
})

/**
 * All operations of a heap in one random sequence: for each placement, with and without each
 * option, in buffers and in mapped memory, in heaps around each power of two. `node test/check.js
 * drive` takes five million steps for each placement.
 */
import { constants } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type HeapOptions, type PlacementName, placements, Region } from '../../lib/index.js'
import { scaled } from '../runs.js'
import { drive } from './drive.js'
import { allSteps } from './steps.js'
import { MOST_ALLOCATED } from './support.js'
import { soil } from './tape.js'

/** Steps for each placement: a thousandth of those of `node test/check.js drive`. */
const STEPS = Number(process.env.OFFHEAP_STEPS ?? scaled(5000))

interface Variant {
  readonly options: HeapOptions
  /** Whether the slow model predicts its pointers. */
  readonly exact: boolean
  /** How often it is chosen. */
  readonly weight: number
}

/** The options that a heap of `bytes` bytes can have. */
function variants(bytes: number): Variant[] {
  const trimThreshold = pick([1, 500, 20_000, Math.ceil(bytes / 4)])
  const quarantine = pick([0, 1000, 2 ** 33])
  return [
    { options: { slabs: false }, exact: true, weight: 8 },
    { options: { slabs: false, trimThreshold }, exact: true, weight: 6 },
    { options: { slabs: true }, exact: false, weight: 6 },
    { options: { slabs: true, trimThreshold }, exact: false, weight: 4 },
    { options: { hardened: true }, exact: true, weight: 3 },
    { options: { hardened: true, quarantine, trimThreshold }, exact: true, weight: 3 },
    {
      options: { hardened: true, trackAllocations: true, onLeaks: () => {} },
      exact: true,
      weight: 1
    }
  ]
}

/**
 * The size of the heap as powers of two (from, to), the longest sequence, and how often such a heap
 * is chosen.
 */
const sizes = [
  { from: 10, to: 12, length: 200, weight: 40 },
  { from: 13, to: 16, length: 300, weight: 40 },
  { from: 17, to: 21, length: 300, weight: 16 },
  { from: 22, to: 26, length: 150, weight: 3 },
  { from: 27, to: 33, length: 60, weight: 1 }
]

function pick<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() * values.length)]
}

function pickWeighted<Row extends { readonly weight: number }>(rows: readonly Row[]): Row {
  return pick(rows.flatMap(row => Array.from({ length: row.weight }, () => row)))
}

function pickSize(): { bytes: number; length: number } {
  const { from, to, length } = pickWeighted(sizes)
  const power = 2 ** (from + Math.floor(Math.random() * (to - from + 1)))
  const bytes = power + pick([0, 0, 8, -8, 24, -24, 4096, -4096])
  const most = Math.min(MOST_ALLOCATED, constants.MAX_LENGTH)
  return { bytes: Math.min(Math.max(1024, bytes), most), length }
}

/** Runs a sequence on a heap of some kind and size. Returns the number of steps. */
function driveOne(placement: PlacementName): number {
  const { bytes, length } = pickSize()
  const { options: some, exact } = pickWeighted(variants(bytes))
  const options = { placement, ...some }
  // A smaller hardened heap has no room for a block.
  const size = options.hardened ? Math.max(bytes, 4096) : bytes
  const onPages = options.trimThreshold !== undefined || bytes > 2 ** 24
  // A hardened heap writes to all of a region that it did not map.
  const isLarge = options.hardened && bytes > 2 ** 24
  const kind = pick(
    isLarge ? ['map'] : onPages ? ['map', 'region'] : ['map', 'region', 'buffer', 'shared']
  )
  let count = 0
  fc.assert(
    fc.property(allSteps(size, length), sequence => {
      count += sequence.length
      if (kind === 'map') return drive(size, sequence, options, { exact })
      if (kind === 'buffer' || kind === 'shared') {
        const buffer = kind === 'shared' ? new SharedArrayBuffer(size) : new ArrayBuffer(size)
        soil(new Uint8Array(buffer))
        return drive(buffer, sequence, options, { exact })
      }
      using region = Region.map(size)
      drive(region, sequence, options, { exact })
    }),
    { numRuns: 3 }
  )
  return count
}

describe.each(placements)('a %s heap', placement => {
  test(`agrees with the model in ${STEPS} random calls of every kind`, () => {
    let steps = 0
    while (steps < STEPS) steps += driveOne(placement)
    expect(steps).toBeGreaterThanOrEqual(STEPS)
  })
})

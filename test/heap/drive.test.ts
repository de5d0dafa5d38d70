/**
 * Everything that can be done with a heap, in one random sequence: for each placement, with and without each option, in buffers and on
 * mapped memory, in heaps around each power of two. `npm run drive` takes five million steps for each placement.
 */
import { constants } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type HeapOptions, type PlacementName, placements, Region } from '../../lib/index.js'
import { choiceOf } from '../placement/choices.js'
import { scaled } from '../runs.js'
import { drive } from './drive.js'
import { allSteps } from './steps.js'
import { soil } from './tape.js'

/** Steps for each placement: a tenth of a percent of what `npm run drive` takes. */
const STEPS = Number(process.env.OFFHEAP_STEPS ?? scaled(5000))

interface Variant {
  readonly options: HeapOptions
  /** Whether the slow model predicts its pointers. */
  readonly exact: boolean
}

/** What a heap of `bytes` bytes can be asked to be. */
function variants(bytes: number): Variant[] {
  const trimThreshold = pick([1, 500, 20_000, Math.ceil(bytes / 4)])
  return [
    { options: { quickLists: false }, exact: true },
    { options: { quickLists: false, trimThreshold }, exact: true },
    { options: { quickLists: true }, exact: false },
    { options: { quickLists: true, trimThreshold }, exact: false },
    { options: { hardened: true }, exact: true },
    { options: { hardened: true, trimThreshold }, exact: true },
    { options: { hardened: true, quarantine: pick([0, 1000, 2 ** 33]), trimThreshold }, exact: true },
    { options: { hardened: true, trackAllocations: true, onLeaks: () => {} }, exact: true }
  ]
}

/** Bytes of the heap in powers of two, from and to, longest sequence, and how often such a heap is taken. */
const sizes: [from: number, to: number, length: number, weight: number][] = [
  [10, 12, 200, 40],
  [13, 16, 300, 40],
  [17, 21, 300, 15],
  [22, 26, 150, 4],
  [27, 33, 60, 1]
]

function pick<Value>(values: readonly Value[]): Value {
  return values[Math.floor(Math.random() * values.length)]
}

function pickSize(): { bytes: number; length: number } {
  const [from, to, length] = pick(sizes.flatMap(row => Array.from({ length: row[3] }, () => row)))
  const power = 2 ** (from + Math.floor(Math.random() * (to - from + 1)))
  const bytes = power + pick([0, 0, 8, -8, 24, -24, 4096, -4096])
  return { bytes: Math.min(Math.max(1024, bytes), 2 ** 33, constants.MAX_LENGTH), length }
}

/** Drives one heap of some kind and size. Returns how many steps it took. */
function driveOne(placement: PlacementName): number {
  const { bytes, length } = pickSize()
  const { options: some, exact } = pick(variants(bytes))
  const options = { placement, ...some }
  // A hardened heap has no room for a block in less.
  const size = options.hardened ? Math.max(bytes, 4096) : bytes
  const onPages = options.trimThreshold !== undefined || bytes > 2 ** 24
  // A hardened heap writes all of a region that it did not map.
  const isLarge = options.hardened && bytes > 2 ** 24
  const kind = pick(isLarge ? ['map'] : onPages ? ['map', 'region'] : ['map', 'region', 'buffer'])
  let count = 0
  fc.assert(
    fc.property(allSteps(size, length), sequence => {
      count += sequence.length
      const how = { exact, choose: () => choiceOf(placement, usedBytes, options.hardened) }
      const usedBytes = kind === 'buffer' ? size : Math.ceil(size / 4096) * 4096
      if (kind === 'map') return drive(size, sequence, options, how)
      if (kind === 'buffer') {
        const buffer = new ArrayBuffer(size)
        soil(new Uint8Array(buffer))
        return drive(buffer, sequence, options, how)
      }
      using region = Region.map(size)
      drive(region, sequence, options, how)
    }),
    { numRuns: 3 }
  )
  return count
}

describe.each(placements)('a %s heap', placement => {
  test(`keeps its promises in ${STEPS} random calls of every kind`, () => {
    let steps = 0
    while (steps < STEPS) steps += driveOne(placement)
    expect(steps).toBeGreaterThanOrEqual(STEPS)
  })
})

/** The hardened heap against the slow model, on random sequences of calls: every placement, with and without a quarantine. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PlacementName, placements } from '../../lib/index.js'
import { type Choice, type FreeBlock, lowestAddress } from '../model.js'
import { bestFit } from '../placement/best-fit.js'
import { nextFit } from '../placement/next-fit.js'
import { segregatedFit } from '../placement/segregated-fit.js'
import { drive, steps } from './drive.js'

/** The choice of a policy that works on a ledger of `bytes` bytes. */
const choices: Record<PlacementName, (bytes: number) => Choice> = {
  'first-fit': () => lowestAddress,
  'segregated-fit': segregatedFit,
  'best-fit': bestFit,
  'next-fit': nextFit
}

/** The choice among slots, each of which is four times as large as its block in the ledger. */
function choiceOf(placement: PlacementName, bytes: number): Choice {
  const choose = choices[placement](Math.floor(bytes / 32) * 8)
  const small = ({ offset, size, since }: FreeBlock): FreeBlock => ({ offset: offset / 4, size: size / 4, since })
  const scaled: Choice = (fits, { need, room, free }) => {
    const found = choose(fits.map(small), { need: need / 4, room: room / 4, free: free.map(small) })
    return found && { offset: found.offset * 4, size: found.size * 4 }
  }
  const { order } = choose
  return order === undefined
    ? scaled
    : Object.assign(scaled, { order: (a: FreeBlock, b: FreeBlock) => order(small(a), small(b)) })
}

/** Bytes of the heap, of the quarantine, longest sequence, how many sequences. */
const heaps: [bytes: number, quarantine: number | undefined, length: number, runs: number][] = [
  [2304, 0, 200, 60],
  [8192, 0, 300, 40],
  [8192, 1000, 300, 40],
  [65536, undefined, 500, 12],
  [2 ** 20, 2 ** 16, 600, 12],
  [2 ** 20, 2 ** 23, 600, 8]
]

describe.each(placements)(
  'a hardened %s heap returns the same pointers and keeps the same bytes as the model',
  placement => {
    test.each(heaps)('%i bytes, quarantine %s, up to %i steps, %i times', (bytes, quarantine, length, runs) => {
      const buffer = new ArrayBuffer(bytes)
      const options = { placement, hardened: true, ...(quarantine === undefined ? {} : { quarantine }) }
      let count = 0
      fc.assert(
        fc.property(steps(bytes, length), sequence => {
          count += sequence.length
          drive(buffer, sequence, options, choiceOf(placement, bytes))
        }),
        { numRuns: runs }
      )
      expect(count).toBeGreaterThanOrEqual(runs)
    })
  }
)

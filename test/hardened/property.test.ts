/**
 * The hardened heap against the slow model, on random sequences of calls: every placement, with and
 * without a quarantine.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { placements } from '../../lib/index.js'
import { drive } from '../heap/drive.js'
import { steps } from '../heap/steps.js'

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
    test.each(heaps)(
      '%i bytes, quarantine %s, up to %i steps, %i times',
      (bytes, quarantine, length, runs) => {
        const buffer = new ArrayBuffer(bytes)
        const options = {
          placement,
          hardened: true,
          ...(quarantine === undefined ? {} : { quarantine })
        }
        let count = 0
        fc.assert(
          fc.property(steps(bytes, length), sequence => {
            count += sequence.length
            drive(buffer, sequence, options)
          }),
          { numRuns: runs }
        )
        expect(count).toBeGreaterThanOrEqual(runs)
      }
    )
  }
)

/**
 * Every placement policy against the slow model, with a simple implementation of the policy's
 * specification. With slabs, whose slots no simple model predicts, only what holds for every heap
 * is tested (drive.ts).
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PlacementName, Region } from '../../lib/index.js'
import { placements } from '../../lib/placement/policies.js'
import { drive } from '../heap/drive.js'
import { steps } from '../heap/steps.js'
import { scaled } from '../runs.js'

/** Bytes of the heap, longest sequence, how many sequences. */
const heaps: [bytes: number, length: number, runs: number][] = [
  [1024, 300, scaled(150)],
  [4096, 500, scaled(100)],
  [65536, 800, scaled(40)],
  [2 ** 20, 800, scaled(15)],
  [64 * 2 ** 20, 400, scaled(10)]
]

/** First fit without slabs is tested in test/heap/property.test.ts. */
const hasOwn = (placement: PlacementName) => placement === 'first-fit'

describe.each(placements)('%s', placement => {
  const plain = hasOwn(placement) ? [] : heaps
  test.each(plain.filter(row => row.at(-1) !== 0))(
    'returns the same pointers and keeps the same bytes as the model: %i bytes, up to %i ' +
      'steps, %i times',
    (bytes, length, runs) => {
      const buffer = new ArrayBuffer(bytes)
      let count = 0
      fc.assert(
        fc.property(steps(bytes, length), sequence => {
          count += sequence.length
          drive(buffer, sequence, { placement, slabs: false })
        }),
        { numRuns: runs }
      )
      expect(count).toBeGreaterThanOrEqual(runs)
    }
  )

  test.each(heaps.filter(row => row.at(-1) !== 0))(
    'with slabs keeps every byte: %i bytes, up to %i steps, %i times',
    (bytes, length, runs) => {
      // A region can return pages.
      const memory = bytes < 65536 ? new ArrayBuffer(bytes) : Region.map(bytes)
      fc.assert(
        fc.property(steps(bytes, length), sequence => {
          drive(memory, sequence, { placement, slabs: true })
        }),
        { numRuns: runs }
      )
    }
  )

  test('with slabs and a trim threshold does so too', () => {
    using region = Region.map(2 ** 18)
    fc.assert(
      fc.property(
        steps(2 ** 18, 800),
        fc.integer({ min: 1, max: 20_000 }),
        (sequence, trimThreshold) => {
          drive(region, sequence, { placement, slabs: true, trimThreshold })
        }
      ),
      { numRuns: Math.max(1, scaled(15)) }
    )
  })
})

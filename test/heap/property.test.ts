/** The heap against the slow model, on random sequences of calls. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scaled } from '../runs.js'
import { drive } from './drive.js'
import { steps } from './steps.js'

/** Bytes of the heap, longest sequence, how many sequences: more than 200,000 steps together. */
const heaps: [bytes: number, length: number, runs: number][] = [
  [1024, 300, scaled(700)],
  [4096, 500, scaled(400)],
  [65536, 800, scaled(150)],
  [2 ** 20, 800, scaled(60)],
  [64 * 2 ** 20, 400, scaled(40)]
]

describe('a heap returns the same pointers and keeps the same bytes as the model', () => {
  test.each(heaps.filter(row => row.at(-1) !== 0))(
    '%i bytes, up to %i steps, %i times',
    (bytes, length, runs) => {
      const buffer = new ArrayBuffer(bytes)
      let count = 0
      fc.assert(
        fc.property(steps(bytes, length), sequence => {
          count += sequence.length
          drive(buffer, sequence, {})
        }),
        { numRuns: runs }
      )
      expect(count).toBeGreaterThanOrEqual(runs)
    }
  )

  test('prints a failing sequence as a program', () => {
    const wrong = (): { offset: number; size: number } => ({ offset: 0, size: 0 })
    const sequence = [
      { kind: 'malloc', size: 40, which: 0, alignment: 1 },
      { kind: 'malloc', size: 8, which: 0, alignment: 1 },
      { kind: 'free', size: 0, which: 0, alignment: 1 },
      { kind: 'malloc', size: 8, which: 0, alignment: 1 }
    ] as const
    const run = () => drive(new ArrayBuffer(4096), sequence, {}, { choose: () => wrong })
    expect(run).toThrow(/the pointer is \d+, and should be 0\n/)
    expect(run).toThrow(
      /\nconst p0 = heap.malloc\(40\)\n.*heap.free\(p0\)\nconst p2 = heap.malloc\(8\)\n/s
    )
  })
})

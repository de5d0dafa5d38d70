import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import {
  exponentsOf,
  linear,
  logarithmic,
  needed,
  performanceOf,
  pointsOf
} from '../../lib/lab/grade/score.js'
import type { Weight } from '../../lib/trace/trace.js'
import { shippedConfig } from './compiled.js'

const config = readConfig(shippedConfig)

describe('scales', () => {
  it('are linear for utilization', () => {
    const scale = { none: 0.2, full: 0.6 }
    expect([0, 0.2, 0.4, 0.6, 1].map(value => linear(value, scale))).toEqual([
      0,
      0,
      expect.closeTo(0.5),
      1,
      1
    ])
  })

  it('are logarithmic for throughput: equal factors are equal steps', () => {
    const scale = { none: 0.01, full: 1 }
    expect([0, 0.001, 0.01, 0.1, 1, 7].map(value => logarithmic(value, scale))).toEqual([
      0,
      0,
      0,
      expect.closeTo(0.5),
      1,
      1
    ])
  })
})

describe('performance', () => {
  const scales = { utilization: { none: 0, full: 1 }, throughput: { none: 0.01, full: 1 } }

  it('needs both utilization and throughput', () => {
    const of = (utilization: number, throughput: number) =>
      performanceOf({ utilization, throughput }, scales, exponentsOf(config))
    expect(of(1, 1)).toBe(1)
    expect(of(0, 1)).toBe(0)
    expect(of(1, 0.01)).toBe(0)
    expect(of(0.5, 0.1)).toBeCloseTo(0.5)
  })

  it('depends on one of them alone if the header of the trace says so', () => {
    const of = (weight: Weight) =>
      performanceOf({ utilization: 0.5, throughput: 1 }, scales, exponentsOf(config, weight))
    expect([1, 2, 3].map(weight => of(weight === 1 ? 1 : weight === 2 ? 2 : 3))).toEqual([
      expect.closeTo(0.5 ** 0.6),
      0.5,
      1
    ])
  })

  it('computes what a higher performance would take', () => {
    const exponents = { utilization: 0.5, throughput: 0.5 }
    const more = needed({ utilization: 0.5, throughput: 1 }, Math.sqrt(0.75), scales, exponents)
    expect(more.utilization).toBeCloseTo(0.75)
    expect(more.throughput).toBeUndefined()
    expect(
      needed({ utilization: 1, throughput: 0.1 }, Math.sqrt(0.75), scales, exponents).throughput
    ).toBeCloseTo(0.3162)
  })
})

describe('the table of the score in labs/GUIDE.md', () => {
  const guide = readFileSync('labs/GUIDE.md', 'utf8').replace(/\s+/g, ' ')
  const { points, weights, utilization, throughput, cost, minimumOperations } = config
  const scales = { utilization, throughput }

  it.each([
    `| ${points.correctness} × valid traces / all traces |`,
    `| ${points.performance} × mean performance of the measured traces |`,
    `| traces of ${minimumOperations} operations or more with a weight |`,
    `| U ^ ${weights.utilization} × T ^ ${weights.throughput};`,
    `0 at \`none\` (${utilization.none}), 1 at \`full\` (${utilization.full}), linear`,
    `0 at \`none\` (${throughput.none}), 1 at \`full\` (${throughput.full})`,
    `0 at \`none\` (${cost.none}), 1 at \`full\` (${cost.full})`,
    `a tenth of the reference's speed gives ${logarithmic(0.1, throughput).toFixed(2)}`,
    `a fifth gives ${logarithmic(0.2, throughput).toFixed(2)}`
  ])('is that of lab.jsonc: %s', text => expect(guide).toContain(text))

  it('gives an example of the next point that is right', () => {
    const measures = { utilization: 0.5, throughput: 0.1 }
    const performance = performanceOf(measures, scales, weights)
    const point = 12 / points.performance
    const more = needed(measures, performance + point, scales, weights)
    const full = performanceOf({ ...measures, throughput: 1 }, scales, weights)
    expect(more).toEqual({ utilization: expect.closeTo(0.75, 2) })
    expect(guide).toContain(`12 / ${points.performance} = ${point} of one trace's performance`)
    expect(guide).toContain(`has ${performance.toFixed(2)}, and gains that point`)
    expect(guide).toContain(`with T = 1 the trace has ${full.toFixed(2)}`)
  })
})

describe('points', () => {
  it('count correctness on all traces, and performance on the measured ones', () => {
    expect(pointsOf(3, 4, [1, 0.5], config)).toEqual({
      correctness: 15,
      performance: 60,
      measured: 2,
      score: 75,
      maximum: 100
    })
    expect(pointsOf(0, 0, [], config).score).toBe(0)
  })
})

import { describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/config.js'
import { linear, logarithmic, performanceOf, pointsOf } from '../../lib/lab/score.js'
import { shippedConfig } from './compiled.js'

const config = readConfig(shippedConfig)

describe('scales', () => {
  it('are linear for utilization', () => {
    const scale = { none: 0.2, full: 0.6 }
    expect([0, 0.2, 0.4, 0.6, 1].map(value => linear(value, scale))).toEqual([0, 0, expect.closeTo(0.5), 1, 1])
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

  it('wants both utilization and throughput', () => {
    expect(performanceOf(1, 1, scales, config)).toBe(1)
    expect(performanceOf(0, 1, scales, config)).toBe(0)
    expect(performanceOf(1, 0.01, scales, config)).toBe(0)
    expect(performanceOf(0.5, 0.1, scales, config)).toBeCloseTo(0.5)
  })
})

describe('points', () => {
  it('count correctness over all traces and performance over the measured ones', () => {
    expect(pointsOf(3, 4, [1, 0.5], config)).toEqual({ correctness: 15, performance: 60, score: 75, maximum: 100 })
    expect(pointsOf(0, 0, [], config).score).toBe(0)
  })
})

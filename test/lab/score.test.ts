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

  it('wants both utilization and throughput', () => {
    const of = (utilization: number, throughput: number) =>
      performanceOf({ utilization, throughput }, scales, exponentsOf(config))
    expect(of(1, 1)).toBe(1)
    expect(of(0, 1)).toBe(0)
    expect(of(1, 0.01)).toBe(0)
    expect(of(0.5, 0.1)).toBeCloseTo(0.5)
  })

  it('is one of them alone for traces whose header says so', () => {
    const of = (weight: Weight) =>
      performanceOf({ utilization: 0.5, throughput: 1 }, scales, exponentsOf(config, weight))
    expect([1, 2, 3].map(weight => of(weight === 1 ? 1 : weight === 2 ? 2 : 3))).toEqual([
      expect.closeTo(0.5 ** 0.6),
      0.5,
      1
    ])
  })

  it('says what it would take to have more', () => {
    const exponents = { utilization: 0.5, throughput: 0.5 }
    const more = needed({ utilization: 0.5, throughput: 1 }, Math.sqrt(0.75), scales, exponents)
    expect(more.utilization).toBeCloseTo(0.75)
    expect(more.throughput).toBeUndefined()
    expect(
      needed({ utilization: 1, throughput: 0.1 }, Math.sqrt(0.75), scales, exponents).throughput
    ).toBeCloseTo(0.3162)
  })
})

describe('points', () => {
  it('count correctness over all traces and performance over the measured ones', () => {
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

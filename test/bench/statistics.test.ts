import { describe, expect, it } from 'vitest'
import {
  geometricMean,
  median,
  netOf,
  quantile,
  ratio,
  significant,
  spread
} from '../../lib/bench/statistics.js'

describe('statistics of the benchmark', () => {
  it('finds medians of odd and even numbers of values, in any order', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(median([7])).toBe(7)
    expect(median([])).toBeNaN()
  })

  it('sorts numerically, and does not change its argument', () => {
    const values = [100, 9, 20]
    expect(median(values)).toBe(20)
    expect(values).toEqual([100, 9, 20])
  })

  it('interpolates quantiles', () => {
    expect(quantile([0, 10, 20, 30, 40], 0.25)).toBe(10)
    expect(quantile([0, 10], 0.75)).toBe(7.5)
    expect(quantile([3, 1, 2], 1)).toBe(3)
  })

  it('divides half the distance between the quartiles by the median', () => {
    expect(spread([10, 20, 30, 40, 50])).toBeCloseTo(10 / 30)
    expect(spread([5, 5, 5])).toBe(0)
  })

  it('multiplies for the geometric mean', () => {
    expect(geometricMean([1, 4, 16])).toBeCloseTo(4)
    expect(geometricMean([0.5, 2])).toBeCloseTo(1)
  })

  it('computes ratios within a round before their median', () => {
    // The machine was ten times slower in the second round: the ratio of the medians would be 5.
    expect(ratio([10, 200, 50], [10, 100, 10])).toBe(2)
    // A round that one of the two did not finish does not count.
    expect(ratio([3, 6, 100], [1, 2])).toBe(3)
  })

  it('subtracts the floor of a round from the value of the same round', () => {
    expect(netOf([10, 30], [4, 20])).toEqual([6, 10])
    expect(netOf([10, 30], [4])).toEqual([6, Number.NaN])
    expect(netOf([], [4])).toEqual([])
  })

  it('writes three digits', () => {
    expect(significant(1234.5)).toBe('1230')
    expect(significant(0.012345)).toBe('0.0123')
    expect(significant(5)).toBe('5')
  })
})

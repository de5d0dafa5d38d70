/**
 * Turns measurements into points.
 *
 *     performance of a trace = U ^ weight of utilization * T ^ weight of throughput
 *     score = correctness points * share of valid traces + performance points * mean performance
 *
 * U is the utilization on a linear scale between two thresholds. T is the throughput, as a share
 * of the reference allocator's, on a logarithmic scale: from 1/10 to 1/5 is as great a step as from
 * 1/5 to 2/5. The product needs both: neither a fast but wasteful allocator nor a slow but compact
 * one scores well.
 */

import type { Weight } from '../../trace/trace.js'
import type { LabConfig, Scale } from './config.js'

/** Returns the position of a value on a linear scale, 0 … 1. */
export function linear(value: number, { none, full }: Scale): number {
  return clamp((value - none) / (full - none))
}

/** Returns the position of a value on a logarithmic scale, 0 … 1. */
export function logarithmic(value: number, { none, full }: Scale): number {
  return value <= 0 ? 0 : clamp(Math.log(value / none) / Math.log(full / none))
}

export interface Scales {
  readonly utilization: Scale
  readonly throughput: Scale
}

/** Returns the scales of one trace, with throughput by time or by words. */
export function scalesOf(
  { utilization, throughput, cost }: Pick<LabConfig, 'utilization' | 'throughput' | 'cost'>,
  by: LabConfig['throughputBy'],
  trace = ''
): Scales {
  const own = (scale: Scale) => ({ ...scale, full: scale.fullOf?.[trace] ?? scale.full })
  return { utilization: own(utilization), throughput: own(by === 'cost' ? cost : throughput) }
}

/** The two measures of a trace. */
export interface Measures {
  readonly utilization: number
  readonly throughput: number
}

/**
 * Returns the exponents of utilization and throughput for a trace with this weight in its header.
 */
export function exponentsOf(config: Pick<LabConfig, 'weights'>, weight: Weight = 1): Measures {
  if (weight === 2) return { utilization: 1, throughput: 0 }
  if (weight === 3) return { utilization: 0, throughput: 1 }
  return config.weights
}

/** Returns the performance of one trace, 0 … 1. */
export function performanceOf(
  { utilization, throughput }: Measures,
  scales: Scales,
  exponents: Measures
): number {
  return (
    linear(utilization, scales.utilization) ** exponents.utilization *
    logarithmic(throughput, scales.throughput) ** exponents.throughput
  )
}

/**
 * Returns the utilization, and the throughput, with which a trace alone would reach a performance.
 * Omits those that can't reach it.
 */
export function needed(
  { utilization, throughput }: Measures,
  performance: number,
  scales: Scales,
  exponents: Measures
): Partial<Measures> {
  const u = linear(utilization, scales.utilization) ** exponents.utilization
  const t = logarithmic(throughput, scales.throughput) ** exponents.throughput
  const share = (other: number, exponent: number) =>
    exponent === 0 || other === 0 ? 2 : (performance / other) ** (1 / exponent)
  const ofU = share(t, exponents.utilization)
  const ofT = share(u, exponents.throughput)
  const { none, full } = scales.throughput
  return {
    ...(ofU > 1
      ? {}
      : {
          utilization:
            scales.utilization.none + ofU * (scales.utilization.full - scales.utilization.none)
        }),
    ...(ofT > 1 ? {} : { throughput: none * (full / none) ** ofT })
  }
}

export interface Points {
  readonly correctness: number
  /** 0 when nothing was measured. */
  readonly performance: number
  /** The number of measured traces. */
  readonly measured: number
  /** The sum of correctness and performance. */
  readonly score: number
  /** The maximum score. */
  readonly maximum: number
}

/**
 * @param performances those of the measured traces; 0 for invalid ones
 */
export function pointsOf(
  valid: number,
  traces: number,
  performances: readonly number[],
  config: LabConfig
): Points {
  const { points } = config
  const correctness = traces === 0 ? 0 : (points.correctness * valid) / traces
  const performance = points.performance * mean(performances)
  return {
    correctness,
    performance,
    measured: performances.length,
    score: correctness + performance,
    maximum: points.correctness + points.performance
  }
}

/** Returns 0 for no values. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}

/**
 * Turns measurements into points.
 *
 *     performance of a trace = U ^ weight of utilization * T ^ weight of throughput
 *     score = correctness points * share of valid traces + performance points * mean performance
 *
 * U is the utilization on a linear scale between two thresholds, T the throughput (as a share of the reference allocator's) on a
 * logarithmic one: from 1/10 to 1/5 is as great a step as from 1/5 to 2/5. The product wants both: an allocator that
 * wastes all memory at full speed gets no more than one that saves it at none.
 */

import type { LabConfig, Scale } from './config.js'

/** Where a value stands on a linear scale, 0 … 1. */
export function linear(value: number, { none, full }: Scale): number {
  return clamp((value - none) / (full - none))
}

/** Where a value stands on a logarithmic scale, 0 … 1. */
export function logarithmic(value: number, { none, full }: Scale): number {
  return value <= 0 ? 0 : clamp(Math.log(value / none) / Math.log(full / none))
}

export interface Scales {
  readonly utilization: Scale
  readonly throughput: Scale
}

/** The performance of one trace, 0 … 1. */
export function performanceOf(utilization: number, throughput: number, scales: Scales, config: LabConfig): number {
  const { weights } = config
  return (
    linear(utilization, scales.utilization) ** weights.utilization *
    logarithmic(throughput, scales.throughput) ** weights.throughput
  )
}

export interface Points {
  readonly correctness: number
  readonly performance: number
  /** The sum of both. */
  readonly score: number
  /** The most that there is. */
  readonly maximum: number
}

/** @param performances of the traces that are measured, 0 for those that are invalid */
export function pointsOf(valid: number, traces: number, performances: readonly number[], config: LabConfig): Points {
  const { points } = config
  const correctness = traces === 0 ? 0 : (points.correctness * valid) / traces
  const performance = points.performance * mean(performances)
  return {
    correctness,
    performance,
    score: correctness + performance,
    maximum: points.correctness + points.performance
  }
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length
}

function clamp(value: number): number {
  return Math.min(1, Math.max(0, value))
}

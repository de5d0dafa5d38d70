/** Exports a grade: as JSON, and as the `results.json` of a Gradescope autograder. */

import type { Fault } from '../submission/fault.js'
import { describeFault } from './describe.js'
import type { Grade, TraceResult } from './grade.js'

/** Returns plain data. Each fault also has a description, `text`. */
export function gradeJson(grade: Grade): unknown {
  const { submission, step, fault, results, notes, points, seconds } = grade
  return {
    submission,
    step: step?.step ?? null,
    valid: isValid(grade),
    score: round(points.score, 2),
    maximum: points.maximum,
    correctness: round(points.correctness, 2),
    performance: points.measured === 0 ? null : round(points.performance, 2),
    unsettled: grade.unsettled,
    fault: fault === undefined ? null : { ...fault, text: describeFault(fault).join('\n') },
    traces: results.map(result => ({
      ...result,
      valid: result.fault === undefined,
      fault:
        result.fault === undefined
          ? null
          : { ...result.fault, text: describeFault(result.fault).join('\n') }
    })),
    notes,
    seconds: round(seconds, 1)
  }
}

/** Returns whether every trace, and the submission as a whole, is valid. */
export function isValid(grade: Grade): boolean {
  return grade.fault === undefined && grade.results.every(result => result.fault === undefined)
}

/**
 * Gradescope's format: https://gradescope-autograders.readthedocs.io/en/latest/specs/. The points
 * of the tests add up to the score: correctness in equal parts for every trace, performance in
 * equal parts for those that are measured.
 */
export function gradescopeResults(
  grade: Grade,
  config: { correctness: number; performance: number }
): unknown {
  const { results, fault, points } = grade
  const measured = results.filter(result => result.performance !== undefined).length
  const tests = results.flatMap(result => [
    {
      name: `${result.trace}: valid`,
      score:
        result.fault === undefined && fault === undefined
          ? round(config.correctness / results.length, 4)
          : 0,
      max_score: round(config.correctness / results.length, 4),
      status: result.fault === undefined && fault === undefined ? 'passed' : 'failed',
      output:
        result.fault === undefined
          ? `${result.operations} operations`
          : describeFault(result.fault).join('\n'),
      output_format: 'text'
    },
    ...performanceTest(
      result,
      fault === undefined ? config.performance / measured : 0,
      config.performance / measured
    )
  ])
  return {
    score: round(points.score, 2),
    execution_time: Math.round(grade.seconds),
    output: [...(fault === undefined ? [] : describeFault(fault)), ...grade.notes].join('\n'),
    output_format: 'text',
    stdout_visibility: 'hidden',
    // A fault of the whole submission becomes a failed test; otherwise, all tests might pass.
    tests: fault === undefined ? tests : [submissionTest(fault), ...tests]
  }
}

function submissionTest(fault: Fault) {
  return {
    name: 'the submission: valid',
    score: 0,
    max_score: 0,
    status: 'failed',
    output: describeFault(fault).join('\n'),
    output_format: 'text'
  }
}

function performanceTest(result: TraceResult, worth: number, maximum: number) {
  const { performance, utilization, throughput } = result
  if (performance === undefined) return []
  const measures =
    utilization === undefined || throughput === undefined
      ? 'not measured: the trace is not valid'
      : `utilization ${utilization.toFixed(3)}, throughput ${throughput.toFixed(3)} of the ` +
        `reference allocator's`
  return [
    {
      name: `${result.trace}: performance`,
      score: round(worth * performance, 4),
      max_score: round(maximum, 4),
      // Without a status, Gradescope shows a test without points as passed.
      ...(worth * performance > 0 ? {} : { status: 'failed' }),
      output: measures,
      output_format: 'text'
    }
  ]
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

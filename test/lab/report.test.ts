import { describe, expect, it } from 'vitest'
import { type LabConfig, readConfig } from '../../lib/lab/grade/config.js'
import { gradescopeResults } from '../../lib/lab/grade/export.js'
import type { Grade } from '../../lib/lab/grade/grade.js'
import { gradeReport } from '../../lib/lab/grade/report.js'
import { scalesOf } from '../../lib/lab/grade/score.js'
import { faultOf } from '../../lib/lab/submission/fault.js'
import { shippedConfig } from './compiled.js'

const config = readConfig(shippedConfig)
const fault = faultOf('overlap', 'malloc returned 8', {
  operation: 3,
  where: 'operation 4 (line 8), malloc of 40 bytes for id 3',
  details: ['One more thing.'],
  picture: ['4096 |..aa..|'],
  hint: 'draw it'
})
const grade: Grade = {
  submission: 'allocator.ts',
  results: [
    { trace: 'hello', operations: 11, utilization: 0.5 },
    {
      trace: 'stack',
      operations: 4278,
      utilization: 0.9,
      throughput: 0.25,
      nsPerOperation: 123.4,
      cost: { words: 7.25, ratio: 0.5, operations: 4278 },
      performance: 0.75,
      builtIn: { utilization: 0.95, throughput: 0.5, performance: 0.875, ownPerformance: 0.8125 }
    },
    { trace: 'queue', operations: 4120, fault, performance: 0 }
  ],
  refused: [],
  unsettled: false,
  notes: ['a note'],
  points: { measured: 2, correctness: 13.333, performance: 30, score: 43.333, maximum: 100 },
  sources: [],
  seconds: 1.6
}

describe('the report of a grade', () => {
  it('has a row for each trace, a description of each defect, and the points', () => {
    const lines = gradeReport(grade, { color: false, ascii: true }).split('\n')
    expect(lines.filter(line => line.startsWith('--'))).toHaveLength(2)
    expect(lines.find(line => line.startsWith('hello'))).toMatch(/^hello +yes +11 +50\.0 % *$/)
    expect(lines.find(line => line.startsWith('stack'))).toMatch(
      /^stack +yes +4,278 +90\.0 % +0\.250 +123 +7\.3 +0\.750 +95\.0 % +0\.500$/
    )
    expect(lines.join('\n')).toContain(
      [
        'queue',
        'Operation 4 (line 8), malloc of 40 bytes for id 3:',
        '  malloc returned 8.',
        '',
        '  4096 |..aa..|',
        '',
        '  One more thing.',
        '',
        '  Hint: draw it.',
        '',
        'Note: a note',
        '',
        'correctness   13.3  (2 of 3 traces valid)',
        'performance   30.0  (mean of 2 traces)',
        'score         43.3  of 100'
      ].join('\n')
    )
    expect(lines.join('\n')).toMatch(/^[\n -~]+$/)
  })

  it('compares the mean performance with that of the built-in heap', () => {
    const [, stack] = grade.results
    if (stack?.builtIn === undefined) throw new Error('nothing to compare')
    const vim = { ...stack, builtIn: { ...stack.builtIn, performance: 0.5, ownPerformance: 0.25 } }
    const text = gradeReport(
      { ...grade, results: [...grade.results, vim] },
      { color: false, ascii: true }
    )
    expect(text).toContain(
      '\nMean performance by processor time, on 2 valid traces: yours 0.531, the built-in ' +
        "allocator's 0.688.\n"
    )
    const without = grade.results.filter(({ builtIn }) => builtIn === undefined)
    const none = gradeReport({ ...grade, results: without }, { color: false, ascii: true })
    expect(none).not.toContain('built-in')
  })

  it('names the bounds of single traces, and throughputs that have few decimals', () => {
    const own: LabConfig = {
      ...config,
      utilization: { none: 0, full: 0.5, fullOf: { queue: 0.33, comb: 0.6 } },
      throughput: { none: 0.0005, full: 0.03, fullOf: { comb: 0.012, hello: 0.5 } }
    }
    const comb = { trace: 'comb', operations: 9000, utilization: 0.6, throughput: 0.001234 }
    const stack = { ...comb, trace: 'stack', utilization: 0.5, throughput: 0.03 }
    const text = gradeReport(
      {
        ...grade,
        results: [
          { trace: 'hello', operations: 11, utilization: 0.5 },
          { ...comb, performance: 0.61 },
          { ...stack, performance: 1 }
        ],
        scoring: {
          scales: trace => scalesOf(own, 'time', trace),
          weights: own.weights,
          throughputBy: 'time',
          performancePoints: 80
        }
      },
      { color: false, ascii: true }
    )
    expect(text).toContain(
      '0 at 0.0 % and 1 at 50.0 %; T is throughput by processor time, as a share of the ' +
        "reference allocator's, 0 at 0.0005 and 1 at 0.03, on a logarithmic scale. " +
        'Other bounds: comb, U is 1 at 60.0 % and T is 1 at 0.012.\n'
    )
    expect(text).toMatch(/next point: comb with a throughput of 0\.00\d{3} instead of 0\.00123\./)
  })
})

describe('the results for Gradescope', () => {
  const points = { correctness: 20, performance: 80 }

  it('distribute the points over the tests', () => {
    expect(gradescopeResults(grade, points)).toMatchObject({
      score: 43.33,
      execution_time: 2,
      output: 'a note',
      tests: [
        { name: 'hello: valid', score: 6.6667, max_score: 6.6667, status: 'passed' },
        { name: 'stack: valid', score: 6.6667 },
        { name: 'stack: performance', score: 30, max_score: 40 },
        {
          name: 'queue: valid',
          score: 0,
          status: 'failed',
          output: expect.stringContaining('malloc returned 8.')
        },
        { name: 'queue: performance', score: 0, max_score: 40 }
      ]
    })
  })

  it('give no points if the whole submission is invalid', () => {
    const invalid = {
      ...grade,
      fault,
      points: { ...grade.points, correctness: 0, performance: 0, score: 0 }
    }
    const results = gradescopeResults(invalid, points)
    expect(JSON.stringify(results)).not.toMatch(/"score":(?!0[,}])/)
  })
})

/** Formats a grade for a terminal. */

import Table from 'cli-table3'
import picocolors from 'picocolors'
import { frame } from '../../report/table.js'
import { humanCount, humanShare } from '../../sizes.js'
import { type Fault, OF_VARIANT } from '../submission/fault.js'
import { describeFault } from './describe.js'
import type { Grade, Scoring, TraceResult } from './grade.js'
import { exponentsOf, mean, needed } from './score.js'

export interface ReportOptions {
  readonly color: boolean
  readonly ascii: boolean
  /** Returns the command that shows the heap at an operation of a trace, if there is one. */
  readonly look?: (trace: string, operation: number) => string | undefined
}

const HEAD = [
  'trace',
  'valid',
  'operations',
  'utilization',
  'throughput',
  'ns/op',
  'words/op',
  'performance'
]
const BUILT_IN = ['built-in\nutilization', 'built-in\nthroughput']

/** Returns the table, the faults, the score and its explanation, without a newline at the end. */
export function gradeReport(grade: Grade, options: ReportOptions): string {
  const colors = picocolors.createColors(options.color)
  const { step, fault, results } = grade
  const title =
    step === undefined ? grade.submission : `${grade.submission}, step ${step.step}: ${step.title}`
  const parts = [colors.bold(title)]
  if (results.length > 0) parts.push(tableOf(results, options))
  const faulty = results.filter(result => result.fault !== undefined)
  for (const [index, { trace, fault }] of faulty.entries()) {
    if (fault === undefined) continue
    const name = colors.bold(colors.red(trace))
    // Usually all faults have one cause, so describe only the first in full.
    if (index > 0) parts.push(`${name}: ${briefly(fault)}`)
    else parts.push([name, ...describeFault(fault), ...lookAt(trace, fault, options)].join('\n'))
  }
  if (fault !== undefined)
    parts.push([colors.red('The submission is not valid.'), ...describeFault(fault)].join('\n'))
  for (const note of grade.notes) parts.push(`Note: ${note}`)
  parts.push(pointsReport(grade, colors.bold))
  return parts.join('\n\n')
}

/** Returns lines with the command that shows the heap at the faulty operation. */
function lookAt(trace: string, { operation, details }: Fault, { look }: ReportOptions): string[] {
  // There is no file of a variant.
  if (operation < 0 || details.includes(OF_VARIANT)) return []
  const command = look?.(trace, operation + 1)
  return command === undefined ? [] : ['', `  See the heap at this operation: ${command}`]
}

function briefly({ where, what }: Fault): string {
  return where === '' ? `${what}.` : `${where}: ${what}.`
}

function pointsReport(grade: Grade, bold: (text: string) => string): string {
  const { results, points } = grade
  const valid = results.filter(result => result.fault === undefined).length
  const lines = [
    `correctness  ${number(points.correctness)}  (${valid} of ${results.length} traces valid)`
  ]
  if (points.measured === 0 && grade.fault === undefined) {
    return [
      ...lines,
      'performance  not measured: no trace here counts for it',
      bold('score        not measured')
    ].join('\n')
  }
  lines.push(
    `performance  ${number(points.performance)}  (mean of ${points.measured} ` +
      `${points.measured === 1 ? 'trace' : 'traces'})`,
    bold(`score        ${number(points.score)}  of ${points.maximum}`)
  )
  return [...lines, ...explanation(grade).map(line => `\n${line}`)].join('\n')
}

/** Explains the score, and what would raise it. */
function explanation({ scoring, results, points }: Grade): string[] {
  if (scoring === undefined) return []
  const { scales, weights, performancePoints, throughputBy } = scoring
  const { utilization: u, throughput: t } = scales()
  const speed = throughputBy === 'cost' ? 'words read and written' : 'processor time'
  const others = results.flatMap(result => otherBounds(result, scoring))
  const lines = [
    `Performance of a trace: U ^ ${weights.utilization} * T ^ ${weights.throughput}. U is ` +
      `utilization, 0 at ${humanShare(u.none)} and 1 at ${humanShare(u.full)}; ` +
      `T is throughput by ${speed}, as a share of the reference allocator's, 0 at ` +
      `${t.none} and 1 at ${t.full}, on a logarithmic scale.` +
      (others.length === 0 ? '' : ` Other bounds: ${others.join('; ')}.`)
  ]
  const next = nextPoint(results, scoring, performancePoints / Math.max(1, points.measured))
  if (next !== '') lines.push(`The next point: ${next}.`)
  return lines
}

/** Describes where U and T of a measured trace are 1, if not where those of others are. */
function otherBounds({ trace, throughput }: TraceResult, { scales }: Scoring): string[] {
  if (throughput === undefined) return []
  const [usual, own] = [scales(), scales(trace)]
  const bounds = [
    own.utilization.full === usual.utilization.full
      ? ''
      : `U is 1 at ${humanShare(own.utilization.full)}`,
    own.throughput.full === usual.throughput.full ? '' : `T is 1 at ${own.throughput.full}`
  ].filter(text => text !== '')
  return bounds.length === 0 ? [] : [`${trace}, ${bounds.join(' and ')}`]
}

/** Describes the smallest improvement of one trace, as a factor, that would add one point. */
function nextPoint(results: readonly TraceResult[], scoring: Scoring, worth: number): string {
  let least = Number.POSITIVE_INFINITY
  let text = ''
  for (const { trace, utilization, throughput, performance, weight } of results) {
    if (utilization === undefined || throughput === undefined || performance === undefined) continue
    const wanted = performance + 1 / worth
    const exponents = exponentsOf(scoring, weight)
    const more = needed({ utilization, throughput }, wanted, scoring.scales(trace), exponents)
    const offer = (now: number, then: number | undefined, words: (value: number) => string) => {
      if (then === undefined || then / now >= least) return
      least = then / now
      text = words(then)
    }
    offer(
      utilization,
      more.utilization,
      value =>
        `${trace} with a utilization of ${humanShare(value)} instead of ${humanShare(utilization)}`
    )
    offer(
      throughput,
      more.throughput,
      value =>
        `${trace} with a throughput of ${value.toPrecision(3)} instead of ` +
        throughput.toPrecision(3)
    )
  }
  return text
}

function number(points: number): string {
  return points.toFixed(1).padStart(5)
}

function tableOf(results: readonly TraceResult[], { color, ascii }: ReportOptions): string {
  const colors = picocolors.createColors(color)
  const compared = results.some(result => result.builtIn !== undefined)
  const head = compared ? [...HEAD.map(text => `\n${text}`), ...BUILT_IN] : HEAD
  const table = new Table({
    head: head.map(text => text.split('\n').map(colors.bold).join('\n')),
    colAligns: head.map((_, i) => (i === 0 ? 'left' : i === 1 ? 'center' : 'right')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    chars: frame(ascii ? '-' : '─')
  })
  for (const result of results) {
    const { utilization, throughput, nsPerOperation, cost, performance, builtIn } = result
    const row = [
      result.trace,
      result.fault === undefined
        ? colors.green(ascii ? 'yes' : '✓')
        : colors.red(ascii ? 'NO' : '✗'),
      humanCount(result.operations),
      utilization === undefined ? '' : humanShare(utilization),
      throughput === undefined ? '' : throughput.toFixed(3),
      nsPerOperation === undefined ? '' : nsPerOperation.toFixed(nsPerOperation < 100 ? 1 : 0),
      cost === undefined ? '' : cost.words.toFixed(cost.words < 100 ? 1 : 0),
      performance === undefined ? '' : performance.toFixed(3)
    ]
    if (builtIn !== undefined)
      row.push(humanShare(builtIn.utilization), builtIn.throughput.toFixed(3))
    else if (compared) row.push('', '')
    table.push(row)
  }
  return (
    `${table.toString()}\nThroughput is a share of the reference allocator's; words are ` +
    `those read and written, counted. Short traces are only checked.${comparisonOf(results)}`
  )
}

/** Returns a line that compares the submission with the built-in heap, if that was measured. */
function comparisonOf(results: readonly TraceResult[]): string {
  const compared = results.flatMap(({ builtIn }) => (builtIn === undefined ? [] : [builtIn]))
  if (compared.length === 0) return ''
  const own = mean(compared.map(({ ownPerformance }) => ownPerformance))
  const theirs = mean(compared.map(({ performance }) => performance))
  return (
    `\nMean performance by processor time, on ${compared.length} valid ` +
    `${compared.length === 1 ? 'trace' : 'traces'}: yours ${own.toFixed(3)}, the built-in ` +
    `allocator's ${theirs.toFixed(3)}.`
  )
}

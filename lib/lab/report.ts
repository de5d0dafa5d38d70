/** A grade as a person reads it in a terminal. */

import Table from 'cli-table3'
import picocolors from 'picocolors'
import { humanCount, humanShare } from '../report/sizes.js'
import { describeFault } from './describe.js'
import type { Grade, TraceResult } from './grade.js'

export interface ReportOptions {
  readonly color: boolean
  readonly ascii: boolean
}

const HEAD = ['trace', 'valid', 'operations', 'utilization', 'throughput', 'ns/op', 'performance']
const BUILT_IN = ['built-in\nutilization', 'built-in\nthroughput']

/** The table, the faults one by one, the score; without a newline at the end. */
export function gradeReport(grade: Grade, options: ReportOptions): string {
  const colors = picocolors.createColors(options.color)
  const { step, fault, results, points } = grade
  const title = step === undefined ? grade.submission : `${grade.submission}, step ${step.step}: ${step.title}`
  const parts = [colors.bold(title)]
  if (results.length > 0) parts.push(tableOf(results, options))
  for (const result of results) {
    if (result.fault === undefined) continue
    parts.push([colors.bold(colors.red(result.trace)), ...describeFault(result.fault)].join('\n'))
  }
  if (fault !== undefined) parts.push([colors.red('The submission is not valid.'), ...describeFault(fault)].join('\n'))
  for (const note of grade.notes) parts.push(`Note: ${note}`)
  const valid = results.filter(result => result.fault === undefined).length
  parts.push(
    [
      `correctness  ${number(points.correctness)}  (${valid} of ${results.length} traces valid)`,
      `performance  ${number(points.performance)}`,
      colors.bold(`score        ${number(points.score)}  of ${points.maximum}`)
    ].join('\n')
  )
  return parts.join('\n\n')
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
    const { utilization, throughput, nsPerOperation, performance, builtIn } = result
    const row = [
      result.trace,
      result.fault === undefined ? colors.green(ascii ? 'yes' : '✓') : colors.red(ascii ? 'NO' : '✗'),
      humanCount(result.operations),
      utilization === undefined ? '' : humanShare(utilization),
      throughput === undefined ? '' : throughput.toFixed(3),
      nsPerOperation === undefined ? '' : nsPerOperation.toFixed(nsPerOperation < 100 ? 1 : 0),
      performance === undefined ? '' : performance.toFixed(3)
    ]
    if (builtIn !== undefined) row.push(humanShare(builtIn.utilization), builtIn.throughput.toFixed(3))
    else if (compared) row.push('', '')
    table.push(row)
  }
  return `${table.toString()}\nThroughput is a share of the reference allocator's; short traces are only checked.`
}

/** Lines above and below the head and at the end, none between the rows. */
function frame(line: string) {
  const none = { 'top-left': '', 'top-right': '', 'bottom-left': '', 'bottom-right': '', left: '', right: '' }
  const rows = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '', middle: '  ' }
  return { ...none, ...rows, top: line, 'top-mid': line + line, bottom: line, 'bottom-mid': line + line }
}

/**
 * The table of a replay: a line for each trace, and the means over several. Blocks are those at the
 * peak.
 */

import Table from 'cli-table3'
import picocolors from 'picocolors'
import { humanBytes, humanCount, humanShare } from '../sizes.js'
import type { Measurement } from '../trace/measure.js'

export interface TableOptions {
  readonly color?: boolean
  readonly ascii?: boolean
}

/** Narrow enough, in two lines, for a terminal of 80 columns. */
const HEAD = [
  '\ntrace',
  '\noperations',
  'peak\npayload',
  '\nutilization',
  '\nns/op',
  '\nblocks',
  'free\nblocks'
]
const VALID = '\nvalid'

/** The table, without a newline at its end. */
export function replayTable(
  measurements: readonly Measurement[],
  options: TableOptions = {}
): string {
  const { color = false, ascii = false } = options
  const colors = picocolors.createColors(color)
  const verified = measurements.some(measurement => measurement.verified)
  const head = verified ? [...HEAD, VALID] : HEAD
  const table = new Table({
    head: head.map(text => text.split('\n').map(colors.bold).join('\n')),
    colAligns: head.map((_, i) => (i === 0 ? 'left' : i === HEAD.length ? 'center' : 'right')),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    chars: frame(ascii ? '-' : '─')
  })
  for (const measurement of measurements) {
    const { trace, operations, peakPayload, utilization, nsPerOperation, atPeak } = measurement
    const row = [
      trace,
      humanCount(operations),
      humanBytes(peakPayload),
      share(utilization),
      nanoseconds(nsPerOperation),
      humanCount(atPeak.blocks),
      humanCount(atPeak.freeBlocks)
    ]
    if (verified) row.push(measurement.verified ? colors.green(ascii ? 'yes' : '✓') : '')
    table.push(row)
  }
  if (measurements.length > 1) {
    const { utilization, nsPerOperation } = meansOf(measurements)
    const row = ['mean', '', '', share(utilization), nanoseconds(nsPerOperation), '', '']
    if (verified) row.push('')
    table.push(row.map(text => (text === '' ? '' : colors.bold(text))))
  }
  return table.toString()
}

/** The arithmetic means over the traces, without those that have no operations. */
export function meansOf(measurements: readonly Measurement[]): {
  utilization: number
  nsPerOperation: number
} {
  const counted = measurements.filter(measurement => measurement.operations > 0)
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return {
    utilization: mean(counted.map(measurement => measurement.utilization)),
    nsPerOperation: mean(counted.map(measurement => measurement.nsPerOperation))
  }
}

function share(value: number): string {
  return Number.isFinite(value) ? humanShare(value) : '-'
}

function nanoseconds(value: number): string {
  return Number.isFinite(value) ? value.toFixed(1) : '-'
}

/** The lines of a table: above and below the head, and at the end; none between the rows. */
export function frame(line: string) {
  const none = {
    'top-left': '',
    'top-right': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    right: ''
  }
  return {
    ...none,
    top: line,
    'top-mid': line + line,
    bottom: line,
    'bottom-mid': line + line,
    mid: '',
    'left-mid': '',
    'mid-mid': '',
    'right-mid': '',
    middle: '  '
  }
}

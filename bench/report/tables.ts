/** Tables for the terminal. */
import Table from 'cli-table3'
import { type TargetRow, verdict } from '../run/targets.js'
import type { Grid } from './grids.js'

const PLAIN = { head: [], border: [] }

function places(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '-' : value.toFixed(value < 100 ? 3 : 0)
}

/** The rows, each followed by the figures behind it. */
export function targetTable(rows: readonly TargetRow[]): string {
  const head = ['measure', 'at most', 'stretch', 'measured', 'without *', 'net', '']
  const table = new Table({ head, style: PLAIN })
  for (const row of rows) {
    const bound = row.atLeast === true ? `at least ${row.bound}` : String(row.bound)
    const { measure, stretch, measured, withoutPaging, net, detail } = row
    const figures = [measured, withoutPaging, net].map(places)
    table.push([measure, bound, String(stretch), ...figures, verdict(row)])
    if (detail.length > 0) table.push([{ colSpan: head.length, content: detail.join('\n') }])
  }
  const notes =
    'Ratios are made within a round; their median is given. *: recordings for which the C ' +
    'library pays for pages.\n' +
    'net: the floor of each loop, in JavaScript or C++, taken off. At most: of the figure ' +
    'as measured.'
  return `${table.toString()}\n${notes}`
}

export function textTable({ title, head, rows, numbers, note }: Grid): string {
  const colAligns = head.map((_, i): 'left' | 'right' => (i > 0 && i <= numbers ? 'right' : 'left'))
  const table = new Table({ head: [...head], colAligns, style: { ...PLAIN, compact: true } })
  for (const cells of rows) table.push([...cells])
  return `${title}\n${table.toString()}\n${note}\n`
}

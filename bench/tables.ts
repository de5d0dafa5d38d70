/** Tables for the terminal, and the same as Markdown. */
import Table from 'cli-table3'
import type { Grid } from './grids.js'
import { type TargetRow, verdict } from './targets.js'

const PLAIN = { head: [], border: [] }

export function targetGrid(rows: readonly TargetRow[]): Grid {
  return {
    title: 'The numbers to reach',
    head: ['measure', 'at most', 'stretch', 'measured', ''],
    rows: rows.map(one => [
      one.measure,
      one.atLeast ? `at least ${one.bound}` : String(one.bound),
      String(one.stretch),
      one.measured?.toFixed(3) ?? '-',
      verdict(one)
    ]),
    numbers: 3,
    note: 'Each figure is the median of the ratios in the same round.'
  }
}

/** The rows, each followed by the figures behind it. */
export function targetTable(rows: readonly TargetRow[]): string {
  const table = new Table({ head: [...targetGrid(rows).head], style: PLAIN })
  targetGrid(rows).rows.forEach((cells, i) => {
    table.push([...cells])
    const detail = rows[i]?.detail ?? ''
    if (detail !== '') table.push([{ colSpan: cells.length, content: detail.replaceAll(', ', '\n') }])
  })
  return table.toString()
}

export function textTable({ title, head, rows, numbers, note }: Grid): string {
  const colAligns = head.map((_, i): 'left' | 'right' => (i > 0 && i <= numbers ? 'right' : 'left'))
  const table = new Table({ head: [...head], colAligns, style: { ...PLAIN, compact: true } })
  for (const cells of rows) table.push([...cells])
  return `${title}\n${table.toString()}\n${note}\n`
}

export function markdownTable({ title, head, rows, numbers, note }: Grid): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, i) => (i > 0 && i <= numbers ? '---:' : '---'))
  return [`### ${title}`, '', line(head), line(rule), ...rows.map(line), '', note, ''].join('\n')
}

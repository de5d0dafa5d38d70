/** The results for a terminal: a bar for each contender, with one scale for each size. */
import picocolors from 'picocolors'
import { humanBytes } from '../sizes.js'
import { labelOf } from './contenders.js'
import type { Figure } from './race.js'
import { headline, humanTime, inWords, longestBar, NOTE, type Results } from './results.js'

export interface ChartOptions {
  /** Columns of the terminal. */
  readonly width: number
  readonly color?: boolean
  readonly ascii?: boolean
}

/** Eighths of a cell. */
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
const LONGEST_BAR = 40
const SHORTEST_BAR = 8

/** A bar for a share of `cells`. A bar that is too long is cut off, with an arrow at its end. */
function bar(share: number, cells: number, ascii: boolean): string {
  if (share > 1) return (ascii ? '#' : '█').repeat(cells - 1) + (ascii ? '>' : '▶')
  const eighths = Math.max(1, Math.round(share * cells * 8))
  if (ascii) return '#'.repeat(Math.max(1, Math.round(eighths / 8)))
  return '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8]
}

function spreadOf({ spread, samples }: Figure, ascii: boolean): string {
  return samples.length === 0 ? '' : `${ascii ? '+-' : '±'}${Math.round(spread * 100)} %`
}

/** Breaks a text into lines of at most `width` columns. */
function wrapped(text: string, width: number): string {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length < width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.join('\n')
}

/** The chart, without a newline at its end. */
export function chart(
  results: Results,
  { width, color = false, ascii = false }: ChartOptions
): string {
  const colors = picocolors.createColors(color)
  const text = (value: string) => (ascii ? value.replaceAll('µ', 'u').replaceAll('±', '+-') : value)
  const rows = results.sizes.map(({ size, figures }) => ({
    size,
    rows: figures.map(figure => ({
      figure,
      label: labelOf(figure.contender, results),
      cells: [text(humanTime(figure.ns)), spreadOf(figure, ascii)],
      words: inWords(figure)
    }))
  }))
  const all = rows.flatMap(one => one.rows)
  const widest = (of: (row: (typeof all)[number]) => string) =>
    Math.max(0, ...all.map(row => of(row).length))
  const [label, time, spread, words] = [
    widest(row => row.label),
    widest(row => row.cells[0] ?? ''),
    widest(row => row.cells[1] ?? ''),
    widest(row => row.words)
  ]
  const cells = Math.min(
    LONGEST_BAR,
    Math.max(SHORTEST_BAR, width - label - time - spread - words - 9)
  )
  const lines = [colors.bold(headline(results)), `Node ${results.node}, ${results.cpu}`]
  for (const { size, rows: ofSize } of rows) {
    lines.push('', colors.bold(humanBytes(size)))
    const longest = longestBar(ofSize.map(({ figure }) => figure))
    for (const {
      figure,
      label: name,
      cells: [ns = '', around = ''],
      words: said
    } of ofSize) {
      const drawn = Number.isNaN(figure.ns) ? '' : bar(figure.ns / longest, cells, ascii)
      const isOurs = name.startsWith('offheap')
      const padded = drawn.padEnd(cells)
      const shown = isOurs ? colors.green(padded) : colors.dim(padded)
      const figures = `${ns.padStart(time)} ${around.padEnd(spread)}  ${said}`.trimEnd()
      lines.push(`  ${name.padEnd(label)}  ${shown}  ${figures}`)
    }
  }
  return [...lines, '', wrapped(text(NOTE), width)].join('\n')
}

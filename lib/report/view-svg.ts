/**
 * The still picture of `offheap view --svg`: address against time, for a paper or a slide. A short trace gets a rectangle
 * for each block; a long one is drawn on a fine grid whose equal cells are joined, so that the file stays small.
 */

import { describeOperation } from '../trace/trace.js'
import { History } from './history.js'
import { SIZE_CLASSES, SIZE_COLORS, sizeClassName, sizeClassOf } from './size-classes.js'
import { humanBytes, humanCount, humanShare } from './sizes.js'
import type { ViewSource } from './view-data.js'
import { escapeHtml } from './view-page.js'

const WIDTH = 960
const PLOT = { left: 70, right: 16, top: 34, height: 300, bottom: 46 }
const PANEL_HEIGHT = PLOT.top + PLOT.height + PLOT.bottom
const LEGEND_HEIGHT = 30
const PLOT_WIDTH = WIDTH - PLOT.left - PLOT.right
/** More blocks than this are drawn on a grid, of so many cells to a unit of the picture. */
const MOST_RECTANGLES = 4000
const CELLS = 1

/** The picture as an SVG document; several allocators one above the other, on the same scales. */
export function viewSvg({ trace, timelines }: ViewSource): string {
  const histories = timelines.map(timeline => new History(trace, timeline))
  const span = Math.max(1, ...histories.map(history => history.high - history.low))
  const height = histories.length * PANEL_HEIGHT + LEGEND_HEIGHT
  const title = `${trace.name}: address against time`
  const panels = histories.map(
    (history, i) => `<g transform="translate(0 ${i * PANEL_HEIGHT})">\n${drawPanel(history, span)}\n</g>`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escapeHtml(title)}</title>
<style>${style()}</style>
<rect class="page" width="${WIDTH}" height="${height}"/>
${panels.join('\n')}
<g transform="translate(${PLOT.left} ${histories.length * PANEL_HEIGHT})">${legend()}</g>
</svg>
`
}

function drawPanel(history: History, span: number): string {
  const { trace, timeline, curves } = history
  const { length } = trace
  const x = (operations: number) => PLOT.left + (operations / Math.max(1, length)) * PLOT_WIDTH
  const y = (address: number) => PLOT.top + PLOT.height - ((address - history.low) / span) * PLOT.height
  const heading = `${trace.name}, ${timeline.label}: utilization ${humanShare(curves.utilization[length])}`
  const parts = [
    `<text class="heading" x="${PLOT.left}" y="20">${escapeHtml(heading)}</text>`,
    `<rect class="plot" x="${PLOT.left}" y="${PLOT.top}" width="${PLOT_WIDTH}" height="${PLOT.height}"/>`,
    `<path class="free" d="${heapOutline(history, x, y)}"/>`
  ]
  let blocks = 0
  history.forEachBlock(() => {
    blocks++
  })
  parts.push(...(blocks <= MOST_RECTANGLES ? rectangles(history, x, y) : gridRuns(history, span)))
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(history.low + span * part)
    parts.push(`<text class="label right" x="${PLOT.left - 8}" y="${fine(at + 4)}">${humanBytes(span * part)}</text>`)
    const operations = Math.round(length * part)
    const anchor = part === 0 ? '' : part === 1 ? ' right' : ' middle'
    parts.push(
      `<text class="label${anchor}" x="${fine(x(operations))}" y="${PLOT.top + PLOT.height + 16}">${humanCount(operations)}</text>`
    )
  }
  parts.push(
    `<text class="label middle" x="${PLOT.left + PLOT_WIDTH / 2}" y="${PLOT.top + PLOT.height + 33}">operations</text>`
  )
  return parts.join('\n')
}

type Axis = (value: number) => number

/** The heap's end over time, as steps; at most one for each unit across. */
function heapOutline(history: History, x: Axis, y: Axis): string {
  const { heap } = history.curves
  const step = Math.max(1, (heap.length - 1) / PLOT_WIDTH)
  let path = `M${PLOT.left} ${fine(y(history.low))}`
  for (let at = 0; at < heap.length; at += step) {
    const from = Math.floor(at)
    const to = Math.min(heap.length - 1, Math.ceil(at + step) - 1)
    let most = heap[from]
    for (let t = from; t <= to; t++) most = Math.max(most, heap[t])
    path += `L${fine(x(from))} ${fine(y(history.low + most))}H${fine(Math.min(x(at + step), PLOT.left + PLOT_WIDTH))}`
  }
  return `${path}V${fine(y(history.low))}Z`
}

function rectangles(history: History, x: Axis, y: Axis): string[] {
  const found: string[] = []
  const { trace } = history
  history.forEachBlock(block => {
    const left = x(block + 1)
    const right = x(Math.min(history.deaths[block] + 1, trace.length))
    if (right <= left) return
    const top = y(history.end(block))
    const width = fine(right - left)
    const height = fine(y(history.offset(block)) - top)
    const words = `${describeOperation(trace, block)}, at byte ${humanCount(history.timeline.pointers[block])}`
    found.push(
      `<rect class="edged s${sizeClassOf(history.size(block))}" x="${fine(left)}" y="${fine(top)}" width="${width}" height="${height}"><title>${escapeHtml(words)}</title></rect>`
    )
  })
  return found
}

/** Cells of a grid, each the class that covers most of it; runs of equal cells become one rectangle of a path. */
function gridRuns(history: History, span: number): string[] {
  const columns = PLOT_WIDTH * CELLS
  const rows = PLOT.height * CELLS
  const grid = coverGrid(history, span, columns, rows)
  const paths = SIZE_CLASSES.map(() => '')
  for (let row = 0; row < rows; row++) {
    const top = PLOT.top + PLOT.height - (row + 1) / CELLS
    for (let column = 0; column < columns; ) {
      const cell = grid[row * columns + column]
      let end = column + 1
      while (end < columns && grid[row * columns + end] === cell) end++
      if (cell !== 0) {
        const width = (end - column) / CELLS
        paths[cell - 1] += `M${PLOT.left + column / CELLS} ${top}h${width}v${1 / CELLS}h${-width}z`
      }
      column = end
    }
  }
  return paths.map((path, i) => `<path class="s${i}" d="${path}"/>`)
}

/** For each cell, size class + 1 of what covers it in its middle column's moment; 0 when less than half of it is used. */
function coverGrid(history: History, span: number, columns: number, rows: number): Uint8Array {
  const grid = new Uint8Array(columns * rows)
  const moment = history.open()
  const covered = new Float64Array(rows)
  const most = new Float64Array(rows)
  for (let column = 0; column < columns; column++) {
    history.seek(moment, Math.round(((column + 0.5) / columns) * history.trace.length))
    covered.fill(0)
    most.fill(0)
    for (let i = 0; i < moment.count; i++) {
      const block = moment.blocks[i]
      const from = ((history.offset(block) - history.low) / span) * rows
      const to = ((history.end(block) - history.low) / span) * rows
      for (let row = Math.floor(from); row < to && row < rows; row++) {
        const share = Math.min(to, row + 1) - Math.max(from, row)
        covered[row] += share
        if (share <= most[row]) continue
        most[row] = share
        grid[row * columns + column] = sizeClassOf(history.size(block)) + 1
      }
    }
    for (let row = 0; row < rows; row++) if (covered[row] < 0.5) grid[row * columns + column] = 0
  }
  return grid
}

function legend(): string {
  const step = 128
  const item = (name: string, text: string, i: number) =>
    `<rect class="${name}" x="${i * step}" y="2" width="14" height="12"/><text class="label" x="${i * step + 20}" y="12">${escapeHtml(text)}</text>`
  const classes = SIZE_CLASSES.map((_, i) => item(`s${i}`, sizeClassName(i), i))
  return [...classes, item('free', 'free', classes.length)].join('')
}

function style(): string {
  const sizes = (colors: readonly string[]) => colors.map((color, i) => `.s${i}{fill:${color}}`).join('')
  return `text{font:12px system-ui,sans-serif}.heading{font-size:14px;font-weight:600}.right{text-anchor:end}.middle{text-anchor:middle}
.edged{stroke:#fff;stroke-width:.4}.page{fill:#fff}.plot{fill:#f1f4f8}.free{fill:#fde6cf}.heading{fill:#1a2130}.label{fill:#5a6579}${sizes(SIZE_COLORS.light)}
@media(prefers-color-scheme:dark){.edged{stroke:#161d29}.page{fill:#161d29}.plot{fill:#10161f}.free{fill:#41301f}.heading{fill:#e8edf6}.label{fill:#9aa7bb}${sizes(SIZE_COLORS.dark)}}`
}

/** Hundredths are fine enough. */
function fine(value: number): number {
  return Math.round(value * 100) / 100
}

/**
 * The picture of `offheap view --svg`: address against time, for a paper or a slide. A short trace
 * has a rectangle for each block; a long one is drawn on a fine grid with joined cells, to keep the
 * file small.
 */

import { humanBytes, humanCount, humanShare } from '../sizes.js'
import { describeOperation } from '../trace/trace.js'
import { History } from './history.js'
import {
  SIZE_CLASSES,
  SIZE_COLORS,
  SLAB_COLORS,
  type SlabColors,
  sizeClassName,
  sizeClassOf
} from './size-classes.js'
import { slotsOf } from './slab-history.js'
import type { ViewSource } from './view-data.js'
import { escapeHtml } from './view-page.js'

const WIDTH = 960
const PLOT = { left: 70, right: 16, top: 34, height: 300, bottom: 46 }
const PANEL_HEIGHT = PLOT.top + PLOT.height + PLOT.bottom
/** The legend: rows of columns; a long text takes several columns. */
const LEGEND = { row: 21, margin: 9, column: 124, columns: 7 }
const PLOT_WIDTH = WIDTH - PLOT.left - PLOT.right
/**
 * More blocks than this are drawn on a grid; and the number of its cells for a unit of the picture.
 */
const MOST_RECTANGLES = 4000
const CELLS = 1

/** Returns an SVG document, with several allocators one above the other, on the same scales. */
export function viewSvg({ trace, timelines }: ViewSource): string {
  const histories = timelines.map(timeline => new History(trace, timeline))
  const span = Math.max(1, ...histories.map(history => history.high - history.low))
  const slabs = histories.some(history => history.slabs.all.length > 0)
  const legend = drawLegend(histories, slabs)
  const height = histories.length * PANEL_HEIGHT + legend.height
  const title = `${trace.name}: address against time`
  const panels = histories.map(
    (history, i) =>
      `<g transform="translate(0 ${i * PANEL_HEIGHT})">\n${drawPanel(history, span)}\n</g>`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}"
 width="${WIDTH}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escapeHtml(title)}</title>
<style>${style(slabs)}</style>
${slabs ? `${PATTERNS}\n` : ''}<rect class="page" width="${WIDTH}" height="${height}"/>
${panels.join('\n')}
<g transform="translate(${PLOT.left} ${histories.length * PANEL_HEIGHT})">${legend.svg}</g>
</svg>
`
}

function drawPanel(history: History, span: number): string {
  const { trace, timeline, curves } = history
  const { length } = trace
  const x = (operations: number) => PLOT.left + (operations / Math.max(1, length)) * PLOT_WIDTH
  const y = (address: number) =>
    PLOT.top + PLOT.height - ((address - history.low) / span) * PLOT.height
  const heading =
    `${trace.name}, ${timeline.label}: utilization ` + `${humanShare(curves.utilization[length])}`
  const parts = [
    `<text class="heading" x="${PLOT.left}" y="20">${escapeHtml(heading)}</text>`,
    `<rect class="plot" x="${PLOT.left}" y="${PLOT.top}" width="${PLOT_WIDTH}" ` +
      `height="${PLOT.height}"/>`,
    `<path class="${history.showsFree ? 'free' : 'between'}" d="${heapOutline(history, x, y)}"/>`
  ]
  let blocks = 0
  history.forEachBlock(() => {
    blocks++
  })
  parts.push(...(blocks <= MOST_RECTANGLES ? rectangles(history, x, y) : gridRuns(history, span)))
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(history.low + span * part)
    parts.push(
      `<text class="label right" x="${PLOT.left - 8}" ` +
        `y="${fine(at + 4)}">${humanBytes(span * part)}</text>`
    )
    const operations = Math.round(length * part)
    const anchor = part === 0 ? '' : part === 1 ? ' right' : ' middle'
    parts.push(
      `<text class="label${anchor}" x="${fine(x(operations))}" ` +
        `y="${PLOT.top + PLOT.height + 16}">${humanCount(operations)}</text>`
    )
  }
  parts.push(
    `<text class="label middle" x="${PLOT.left + PLOT_WIDTH / 2}" ` +
      `y="${PLOT.top + PLOT.height + 33}">operations</text>`
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
    path +=
      `L${fine(x(from))} ` +
      `${fine(y(history.low + most))}H${fine(Math.min(x(at + step), PLOT.left + PLOT_WIDTH))}`
  }
  return `${path}V${fine(y(history.low))}Z`
}

function rectangles(history: History, x: Axis, y: Axis): string[] {
  const found: string[] = []
  const { trace } = history
  for (const granule of history.slabs.all) {
    const { offset, size, slot, from, to } = granule
    const left = fine(x(from))
    const width = fine(x(Math.min(to, trace.length)) - left)
    if (width <= 0) continue
    const top = y(offset + size)
    const words =
      slot > 0
        ? `slab of ${slotsOf(granule)} slots of ${slot} bytes`
        : `room for a slab, ${size} bytes`
    found.push(
      `<rect class="edged ${slot > 0 ? 'slot-free' : 'granule'}" x="${left}" ` +
        `y="${fine(top)}" width="${width}" ` +
        `height="${fine(y(offset) - top)}"><title>${words}, at byte ` +
        `${humanCount(offset)}</title></rect>`
    )
  }
  history.forEachBlock(block => {
    const left = x(block + 1)
    const right = x(Math.min(history.deaths[block] + 1, trace.length))
    if (right <= left) return
    const top = y(history.end(block))
    const width = fine(right - left)
    const height = fine(y(history.offset(block)) - top)
    const words =
      `${describeOperation(trace, block)}, at byte ` +
      `${humanCount(history.timeline.pointers[block])}`
    found.push(
      `<rect class="edged ${kindOf(history, block)}" x="${fine(left)}" y="${fine(top)}" ` +
        `width="${width}" height="${height}"><title>${escapeHtml(words)}</title></rect>`
    )
  })
  return found
}

/**
 * The cells of a grid, each of the class that covers most of it; equal neighbours become one
 * rectangle.
 */
function gridRuns(history: History, span: number): string[] {
  const columns = PLOT_WIDTH * CELLS
  const rows = PLOT.height * CELLS
  const grid = coverGrid(history, span, columns, rows)
  const paths = KINDS.map(() => '')
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
  return paths.flatMap((path, i) =>
    path === '' && i >= SIZE_CLASSES.length ? [] : `<path class="${KINDS[i]}" d="${path}"/>`
  )
}

/**
 * The CSS classes of what is drawn: blocks of each size class, used slots, free slots, room for
 * slabs.
 */
const KINDS: readonly string[] = [
  ...SIZE_CLASSES.map((_, i) => `s${i}`),
  'slot',
  'slot-free',
  'granule'
]

function kindOf(history: History, block: number): string {
  return history.isSlot(block) ? 'slot' : `s${sizeClassOf(history.size(block))}`
}

/**
 * The kind of each cell (its index in KINDS, plus 1), at the moment of the middle of its column: a
 * used block or slot if these cover half of it, otherwise an unused part of a chunk, otherwise 0.
 */
function coverGrid(history: History, span: number, columns: number, rows: number): Uint8Array {
  const grid = new Uint8Array(columns * rows)
  const moment = history.open()
  const used = new Column(rows)
  const chunks = new Column(rows)
  const toRow = (address: number) => ((address - history.low) / span) * rows
  for (let column = 0; column < columns; column++) {
    history.seek(moment, Math.round(((column + 0.5) / columns) * history.trace.length))
    used.clear()
    for (let i = 0; i < moment.count; i++) {
      const block = moment.blocks[i]
      used.cover(
        toRow(history.offset(block)),
        toRow(history.end(block)),
        KINDS.indexOf(kindOf(history, block)) + 1
      )
    }
    chunks.clear()
    for (const { offset, size, slot } of history.slabs.at(moment.operations)) {
      chunks.cover(
        toRow(offset),
        toRow(offset + size),
        KINDS.indexOf(slot > 0 ? 'slot-free' : 'granule') + 1
      )
    }
    for (let row = 0; row < rows; row++)
      grid[row * columns + column] = used.kindAt(row) || chunks.kindAt(row)
  }
  return grid
}

/** How much of each row is covered, and by what kind most. */
class Column {
  readonly #covered: Float64Array
  readonly #most: Float64Array
  readonly #kinds: Uint8Array

  constructor(rows: number) {
    this.#covered = new Float64Array(rows)
    this.#most = new Float64Array(rows)
    this.#kinds = new Uint8Array(rows)
  }

  clear(): void {
    this.#covered.fill(0)
    this.#most.fill(0)
  }

  /** Covers the rows between two positions. */
  cover(from: number, to: number, kind: number): void {
    for (let row = Math.floor(from); row < to && row < this.#kinds.length; row++) {
      const share = Math.min(to, row + 1) - Math.max(from, row)
      this.#covered[row] += share
      if (share <= this.#most[row]) continue
      this.#most[row] = share
      this.#kinds[row] = kind
    }
  }

  /** The kind that covers most of a row; 0 if less than half of it is covered. */
  kindAt(row: number): number {
    return this.#covered[row] < 0.5 ? 0 : this.#kinds[row]
  }
}

/** A legend with every colour of the pictures, and its height. */
function drawLegend(
  histories: readonly History[],
  slabs: boolean
): { readonly svg: string; readonly height: number } {
  const items = SIZE_CLASSES.map((_, i) => [`s${i}`, sizeClassName(i)])
  if (histories.some(({ showsFree }) => showsFree)) items.push(['free', 'free'])
  if (histories.some(({ showsFree }) => !showsFree))
    items.push(['between', 'no payload: headers, footers, padding or free'])
  if (slabs)
    items.push(['slot', 'used slots'], ['slot-free', 'free slots'], ['granule', 'room for slabs'])
  items.push(['plot', 'outside the heap'])
  let row = 0
  let column = 0
  let svg = ''
  for (const [name, text] of items) {
    const columns = Math.ceil((30 + text.length * 6) / LEGEND.column)
    if (column + columns > LEGEND.columns) {
      row++
      column = 0
    }
    const x = column * LEGEND.column
    const y = row * LEGEND.row
    svg +=
      `<rect class="${name} swatch" x="${x}" y="${y + 2}" width="14" height="12"/>` +
      `<text class="label" x="${x + 20}" y="${y + 12}">${escapeHtml(text)}</text>`
    column += columns
  }
  return { svg, height: LEGEND.margin + LEGEND.row * (row + 1) }
}

/** Hatching, so that free slots and room for slabs differ from free blocks even without colour. */
const PATTERNS = `<defs>
<pattern id="slot-free" width="4" height="4" patternUnits="userSpaceOnUse"
 patternTransform="rotate(45)"><rect class="slot-base" width="4" height="4"/>
<rect class="slot-line" width="1" height="4"/></pattern>
<pattern id="granule" width="4" height="4" patternUnits="userSpaceOnUse">
<rect class="granule-base" width="4" height="4"/>
<rect class="granule-line" width="4" height="1"/></pattern>
</defs>`

function style(slabs: boolean): string {
  const sizes = (colors: readonly string[]) =>
    colors.map((color, i) => `.s${i}{fill:${color}}`).join('')
  const ofSlabs = ({ slot, slotFree, slotLines, granule, granuleLines }: SlabColors) =>
    `.slot{fill:${slot}}.slot-base{fill:${slotFree}}.slot-line{fill:${slotLines}}` +
    `.granule-base{fill:${granule}}.granule-line{fill:${granuleLines}}`
  const light = sizes(SIZE_COLORS.light) + (slabs ? ofSlabs(SLAB_COLORS.light) : '')
  const dark = sizes(SIZE_COLORS.dark) + (slabs ? ofSlabs(SLAB_COLORS.dark) : '')
  return `text{font:12px system-ui,sans-serif}.heading{font-size:14px;font-weight:600}
.right{text-anchor:end}.middle{text-anchor:middle}
.edged{stroke:#fff;stroke-width:.4}.page{fill:#fff}.plot{fill:#f1f4f8}.free{fill:#fde6cf}
.between{fill:#e3e1d8}.swatch{stroke:#5a6579;stroke-width:.4}
.heading{fill:#1a2130}.label{fill:#5a6579}${light}
${slabs ? '.slot-free{fill:url(#slot-free)}.granule{fill:url(#granule)}\n' : ''}\
@media(prefers-color-scheme:dark){.edged{stroke:#161d29}.page{fill:#161d29}.plot{fill:#10161f}
.free{fill:#41301f}.between{fill:#34332c}.heading{fill:#e8edf6}.label{fill:#9aa7bb}${dark}}`
}

/** Rounds to hundredths. */
function fine(value: number): number {
  return Math.round(value * 100) / 100
}

/**
 * A heap as text: a strip of cells in address order, cut into rows, each cell telling by glyph (and by colour, where there is
 * any) how much of its bytes is in used blocks. The wilderness, often most of the region, is one labelled row
 * behind the blocks, so that the blocks get all the resolution.
 */

import picocolors from 'picocolors'
import { humanBytes } from './sizes.js'

/** What a picture needs of a heap; `Heap` is one. */
export interface PictureSource {
  /** In bytes: the whole heap, the offset at which its wilderness begins, and the length of the wilderness. */
  stats(): { readonly size: number; readonly top: number; readonly wilderness: number }
  /** Every block in address order: where its header is, how many bytes it has with it, whether it is used. */
  blocks(): Iterable<{ readonly offset: number; readonly size: number; readonly used: boolean }>
}

export interface PictureOptions {
  /** Columns of the terminal, 40 or more; default 80. */
  readonly width?: number
  /** At most so many rows of cells; default 8. */
  readonly rows?: number
  /** Colours too; default false. */
  readonly color?: boolean
  /** ASCII only, for terminals without block characters; default false. */
  readonly ascii?: boolean
  /** A last line that explains the glyphs; default true. */
  readonly legend?: boolean
}

interface Glyphs {
  /** From all free to all used. */
  readonly shades: readonly [string, string, string, string, string]
  readonly wilderness: string
  readonly wall: string
}

const UNICODE: Glyphs = { shades: ['·', '░', '▒', '▓', '█'], wilderness: '╌', wall: '│' }
const ASCII: Glyphs = { shades: ['.', '-', '+', '%', '#'], wilderness: '~', wall: '|' }

/** The smallest cell, in bytes: the smallest block. */
const SMALLEST_CELL = 16
const WALL_WIDTH = 2

type Colors = ReturnType<typeof picocolors.createColors>

/** The picture, without a newline at its end. */
export function heapPicture(heap: PictureSource, options: PictureOptions = {}): string {
  const { width = 80, rows = 8, color = false, ascii = false, legend = true } = options
  const glyphs = ascii ? ASCII : UNICODE
  const colors = picocolors.createColors(color)
  const { size, top, wilderness } = heap.stats()
  const gutter = gutterWidth(size)
  const columns = Math.max(8, width - gutter - WALL_WIDTH - 1)
  const strip = measureStrip(heap, top, columns * rows)
  const lines: string[] = []
  for (let cell = 0; cell < strip.shares.length; cell += columns) {
    const row = strip.shares.subarray(cell, cell + columns)
    lines.push(
      `${label(strip.start + cell * strip.cellBytes, gutter, colors)} ${glyphs.wall}${paint(row, glyphs, colors)}`
    )
  }
  if (wilderness > 0) {
    const text = ` wilderness, ${humanBytes(wilderness)}`
    const dashes = glyphs.wilderness.repeat(Math.max(1, Math.min(8, columns - text.length)))
    lines.push(`${label(top, gutter, colors)} ${glyphs.wall}${colors.dim(dashes + text)}`)
  }
  if (legend) lines.push(`${' '.repeat(gutter + WALL_WIDTH)}${legendOf(strip.cellBytes, glyphs, colors)}`)
  return lines.join('\n')
}

/** What the glyphs mean, without the size of a cell: for several pictures under one legend. */
export function pictureLegend(options: PictureOptions = {}): string {
  const { color = false, ascii = false } = options
  return legendOf(0, ascii ? ASCII : UNICODE, picocolors.createColors(color))
}

interface Strip {
  /** Byte offset of the first block. */
  readonly start: number
  readonly cellBytes: number
  /** For each cell, which part of its bytes is in used blocks, 0 … 1. */
  readonly shares: Float64Array
}

function measureStrip(heap: PictureSource, top: number, cells: number): Strip {
  let start = -1
  let cellBytes = SMALLEST_CELL
  let used = new Float64Array(0)
  for (const block of heap.blocks()) {
    if (start === -1) {
      start = block.offset
      cellBytes = Math.max(SMALLEST_CELL, Math.ceil((top - start) / cells / 8) * 8)
      used = new Float64Array(Math.ceil((top - start) / cellBytes))
    }
    if (block.used) cover(used, block.offset - start, block.size, cellBytes)
  }
  // The last cell may reach beyond the last block.
  const last = used.length - 1
  for (let cell = 0; cell <= last; cell++) {
    const bytes = cell < last ? cellBytes : top - start - last * cellBytes
    used[cell] = used[cell] / bytes
  }
  return { start, cellBytes, shares: used }
}

/** Adds the block's bytes to the cells that it lies in. */
function cover(used: Float64Array, offset: number, size: number, cellBytes: number): void {
  const end = offset + size
  let at = offset
  while (at < end) {
    const cell = Math.floor(at / cellBytes)
    const until = Math.min(end, (cell + 1) * cellBytes)
    used[cell] = used[cell] + until - at
    at = until
  }
}

/** 0 only for all free, 4 only for all used: the smallest hole shows. */
function shadeOf(share: number): 0 | 1 | 2 | 3 | 4 {
  if (share <= 0) return 0
  if (share >= 1) return 4
  return share < 1 / 3 ? 1 : share < 2 / 3 ? 2 : 3
}

function paint(shares: Float64Array, glyphs: Glyphs, colors: Colors): string {
  let text = ''
  let run = ''
  let runShade: 0 | 1 | 2 | 3 | 4 = 0
  for (const share of shares) {
    const shade = shadeOf(share)
    if (run !== '' && shade !== runShade) {
      text += colored(run, runShade, colors)
      run = ''
    }
    runShade = shade
    run += glyphs.shades[shade]
  }
  return text + (run === '' ? '' : colored(run, runShade, colors))
}

function colored(text: string, shade: 0 | 1 | 2 | 3 | 4, colors: Colors): string {
  if (shade === 4) return colors.cyan(text)
  if (shade === 0) return colors.red(text)
  return colors.yellow(text)
}

function legendOf(cellBytes: number, glyphs: Glyphs, colors: Colors): string {
  const [free, low, middle, high, used] = glyphs.shades
  const parts = [
    `${colors.cyan(used)} used`,
    `${colors.yellow(`${high}${middle}${low}`)} partly`,
    `${colors.red(free)} free`,
    `${colors.dim(glyphs.wilderness)} wilderness`
  ]
  if (cellBytes > 0) parts.push(`cell = ${humanBytes(cellBytes)}`)
  return parts.join('  ')
}

function gutterWidth(size: number): number {
  return Math.max(8, humanBytes(size).length)
}

function label(offset: number, width: number, colors: Colors): string {
  return colors.dim(humanBytes(offset).padStart(width))
}

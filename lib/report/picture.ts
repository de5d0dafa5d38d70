/**
 * A heap as text: cells in address order, in rows. The glyph and the colour of a cell show how much
 * of it is used. Slabs have glyphs of their own, made of dots. The wilderness, often most of the
 * region, is one labelled row after the blocks, so that the blocks get all the resolution.
 */

import picocolors from 'picocolors'
import { humanBytes } from '../sizes.js'

/** A heap to draw, such as a `Heap`. */
export interface PictureSource {
  /**
   * In bytes: the whole heap, the offset at which its wilderness begins, and the length of the
   * wilderness.
   */
  stats(): { readonly size: number; readonly top: number; readonly wilderness: number }
  /**
   * Every block in address order; for a chunk of slabs, its slots and the granules that are not
   * slabs.
   */
  blocks(): Iterable<PictureBlock>
}

export interface PictureBlock {
  /** Where the block begins, with its header, and its bytes. */
  readonly offset: number
  readonly size: number
  readonly used: boolean
  /**
   * For a slot, the slot size of its slab; 0 for a granule that is not a slab; undefined for other
   * blocks.
   */
  readonly slab?: number
}

export interface PictureOptions {
  /** The columns of the terminal, at least 40. Default: 80. */
  readonly width?: number
  /** The most rows of cells. Default: 8. */
  readonly rows?: number
  /** Whether to use colours. Default: false. */
  readonly color?: boolean
  /** Whether to use ASCII only, for terminals without block characters. Default: false. */
  readonly ascii?: boolean
  /** Whether to explain the glyphs at the end. Default: true. */
  readonly legend?: boolean
}

/** Five glyphs, from all free to all used. */
type Shades = readonly [string, string, string, string, string]

interface Glyphs {
  readonly blocks: Shades
  readonly slots: Shades
  /** Granules of a chunk that are not slabs. */
  readonly granule: string
  readonly wilderness: string
  readonly wall: string
}

const UNICODE: Glyphs = {
  blocks: ['·', '░', '▒', '▓', '█'],
  slots: ['⣀', '⣄', '⣤', '⣶', '⣿'],
  granule: '□',
  wilderness: '╌',
  wall: '│'
}
const ASCII: Glyphs = {
  blocks: ['.', '-', '+', '%', '#'],
  slots: [',', ':', 'o', 'O', '@'],
  granule: '_',
  wilderness: '~',
  wall: '|'
}

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
  for (let cell = 0; cell < strip.cells; cell += columns) {
    const address = label(strip.start + cell * strip.cellBytes, gutter, colors)
    lines.push(`${address} ${glyphs.wall}${paint(strip, cell, columns, glyphs, colors)}`)
  }
  if (wilderness > 0) {
    const text = ` wilderness, ${humanBytes(wilderness)}`
    const dashes = glyphs.wilderness.repeat(Math.max(1, Math.min(8, columns - text.length)))
    lines.push(`${label(top, gutter, colors)} ${glyphs.wall}${colors.dim(dashes + text)}`)
  }
  if (legend) {
    const indent = ' '.repeat(gutter + WALL_WIDTH)
    for (const line of legendOf(strip.cellBytes, strip.hasSlabs, glyphs, colors))
      lines.push(indent + line)
  }
  return lines.join('\n')
}

/** The legend for several pictures: what the glyphs mean, without the size of a cell. */
export function pictureLegend(options: PictureOptions & { readonly slabs?: boolean } = {}): string {
  const { color = false, ascii = false, slabs = false } = options
  return legendOf(0, slabs, ascii ? ASCII : UNICODE, picocolors.createColors(color)).join('\n')
}

/** Are there slabs in the heap? */
export function hasSlabs(heap: PictureSource): boolean {
  for (const { slab } of heap.blocks()) if (slab !== undefined) return true
  return false
}

/** The heap in cells, and the bytes of each kind in each cell. */
interface Strip {
  /** Byte offset of the first block. */
  readonly start: number
  readonly cellBytes: number
  readonly cells: number
  readonly hasSlabs: boolean
  /**
   * Of used blocks and slots, and of free ones. Headers of chunks and the rests of slabs are
   * neither.
   */
  readonly used: Float64Array
  readonly free: Float64Array
  /** Of slots, used or free, and of granules that are not slabs. */
  readonly slots: Float64Array
  readonly granules: Float64Array
}

function measureStrip(heap: PictureSource, top: number, most: number): Strip {
  const blocks = [...heap.blocks()]
  const start = blocks[0]?.offset ?? top
  const cellBytes = Math.max(SMALLEST_CELL, Math.ceil((top - start) / most / 8) * 8)
  const cells = Math.ceil((top - start) / cellBytes)
  const [used, free, slots, granules] = Array.from({ length: 4 }, () => new Float64Array(cells))
  let hasSlabs = false
  for (const { offset, size, used: isUsed, slab } of blocks) {
    cover(isUsed ? used : free, offset - start, size, cellBytes)
    if (slab === undefined) continue
    hasSlabs = true
    cover(slab > 0 ? slots : granules, offset - start, size, cellBytes)
  }
  return { start, cellBytes, cells, hasSlabs, used, free, slots, granules }
}

/** Adds a block's bytes to the cells that it overlaps. */
function cover(bytes: Float64Array, offset: number, size: number, cellBytes: number): void {
  const end = offset + size
  let at = offset
  while (at < end) {
    const cell = Math.floor(at / cellBytes)
    const until = Math.min(end, (cell + 1) * cellBytes)
    bytes[cell] = bytes[cell] + until - at
    at = until
  }
}

type Shade = 0 | 1 | 2 | 3 | 4

/** 0 only if all is free, 4 only if all is used, so that the smallest hole shows. */
function shadeOf(share: number): Shade {
  if (share <= 0) return 0
  if (share >= 1) return 4
  return share < 1 / 3 ? 1 : share < 2 / 3 ? 2 : 3
}

/** A row of cells. A run of equal cells gets one colour code. */
function paint(
  strip: Strip,
  from: number,
  columns: number,
  glyphs: Glyphs,
  colors: Colors
): string {
  let text = ''
  let run = ''
  let runPaint: Paint = identity
  for (let cell = from; cell < Math.min(strip.cells, from + columns); cell++) {
    const [glyph, paintOf] = look(strip, cell, glyphs, colors)
    if (paintOf !== runPaint) {
      text += runPaint(run)
      run = ''
    }
    runPaint = paintOf
    run += glyph
  }
  return text + runPaint(run)
}

type Paint = (text: string) => string

const identity: Paint = text => text

/** The glyph and the colour of a cell. */
function look(
  { used, free, slots, granules }: Strip,
  cell: number,
  glyphs: Glyphs,
  colors: Colors
): [string, Paint] {
  const bytes = used[cell] + free[cell]
  // Only a chunk's header, or the rest of a slab.
  if (bytes === 0) return [' ', identity]
  if (granules[cell] === bytes) return [glyphs.granule, colors.red]
  const inSlabs = slots[cell] + granules[cell] > bytes / 2
  const shade = shadeOf(used[cell] / bytes)
  const glyph = (inSlabs ? glyphs.slots : glyphs.blocks)[shade]
  if (shade === 0) return [glyph, colors.red]
  if (shade < 4) return [glyph, colors.yellow]
  return [glyph, inSlabs ? colors.green : colors.cyan]
}

function legendOf(cellBytes: number, slabs: boolean, glyphs: Glyphs, colors: Colors): string[] {
  const shades = ([free, low, middle, high, used]: Shades, paintUsed: Paint) => [
    `${paintUsed(used)} used`,
    `${colors.yellow(`${high}${middle}${low}`)} partly`,
    `${colors.red(free)} free`
  ]
  const parts = [
    ...shades(glyphs.blocks, colors.cyan),
    `${colors.dim(glyphs.wilderness)} wilderness`
  ]
  if (cellBytes > 0) parts.push(`cell = ${humanBytes(cellBytes)}`)
  if (!slabs) return [parts.join('  ')]
  const slots = [
    ...shades(glyphs.slots, colors.green),
    `${colors.red(glyphs.granule)} room for a slab`
  ]
  return [`blocks: ${parts.join('  ')}`, `slots:  ${slots.join('  ')}`]
}

function gutterWidth(size: number): number {
  return Math.max(8, humanBytes(size).length)
}

function label(offset: number, width: number, colors: Colors): string {
  return colors.dim(humanBytes(offset).padStart(width))
}

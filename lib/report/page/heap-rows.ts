/**
 * A window of the heap at the current moment, in rows of bytes: headers, payloads, slack, slabs,
 * free blocks and the arrows of the free list.
 */

import { sizeClassOf } from '../size-classes.js'
import { CHUNK_HEADER_BYTES, type Granule, slotsOf } from '../slab-history.js'
import { Stage } from './elements.js'
import { drawArrow, type Point } from './list-arrows.js'
import { granulePattern, slotPattern } from './slab-patterns.js'
import { SMALL_FONT } from './theme.js'
import { betweenBlocks, MARGIN, type Subject, type Target, type View } from './view.js'

/** The part of the heap that the rows show. */
export interface HeapWindow {
  readonly start: number
  readonly bytes: number
}

export const ROWS = 8
const ROW_HEIGHT = 24
/** The distance of rows, with room for arrows. */
const ROW_PITCH = 44
const TOP = 20
/** The distance from the middle of a row to that of the text below it. */
const BELOW = 23
/** The margin of a block's text in pixels. */
const PADDING = 6

/** The part of a range of bytes in one row. */
interface Piece {
  readonly x: number
  readonly y: number
  readonly width: number
  /** Whether the range begins and ends in this piece. */
  readonly first: boolean
  readonly last: boolean
}

export class HeapRows {
  readonly stage: Stage
  readonly #subject: Subject
  window: HeapWindow

  constructor(canvas: HTMLCanvasElement, subject: Subject, window: HeapWindow) {
    this.stage = new Stage(canvas)
    this.#subject = subject
    this.window = window
  }

  get #bytesPerRow(): number {
    return this.window.bytes / ROWS
  }

  get #across(): number {
    return this.stage.width - MARGIN.left - MARGIN.right
  }

  /** The address under a point of the canvas; undefined between rows. */
  addressAt(x: number, y: number): number | undefined {
    const row = Math.floor((y - TOP) / ROW_PITCH)
    const inRow = (y - TOP) % ROW_PITCH
    if (
      row < 0 ||
      row >= ROWS ||
      inRow > ROW_HEIGHT ||
      x < MARGIN.left ||
      x >= MARGIN.left + this.#across
    ) {
      return undefined
    }
    const column = Math.floor(((x - MARGIN.left) / this.#across) * this.#bytesPerRow)
    return this.window.start + row * this.#bytesPerRow + column
  }

  /** Moves the window, if necessary, so that it contains `address`. */
  reveal(address: number): void {
    const { start, bytes } = this.window
    if (address >= start && address < start + bytes) return
    this.move(address - bytes / 2)
  }

  /**
   * Moves the beginning of the window to the row of `address`, within the largest extent of the
   * heap.
   */
  move(address: number): void {
    const { history } = this.#subject
    const row = this.#bytesPerRow
    const highest = Math.max(history.low, history.high - this.window.bytes + row)
    const wanted = Math.min(highest, Math.max(history.low, address))
    this.window = { ...this.window, start: Math.floor(wanted / row) * row }
  }

  /** Changes the size of the window to `bytes`, a power of two, and keeps its middle. */
  resize(bytes: number): void {
    const { start, bytes: before } = this.window
    this.window = { start, bytes }
    this.move(start + (before - bytes) / 2)
  }

  draw(view: View): void {
    const { stage } = this
    stage.fit()
    const context = stage.clear()
    const { theme } = view
    const { history, now } = this.#subject
    const { start, bytes } = this.window
    const heapEnd = history.low + history.curves.heap[now.operations]
    this.#drawAddresses(context, view)
    for (const piece of this.#pieces(start, bytes)) this.#fill(context, piece, theme.plot)
    const from = Math.max(start, history.low)
    for (const piece of this.#pieces(from, Math.min(heapEnd, start + bytes) - from))
      this.#fill(context, piece, betweenBlocks(history, theme))
    context.font = SMALL_FONT
    context.textBaseline = 'middle'
    context.textAlign = 'center'
    this.#drawSlabs(context, view)
    for (let i = Math.max(0, now.find(start)); i < now.count; i++) {
      const block = now.blocks[i]
      if (history.offset(block) >= start + bytes) break
      this.#drawUsed(context, view, block)
    }
    this.#drawFreeList(context, view)
    this.#drawTarget(context, view)
  }

  #drawAddresses(context: CanvasRenderingContext2D, { theme }: View): void {
    context.font = SMALL_FONT
    context.textAlign = 'right'
    context.textBaseline = 'middle'
    context.fillStyle = theme.muted
    for (let row = 0; row < ROWS; row++) {
      const address = this.window.start + row * this.#bytesPerRow
      context.fillText(
        address.toLocaleString('en-US'),
        MARGIN.left - 8,
        TOP + row * ROW_PITCH + ROW_HEIGHT / 2
      )
    }
  }

  #drawUsed(context: CanvasRenderingContext2D, view: View, block: number): void {
    const { theme } = view
    const { history } = this.#subject
    const { pointers } = history.timeline
    const isSlot = history.isSlot(block)
    const index = sizeClassOf(history.size(block))
    const payload = history.payload(block)
    const offset = history.offset(block)
    for (const piece of this.#pieces(offset, history.size(block))) {
      this.#fill(context, piece, isSlot ? theme.slot : theme.sizes[index], true)
    }
    const slack = pointers[block] + payload
    for (const piece of this.#pieces(slack, history.end(block) - slack))
      this.#fill(context, piece, theme.slack, true)
    for (const piece of this.#pieces(offset, history.header(block)))
      this.#fill(context, piece, theme.header)
    const footer = history.footer(block)
    for (const piece of this.#pieces(history.end(block) - footer, footer))
      this.#fill(context, piece, theme.header)
    context.fillStyle = isSlot ? theme.slotInk : theme.sizeInks[index]
    this.#write(context, pointers[block], payload, `${payload}`)
  }

  /** Draws chunks of slabs, except for used slots. */
  #drawSlabs(context: CanvasRenderingContext2D, view: View): void {
    const { history, now } = this.#subject
    for (const granule of history.slabs.at(now.operations)) {
      const { offset, size, first } = granule
      if (!this.#shows(offset - CHUNK_HEADER_BYTES, size + CHUNK_HEADER_BYTES)) continue
      if (first) {
        for (const piece of this.#pieces(offset - CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES)) {
          this.#fill(context, piece, view.theme.header)
        }
      }
      if (granule.slot > 0) this.#drawSlab(context, view, granule)
      else this.#drawGranule(context, view, granule)
    }
  }

  #drawGranule(
    context: CanvasRenderingContext2D,
    { theme }: View,
    { offset, size }: Granule
  ): void {
    for (const piece of this.#pieces(offset, size)) {
      this.#fill(context, piece, granulePattern(theme), true)
      this.#underline(context, piece, theme.granuleLines)
    }
    context.fillStyle = theme.muted
    this.#write(context, offset, size, 'room for a slab', BELOW)
  }

  /** Draws a slab's free slots, the rest of the slab, and a line below with text. */
  #drawSlab(context: CanvasRenderingContext2D, { theme }: View, slab: Granule): void {
    const { now, history } = this.#subject
    const { offset, size, slot } = slab
    const slots = slotsOf(slab)
    const used = new Set<number>()
    for (
      let i = now.find(offset - 1) + 1;
      i < now.count && history.offset(now.blocks[i]) < offset + size;
      i++
    ) {
      used.add(history.offset(now.blocks[i]))
    }
    for (let at = offset; at < offset + slots * slot; at += slot) {
      if (used.has(at)) continue
      for (const piece of this.#pieces(at, slot)) {
        this.#fill(context, piece, slotPattern(theme), true)
        if (piece.width > 5) this.#edge(context, piece, theme.slotLines)
      }
    }
    const end = offset + slots * slot
    for (const piece of this.#pieces(end, offset + size - end))
      this.#fill(context, piece, theme.slack, true)
    for (const piece of this.#pieces(offset, size)) this.#underline(context, piece, theme.slot)
    context.fillStyle = theme.muted
    const filled = `${used.size} of ${slots}`
    const isWritten = this.#write(
      context,
      offset,
      size,
      `slots of ${slot} B, ${filled} used`,
      BELOW
    )
    if (!isWritten) this.#write(context, offset, size, filled, BELOW)
  }

  #drawFreeList(context: CanvasRenderingContext2D, view: View): void {
    const { theme } = view
    const { freeOffsets, freeSizes } = this.#subject.now
    const { headerBytes, footerBytes } = this.#subject.history.timeline
    for (const [place, offset] of freeOffsets.entries()) {
      if (!this.#shows(offset, freeSizes[place])) continue
      for (const piece of this.#pieces(offset, freeSizes[place]))
        this.#edge(context, piece, theme.freeEdge)
      for (const piece of this.#pieces(offset, headerBytes))
        this.#fill(context, piece, theme.freeEdge)
      for (const piece of this.#pieces(offset + freeSizes[place] - footerBytes, footerBytes))
        this.#fill(context, piece, theme.freeEdge)
      context.fillStyle = theme.ink
      this.#write(context, offset + headerBytes, freeSizes[place] - headerBytes, `#${place + 1}`)
    }
    context.strokeStyle = theme.freeEdge
    context.fillStyle = theme.freeEdge
    context.lineWidth = 1.25
    for (let place = 0; place + 1 < freeOffsets.length; place++) {
      const from = freeOffsets[place]
      const to = freeOffsets[place + 1]
      if (!this.#shows(from, freeSizes[place]) && !this.#shows(to, freeSizes[place + 1])) continue
      // An arrow begins at the word that refers to the next free block, after the header.
      drawArrow(context, this.#point(from + headerBytes + 2), this.#point(to), this.stage.height)
    }
  }

  #drawTarget(context: CanvasRenderingContext2D, view: View): void {
    const { target } = this.#subject
    if (target === undefined || !this.#isHere(target)) return
    const { offset, size } = this.#subject.extent(target)
    for (const { x, y, width } of this.#pieces(offset, size)) {
      context.strokeStyle = view.theme.ink
      context.lineWidth = 2
      context.strokeRect(x - 1, y - 1, width + 2, ROW_HEIGHT + 2)
    }
  }

  /** Is the target in the heap at this moment? A block that was pointed at may have been freed. */
  #isHere(target: Target): boolean {
    const { now, history } = this.#subject
    const { offset } = this.#subject.extent(target)
    if (target.kind === 'used')
      return target.block < now.operations && history.deaths[target.block] >= now.operations
    if (target.kind === 'free')
      return target.place === -1 || now.freeOffsets[target.place] === offset
    const { from, to } = target.granule
    return now.operations >= from && now.operations < to
  }

  #shows(offset: number, size: number): boolean {
    const { start, bytes } = this.window
    return offset < start + bytes && offset + size > start
  }

  /** The pieces of a range of bytes in the rows, within the window. */
  *#pieces(offset: number, size: number): Generator<Piece> {
    const { start, bytes } = this.window
    const row = this.#bytesPerRow
    const end = Math.min(offset + size, start + bytes)
    const perByte = this.#across / row
    let at = Math.max(offset, start)
    while (at < end) {
      const index = Math.floor((at - start) / row)
      const rowStart = start + index * row
      const until = Math.min(end, rowStart + row)
      yield {
        x: MARGIN.left + (at - rowStart) * perByte,
        y: TOP + index * ROW_PITCH,
        width: (until - at) * perByte,
        first: at === offset,
        last: until === offset + size
      }
      at = until
    }
  }

  /**
   * The place of an address on the canvas: the middle of its row, which is above or below the
   * canvas if the address is not in the window.
   */
  #point(address: number): Point {
    const row = this.#bytesPerRow
    const away = address - this.window.start
    const index = Math.floor(away / row)
    const x = MARGIN.left + ((away - index * row) / row) * this.#across
    return { x, top: TOP + index * ROW_PITCH, bottom: TOP + index * ROW_PITCH + ROW_HEIGHT }
  }

  #fill(
    context: CanvasRenderingContext2D,
    piece: Piece,
    color: string | CanvasPattern,
    gap = false
  ): void {
    context.fillStyle = color
    const width = gap && piece.last && piece.width > 3 ? piece.width - 1 : piece.width
    context.fillRect(piece.x, piece.y, width, ROW_HEIGHT)
  }

  #edge(context: CanvasRenderingContext2D, { x, y, width }: Piece, color: string): void {
    context.strokeStyle = color
    context.lineWidth = 1
    context.strokeRect(x + 0.5, y + 0.5, Math.max(1, width - 2), ROW_HEIGHT - 1)
  }

  /** Draws a line below a piece that groups its parts. */
  #underline(context: CanvasRenderingContext2D, { x, y, width, last }: Piece, color: string): void {
    context.fillStyle = color
    context.fillRect(x, y + ROW_HEIGHT + 2, last && width > 3 ? width - 1 : width, 2)
  }

  /**
   * Writes text into the widest piece of a range, or `below` its middle. Returns false if there is
   * no room.
   */
  #write(
    context: CanvasRenderingContext2D,
    offset: number,
    size: number,
    text: string,
    below = 0
  ): boolean {
    let widest: Piece | undefined
    for (const piece of this.#pieces(offset, size)) {
      if (widest === undefined || piece.width > widest.width) widest = piece
    }
    if (widest === undefined || context.measureText(text).width + PADDING > widest.width)
      return false
    context.fillText(text, widest.x + widest.width / 2, widest.y + ROW_HEIGHT / 2 + 1 + below)
    return true
  }
}

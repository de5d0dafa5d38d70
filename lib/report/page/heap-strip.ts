/** The whole heap at the current moment in one strip, with the window that the rows below show. */

import { humanBytes } from '../../sizes.js'
import { Stage } from './elements.js'
import type { HeapWindow } from './heap-rows.js'
import { granulePattern, slotPattern } from './slab-patterns.js'
import { SMALL_FONT } from './theme.js'
import {
  betweenBlocks,
  MARGIN,
  type Scale,
  type Span,
  type Subject,
  scale,
  type View
} from './view.js'

const TOP = 6
const HEIGHT = 22

export class HeapStrip {
  readonly stage: Stage
  readonly #subject: Subject
  /** The strip's ends: those of the largest heap, so that growth shows. */
  readonly #span: Span
  #covered = new Float32Array(0)

  constructor(canvas: HTMLCanvasElement, subject: Subject, span: Span) {
    this.stage = new Stage(canvas)
    this.#subject = subject
    this.#span = span
  }

  /** Converts addresses to x. */
  get x(): Scale {
    return scale(this.#span, MARGIN.left, this.stage.width - MARGIN.right)
  }

  draw(view: View, window: HeapWindow): void {
    const { stage } = this
    stage.fit()
    const context = stage.clear()
    const { theme } = view
    const { history, now } = this.#subject
    const x = this.x
    const left = MARGIN.left
    const right = stage.width - MARGIN.right
    const end = history.low + history.curves.heap[now.operations]
    context.fillStyle = theme.plot
    context.fillRect(left, TOP, right - left, HEIGHT)
    context.fillStyle = betweenBlocks(history, theme)
    context.fillRect(left, TOP, x(end) - left, HEIGHT)
    for (const { offset, size, slot } of history.slabs.at(now.operations)) {
      context.fillStyle = slot > 0 ? slotPattern(theme) : granulePattern(theme)
      context.fillRect(x(offset), TOP, x(offset + size) - x(offset), HEIGHT)
    }
    context.fillStyle = theme.sizes[2]
    this.#drawUsed(context, x, false)
    context.fillStyle = theme.slot
    this.#drawUsed(context, x, true)
    context.font = SMALL_FONT
    context.fillStyle = theme.muted
    context.textBaseline = 'middle'
    context.textAlign = 'right'
    context.fillText('all', left - 8, TOP + HEIGHT / 2)
    context.textAlign = 'center'
    context.textBaseline = 'alphabetic'
    const from = Math.max(left, x(window.start))
    const to = Math.min(right, Math.max(from + 4, x(window.start + window.bytes)))
    context.strokeStyle = theme.ink
    context.lineWidth = 2
    context.strokeRect(from - 1, TOP - 2, to - from + 2, HEIGHT + 4)
    const text =
      `bytes ${window.start.toLocaleString('en-US')} … ` + `(${humanBytes(window.bytes)} below)`
    const half = context.measureText(text).width / 2
    context.fillText(
      text,
      Math.min(right - half, Math.max(left + half, (from + to) / 2)),
      TOP + HEIGHT + 16
    )
  }

  /**
   * How much of each pixel is in used slots, or in other used blocks, as its opacity: the smallest
   * hole in a full heap still shows.
   */
  #drawUsed(context: CanvasRenderingContext2D, x: Scale, slots: boolean): void {
    const { history, now } = this.#subject
    const pixels = Math.max(1, Math.ceil(this.stage.width - MARGIN.left - MARGIN.right))
    if (this.#covered.length !== pixels) this.#covered = new Float32Array(pixels)
    const covered = this.#covered.fill(0)
    for (let i = 0; i < now.count; i++) {
      const block = now.blocks[i]
      if (history.isSlot(block) !== slots) continue
      const from = Math.max(0, x(history.offset(block)) - MARGIN.left)
      const to = Math.min(pixels, x(history.end(block)) - MARGIN.left)
      for (let pixel = Math.floor(from); pixel < to; pixel++) {
        covered[pixel] += Math.min(to, pixel + 1) - Math.max(from, pixel)
      }
    }
    for (let pixel = 0; pixel < pixels; pixel++) {
      if (covered[pixel] === 0) continue
      context.globalAlpha = Math.min(1, covered[pixel])
      context.fillRect(MARGIN.left + pixel, TOP, 1, HEIGHT)
    }
    context.globalAlpha = 1
  }
}

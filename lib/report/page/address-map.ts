/**
 * Address, from the heap's beginning, against time: every block is a rectangle from its allocation
 * to its free.
 */

import { humanBytes, humanCount } from '../../sizes.js'
import { sizeClassOf } from '../size-classes.js'
import { Layer, Stage } from './elements.js'
import { granulePattern, slotPattern } from './slab-patterns.js'
import { FONT } from './theme.js'
import { betweenBlocks, MARGIN, type Scale, type Subject, scale, ticks, type View } from './view.js'

export class AddressMap {
  readonly stage: Stage
  readonly #layer = new Layer()
  readonly #subject: Subject
  /** The blocks of each size class, and the slots. */
  readonly #classes: Int32Array[]
  readonly #slots: Int32Array

  constructor(canvas: HTMLCanvasElement, subject: Subject) {
    this.stage = new Stage(canvas)
    this.#subject = subject
    const classes: number[][] = []
    const slots: number[] = []
    subject.history.forEachBlock(block => {
      if (subject.history.isSlot(block)) {
        slots.push(block)
        return
      }
      const index = sizeClassOf(subject.history.size(block))
      classes[index] ??= []
      classes[index].push(block)
    })
    this.#classes = Array.from(classes, blocks => Int32Array.from(blocks ?? []))
    this.#slots = Int32Array.from(slots)
  }

  draw(view: View): void {
    const { stage } = this
    stage.fit()
    const { time, addresses, theme } = view
    const context = stage.clear()
    const key = `${time.from} ${time.to} ${addresses.from} ${addresses.to} ${theme.name}`
    this.#layer.show(stage, key, layer => this.#drawBlocks(layer, view))
    const [x, y] = this.scales(view)
    this.#outlineTarget(context, view, x, y)
    const at = x(view.now)
    if (at < MARGIN.left - 1 || at > stage.width - MARGIN.right + 1) return
    context.fillStyle = theme.now
    context.fillRect(at - 0.75, MARGIN.top, 1.5, stage.height - MARGIN.top - MARGIN.bottom)
    context.beginPath()
    context.moveTo(at - 5, MARGIN.top - 7)
    context.lineTo(at + 5, MARGIN.top - 7)
    context.lineTo(at, MARGIN.top + 1)
    context.fill()
  }

  /** Converts operations to x, and byte offsets to y: low addresses are at the bottom. */
  scales({ time, addresses }: View): [Scale, Scale] {
    const { width, height } = this.stage
    const { low } = this.#subject.history
    const span = { from: low + addresses.from, to: low + addresses.to }
    return [
      scale(time, MARGIN.left, width - MARGIN.right),
      scale(span, height - MARGIN.bottom, MARGIN.top)
    ]
  }

  #drawBlocks(context: CanvasRenderingContext2D, view: View): void {
    const { width, height } = this.stage
    const { theme } = view
    const [x, y] = this.scales(view)
    this.#drawAxes(context, view, x, y)
    context.save()
    context.beginPath()
    context.rect(
      MARGIN.left,
      MARGIN.top,
      width - MARGIN.left - MARGIN.right,
      height - MARGIN.top - MARGIN.bottom
    )
    context.clip()
    this.#drawHeap(context, view, x, y)
    this.#drawSlabs(context, view, x, y)
    for (const [index, blocks] of this.#classes.entries())
      this.#drawUsed(context, view, x, y, blocks, theme.sizes[index])
    this.#drawUsed(context, view, x, y, this.#slots, theme.slot)
    context.restore()
  }

  #drawUsed(
    context: CanvasRenderingContext2D,
    view: View,
    x: Scale,
    y: Scale,
    blocks: Int32Array,
    color: string
  ): void {
    const { history } = this.#subject
    const lowest = history.low + view.addresses.from
    const highest = history.low + view.addresses.to
    context.fillStyle = color
    for (const block of blocks) {
      const death = history.deaths[block]
      const offset = history.offset(block)
      const end = history.end(block)
      if (death < view.time.from || block > view.time.to) continue
      if (end < lowest || offset > highest) continue
      const left = x(block + 1)
      const top = y(end)
      const across = x(death + 1) - left
      const down = y(offset) - top
      context.fillRect(left, top, across > 3 ? across - 0.5 : across, visible(down))
    }
  }

  /** The unused parts of chunks: free slots, and granules that are not slabs. */
  #drawSlabs(context: CanvasRenderingContext2D, view: View, x: Scale, y: Scale): void {
    const { history } = this.#subject
    const slots = slotPattern(view.theme)
    const granules = granulePattern(view.theme)
    for (const { offset, size, slot, from, to } of history.slabs.all) {
      if (to < view.time.from || from > view.time.to) continue
      const left = x(from)
      const top = y(offset + size)
      context.fillStyle = slot > 0 ? slots : granules
      context.fillRect(
        left,
        top,
        x(Math.min(to, history.trace.length)) - left,
        visible(y(offset) - top)
      )
    }
  }

  /** The heap from its beginning to its end. The part that no block covers is free. */
  #drawHeap(context: CanvasRenderingContext2D, view: View, x: Scale, y: Scale): void {
    const { history } = this.#subject
    const { heap } = history.curves
    const last = heap.length - 1
    context.beginPath()
    context.moveTo(MARGIN.left, y(history.low))
    for (let pixel = MARGIN.left; pixel <= this.stage.width - MARGIN.right; pixel++) {
      const from = Math.min(last, Math.max(0, Math.floor(x.invert(pixel))))
      const to = Math.min(last, Math.max(from, Math.floor(x.invert(pixel + 1))))
      let most = heap[from]
      for (let t = from; t <= to; t++) most = Math.max(most, heap[t])
      context.lineTo(pixel, y(history.low + most))
    }
    context.lineTo(this.stage.width - MARGIN.right, y(history.low))
    context.fillStyle = betweenBlocks(this.#subject.history, view.theme)
    context.fill()
  }

  #drawAxes(context: CanvasRenderingContext2D, view: View, x: Scale, y: Scale): void {
    const { width, height } = this.stage
    const { theme } = view
    context.fillStyle = theme.plot
    context.fillRect(
      MARGIN.left,
      MARGIN.top,
      width - MARGIN.left - MARGIN.right,
      height - MARGIN.top - MARGIN.bottom
    )
    context.font = FONT
    context.textBaseline = 'middle'
    context.textAlign = 'right'
    for (const value of ticks(view.addresses, height / 60, true)) {
      context.fillStyle = theme.grid
      const at = y(this.#subject.history.low + value)
      context.fillRect(MARGIN.left, at, width - MARGIN.left - MARGIN.right, 1)
      context.fillStyle = theme.muted
      context.fillText(humanBytes(value), MARGIN.left - 8, at)
    }
    drawTimeAxis(context, view, x, height, width)
  }

  #outlineTarget(context: CanvasRenderingContext2D, view: View, x: Scale, y: Scale): void {
    const { target, history } = this.#subject
    if (target?.kind !== 'used') return
    const { offset, size } = this.#subject.extent(target)
    const left = Math.max(MARGIN.left, x(target.block + 1))
    const right = Math.min(this.stage.width - MARGIN.right, x(history.deaths[target.block] + 1))
    const top = Math.max(MARGIN.top, y(offset + size))
    const bottom = Math.min(this.stage.height - MARGIN.bottom, y(offset))
    if (right < left || bottom < top) return
    context.strokeStyle = view.theme.ink
    context.lineWidth = 1.5
    context.strokeRect(
      left - 1,
      top - 1,
      Math.max(3, right - left + 2),
      Math.max(3, bottom - top + 2)
    )
  }
}

/**
 * The height of a block in the drawing. Large blocks get an edge that separates them. Many small
 * blocks share a pixel, each with its part of it. Painted over each other they would look pale even
 * without holes, so each gets a little more.
 */
function visible(height: number): number {
  if (height > 3) return height - 0.7
  return height < 1 ? Math.min(1, height * 2.5) : height
}

/** Operations along the lower edge. */
export function drawTimeAxis(
  context: CanvasRenderingContext2D,
  { time, theme }: View,
  x: Scale,
  height: number,
  width: number
): void {
  context.font = FONT
  context.textAlign = 'center'
  context.textBaseline = 'alphabetic'
  context.fillStyle = theme.muted
  for (const value of ticks(time, (width - MARGIN.left) / 110, false)) {
    const at = x(value)
    context.fillRect(at, height - MARGIN.bottom, 1, 4)
    const text = humanCount(value)
    const half = context.measureText(text).width / 2
    context.fillText(text, Math.min(width - half - 1, at), height - 5)
  }
}

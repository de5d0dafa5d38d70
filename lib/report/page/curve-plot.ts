/** Curves over the same time as the map: bytes of payload and heap above, shares below. */

import { humanBytes } from '../../sizes.js'
import { drawTimeAxis } from './address-map.js'
import { Layer, Stage } from './elements.js'
import { FONT } from './theme.js'
import { MARGIN, type Scale, type Span, type Subject, scale, ticks, type View } from './view.js'

/** Pixels between the two plots. */
const GAP = 14
const SHARES: Span = { from: 0, to: 1 }

interface Curve {
  readonly values: Float64Array
  readonly color: string
  readonly dash: readonly number[]
  readonly y: Scale
}

export class CurvePlot {
  readonly stage: Stage
  readonly #layer = new Layer()
  readonly #subject: Subject
  readonly #bytes: Span

  /** `mostBytes` is the upper end of the bytes' axis. */
  constructor(canvas: HTMLCanvasElement, subject: Subject, mostBytes: number) {
    this.stage = new Stage(canvas)
    this.#subject = subject
    this.#bytes = { from: 0, to: Math.max(1, mostBytes * 1.05) }
  }

  draw(view: View): void {
    const { stage } = this
    stage.fit()
    const context = stage.clear()
    const { time, theme, now } = view
    const x = this.scaleTime(view)
    const curves = this.#curves(view)
    this.#layer.show(stage, `${time.from} ${time.to} ${theme.name}`, layer =>
      this.#drawCurves(layer, view, x, curves)
    )
    const at = x(now)
    if (at < MARGIN.left - 1 || at > stage.width - MARGIN.right + 1) return
    context.fillStyle = theme.now
    context.fillRect(at - 0.75, MARGIN.top, 1.5, stage.height - MARGIN.top - MARGIN.bottom)
    for (const { values, color, y } of curves) {
      context.beginPath()
      context.arc(at, y(values[now]), 3.5, 0, 2 * Math.PI)
      context.fillStyle = color
      context.fill()
      context.strokeStyle = theme.panel
      context.lineWidth = 1.5
      context.stroke()
    }
  }

  scaleTime({ time }: View): Scale {
    return scale(time, MARGIN.left, this.stage.width - MARGIN.right)
  }

  /** The boundary between the upper and the lower plot. */
  #plots(): { upper: Span; lower: Span } {
    const height = this.stage.height - MARGIN.top - MARGIN.bottom - GAP
    const middle = MARGIN.top + Math.round(height * 0.5)
    return {
      upper: { from: MARGIN.top, to: middle },
      lower: { from: middle + GAP, to: MARGIN.top + height + GAP }
    }
  }

  #curves({ theme }: View): Curve[] {
    const { upper, lower } = this.#plots()
    const { payload, heap, utilization, externalFragmentation } = this.#subject.history.curves
    const bytes = scale(this.#bytes, upper.to, upper.from)
    const shares = scale(SHARES, lower.to, lower.from)
    return [
      { values: heap, color: theme.heap, dash: [], y: bytes },
      { values: payload, color: theme.payload, dash: [], y: bytes },
      { values: externalFragmentation, color: theme.fragmentation, dash: [], y: shares },
      { values: utilization, color: theme.utilization, dash: [6, 3], y: shares }
    ]
  }

  #drawCurves(
    context: CanvasRenderingContext2D,
    view: View,
    x: Scale,
    curves: readonly Curve[]
  ): void {
    const { width, height } = this.stage
    const { theme } = view
    const { upper, lower } = this.#plots()
    const across = width - MARGIN.left - MARGIN.right
    context.font = FONT
    context.textAlign = 'right'
    context.textBaseline = 'middle'
    for (const plot of [upper, lower]) {
      context.fillStyle = theme.plot
      context.fillRect(MARGIN.left, plot.from, across, plot.to - plot.from)
    }
    const label = (text: string, y: number) => {
      context.fillStyle = theme.grid
      context.fillRect(MARGIN.left, y, across, 1)
      context.fillStyle = theme.muted
      context.fillText(text, MARGIN.left - 8, y)
    }
    const bytes = scale(this.#bytes, upper.to, upper.from)
    for (const value of ticks(this.#bytes, 3, true)) label(humanBytes(value), bytes(value))
    const shares = scale(SHARES, lower.to, lower.from)
    for (const value of [0, 0.5, 1]) label(`${value * 100} %`, shares(value))
    drawTimeAxis(context, view, x, height, width)
    context.save()
    context.beginPath()
    context.rect(MARGIN.left, 0, across, height)
    context.clip()
    for (const curve of curves) drawCurve(context, curve, x, MARGIN.left, width - MARGIN.right)
    context.restore()
  }
}

/**
 * Draws one curve as steps. If several operations share a pixel, draws the whole range of their
 * values.
 */
function drawCurve(
  context: CanvasRenderingContext2D,
  curve: Curve,
  x: Scale,
  left: number,
  right: number
): void {
  const { values, y } = curve
  const last = values.length - 1
  context.beginPath()
  for (let pixel = left; pixel <= right; pixel++) {
    const from = Math.max(0, Math.floor(x.invert(pixel)))
    if (from > last) break
    const to = Math.min(last, Math.max(from, Math.floor(x.invert(pixel + 1)) - 1))
    let least = values[from]
    let most = least
    for (let t = from + 1; t <= to; t++) {
      least = Math.min(least, values[t])
      most = Math.max(most, values[t])
    }
    context.lineTo(pixel, y(values[from]))
    if (most > values[from]) context.lineTo(pixel, y(most))
    if (least < most) context.lineTo(pixel, y(least))
    context.lineTo(pixel, y(values[to]))
  }
  context.strokeStyle = curve.color
  context.lineWidth = 1.5
  context.lineJoin = 'round'
  context.setLineDash([...curve.dash])
  context.stroke()
  context.setLineDash([])
}

/** Arrows from each free block to the next one of its list. */

/** A place in a row of bytes: its x, and the top and bottom of the row. */
export interface Point {
  readonly x: number
  readonly top: number
  readonly bottom: number
}

const HEAD = 6

/** Draws an arrow between two places. One of them may be above or below a canvas of this height. */
export function drawArrow(
  context: CanvasRenderingContext2D,
  from: Point,
  to: Point,
  height: number
): void {
  const across = Math.abs(to.x - from.x)
  context.beginPath()
  if (from.top === to.top) {
    // In the same row, draw an arc above it.
    const lift = Math.min(18, 7 + across / 12)
    context.moveTo(from.x, from.top)
    context.bezierCurveTo(from.x, from.top - lift, to.x, to.top - lift, to.x, to.top - 1)
    context.stroke()
    arrowhead(context, to.x, to.top, 1)
    return
  }
  const down = to.top > from.top
  const startY = down ? from.bottom : from.top
  const endY = clamp(down ? to.top : to.bottom, height)
  const begin = clamp(startY, height)
  const bend = Math.min(60, Math.max(14, Math.abs(endY - begin) / 2)) * (down ? 1 : -1)
  context.moveTo(from.x, begin)
  context.bezierCurveTo(from.x, begin + bend, to.x, endY - bend, to.x, endY)
  context.stroke()
  arrowhead(context, to.x, endY, down ? 1 : -1)
}

/** A place far outside is drawn at the edge. */
function clamp(y: number, height: number): number {
  return Math.min(height, Math.max(0, y))
}

/** Draws a tip at (x, y) that points down (1) or up (-1). */
function arrowhead(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  direction: 1 | -1
): void {
  context.beginPath()
  context.moveTo(x, y)
  context.lineTo(x - HEAD / 2, y - HEAD * direction)
  context.lineTo(x + HEAD / 2, y - HEAD * direction)
  context.fill()
}

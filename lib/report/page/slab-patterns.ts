/**
 * Hatching of free slots and of granules that are not slabs, so that they differ from free blocks
 * even without colour.
 */

import type { Theme } from './theme.js'

const TILE = 6

let drawn:
  | { readonly theme: Theme['name']; readonly slot: CanvasPattern; readonly granule: CanvasPattern }
  | undefined

/** Slanted lines for free slots. */
export function slotPattern(theme: Theme): CanvasPattern {
  return patterns(theme).slot
}

/** Horizontal lines for granules that are not slabs. */
export function granulePattern(theme: Theme): CanvasPattern {
  return patterns(theme).granule
}

function patterns(theme: Theme) {
  if (drawn?.theme !== theme.name) {
    const slanted = tile(theme.slotFree, theme.slotLines, context => {
      for (const x of [-TILE, 0, TILE]) {
        context.moveTo(x - 1, TILE + 1)
        context.lineTo(x + TILE + 1, -1)
      }
    })
    const level = tile(theme.granule, theme.granuleLines, context => {
      context.moveTo(0, TILE / 2 + 0.5)
      context.lineTo(TILE, TILE / 2 + 0.5)
    })
    drawn = { theme: theme.name, slot: slanted, granule: level }
  }
  return drawn
}

/** A repeated square. */
function tile(
  base: string,
  lines: string,
  path: (context: CanvasRenderingContext2D) => void
): CanvasPattern {
  const canvas = document.createElement('canvas')
  canvas.width = TILE
  canvas.height = TILE
  const context = canvas.getContext('2d')
  if (context === null) throw new Error('this browser draws no canvas')
  context.fillStyle = base
  context.fillRect(0, 0, TILE, TILE)
  context.strokeStyle = lines
  context.beginPath()
  path(context)
  context.stroke()
  const pattern = context.createPattern(canvas, 'repeat')
  if (pattern === null) throw new Error('this browser draws no patterns')
  return pattern
}

/**
 * Draws arrows over the grid, from the `next` word of each free block to the block that it names.
 */

import type { HeapPicture } from '../picture.js'
import { svg } from './elements.js'
import type { Grid } from './grid.js'

/** The most arrows: more would be unreadable. */
const MOST = 40

export function drawArrows(element: SVGSVGElement, grid: Grid, picture: HeapPicture): void {
  const origin = grid.element.getBoundingClientRect()
  const paths: Element[] = []
  element.setAttribute('width', String(grid.element.scrollWidth))
  element.setAttribute('height', String(grid.element.scrollHeight))
  for (const [word, { element: cell }] of grid.cells) {
    if (paths.length >= 2 * MOST) break
    if (picture.roleOf(word) !== 'next') continue
    const { target } = picture.meaningOf(word)
    const goal = target < 0 ? undefined : grid.cells.get(target / 4)?.element
    if (goal === undefined) continue
    const from = cell.getBoundingClientRect()
    const to = goal.getBoundingClientRect()
    const start = { x: from.left + from.width / 2 - origin.left, y: from.bottom - origin.top - 3 }
    const isBelow = to.top > from.top
    const end = {
      x: to.left + to.width / 2 - origin.left,
      y: (isBelow ? to.top : to.bottom) - origin.top
    }
    const bend = Math.max(24, Math.abs(end.y - start.y) / 3)
    const way = isBelow ? 1 : -1
    const isSameRow = Math.abs(to.top - from.top) < 2
    const d = isSameRow
      ? `M ${start.x} ${start.y} C ${start.x} ${start.y + 22} ${end.x} ${start.y + 22} ` +
        `${end.x} ${start.y + 4}`
      : `M ${start.x} ${start.y} C ${start.x} ${start.y + bend} ${end.x} ` +
        `${end.y - way * bend} ${end.x} ${end.y - way * 4}`
    paths.push(svg('path', { d, class: 'arc' }))
    const tip = isSameRow ? start.y + 3 : end.y
    const open = isSameRow || !isBelow ? 11 : -11
    paths.push(svg('path', { d: `M ${end.x} ${tip} l -6 ${open} l 12 0 z`, class: 'tip' }))
  }
  element.replaceChildren(...paths)
}

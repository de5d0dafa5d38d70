/**
 * Draws the whole heap in one strip, to scale: blocks with their names, free memory, the
 * wilderness, and the free list as arcs above.
 */

import { nameOf } from '../calls.js'
import type { HeapPicture, Part } from '../picture.js'
import { colorOf, svg } from './elements.js'

/** Heights, in pixels. */
const ARCS = 46
const BAR = 64
const SCALE = 30
const HEIGHT = ARCS + BAR + SCALE
/** The largest share of the strip for the wilderness. */
const WILDERNESS_SHARE = 0.22
/** The approximate width of a character of a number and of a name, in pixels. */
const CHARACTER = 11
const NAME_CHARACTER = 15

export class Strip {
  readonly element: SVGSVGElement
  readonly #onPick: (at: number) => void

  /** `onPick` receives the byte offset of the clicked part. */
  constructor(label: string, onPick: (at: number) => void) {
    this.element = svg('svg', { class: 'strip', role: 'img', height: String(HEIGHT) })
    this.element.setAttribute('aria-label', `The heap of ${label}, to scale`)
    this.#onPick = onPick
  }

  draw(picture: HeapPicture, width: number, selected: number, focus: ReadonlySet<Part>): void {
    const { element } = this
    const { first, top, end } = picture
    element.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`)
    element.setAttribute('width', String(width))
    const used = top - first
    const last = Math.min(
      end,
      top + Math.max(128, Math.ceil((used * WILDERNESS_SHARE) / (1 - WILDERNESS_SHARE) / 32) * 32)
    )
    const x = (at: number) =>
      last === first ? 0 : ((Math.min(at, last) - first) / (last - first)) * width
    const nodes: Element[] = []
    for (const part of picture.parts) {
      if (part.to <= first || part.from >= last) continue
      nodes.push(
        this.#part(
          part,
          x(part.from),
          x(part.to),
          part.variable >= 0 && part.variable === selected,
          focus.has(part)
        )
      )
    }
    nodes.push(...addresses(picture, x, width, last))
    nodes.push(...arcs(picture, x))
    element.replaceChildren(...nodes)
  }

  #part(part: Part, from: number, to: number, isSelected: boolean, isFocus: boolean): Element {
    const group = svg('g', {
      class: `part ${part.kind}${isSelected ? ' selected' : ''}${isFocus ? ' focus' : ''}`
    })
    if (part.variable >= 0) group.style.setProperty('--block', colorOf(part.variable))
    const width = Math.max(1, to - from - 1)
    group.append(
      svg('rect', {
        x: String(from),
        y: String(ARCS),
        width: String(width),
        height: String(BAR),
        rx: '3'
      })
    )
    const size = part.to - part.from
    const name = part.variable >= 0 ? nameOf(part.variable) : part.name
    const title = svg('title', {})
    title.textContent = `${name}: ${size} bytes, from byte ${part.from}`
    group.append(title)
    const middle = String(from + width / 2)
    if (name.length * (name.length === 1 ? CHARACTER : NAME_CHARACTER) < width) {
      const text = svg('text', { x: middle, y: String(ARCS + BAR / 2 - 2), class: 'name' })
      text.textContent = name
      group.append(text)
      const bytes = svg('text', { x: middle, y: String(ARCS + BAR / 2 + 20), class: 'size' })
      bytes.textContent = `${size}`
      if (`${size}`.length * CHARACTER < width && part.kind !== 'wilderness') group.append(bytes)
    }
    group.addEventListener('click', () => this.#onPick(part.from))
    return group
  }
}

/** Labels the byte offsets of blocks below the strip, as far as there is room. */
function addresses(
  { parts, first, top }: HeapPicture,
  x: (at: number) => number,
  width: number,
  last: number
): Element[] {
  const places = parts
    .map(({ from }) => from)
    .filter(from => from >= first && from < last && from !== top)
  const room = (at: number) => String(at).length * (CHARACTER - 1) + 10
  const nodes: Element[] = []
  const topText = `top ${top}`
  const topX = Math.min(x(top), width - topText.length * CHARACTER)
  let free = 0
  for (const place of places) {
    const at = x(place)
    if (at < free || at + room(place) > topX) continue
    nodes.push(label(at, String(place), 'address'))
    free = at + room(place)
  }
  nodes.push(label(topX, topText, 'address top'))
  return nodes
}

function label(x: number, text: string, kind: string): Element {
  const node = svg('text', { x: String(x), y: String(ARCS + BAR + 20), class: kind })
  node.textContent = text
  return node
}

/** Draws the free list: from its head to each block in turn. */
function arcs({ freeList, parts }: HeapPicture, x: (at: number) => number): Element[] {
  const middles = freeList.map(at => {
    const part = parts.find(({ from }) => from === at)
    return part === undefined ? x(at) : (x(part.from) + x(part.to)) / 2
  })
  const nodes: Element[] = []
  if (middles.length === 0) return nodes
  let from = 0
  for (const [i, to] of middles.entries()) {
    const lift = Math.min(ARCS - 8, 14 + Math.abs(to - from) / 10)
    const start = i === 0 ? `M ${Math.max(4, to - 34)} ${ARCS - 30}` : `M ${from} ${ARCS}`
    const curve =
      i === 0
        ? `${start} Q ${to} ${ARCS - 30} ${to} ${ARCS - 3}`
        : `${start} C ${from} ${ARCS - lift} ${to} ${ARCS - lift} ${to} ${ARCS - 3}`
    nodes.push(svg('path', { d: curve, class: 'arc' }))
    nodes.push(svg('path', { d: `M ${to} ${ARCS - 1} l -6 -11 l 12 0 z`, class: 'tip' }))
    if (i === 0) {
      const text = svg('text', {
        x: String(Math.max(4, to - 34)),
        y: String(ARCS - 34),
        class: 'head'
      })
      text.textContent = 'free list'
      nodes.push(text)
    }
    from = to
  }
  return nodes
}

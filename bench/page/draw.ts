/**
 * The two kinds of pictures in docs/benchmarks.md, as SVG: lines over a logarithmic scale, and a
 * row of dots for each program. Lines and dots are labelled directly, without a legend.
 */
import { humanTime } from '#lib/bench/results.js'

export interface Line {
  readonly label: string
  readonly color: string
  /** ns at each x; NaN if there is no value. */
  readonly values: readonly number[]
}

export interface Labels {
  readonly title: string
  readonly subtitle: string
}

interface Box {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

type Scale = (value: number) => number

const WIDTH = 860
const INK = '#212529'
const FAINT = '#dee2e6'
const QUIET = '#495057'

function logScale([low, high]: readonly [number, number], from: number, to: number): Scale {
  const span = Math.log(high / low)
  return value => from + (Math.log(value / low) / span) * (to - from)
}

/** The nearest of 1, 2, 5, 10, 20, … that is not above, or not below, the value. */
function step(value: number, up: boolean): number {
  const power = 10 ** Math.floor(Math.log10(value))
  const steps = [1, 2, 5, 10].map(one => one * power)
  return (
    (up ? steps.find(one => one >= value * 0.999) : steps.findLast(one => one <= value * 1.001)) ??
    power
  )
}

/** A domain around the values, between two steps. */
function domainOf(lines: readonly Line[]): [number, number] {
  const known = lines.flatMap(line => line.values.filter(value => value > 0))
  const low = step(Math.min(...known), false)
  return [low, Math.max(step(Math.max(...known), true), low * 10)]
}

/** The powers of ten in a domain; also 2 and 5 between them, if there are few. */
function ticksOf([low, high]: readonly [number, number]): number[] {
  const first = Math.floor(Math.log10(low))
  const count = Math.ceil(Math.log10(high)) - first
  const factors = count > 3 ? [1] : [1, 2, 5]
  const all = Array.from({ length: count + 1 }, (_, i) =>
    factors.map(factor => factor * 10 ** (first + i))
  ).flat()
  return all.filter(tick => tick >= low * 0.999 && tick <= high * 1.001)
}

/**
 * Moves positions apart until neighbours have at least the distances in `gaps`, and all are between
 * `low` and `high`. Keeps their order.
 */
export function apart(
  positions: readonly number[],
  gaps: readonly number[],
  [low, high]: readonly [number, number]
): number[] {
  const order = [...positions.keys()].sort((a, b) => (positions[a] ?? 0) - (positions[b] ?? 0))
  const moved = [...positions]
  const gap = (a: number, b: number) => ((gaps[a] ?? 0) + (gaps[b] ?? 0)) / 2
  let floor = low
  for (const [i, at] of order.entries()) {
    const before = order[i - 1]
    if (before !== undefined) floor = (moved[before] ?? 0) + gap(before, at)
    moved[at] = Math.max(moved[at] ?? 0, floor)
  }
  let ceiling = high
  for (const [i, at] of [...order].reverse().entries()) {
    const after = order[order.length - i]
    if (after !== undefined) ceiling = (moved[after] ?? 0) - gap(after, at)
    moved[at] = Math.min(moved[at] ?? 0, ceiling)
  }
  return moved
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return (
    `<text x="${round(x)}" ` +
    `y="${round(y)}"${attributes === '' ? '' : ` ${attributes}`}>${escaped(content)}</text>`
  )
}

function rule(x1: number, y1: number, x2: number, y2: number, color = FAINT): string {
  return `<path d="M${round(x1)} ${round(y1)}L${round(x2)} ${round(y2)}" stroke="${color}"/>`
}

function dot(x: number, y: number, color: string, radius: number): string {
  return `<circle cx="${round(x)}" cy="${round(y)}" r="${radius}" fill="${color}"/>`
}

function documentOf({ title, subtitle }: Labels, height: number, parts: readonly string[]): string {
  const frame = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${frame} font-family="sans-serif" ` +
      `font-size="12" fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    '<rect width="100%" height="100%" fill="white"/>',
    text(20, 28, title, 'font-size="16" font-weight="bold"'),
    text(20, 47, subtitle, `fill="${QUIET}"`),
    ...parts,
    '</svg>',
    ''
  ].join('\n')
}

/**
 * Lines from left to right, labelled at their right ends. `x`: the values and their labels on the
 * axis.
 */
export function lineChart(
  labels: Labels,
  x: readonly { readonly value: number; readonly label: string }[],
  xTitle: string,
  lines: readonly Line[]
): string {
  const height = 440
  const box: Box = { left: 70, right: WIDTH - 215, top: 72, bottom: height - 52 }
  const xs = x.map(one => one.value)
  const xScale = logScale([Math.min(...xs), Math.max(...xs)], box.left + 10, box.right - 10)
  const domain = domainOf(lines)
  const yScale = logScale(domain, box.bottom, box.top)
  const parts: string[] = []
  for (const tick of ticksOf(domain)) {
    parts.push(rule(box.left, yScale(tick), box.right, yScale(tick)))
    parts.push(text(box.left - 8, yScale(tick) + 4, humanTime(tick), 'text-anchor="end"'))
  }
  // If there are many labels, show every second one.
  const every = x.length > 8 ? 2 : 1
  for (const [i, { value, label }] of x.entries()) {
    if (i % every === 0)
      parts.push(text(xScale(value), box.bottom + 20, label, 'text-anchor="middle"'))
  }
  parts.push(
    text((box.left + box.right) / 2, height - 12, xTitle, `text-anchor="middle" fill="${QUIET}"`)
  )
  const ends: { readonly line: Line; readonly y: number; readonly x: number }[] = []
  for (const line of lines) {
    const points = x.flatMap(({ value }, i) => {
      const ns = line.values[i] ?? Number.NaN
      return Number.isNaN(ns) ? [] : [{ x: xScale(value), y: yScale(ns) }]
    })
    const last = points.at(-1)
    if (last === undefined) continue
    const path = points
      .map((point, i) => `${i === 0 ? 'M' : 'L'}${round(point.x)} ${round(point.y)}`)
      .join('')
    parts.push(`<path d="${path}" fill="none" stroke="${line.color}" stroke-width="2"/>`)
    for (const point of points) parts.push(dot(point.x, point.y, line.color, 3))
    ends.push({ line, ...last })
  }
  const places = apart(
    ends.map(end => end.y),
    ends.map(() => 16),
    [box.top, box.bottom]
  )
  for (const [i, { line, x: endX, y }] of ends.entries()) {
    const at = places[i] ?? y
    parts.push(rule(endX + 4, y, box.right + 14, at, line.color))
    parts.push(text(box.right + 18, at + 4, line.label, `fill="${line.color}" font-weight="bold"`))
  }
  return documentOf(labels, height, parts)
}

/** The approximate width of a bold character. */
const CHARACTER = 7

/** A row of dots for each program, labelled above the first row. */
export function dotChart(
  labels: Labels,
  rows: readonly string[],
  xTitle: string,
  dots: readonly Line[]
): string {
  const rowHeight = 24
  const box: Box = { left: 150, right: WIDTH - 30, top: 120, bottom: 120 + rows.length * rowHeight }
  const height = box.bottom + 52
  const domain = domainOf(dots)
  const xScale = logScale(domain, box.left, box.right)
  const parts: string[] = []
  for (const tick of ticksOf(domain)) {
    parts.push(rule(xScale(tick), box.top - 8, xScale(tick), box.bottom))
    parts.push(text(xScale(tick), box.bottom + 18, humanTime(tick), 'text-anchor="middle"'))
  }
  parts.push(
    text((box.left + box.right) / 2, height - 12, xTitle, `text-anchor="middle" fill="${QUIET}"`)
  )
  for (const [row, label] of rows.entries()) {
    const y = box.top + (row + 0.5) * rowHeight
    parts.push(
      text(box.left - 10, y + 4, label, 'text-anchor="end"'),
      rule(box.left, y, box.right, y)
    )
    for (const { values, color } of dots) {
      const ns = values[row] ?? Number.NaN
      if (!Number.isNaN(ns)) parts.push(dot(xScale(ns), y, color, 5.5))
    }
  }
  const named = dots.filter(one => !Number.isNaN(one.values[0] ?? Number.NaN))
  const first = named.map(one => xScale(one.values[0] ?? Number.NaN))
  const widths = named.map(one => one.label.length * CHARACTER + 14)
  const centers = apart(first, widths, [70, box.right - 40])
  for (const [i, { label, color }] of named.entries()) {
    const center = centers[i] ?? 0
    parts.push(rule(center, 88, first[i] ?? 0, box.top + rowHeight / 2 - 6, color))
    parts.push(text(center, 82, label, `text-anchor="middle" fill="${color}" font-weight="bold"`))
  }
  return documentOf(labels, height, parts)
}

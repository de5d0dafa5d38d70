/**
 * The plots, drawn with Observable Plot into a document without a browser. Contenders keep their colours from plot to
 * plot; lines are named at their right ends, in the order in which they end.
 */
import type { Markish, PlotOptions } from '@observablehq/plot'
import { median } from '#lib/bench/statistics.js'
import { contenderOf } from '../contenders/contenders.js'
import type { PartResult } from '../run/run.js'
import { columnsOf } from './grids.js'

const COLORS: Readonly<Record<string, string>> = {
  'first-fit': '#c2255c',
  'first-fit+quick': '#f06595',
  'segregated-fit': '#1864ab',
  'segregated-fit+quick': '#4dabf7',
  'best-fit': '#862e9c',
  'best-fit+quick': '#da77f2',
  'next-fit': '#5c940d',
  'next-fit+quick': '#a9e34b',
  'heap-buffers': '#c2255c',
  'heap-buffers+quick': '#f06595',
  'glibc-c++': '#212529',
  'mimalloc-c++': '#868e96',
  'jemalloc-c++': '#ced4da',
  'glibc-call': '#846358',
  'dlmalloc-wasm': '#e67700',
  'tlsf-wasm': '#fcc419',
  'thi.ng': '#099268',
  'Buffer.alloc': '#0b7285',
  'Buffer.allocUnsafe': '#22b8cf',
  'Buffer.allocUnsafeSlow': '#66d9e8',
  Uint8Array: '#099268',
  nothing: '#dee2e6'
}

interface Point {
  readonly id: string
  readonly x: number | string
  readonly y: number
}

type PlotModule = typeof import('@observablehq/plot')

const WIDTH = 860
const LEGEND_WIDTH = 230

function color(id: string): string {
  return COLORS[id] ?? '#495057'
}

/** The names on the right, from the top down. */
function legend(plot: PlotModule, ids: readonly string[]): Markish[] {
  const at = { frameAnchor: 'top-right', textAnchor: 'start', fontSize: 11 } as const
  return ids.flatMap((id, i) => [
    plot.text(['●'], { ...at, dx: 12, dy: 6 + i * 16, fill: color(id), fontSize: 14 }),
    plot.text([contenderOf(id).label], { ...at, dx: 28, dy: 6 + i * 16 })
  ])
}

/** Contenders by what they measured last, the slowest first: the order of the lines at the right. */
function byLast(points: readonly Point[]): string[] {
  const last = new Map(points.map(({ id, y }) => [id, y]))
  return [...last.keys()].sort((a, b) => (last.get(b) ?? 0) - (last.get(a) ?? 0))
}

interface Labels {
  readonly title: string
  readonly subtitle: string
  readonly x: string
  readonly y: string
}

function centered(label: string) {
  return { label, labelAnchor: 'center', labelArrow: 'none' } as const
}

/** 20, 3,000: the axis names the unit, so no prefixes. */
function plainNumber(value: number): string {
  return value.toLocaleString('en')
}

function frame({ title, subtitle }: Labels): PlotOptions {
  return {
    title: undefined,
    width: WIDTH,
    marginRight: LEGEND_WIDTH,
    marginTop: 62,
    ariaLabel: `${title}. ${subtitle}`
  }
}

function heading(plot: PlotModule, { title, subtitle }: Labels): Markish[] {
  const at = { frameAnchor: 'top-left', textAnchor: 'start', dx: -40, facet: 'super' } as const
  return [
    plot.text([title], { ...at, dy: -50, fontSize: 15, fontWeight: 'bold' }),
    plot.text([subtitle], { ...at, dy: -32, fontSize: 11, fill: '#495057' })
  ]
}

/** Lines over a logarithmic scale of counts or sizes. */
function lines(plot: PlotModule, points: readonly Point[], labels: Labels, ticks: Map<number, string>): PlotOptions {
  const ids = byLast(points)
  return {
    ...frame(labels),
    height: 460,
    marginLeft: 70,
    marginBottom: 45,
    x: {
      type: 'log',
      // Labels are shown at powers of the base.
      base: ticks.has(64) ? 4 : 10,
      ...centered(labels.x),
      ticks: [...ticks.keys()],
      tickFormat: (value: number) => ticks.get(value) ?? ''
    },
    y: { type: 'log', ...centered(labels.y), grid: true, tickFormat: plainNumber },
    marks: [
      plot.line(points, { x: 'x', y: 'y', z: 'id', stroke: point => color(point.id), strokeWidth: 1.8 }),
      plot.dot(points, { x: 'x', y: 'y', fill: point => color(point.id), r: 3 }),
      ...legend(plot, ids),
      ...heading(plot, labels)
    ]
  }
}

/** One row for each trace, a dot for each contender. */
function dots(plot: PlotModule, points: readonly Point[], labels: Labels, type: 'log' | 'linear'): PlotOptions {
  const rows = [...new Set(points.map(point => point.x))]
  const ids = [...new Set(points.map(point => point.id))]
  return {
    ...frame(labels),
    height: 110 + Math.max(rows.length * 34, ids.length * 17),
    marginLeft: 110,
    marginBottom: 45,
    x: { type, ...centered(labels.x), inset: 8, grid: true, ...(type === 'log' ? { tickFormat: plainNumber } : {}) },
    y: { type: 'band', domain: rows, label: null },
    marks: [
      plot.ruleY(rows, { stroke: '#e9ecef' }),
      plot.dot(points, { x: 'y', y: 'x', fill: point => color(point.id), stroke: 'white', strokeWidth: 0.7, r: 5.5 }),
      ...legend(plot, ids),
      ...heading(plot, labels)
    ]
  }
}

function pauses(plot: PlotModule, part: PartResult, labels: Labels): PlotOptions {
  const measured = part.cases[0]?.measurements ?? []
  const bars = measured.flatMap(({ contender, facts }) =>
    (['gcMs', 'worstPauseMs'] as const).map(fact => ({
      who: contenderOf(contender).label,
      fact,
      shade: fact === 'gcMs' ? '#74c0fc' : '#e03131',
      ms: median(facts.map(one => one[fact] ?? 0))
    }))
  )
  return {
    ...frame(labels),
    height: 110 + measured.length * 46,
    marginLeft: 200,
    marginRight: 60,
    marginBottom: 45,
    x: { ...centered(labels.x), grid: true },
    y: { axis: null },
    fy: { label: null, domain: measured.map(one => contenderOf(one.contender).label) },
    marks: [
      plot.axisFy({ anchor: 'left', fontSize: 11 }),
      plot.barX(bars, { x: 'ms', y: 'fact', fy: 'who', fill: 'shade' }),
      plot.text(bars, {
        x: 'ms',
        y: 'fact',
        fy: 'who',
        text: bar => `${bar.ms.toFixed(1)} ms`,
        dx: 4,
        textAnchor: 'start'
      }),
      ...heading(plot, labels)
    ]
  }
}

/** Medians of a part, with the case's own number (live blocks, bytes) as x when `numeric`. */
function pointsOf(part: PartResult, x: (index: number) => number | string): Point[] {
  return columnsOf(part).flatMap(({ series }, index) =>
    [...series].flatMap(([id, values]) => (values.length === 0 ? [] : [{ id, x: x(index), y: median(values) }]))
  )
}

function numberOf(part: PartResult, index: number): number {
  const work = part.cases[index]?.measurements[0]?.work
  if (work?.kind === 'churn') return work.live
  if (work?.kind === 'fragmented') return work.holes
  return work?.kind === 'pairs' ? work.size : Number.NaN
}

function utilizationOf(part: PartResult): Point[] {
  return part.cases.flatMap(({ label, measurements }) =>
    measurements.flatMap(({ contender, facts }) => {
      const utilization = facts[0]?.utilization
      return utilization === undefined ? [] : [{ id: contender, x: label, y: utilization }]
    })
  )
}

/** Which plots there are: the name of the file, and how it is drawn from the parts. */
function optionsOf(plot: PlotModule, part: PartResult, node: string): [string, PlotOptions][] {
  const subtitle = `Node ${node.replace('v', '')}; lower is better`
  const overNumbers = (title: string, x: string, unit = 'ns per operation'): [string, PlotOptions][] => {
    const ticks = new Map(part.cases.map(({ label }, i) => [numberOf(part, i), label]))
    // A pair of calls that do nothing takes less than a nanosecond: the scale would be all for that line.
    const points = pointsOf(part, i => numberOf(part, i)).filter(
      point => part.name !== 'sizes' || point.id !== 'nothing'
    )
    return [[part.name, lines(plot, points, { title, subtitle, x, y: unit }, ticks)]]
  }
  switch (part.name) {
    case 'recordings': {
      const time = { title: 'Recorded programs, warm', subtitle, x: 'ns per operation', y: '' }
      const space = {
        title: 'Utilization on recorded programs',
        subtitle: 'Peak payload / most block space ever in use; higher is better',
        x: 'utilization',
        y: ''
      }
      const points = pointsOf(part, i => part.cases[i]?.label ?? '').filter(point => point.id !== 'Buffer.alloc')
      return [
        ['recordings', dots(plot, points, time, 'log')],
        ['utilization', dots(plot, utilizationOf(part), space, 'linear')]
      ]
    }
    case 'churn':
      return overNumbers('Random churn, blocks of 1 to 512 B', 'live blocks')
    case 'fragmentation':
      return overNumbers('Larger blocks on a heap full of small free blocks', 'free blocks')
    case 'sizes':
      return overNumbers('malloc and free of one block', 'size', 'ns per malloc and free')
    case 'buffers-cleared':
      return overNumbers('A cleared Buffer', 'size', 'ns per Buffer')
    case 'gc': {
      const title = part.title.replace(/: milliseconds$/, '')
      const labels = {
        title,
        subtitle: `Node ${node.replace('v', '')}; blue: all time in GC; red: the worst pause`,
        x: 'ms',
        y: ''
      }
      return [['gc', pauses(plot, part, labels)]]
    }
    default:
      return []
  }
}

/** Draws a plot for each part that has one; by the name of its file. */
export async function drawPlots(parts: readonly PartResult[], node: string): Promise<Map<string, string>> {
  // Only those who draw need the drawing library.
  const plot = await import('@observablehq/plot')
  const { parseHTML } = await import('linkedom')
  const { document } = parseHTML('<html><body></body></html>')
  const drawn = new Map<string, string>()
  for (const part of parts) {
    for (const [name, options] of optionsOf(plot, part, node)) {
      const svg = plot.plot({ ...options, document, style: { fontFamily: 'sans-serif', fontSize: '11px' } })
      svg.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
      drawn.set(name, svg.outerHTML.replace('>', '><rect width="100%" height="100%" fill="white"/>'))
    }
  }
  return drawn
}

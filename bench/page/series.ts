/**
 * Contenders over a scale of live blocks or of sizes: the stored measurement, its picture, its
 * table.
 */
import { asFast, digits, humanTime } from '#lib/bench/results.js'
import { geometricMean, median } from '#lib/bench/statistics.js'
import { type Labels, lineChart } from './draw.js'
import { colorOf, nameOf } from './names.js'
import type { Table } from './table.js'

export interface Row {
  readonly id: string
  /** ns for each x; null if it was not measured, or failed. */
  readonly ns: readonly (number | null)[]
  /** Half the distance between the quartiles, divided by the median. */
  readonly spread: readonly (number | null)[]
  /** How many times as fast as Buffer.alloc in the same round: the median. */
  readonly times: readonly (number | null)[]
}

export interface Series {
  readonly x: readonly { readonly value: number; readonly label: string }[]
  /** The least number of samples of a figure. */
  readonly samples: number
  readonly rows: readonly Row[]
}

/** Rounds to three digits; NaN becomes null. */
export function kept(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(3)) : null
}

/** The picture of the chosen contenders, at most six. */
export function seriesPicture(
  series: Series,
  chosen: readonly string[],
  labels: Labels,
  xTitle: string
): string {
  const rows = chosen.flatMap(id => series.rows.filter(row => row.id === id))
  const lines = rows.map(({ id, ns }) => ({
    label: nameOf(id),
    color: colorOf(id),
    values: ns.map(value => value ?? Number.NaN)
  }))
  return lineChart(labels, series.x, xTitle, lines)
}

const BASE = 'Buffer.alloc'

/**
 * `12 times as fast (3.1 … 40)`: the mean over the columns; the lowest and highest ratio, below 1
 * where it is slower.
 */
function beside({ id, times }: Row): string {
  const known = times.flatMap(value => value ?? [])
  if (id === BASE || known.length === 0 || id.startsWith('floor')) return ''
  const [low, high] = [Math.min(...known), Math.max(...known)]
  return `${asFast(geometricMean(known))} (${digits(low)} … ${digits(high)})`
}

/** The table of the first series; for the others, only the comparison with Buffer.alloc. */
export function seriesTable(
  all: readonly { readonly node: string; readonly series: Series }[]
): Table {
  const [first] = all
  if (first === undefined) return { head: [], rows: [], note: '' }
  const { series } = first
  const spreads = series.rows.flatMap(row => row.spread.flatMap(value => value ?? []))
  return {
    head: [
      '',
      ...series.x.map(({ label }) => label),
      ...all.map(({ node }) => `beside ${BASE}, Node ${node}`)
    ],
    rows: series.rows.map(row => [
      nameOf(row.id),
      ...row.ns.map(value => humanTime(value ?? Number.NaN)),
      ...all.map(one => {
        const same = one.series.rows.find(({ id }) => id === row.id)
        return same === undefined ? '' : beside(same)
      })
    ]),
    note:
      `Times on Node ${first.node}: medians of at least ${series.samples} samples. Half the ` +
      `distance between the quartiles is ` +
      `${(median(spreads) * 100).toFixed(0)} % of the median, at worst ` +
      `${(Math.max(0, ...spreads) * 100).toFixed(0)} %. ` +
      'In brackets: the lowest and highest ratio, below 1 where it is slower. A dash: ' +
      'it would take minutes, or it failed.'
  }
}

/** What was measured as tables: one row for each contender, and in words who is faster. */
import { contenderOf } from './contenders.js'
import type { Measurement } from './entry.js'
import type { PartResult } from './run.js'
import { geometricMean, median, ratio, significant, spread } from './stats.js'

export interface Grid {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** How many columns, from the second on, hold numbers. */
  readonly numbers: number
  readonly note: string
}

/** One column of a part: what each contender measured there, round by round. */
export interface Column {
  readonly label: string
  readonly series: ReadonlyMap<string, readonly number[]>
}

const FACT_LABELS: Readonly<Record<string, string>> = {
  totalMs: 'whole, ms',
  gcMs: 'in GC, ms',
  worstPauseMs: 'worst pause, ms',
  collections: 'collections',
  fresh: 'fresh pages',
  warm: 'warm pages'
}

function seriesOf(measurements: readonly Measurement[], fact: string | undefined): Map<string, readonly number[]> {
  return new Map(
    measurements.map(one => [
      one.contender,
      fact === undefined ? one.samples : one.facts.flatMap(facts => facts[fact] ?? [])
    ])
  )
}

export function columnsOf({ facts, cases }: PartResult): Column[] {
  return cases.flatMap(({ label, measurements }) => {
    if (facts.length === 0) return [{ label, series: seriesOf(measurements, undefined) }]
    return facts.map(fact => ({ label: FACT_LABELS[fact] ?? label, series: seriesOf(measurements, fact) }))
  })
}

/** Differences smaller than this are none. */
const EVEN = 1.03

/**
 * How ours does against another, from the ratios by column: `wins 3x`, `loses 1.4x`, `even`; and where it is the other way
 * round, if it is anywhere: `wins 3x, loses at 64 B`.
 */
export function comparison(ratios: ReadonlyMap<string, number>): string {
  if (ratios.size === 0) return ''
  const value = geometricMean([...ratios.values()])
  const where = (test: (ratio: number) => boolean) => {
    const labels = [...ratios].filter(([, ratio]) => test(ratio)).map(([label]) => label)
    return labels.length > 3 ? `${labels.length} of ${ratios.size}` : labels.join(', ')
  }
  const losses = where(ratio => ratio > EVEN)
  if (value > EVEN) {
    const wins = where(ratio => ratio < 1 / EVEN)
    return `loses ${significant(value)}x${wins === '' ? '' : `, wins at ${wins}`}`
  }
  const words = value < 1 / EVEN ? `wins ${significant(1 / value)}x` : 'even'
  return `${words}${losses === '' ? '' : `, loses at ${losses}`}`
}

/** Medians of ours / theirs in the same round, by column. */
function ratiosOf(columns: readonly Column[], ours: string, theirs: string): Map<string, number> {
  const ratios = new Map<string, number>()
  for (const { label, series } of columns) {
    const value = ratio(series.get(ours) ?? [], series.get(theirs) ?? [])
    if (Number.isFinite(value) && value > 0) ratios.set(label, value)
  }
  return ratios
}

export function gridOf(part: PartResult): Grid {
  const columns = columnsOf(part)
  const ids = [...new Set(columns.flatMap(column => [...column.series.keys()]))]
  const compared = part.ours.filter(id => ids.includes(id))
  // Of several figures about one run, the first is the one that decides.
  const deciding = part.facts.length > 1 ? columns.slice(0, 1) : columns
  const spreads: number[] = []
  const rows = ids.map(id => {
    const cells = columns.map(({ series }) => {
      const values = series.get(id) ?? []
      if (values.length === 0) return '-'
      if (median(values) > 0) spreads.push(spread(values))
      return significant(median(values))
    })
    const words = compared.map(ours => {
      return id === ours || id === 'nothing' ? '' : comparison(ratiosOf(deciding, ours, id))
    })
    return [contenderOf(id).label, ...cells, ...words]
  })
  const note =
    `Medians; half the distance between the quartiles is ${(median(spreads) * 100).toFixed(1)} % of the median, ` +
    `at worst ${(Math.max(0, ...spreads) * 100).toFixed(0)} %.` +
    (rows.some(cells => cells.includes('-')) ? ' A dash: it would take minutes, or it failed.' : '')
  const verdicts = compared.map(id => `${contenderOf(id).label} …`)
  return {
    title: part.title,
    head: ['', ...columns.map(column => column.label), ...verdicts],
    rows,
    numbers: columns.length,
    note
  }
}

/** Measurements as tables: a row for each contender, with comparisons in words. */
import { geometricMean, median, netOf, ratio, significant, spread } from '#lib/bench/statistics.js'
import { contenderOf, FLOORS, isFloor } from '../contenders/contenders.js'
import type { Measurement } from '../process/entry.js'
import type { PartResult } from '../run/run.js'

export interface Grid {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** The number of columns with numbers, from the second on. */
  readonly numbers: number
  readonly note: string
}

/** One column of a part: the measurements of each contender, round by round. */
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
  warm: 'warm pages',
  utilization: 'utilization',
  overNeeded: 'memory / needed'
}

function seriesOf(
  measurements: readonly Measurement[],
  fact?: string
): Map<string, readonly number[]> {
  return new Map(
    measurements.map(({ contender, samples, facts }) => [
      contender,
      fact === undefined ? samples : facts.flatMap(one => one[fact] ?? [])
    ])
  )
}

export function columnsOf({ facts, cases }: PartResult): Column[] {
  return cases.flatMap(({ label, measurements }) => {
    if (facts.length === 0) return [{ label, series: seriesOf(measurements) }]
    return facts.map(fact => {
      const words = facts.length === 1 ? [label] : [label, FACT_LABELS[fact] ?? fact]
      return {
        label: words.filter(word => word !== '').join(': '),
        series: seriesOf(measurements, fact)
      }
    })
  })
}

/** Ratios below this count as equal. */
const EVEN = 1.03

/** `2x faster`, `1.4x slower`, `as fast`. */
function words(ratio: number): string {
  if (ratio > EVEN) return `${significant(ratio)}x slower`
  return ratio < 1 / EVEN ? `${significant(1 / ratio)}x faster` : 'as fast'
}

/**
 * Compares ours with another contender, from the ratios by column, and names columns where it is
 * the other way round: `3x faster, but slower at 64 B`.
 */
export function comparison(ratios: ReadonlyMap<string, number>): string {
  if (ratios.size === 0) return ''
  const value = geometricMean([...ratios.values()])
  const where = (test: (ratio: number) => boolean) => {
    const labels = [...ratios].filter(([, ratio]) => test(ratio)).map(([label]) => label)
    return labels.length > 3 ? `${labels.length} of ${ratios.size}` : labels.join(', ')
  }
  const isSlower = value > EVEN
  const exceptions = isSlower ? where(ratio => ratio < 1 / EVEN) : where(ratio => ratio > EVEN)
  const exception =
    exceptions === '' ? '' : `, but ${isSlower ? 'faster' : 'slower'} at ${exceptions}`
  return `${words(value)}${exception}`
}

type Series = ReadonlyMap<string, readonly number[]>

function samplesOf(series: Series, id: string): readonly number[] {
  return series.get(id) ?? []
}

function netSamples(series: Series, id: string): number[] {
  return netOf(samplesOf(series, id), samplesOf(series, FLOORS[contenderOf(id).loop]))
}

/** Medians of ours / theirs in the same round, by column. */
function ratiosOf(
  columns: readonly Column[],
  of: (series: Series, id: string) => readonly number[],
  ours: string,
  theirs: string
): Map<string, number> {
  const ratios = new Map<string, number>()
  for (const { label, series } of columns) {
    const value = ratio(of(series, ours), of(series, theirs))
    if (Number.isFinite(value) && value > 0) ratios.set(label, value)
  }
  return ratios
}

/** With fewer samples, the spread means nothing. */
export const LEAST_SAMPLES = 3

function noteOf(spreads: readonly number[], hasDashes: boolean): string {
  const spread =
    spreads.length === 0
      ? 'A single sample, or two: no spread is known.'
      : `Medians; half the distance between the quartiles is ` +
        `${(median(spreads) * 100).toFixed(1)} % of the median, ` +
        `at worst ${(Math.max(...spreads) * 100).toFixed(0)} %.`
  return `${spread}${hasDashes ? ' A dash: it would take minutes, or it failed.' : ''}`
}

/** Figures about memory, which are the same in each run. */
const ABOUT_MEMORY = ['utilization', 'overNeeded']

export function gridOf(part: PartResult): Grid {
  const columns = columnsOf(part)
  const ids = [...new Set(columns.flatMap(column => [...column.series.keys()]))]
  const aboutMemory = part.facts.some(fact => ABOUT_MEMORY.includes(fact))
  const compared = aboutMemory ? [] : part.ours.filter(id => ids.includes(id))
  // If there are several figures about a run, the first one is compared.
  const deciding = part.facts.length > 1 ? columns.slice(0, 1) : columns
  const hasFloor = columns.some(({ series }) => samplesOf(series, FLOORS.js).length > 0)
  const spreads: number[] = []
  const rows = ids.map(id => {
    const cells = columns.map(({ series }) => {
      const values = samplesOf(series, id)
      if (values.length === 0) return '-'
      if (median(values) > 0 && values.length >= LEAST_SAMPLES) spreads.push(spread(values))
      return significant(median(values))
    })
    const verdicts = compared.flatMap(ours => {
      if (id === ours || isFloor(id)) return hasFloor ? ['', ''] : ['']
      const measured = comparison(ratiosOf(deciding, samplesOf, ours, id))
      const net = [...ratiosOf(deciding, netSamples, ours, id).values()]
      return hasFloor ? [measured, net.length === 0 ? '' : words(geometricMean(net))] : [measured]
    })
    return [contenderOf(id).label, ...cells, ...verdicts]
  })
  const verdictHeads = compared.flatMap(id => [
    `${contenderOf(id).label} is`,
    ...(hasFloor ? ['net of floor'] : [])
  ])
  const hasDashes = rows.some(cells => cells.includes('-'))
  return {
    title: part.title,
    head: ['', ...columns.map(column => column.label), ...verdictHeads],
    rows,
    numbers: columns.length,
    note: aboutMemory ? 'The same in each run.' : noteOf(spreads, hasDashes)
  }
}

/** Is it faster for my program? Recorded programs, each with its own sizes and order. */
import { asFast, humanTime } from '#lib/bench/results.js'
import { geometricMean, mean, median, spread } from '#lib/bench/statistics.js'
import { isFloor } from '../contenders/contenders.js'
import { FRONT } from '../contenders/heap-names.js'
import { SHIPPED } from '../paths.js'
import type { Race } from '../run/race.js'
import { race, type Settings } from '../run/settings.js'
import { traceLabels } from '../run/traces.js'
import { dotChart, type Labels } from './draw.js'
import { colorOf, nameOf } from './names.js'
import { kept } from './series.js'
import type { Table } from './table.js'

const CONTENDERS = [
  'segregated-fit',
  'segregated-fit+closed',
  'first-fit',
  'first-fit+closed',
  `first-fit+${FRONT.flag}`,
  'segregated-fit+views',
  'Buffer.alloc',
  'dlmalloc-wasm',
  'tlsf-wasm',
  'glibc',
  'mimalloc',
  'jemalloc',
  'glibc-call',
  'floor-js',
  'floor-c++'
]

const PICTURED = [
  'segregated-fit',
  'first-fit',
  'Buffer.alloc',
  'dlmalloc-wasm',
  'glibc',
  'mimalloc'
]

/** The contenders that are also measured in a fresh process. */
const COLD = [
  'segregated-fit',
  'first-fit',
  `first-fit+${FRONT.flag}`,
  'Buffer.alloc',
  'dlmalloc-wasm',
  'glibc'
]

interface Row {
  readonly id: string
  /** ns per operation for each recording. */
  readonly ns: readonly (number | null)[]
  readonly spread: readonly (number | null)[]
  /**
   * How many times as fast as Buffer.alloc, and as the C library, as measured and net of the
   * floors.
   */
  readonly besideAlloc: readonly (number | null)[]
  readonly besideC: readonly (number | null)[]
  readonly net: readonly (number | null)[]
  /** ns per operation of the first run in a fresh process. */
  readonly cold: readonly (number | null)[]
  readonly utilization: readonly (number | null)[]
}

export interface Programs {
  readonly recordings: readonly {
    readonly label: string
    /** Not one of the recordings in traces/, which design decisions are based on. */
    readonly heldOut: boolean
    /** The C library spends its time on page faults. */
    readonly paging: boolean
  }[]
  readonly samples: number
  readonly rows: readonly Row[]
}

export async function measurePrograms(settings: Settings, quick: boolean): Promise<Programs> {
  const traces = quick ? settings.traces.slice(0, 2) : settings.traces
  const contenders = quick ? PICTURED : CONTENDERS
  const labels = traceLabels(traces)
  const races: Race[] = []
  const cold: Race[] = []
  for (const path of traces) {
    const work = { kind: 'trace', path } as const
    races.push(await race(contenders, work, settings))
    cold.push(await race(COLD, work, { ...settings, rounds: 3 }, true))
  }
  const rows = contenders.filter(settings.has).map((id): Row => {
    const each = (of: (one: Race) => number) => races.map(one => kept(of(one)))
    return {
      id,
      ns: each(one => one.median(id)),
      spread: each(one => spread(one.samples(id))),
      besideAlloc: each(one => one.ratio('Buffer.alloc', id)),
      besideC: each(one => one.ratio('glibc', id)),
      net: each(one => one.netRatio('glibc', id)),
      cold: cold.map(one => kept(one.fact(id, 'cold'))),
      utilization: each(one => one.fact(id, 'utilization'))
    }
  })
  const recordings = races.map((one, i) => {
    const path = traces[i] ?? ''
    return {
      label: labels[i] ?? path,
      heldOut: !path.startsWith(SHIPPED),
      paging: one.paysForPages
    }
  })
  return { recordings, samples: settings.rounds, rows }
}

export function programsPicture({ recordings, rows }: Programs, labels: Labels): string {
  const chosen = PICTURED.flatMap(id => rows.filter(row => row.id === id))
  const dots = chosen.map(({ id, ns }) => ({
    label: nameOf(id),
    color: colorOf(id),
    values: ns.map(value => value ?? Number.NaN)
  }))
  return dotChart(
    labels,
    recordings.map(({ label, paging }) => (paging ? `${label} *` : label)),
    'time per operation',
    dots
  )
}

/** The mean over the chosen recordings, computed by `of`; undefined if one of them is missing. */
function over(
  values: readonly (number | null)[],
  chosen: readonly boolean[],
  of = geometricMean
): number | undefined {
  const known = values.flatMap((value, i) => (chosen[i] === true && value !== null ? [value] : []))
  return known.length === chosen.filter(one => one).length && known.length > 0
    ? of(known)
    : undefined
}

function words(value: number | undefined): string {
  return value === undefined ? '-' : asFast(value)
}

export function programsTable(
  all: readonly { readonly node: string; readonly programs: Programs }[]
): Table {
  const [first] = all
  if (first === undefined) return { head: [], rows: [], note: '' }
  const { recordings, rows, samples } = first.programs
  const every = recordings.map(() => true)
  const calm = recordings.map(({ paging }) => !paging)
  const heldOut = recordings.map(one => one.heldOut)
  const hasHeldOut = heldOut.includes(true)
  const hasPaging = calm.includes(false)
  const worst = ({ besideC }: Row): string => {
    const known = besideC.map(value => value ?? Number.POSITIVE_INFINITY)
    const least = Math.min(...known)
    return Number.isFinite(least)
      ? `${asFast(least)} (${recordings[known.indexOf(least)]?.label})`
      : '-'
  }
  const inC = (row: Row): string[] => {
    if (row.id === 'glibc')
      return ['', ...(hasPaging ? [''] : []), ...(hasHeldOut ? [''] : []), '', '']
    return [
      words(over(row.besideC, every)),
      ...(hasPaging ? [words(over(row.besideC, calm))] : []),
      ...(hasHeldOut ? [words(over(row.besideC, heldOut))] : []),
      words(over(row.net, every)),
      worst(row)
    ]
  }
  const head = [
    '',
    'time per operation',
    'beside Buffer.alloc',
    'beside the C library',
    ...(hasPaging ? ['without *'] : []),
    ...(hasHeldOut ? ['held out'] : []),
    'net of floors',
    'worst program',
    'first run',
    'utilization',
    ...all.slice(1).map(({ node }) => `beside the C library, Node ${node}`)
  ]
  const cells = (row: Row): string[] => {
    const utilization = over(row.utilization, every, mean)
    const figures = [humanTime(over(row.ns, every) ?? Number.NaN)]
    if (isFloor(row.id)) return [...figures, ...head.slice(2).map(() => '')]
    return [
      ...figures,
      row.id === 'Buffer.alloc' ? '' : words(over(row.besideAlloc, every)),
      ...inC(row),
      humanTime(over(row.cold, every) ?? Number.NaN),
      utilization === undefined ? '-' : `${(utilization * 100).toFixed(1)} %`,
      ...all.slice(1).map(({ programs }) => {
        const same = programs.rows.find(({ id }) => id === row.id)
        if (same === undefined || row.id === 'glibc') return ''
        const each = programs.recordings.map(() => true)
        return words(over(same.besideC, each))
      })
    ]
  }
  const spreads = rows.flatMap(row => row.spread.flatMap(value => value ?? []))
  const notes = [
    `Geometric means over ${recordings.length} recordings on Node ${first.node}; medians of ` +
      `${samples} samples each, whose quartiles lie ` +
      `${(median(spreads) * 100).toFixed(0)} % around the median, at worst ` +
      `${(Math.max(0, ...spreads) * 100).toFixed(0)} %.`,
    '*First run*: in a fresh process, before V8 has compiled anything. *Net of floors*: ' +
      'without the time of the loop itself.'
  ]
  if (hasPaging) notes.push('*: recordings for which the C library pays for pages.')
  if (hasHeldOut) notes.push('*Held out*: recordings that no choice of the design was based on.')
  return { head, rows: rows.map(row => [nameOf(row.id), ...cells(row)]), note: notes.join(' ') }
}

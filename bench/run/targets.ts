/**
 * The project's own targets, each with its measurement: `npm run bench -- --targets`. For
 * contributors; docs/benchmarks.md is for users.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { geometricMean, mean, median, significant } from '#lib/bench/statistics.js'
import { readTrace } from '#lib/trace/read.js'
import { FLOORS } from '../contenders/contenders.js'
import { FRONT } from '../contenders/heap-names.js'
import { ROOT } from '../paths.js'
import type { Work } from '../work/work.js'
import type { Race } from './race.js'
import { race, type Settings } from './settings.js'
import { traceLabels } from './traces.js'

export interface TargetRow {
  readonly measure: string
  /** Bound and stretch goal; at most, unless `atLeast`. */
  readonly bound: number
  readonly stretch: number
  readonly atLeast?: boolean
  /** NaN if a contender that it needs is missing. */
  readonly measured: number
  /**
   * The value without the recordings for which the C library pays for pages, if it is different.
   */
  readonly withoutPaging?: number
  /** The value net of the floors, if there are floors. */
  readonly net?: number
  /** The underlying figures, one on each line. */
  readonly detail: readonly string[]
}

export interface TargetSettings extends Settings {
  /** A built checkout of an earlier version, to compare the default heap with. */
  readonly before?: string
}

type Group = (settings: TargetSettings) => Promise<TargetRow[]>
type Goal = readonly [bound: number, stretch: number]

const DEFAULT = 'first-fit'
const FIRST = `first-fit+${FRONT.flag}`
const SEGREGATED = `segregated-fit+${FRONT.flag}`
const FASTEST_OF = [DEFAULT, FIRST, SEGREGATED, `segregated-fit-${FRONT.flag}`]
const IN_FLOORS = Object.values(FLOORS)

/** The most operations of a short trace: a script, not a server. */
const SHORT = 50_000

type Named = readonly [label: string, race: Race]

function ns(race: Race, id: string): string {
  const value = race.median(id)
  return Number.isNaN(value) ? (race.error(id) ?? 'not there') : `${significant(value)} ns`
}

/** The geometric mean of a ratio over recordings. */
function ratioRow(
  measure: string,
  [bound, stretch]: Goal,
  races: readonly Named[],
  ours: string,
  theirs: string
): TargetRow {
  const over = (chosen: readonly Named[], of: (race: Race) => number) => {
    return geometricMean(chosen.map(([, race]) => of(race)))
  }
  const calm = races.filter(([, race]) => !race.paysForPages)
  const ratio = (race: Race) => race.ratio(ours, theirs)
  return {
    measure,
    bound,
    stretch,
    measured: over(races, ratio),
    ...(calm.length < races.length ? { withoutPaging: over(calm, ratio) } : {}),
    net: over(races, race => race.netRatio(ours, theirs)),
    detail: races.map(([label, race]) => {
      const pages = race.paysForPages ? ', which pays for pages' : ''
      return `${label} ${ratio(race).toFixed(2)} (${ns(race, ours)} / ${ns(race, theirs)}${pages})`
    })
  }
}

const recordings: Group = async settings => {
  const before = settings.before === undefined ? [] : [`${DEFAULT}@${settings.before}`]
  const ids = [
    DEFAULT,
    FIRST,
    SEGREGATED,
    ...before,
    'glibc',
    'mimalloc',
    'dlmalloc-wasm',
    ...IN_FLOORS
  ]
  const labels = traceLabels(settings.traces)
  const races: Named[] = []
  for (const [i, path] of settings.traces.entries()) {
    races.push([labels[i] ?? path, await race(ids, { kind: 'trace', path }, settings)])
  }
  const worst = races.reduce((a, b) =>
    b[1].ratio(SEGREGATED, 'glibc') > a[1].ratio(SEGREGATED, 'glibc') ? b : a
  )
  const segregated = `${FRONT.words} + segregated fit`
  const used = races.map(([, one]) => one.fact(SEGREGATED, 'utilization'))
  const rows = [
    ratioRow(
      `${segregated} / glibc, geometric mean over the recordings`,
      [0.88, 0.65],
      races,
      SEGREGATED,
      'glibc'
    ),
    ratioRow(`the same, worst program: ${worst[0]}`, [1.25, 1], [worst], SEGREGATED, 'glibc'),
    ratioRow(
      `${segregated} / dlmalloc in WebAssembly`,
      [0.7, 0.5],
      races,
      SEGREGATED,
      'dlmalloc-wasm'
    ),
    ratioRow(`${segregated} / mimalloc`, [2.2, 1.3], races, SEGREGATED, 'mimalloc'),
    ratioRow(`${FRONT.words} + first fit / glibc`, [0.95, 0.7], races, FIRST, 'glibc'),
    ratioRow('default (exact first fit) / glibc', [2.3, 1.6], races, DEFAULT, 'glibc'),
    ...before.map(id =>
      ratioRow('default / the default of the earlier build', [1.05, 1], races, DEFAULT, id)
    ),
    {
      measure: `mean utilization, ${segregated}, index included`,
      bound: 0.9,
      stretch: 0.93,
      atLeast: true,
      measured: mean(used),
      detail: races.map(([label], i) => `${label} ${used[i]?.toFixed(3)}`)
    }
  ]
  const floors = IN_FLOORS.map(
    id => `${id} ${significant(median(races.map(([, one]) => one.median(id))))} ns`
  )
  return rows.map(row => ({ ...row, detail: [...row.detail, ...floors] }))
}

/** Compares the fastest of our configurations with another contender. */
function fastest(measure: string, [bound, stretch]: Goal, work: Work, theirs: string): Group {
  return async settings => {
    const measured = await race([...FASTEST_OF, theirs, ...IN_FLOORS], work, settings)
    const best = FASTEST_OF.reduce((a, b) =>
      measured.ratio(b, theirs) < measured.ratio(a, theirs) ? b : a
    )
    return [
      {
        measure: `${measure}: ${best} / ${theirs}`,
        bound,
        stretch,
        measured: measured.ratio(best, theirs),
        net: measured.netRatio(best, theirs),
        detail: measured.contenders.map(id => `${id} ${ns(measured, id)}`)
      }
    ]
  }
}

const cold: Group = async settings => {
  const labels = traceLabels(settings.traces)
  const races: Named[] = []
  for (const [i, path] of settings.traces.entries()) {
    const { length } = await readTrace(path)
    if (length > SHORT) continue
    const work: Work = { kind: 'trace', path }
    races.push([labels[i] ?? path, await race([...FASTEST_OF, 'glibc'], work, settings, true)])
  }
  const ratio = ([, one]: Named, id: string) => one.fact(id, 'cold') / one.fact('glibc', 'cold')
  const means = FASTEST_OF.map(id => ({
    id,
    mean: geometricMean(races.map(one => ratio(one, id)))
  }))
  const best = means.reduce((a, b) => (b.mean < a.mean ? b : a))
  const upTo = SHORT.toLocaleString('en')
  return [
    {
      measure: `cold, recordings up to ${upTo} operations: ${best.id} / glibc`,
      bound: 3,
      stretch: 2,
      measured: best.mean,
      detail: [
        ...means.map(({ id, mean }) => `${id} ${mean.toFixed(2)}`),
        ...races.map(one => `${one[0]} ${ratio(one, best.id).toFixed(2)}`)
      ]
    }
  ]
}

const smallBuffers: Group = async settings => {
  const ids = [
    'first-fit+views',
    'segregated-fit+views',
    'Buffer.alloc',
    'Buffer.allocUnsafe',
    FLOORS.js
  ]
  const rows: TargetRow[] = []
  for (const size of [16, 64]) {
    const measured = await race(ids, { kind: 'pairs', size, cleared: false }, settings)
    for (const [i, ours] of ids.slice(0, 2).entries()) {
      rows.push({
        measure:
          `${ours.replace('+views', '')}: allocBuffer(${size}) + free / ` + `Buffer.alloc(${size})`,
        bound: 1.5,
        stretch: 1.1,
        measured: measured.ratio(ours, 'Buffer.alloc'),
        net: measured.netRatio(ours, 'Buffer.alloc'),
        detail: i === 0 ? [] : ids.map(id => `${id} ${ns(measured, id)}`)
      })
    }
  }
  return rows
}

/** A figure about memory, the same in each run. The target is for segregated fit. */
function memory(
  measure: string,
  [bound, stretch]: Goal,
  work: Work,
  fact: string,
  atLeast: boolean
): Group {
  return async settings => {
    const measured = await race(FASTEST_OF, work, { ...settings, rounds: 1 }, true)
    return [
      {
        measure: `${measure}: ${SEGREGATED}`,
        bound,
        stretch,
        atLeast,
        measured: measured.fact(SEGREGATED, fact),
        detail: FASTEST_OF.map(
          id => `${id} ${measured.error(id) ?? measured.fact(id, fact).toFixed(3)}`
        )
      }
    ]
  }
}

/** The folders whose lines are counted, if they exist. */
const COUNTED = ['layout', 'block', 'placement', 'engine', 'heap']

const lines: Group = async () => {
  const there = readdirSync(join(ROOT, 'lib')).filter(room => COUNTED.includes(room))
  const counts = there.map(room => {
    const files = readdirSync(join(ROOT, 'lib', room), { recursive: true, encoding: 'utf8' })
    const texts = files
      .filter(file => file.endsWith('.ts'))
      .map(file => readFileSync(join(ROOT, 'lib', room, file), 'utf8'))
    return texts.reduce((sum, text) => sum + text.split('\n').length - 1, 0)
  })
  return [
    {
      measure: `lines of lib/{${there.join(',')}}`,
      bound: 3000,
      stretch: 2600,
      measured: counts.reduce((sum, count) => sum + count, 0),
      detail: there.map((room, i) => `${room} ${counts[i]}`)
    }
  ]
}

const churn = (live: number): Work => ({ kind: 'churn', live, least: 1, largest: 512 })

/** By the names for `--only`. */
export const TARGET_GROUPS: ReadonlyMap<string, Group> = new Map([
  ['recordings', recordings],
  ['churn10k', fastest('churn, 10k live, up to 512 B', [1.5, 1], churn(10_000), 'glibc')],
  [
    'churn100k',
    fastest('churn, 100k live, up to 512 B', [0.1, 0.03], churn(100_000), 'Buffer.alloc')
  ],
  ['cold', cold],
  ['buffers', smallBuffers],
  [
    'pinning',
    memory('pinning: memory / needed', [1.6, 1.2], { kind: 'pinning' }, 'overNeeded', false)
  ],
  [
    'random',
    memory(
      'random 8 to 1,024 B, 10k live: utilization',
      [0.88, 0.92],
      { kind: 'churn', live: 10_000, least: 8, largest: 1024 },
      'utilization',
      true
    )
  ],
  ['lines', lines]
])

/** Whether the target of a row is reached. */
export function verdict({ measured, bound, stretch, atLeast = false }: TargetRow): string {
  if (Number.isNaN(measured)) return 'not measured'
  const reaches = (goal: number) => (atLeast ? measured >= goal : measured <= goal)
  if (reaches(stretch)) return 'stretch'
  return reaches(bound) ? 'reached' : 'MISSED'
}

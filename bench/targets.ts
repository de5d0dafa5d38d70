/**
 * The numbers that the project set itself: each row as a ratio of two contenders measured against each other, beside
 * what it should be at most. `npm run bench -- --targets`.
 */
import type { Entry, Measurement, Work } from './entry.js'
import { type MeasureOptions, measure } from './measure.js'
import { geometricMean, mean, median, ratio, significant } from './stats.js'
import { traceName } from './traces.js'

/** Measures entries against each other, with the rounds and the process settings of this run. */
export type Measure = (entries: readonly Pick<Entry, 'contender' | 'work'>[]) => Promise<Measurement[]>

export interface TargetRow {
  readonly group: string
  readonly measure: string
  /** Bound and stretch goal; at most, unless `atLeast`. */
  readonly bound: number
  readonly stretch: number
  readonly atLeast: boolean
  /** Undefined when a contender that it needs is not there. */
  readonly measured: number | undefined
  /** Nanoseconds on both sides, or what else explains the figure. */
  readonly detail: string
}

export interface TargetContext {
  readonly traces: readonly string[]
  readonly measure: Measure
  /** Whether a contender can take part. */
  has(id: string): boolean
}

type Group = (context: TargetContext) => Promise<TargetRow[]>

const DEFAULT = 'first-fit'
/** What Heap.map makes of `segregated-fit`; the plain one is measured beside it. */
const SEGREGATED = 'segregated-fit+quick'
/** What the rows call our configurations. */
const LABELS: Readonly<Record<string, string>> = {
  [DEFAULT]: 'default',
  [SEGREGATED]: 'segregated-fit',
  'segregated-fit': 'segregated-fit without quick lists'
}
const FASTEST_OF = ['first-fit', 'segregated-fit', 'best-fit', 'next-fit'].flatMap(name => [name, `${name}+quick`])

function row(
  group: string,
  measure: string,
  [bound, stretch]: readonly [number, number],
  measured: number | undefined,
  detail: string,
  atLeast = false
): TargetRow {
  return { group, measure, bound, stretch, atLeast, measured, detail }
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

function ns(measurement: Measurement | undefined): string {
  if (measurement === undefined) return '?'
  return measurement.error === undefined
    ? `${significant(median(measurement.samples))} ns`
    : `failed: ${firstLine(measurement.error)}`
}

/** Measures contenders at one piece of work; by contender. */
async function against(context: TargetContext, ids: readonly string[], work: Work): Promise<Map<string, Measurement>> {
  const measured = await context.measure(ids.filter(id => context.has(id)).map(contender => ({ contender, work })))
  return new Map(measured.map(one => [one.contender, one]))
}

function ratioOf(measured: Map<string, Measurement>, ours: string, theirs: string): number | undefined {
  const [a, b] = [measured.get(ours), measured.get(theirs)]
  if (a === undefined || b === undefined || a.samples.length === 0 || b.samples.length === 0) return undefined
  return ratio(a.samples, b.samples)
}

const recordings: Group = async context => {
  const ids = [DEFAULT, SEGREGATED, 'segregated-fit', 'glibc-c++', 'dlmalloc-wasm']
  const byTrace: Map<string, Measurement>[] = []
  for (const path of context.traces) byTrace.push(await against(context, ids, { kind: 'trace', path }))
  const names = context.traces.map(traceName)
  const compare = (ours: string, theirs: string, goal: readonly [number, number]): TargetRow => {
    const ratios = byTrace.flatMap(measured => ratioOf(measured, ours, theirs) ?? [])
    const detail = byTrace.map((measured, i) => {
      const value = ratioOf(measured, ours, theirs)?.toFixed(2) ?? '-'
      return `${names[i]} ${value} (${ns(measured.get(ours))} / ${ns(measured.get(theirs))})`
    })
    const label = `recordings, warm: ${LABELS[ours] ?? ours} / ${theirs}`
    const value = ratios.length === byTrace.length ? geometricMean(ratios) : undefined
    return row('recordings', label, goal, value, detail.join(', '))
  }
  const utilizations = byTrace.flatMap(measured => measured.get(DEFAULT)?.facts[0]?.utilization ?? [])
  const used = utilizations.length === byTrace.length ? mean(utilizations) : undefined
  return [
    compare(DEFAULT, 'glibc-c++', [1.5, 0.9]),
    compare(SEGREGATED, 'glibc-c++', [0.95, 0.6]),
    compare('segregated-fit', 'glibc-c++', [0.95, 0.6]),
    compare(DEFAULT, 'dlmalloc-wasm', [1.5, 0.9]),
    compare(SEGREGATED, 'dlmalloc-wasm', [0.95, 0.7]),
    compare('segregated-fit', 'dlmalloc-wasm', [0.95, 0.7]),
    row(
      'recordings',
      'recordings: mean utilization, default',
      [0.93, 0.95],
      used,
      utilizations.map((one, i) => `${names[i]} ${one.toFixed(3)}`).join(', '),
      true
    )
  ]
}

const churn10k: Group = async context => {
  const measured = await against(context, [...FASTEST_OF, 'tlsf-wasm'], { kind: 'churn', live: 10_000, largest: 512 })
  const ratios = FASTEST_OF.flatMap(id => {
    const value = ratioOf(measured, id, 'tlsf-wasm')
    return value === undefined ? [] : [{ id, value }]
  }).sort((a, b) => a.value - b.value)
  const label = 'churn, 10k live, 512 B: fastest configuration / TLSF in WebAssembly'
  const detail = [...ratios.map(({ id }) => id), 'tlsf-wasm'].map(id => `${id} ${ns(measured.get(id))}`).join(', ')
  return [row('churn10k', label, [0.6, 0.35], ratios[0]?.value, detail)]
}

function pairOf(
  group: string,
  label: string,
  work: Work,
  ours: readonly string[],
  theirs: string,
  goal: readonly [number, number]
): Group {
  return async context => {
    const measured = await against(context, [...ours, theirs], work)
    const detail = [...measured].map(([id, one]) => `${id} ${ns(one)}`).join(', ')
    return [row(group, label, goal, ratioOf(measured, ours[0] ?? '', theirs), detail)]
  }
}

const holes: Group = async context => {
  const works: readonly Work[] = [
    { kind: 'fragmented', holes: 1e3 },
    { kind: 'fragmented', holes: 1e6 }
  ]
  const [few, many] = await context.measure(works.map(work => ({ contender: DEFAULT, work })))
  const known = few !== undefined && many !== undefined && few.samples.length > 0 && many.samples.length > 0
  const measured = known ? ratio(many.samples, few.samples) : undefined
  const detail = `${ns(many)}, ${ns(few)}`
  return [row('holes', 'default: ns per operation, 10^6 / 10^3 free blocks', [4, 2], measured, detail)]
}

const pairs = (size: number, cleared: boolean): Work => ({ kind: 'pairs', size, cleared })

/** By the names that `--only` takes. */
export const TARGET_GROUPS: ReadonlyMap<string, Group> = new Map([
  ['recordings', recordings],
  ['churn10k', churn10k],
  [
    'churn100k',
    pairOf(
      'churn100k',
      'churn, 100k live, 512 B: default / Buffer.alloc',
      { kind: 'churn', live: 100_000, largest: 512 },
      [DEFAULT],
      'Buffer.alloc',
      [0.25, 0.1]
    )
  ],
  [
    'hot',
    pairOf(
      'hot',
      'malloc(64)/free: quick lists / C library in C++',
      pairs(64, false),
      ['first-fit+quick', 'first-fit', 'segregated-fit', 'segregated-fit+quick'],
      'glibc-c++',
      [1.5, 1]
    )
  ],
  ['holes', holes],
  [
    'buffer1k',
    pairOf(
      'buffer1k',
      'allocBuffer(1024) + free / Buffer.alloc(1024)',
      pairs(1024, false),
      ['heap-buffers', 'heap-buffers+quick'],
      'Buffer.alloc',
      [0.1, 0.05]
    )
  ],
  [
    'cleared64k',
    pairOf(
      'cleared64k',
      'allocZeroed(64 KiB) + free / Buffer.alloc(64 KiB)',
      pairs(65_536, true),
      ['heap-buffers', 'heap-buffers+quick'],
      'Buffer.alloc',
      [0.35, 0.25]
    )
  ]
])

/** What to say of a row: whether it is reached, and how far. */
export function verdict({ measured, bound, stretch, atLeast }: TargetRow): string {
  if (measured === undefined) return 'not measured'
  const reaches = (goal: number) => (atLeast ? measured >= goal : measured <= goal)
  if (reaches(stretch)) return 'stretch'
  return reaches(bound) ? 'reached' : 'MISSED'
}

export interface TargetResults {
  readonly rows: readonly TargetRow[]
  readonly measurements: readonly Measurement[]
}

export interface TargetSettings extends MeasureOptions {
  readonly traces: readonly string[]
  readonly warmOperations: number
  has(id: string): boolean
}

/** Measures the groups, one after the other. */
export async function runTargets(groups: readonly [string, Group][], settings: TargetSettings): Promise<TargetResults> {
  const { traces, has, warmOperations } = settings
  const measurements: Measurement[] = []
  const context: TargetContext = {
    traces,
    has,
    async measure(entries) {
      const measured = await measure(
        entries.map(entry => ({ ...entry, warmOperations, once: false })),
        settings
      )
      measurements.push(...measured)
      return measured
    }
  }
  const rows: TargetRow[] = []
  for (const [, group] of groups) rows.push(...(await group(context)))
  return { rows, measurements }
}

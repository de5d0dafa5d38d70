/** The plan of a whole run: its parts, each with its cases and contenders. */
import { humanBytes } from '#lib/sizes.js'
import { readTrace } from '#lib/trace/read.js'
import { contenderOf, FLOORS } from '../contenders/contenders.js'
import { fromTrace, peakLive } from '../work/columns.js'
import type { Work } from '../work/work.js'
import type { Scale } from './scale.js'
import { traceLabels } from './traces.js'

export interface Case {
  /** The name of the column: a trace, a number of blocks, a size. */
  readonly label: string
  readonly work: Work
  /** Most blocks alive at the same time. */
  readonly live: number
}

export interface Part {
  readonly name: string
  readonly title: string
  readonly cases: readonly Case[]
  readonly contenders: readonly string[]
  /** Our configurations, which the others are compared with. */
  readonly ours: readonly string[]
  /** Facts to measure in a fresh process each time, instead of ns in a warm one. */
  readonly facts: readonly string[]
  /** Whether the facts are the same every time, so that one process is enough. */
  readonly exact: boolean
}

function countLabel(count: number): string {
  return count.toLocaleString('en')
}

async function traceCases(
  paths: readonly string[],
  { mostTraces, longestTrace }: Scale
): Promise<Case[]> {
  const labels = traceLabels(paths)
  const cases: (Case & { length: number })[] = []
  for (const [i, path] of paths.entries()) {
    const columns = fromTrace(await readTrace(path))
    const { length } = columns.kinds
    if (length > longestTrace) continue
    cases.push({
      label: labels[i] ?? path,
      work: { kind: 'trace', path },
      live: peakLive(columns),
      length
    })
  }
  const shortest = [...cases].sort((a, b) => a.length - b.length).slice(0, mostTraces)
  return cases.filter(one => shortest.includes(one))
}

/** The parts of a run. `has`: whether a contender can run on this machine. */
export async function plan(
  scale: Scale,
  traces: readonly string[],
  has: (id: string) => boolean
): Promise<Part[]> {
  const present = scale.contenders.filter(has).map(contenderOf)
  const ids = (test: (one: ReturnType<typeof contenderOf>) => boolean) =>
    present.filter(test).map(one => one.id)
  const onlyPointers = ids(one => !one.buffers)
  const pointers = ids(one => !one.buffers || one.id === 'Buffer.alloc')
  const onlyBuffers = ids(one => one.buffers || one.id === FLOORS.js)
  const heaps = ids(one => one.heap !== undefined && !one.buffers && !one.id.endsWith('+closed'))
  const recordings = await traceCases(traces, scale)
  const sizes = (cleared: boolean): Case[] =>
    scale.sizes.map(size => ({
      label: humanBytes(size),
      work: { kind: 'pairs', size, cleared },
      live: 1
    }))
  const part = (
    name: string,
    title: string,
    cases: Case[],
    contenders: string[],
    rest: Partial<Part> = {}
  ): Part => {
    const ours = ['first-fit', 'segregated-fit']
    return { name, title, cases, contenders, ours, facts: [], exact: false, ...rest }
  }
  const views = { ours: ['first-fit+views', 'segregated-fit+views'] }
  const gc: Case = { label: '', work: { kind: 'gc', live: scale.gcLive }, live: scale.gcLive }
  const freshWork: Work = { kind: 'fresh', size: 65_536, count: scale.freshBlocks }
  const fresh: Case = { label: '', work: freshWork, live: scale.freshBlocks }
  const memory: Case[] = [
    { label: 'pinning', work: { kind: 'pinning' }, live: 100_000 },
    {
      label: 'random 8 to 1,024 B',
      work: { kind: 'churn', live: 10_000, least: 8, largest: 1024 },
      live: 10_000
    }
  ]
  return [
    part('recordings', 'Recorded programs, warm: ns per operation', recordings, pointers),
    part(
      'cold',
      'Recorded programs, first run of a fresh process: ns per operation',
      recordings,
      pointers.filter(id => !id.endsWith('+closed')),
      { facts: ['cold'] }
    ),
    part(
      'utilization',
      'Recorded programs: peak payload / memory in use, the index’s share included',
      recordings,
      heaps,
      { facts: ['utilization'], exact: true }
    ),
    part('memory', 'Memory under hard patterns', memory, heaps, {
      facts: ['utilization', 'overNeeded'],
      exact: true
    }),
    part(
      'churn',
      'Random churn, blocks of 1 to 512 B: ns per operation by live blocks',
      scale.live.map(live => {
        const work: Work = { kind: 'churn', live, least: 1, largest: 512 }
        return { label: countLabel(live), work, live }
      }),
      pointers
    ),
    part(
      'fragmentation',
      'Larger blocks on a heap with many small free blocks: ns per operation by free blocks',
      scale.holes.map(holes => {
        return { label: countLabel(holes), work: { kind: 'fragmented', holes }, live: 2 * holes }
      }),
      onlyPointers
    ),
    part('sizes', 'malloc and free by size: ns per pair', sizes(false), onlyPointers),
    part('sizes-cleared', 'calloc and free by size: ns per pair', sizes(true), onlyPointers),
    part(
      'buffers',
      'A Buffer by size, not cleared where there is a choice: ns each',
      sizes(false),
      onlyBuffers,
      views
    ),
    part('buffers-cleared', 'A cleared Buffer by size: ns each', sizes(true), onlyBuffers, views),
    part(
      'growth',
      'Arrays that grow by realloc: ns per operation',
      [{ label: 'to 256 KiB', work: { kind: 'growth' }, live: 8 }],
      // @thi.ng/malloc loses the old block when a realloc moves it, and runs out of memory.
      pointers.filter(id => id !== 'thi.ng')
    ),
    part(
      'gc',
      `${countLabel(scale.gcLive)} live blocks of 1 KiB, as many replaced: milliseconds`,
      [gc],
      ['first-fit', ...onlyBuffers.filter(id => id !== FLOORS.js)].filter(has),
      { facts: ['totalMs', 'gcMs', 'worstPauseMs', 'collections'] }
    ),
    part(
      'fresh',
      'Blocks of 64 KiB, a byte written into each page: ns per page',
      [fresh],
      pointers.filter(id => !['thi.ng', 'glibc-call', ...Object.values(FLOORS)].includes(id)),
      { facts: ['fresh', 'warm'] }
    )
  ].filter(one => scale.parts === undefined || scale.parts.includes(one.name))
}

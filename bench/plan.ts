/** What a whole run measures: its parts, each with its cases and those who take part. */
import { readTrace } from '#lib/trace/read.js'
import { fromTrace, peakLive } from './columns.js'
import { CONTENDERS, type Contender } from './contenders.js'
import type { Work } from './entry.js'
import { traceName } from './traces.js'

export interface Case {
  /** What the column is called: a trace, a number of blocks, a size. */
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
  /** Our configurations that the others are compared with. */
  readonly ours: readonly string[]
  /** A fact that a fresh process finds out each time, instead of nanoseconds in a warm one. */
  readonly facts: readonly string[]
}

/** What makes a quick run quick. */
export interface Scale {
  readonly live: readonly number[]
  readonly holes: readonly number[]
  readonly sizes: readonly number[]
  readonly gcLive: number
  readonly freshBlocks: number
  /** At most so many operations in a trace. */
  readonly longestTrace: number
  readonly contenders: readonly string[]
}

export const FULL: Scale = {
  live: [1e2, 1e3, 1e4, 1e5, 1e6],
  holes: [1e3, 1e4, 1e5, 1e6],
  sizes: Array.from({ length: 11 }, (_, step) => 16 * 4 ** step),
  gcLive: 1_000_000,
  freshBlocks: 4096,
  longestTrace: Number.POSITIVE_INFINITY,
  contenders: CONTENDERS.map(one => one.id)
}

export const QUICK: Scale = {
  live: [1e3, 1e4],
  holes: [1e3, 1e5],
  sizes: [64, 1024, 65_536],
  gcLive: 100_000,
  freshBlocks: 512,
  longestTrace: 50_000,
  contenders: [
    'first-fit',
    'first-fit+quick',
    'segregated-fit',
    'heap-buffers',
    'glibc-c++',
    'dlmalloc-wasm',
    'tlsf-wasm',
    'Buffer.alloc',
    'nothing'
  ]
}

/** `64 KiB` for 65536. */
export function sizeLabel(bytes: number): string {
  if (bytes >= 2 ** 20) return `${bytes / 2 ** 20} MiB`
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`
}

function countLabel(count: number): string {
  return count.toLocaleString('en')
}

async function traceCases(paths: readonly string[], longest: number): Promise<Case[]> {
  const cases: Case[] = []
  for (const path of paths) {
    const columns = fromTrace(await readTrace(path))
    if (columns.kinds.length > longest) continue
    cases.push({ label: traceName(path), work: { kind: 'trace', path }, live: peakLive(columns) })
  }
  return cases
}

/** The parts of a run. `has`: whether a contender can take part. */
export async function plan(scale: Scale, traces: readonly string[], has: (id: string) => boolean): Promise<Part[]> {
  const present = CONTENDERS.filter(({ id }) => scale.contenders.includes(id) && has(id))
  const choose = (test: (one: Contender) => boolean) => present.filter(test).map(one => one.id)
  const pointers = choose(one => !one.buffers || one.id === 'Buffer.alloc')
  const onlyPointers = choose(one => !one.buffers)
  const onlyBuffers = choose(one => one.buffers)
  const recordings = await traceCases(traces, scale.longestTrace)
  const sizes = (cleared: boolean): Case[] =>
    scale.sizes.map(size => ({ label: sizeLabel(size), work: { kind: 'pairs', size, cleared }, live: 1 }))
  const part = (name: string, title: string, cases: Case[], contenders: string[], rest: Partial<Part> = {}): Part => {
    return { name, title, cases, contenders, ours: ['first-fit', 'segregated-fit'], facts: [], ...rest }
  }
  const gc: Case = { label: '', work: { kind: 'gc', live: scale.gcLive }, live: scale.gcLive }
  const fresh: Case = {
    label: '',
    work: { kind: 'fresh', size: 65_536, count: scale.freshBlocks },
    live: scale.freshBlocks
  }
  return [
    part('recordings', 'Recorded programs, warm: ns per operation', recordings, pointers),
    part('cold', 'Recorded programs, first run of a fresh process: ns per operation', recordings, pointers, {
      facts: ['cold']
    }),
    part(
      'churn',
      'Random churn, blocks of 1 to 512 B: ns per operation by live blocks',
      scale.live.map(live => ({ label: countLabel(live), work: { kind: 'churn', live, largest: 512 }, live })),
      pointers
    ),
    part(
      'fragmentation',
      'Larger blocks on a heap with many small free blocks: ns per operation by free blocks',
      scale.holes.map(holes => ({ label: countLabel(holes), work: { kind: 'fragmented', holes }, live: 2 * holes })),
      onlyPointers
    ),
    part(
      'hot',
      'malloc(64) and free: ns per pair',
      sizes(false).filter(one => one.label === '64 B'),
      onlyPointers
    ),
    part('sizes', 'malloc and free by size: ns per pair', sizes(false), onlyPointers),
    part('sizes-cleared', 'calloc and free by size: ns per pair', sizes(true), onlyPointers),
    part('buffers', 'A Buffer by size, not cleared where there is a choice: ns each', sizes(false), onlyBuffers, {
      ours: ['heap-buffers']
    }),
    part('buffers-cleared', 'A cleared Buffer by size: ns each', sizes(true), onlyBuffers, { ours: ['heap-buffers'] }),
    part(
      'growth',
      'Arrays that grow by realloc: ns per operation',
      [{ label: 'to 256 KiB', work: { kind: 'growth' }, live: 8 }],
      // @thi.ng/malloc loses the old block when a realloc moves, and is full before the work is done.
      pointers.filter(id => id !== 'thi.ng')
    ),
    part(
      'gc',
      `${countLabel(scale.gcLive)} live blocks of 1 KiB, as many replaced: milliseconds`,
      [gc],
      ['first-fit', ...onlyBuffers].filter(has),
      { facts: ['totalMs', 'gcMs', 'worstPauseMs', 'collections'] }
    ),
    part(
      'fresh',
      'Blocks of 64 KiB, a byte written into each page: ns per page',
      [fresh],
      pointers.filter(id => id !== 'nothing' && id !== 'thi.ng' && id !== 'glibc-call'),
      { facts: ['fresh', 'warm'] }
    )
  ]
}

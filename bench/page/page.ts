/**
 * Creates docs/benchmarks.md: three questions of a reader, each with a picture and a table. The
 * measurements are stored in docs/bench/, a few kilobytes for each version of Node, and the page is
 * created from all of them.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { ROOT } from '../paths.js'
import type { Clock } from '../process/entry.js'
import type { Environment } from '../report/results.js'
import type { Settings } from '../run/settings.js'
import * as live from './live.js'
import { measurePrograms, type Programs, programsPicture, programsTable } from './programs.js'
import { type Series, seriesPicture, seriesTable } from './series.js'
import * as sizes from './sizes.js'
import { markdown } from './table.js'

/** The measurements on one version of Node. */
export interface Figures {
  readonly environment: Environment
  /** The clock that measured the times. */
  readonly clock: Clock
  /** The contenders that could not run, and why. */
  readonly absent: Readonly<Record<string, string>>
  readonly live: Series
  readonly sizes: Series
  readonly programs: Programs
}

/** Calls `onStep` with what is being measured. `quick`: few cases, for a draft. */
export async function measurePage(
  environment: Environment,
  absent: Readonly<Record<string, string>>,
  settings: Settings,
  quick: boolean,
  onStep: (what: string) => void
): Promise<Figures> {
  const told = (part: string): Settings => ({
    ...settings,
    onStep: one => onStep(`${part}: ${one.contender}`)
  })
  return {
    environment,
    clock: settings.clock,
    absent,
    live: await live.measureLive(told('blocks alive'), quick),
    sizes: await sizes.measureSizes(settings, quick, label => onStep(`sizes: ${label}`)),
    programs: await measurePrograms(told('programs'), quick)
  }
}

function major(figures: Figures): string {
  return figures.environment.node.replace(/^v(\d+).*/, '$1')
}

/** The pictures by file name. */
export function pictures(figures: Figures): Map<string, string> {
  const { node, cpu } = figures.environment
  const subtitle = `Node ${node}, ${cpu}; lower is faster`
  return new Map([
    [
      'churn',
      seriesPicture(
        figures.live,
        live.PICTURED,
        { title: 'A block of 1 to 512 bytes freed and allocated, by how many are alive', subtitle },
        'blocks alive'
      )
    ],
    [
      'sizes',
      seriesPicture(
        figures.sizes,
        sizes.PICTURED,
        { title: 'A block freed, allocated and touched, by its size', subtitle },
        'bytes of a block'
      )
    ],
    [
      'recordings',
      programsPicture(figures.programs, {
        title: 'The allocations of recorded programs, replayed',
        subtitle: subtitle.replace('lower is faster', 'left is faster')
      })
    ]
  ])
}

/** The page, from the measurements on each version of Node; the pictures show the first. */
export function page(all: readonly Figures[]): string {
  const machines = all.map(({ environment: { node, cpu, system, date }, clock }) => {
    const by = clock === 'cpu' ? ', by CPU time on a machine that had other work' : ''
    return `Node ${node} on ${cpu}, ${system}, ${date}${by}`
  })
  const absent = new Set(all.flatMap(one => Object.keys(one.absent)))
  const named = all.map(one => ({ node: major(one), figures: one }))
  const text = [
    '# Benchmarks',
    '',
    '<!-- Made by `npm run bench -- --docs`. Don’t edit it. -->',
    '',
    `Measured with ${machines.join('; ')}.`,
    '[Reading the benchmarks](reading-benchmarks.md) explains how. To measure on your machine, ' +
      'use',
    '`npx offheap bench` for your sizes and `npm run bench -- --traces` for your program.',
    '',
    '“3 times as fast” means a third of the time, “3 times as slow” three times the time, for ' +
      'the contender',
    'of the row. Ratios are computed within a round of samples.',
    '',
    '## Is it faster than what I use?',
    '',
    'A program keeps blocks of 1 to 512 bytes and replaces them at random. `Buffer.alloc` also ' +
      'pays for the',
    'garbage collector, which has to visit every live Buffer.',
    '',
    '![Time by blocks alive](bench/churn.svg)',
    '',
    markdown(seriesTable(named.map(({ node, figures }) => ({ node, series: figures.live })))),
    '',
    '## Is it faster for my sizes?',
    '',
    'There are 1,000 live blocks of one size, at most 64 MiB in all, and one after another is ' +
      'freed and',
    'replaced by a new one; a byte of each page is written. This is what `npx offheap bench` ' +
      'measures.',
    '',
    '![Time by size](bench/sizes.svg)',
    '',
    markdown(seriesTable(named.map(({ node, figures }) => ({ node, series: figures.sizes })))),
    '',
    '## Is it faster for my program?',
    '',
    'The allocations of real programs, with their sizes and in their order. The C library and ' +
      'mimalloc are',
    'called from C++; no JavaScript program can do that.',
    '',
    '![Time by program](bench/recordings.svg)',
    '',
    markdown(
      programsTable(named.map(({ node, figures }) => ({ node, programs: figures.programs })))
    ),
    ''
  ]
  if (absent.size > 0) text.push(`Not measured: ${[...absent].join(', ')}.`, '')
  return text.join('\n')
}

/** The folder of the page. */
export const DOCS = `${ROOT}docs`

/**
 * Writes the figures, and creates the pictures and the page from all stored figures. Returns the
 * files.
 */
export function writePage(figures: Figures, folder: string): string[] {
  const data = `${folder}/bench`
  mkdirSync(data, { recursive: true })
  const own = `${data}/node${major(figures)}.json`
  writeFileSync(own, `${JSON.stringify(figures)}\n`)
  const files = readdirSync(data).filter(name => /^node\d+\.json$/.test(name))
  const all: Figures[] = files
    .sort()
    .map(name => JSON.parse(readFileSync(`${data}/${name}`, 'utf8')))
  const written = [own]
  const [first] = all
  if (first !== undefined) {
    // Remove the pictures of an earlier page.
    for (const name of readdirSync(data)) if (name.endsWith('.svg')) rmSync(`${data}/${name}`)
    for (const [name, svg] of pictures(first)) {
      writeFileSync(`${data}/${name}.svg`, svg)
      written.push(`${data}/${name}.svg`)
    }
  }
  writeFileSync(`${folder}/benchmarks.md`, page(all))
  return [...written, `${folder}/benchmarks.md`]
}

/** What a run leaves behind: JSON, plots, and the page of tables made from the JSON of every Node that was measured. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../paths.js'
import type { PartResult } from '../run/run.js'
import type { TargetRow } from '../run/targets.js'
import { gridOf } from './grids.js'
import { drawPlots } from './plots.js'
import { markdownTable } from './tables.js'

export interface Environment {
  readonly node: string
  readonly cpu: string
  readonly system: string
  readonly date: string
}

export interface Results {
  readonly environment: Environment
  readonly rounds: number
  readonly sampleMs: number
  /** Who could not take part, and why. */
  readonly absent: Readonly<Record<string, string>>
  targets?: readonly TargetRow[]
  parts?: PartResult[]
}

const DOCS = `${ROOT}docs`
const DATA = `${DOCS}/bench`

export function environment(node: string): Environment {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  const cpu = cpus()[0]?.model ?? 'unknown processor'
  return { node: version, cpu, system: `${process.platform} ${release()}`, date: new Date().toISOString().slice(0, 10) }
}

function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}

/** Writes what was measured, without the folder that the checkout happens to lie in. */
export function writeResults(file: string, results: Results): void {
  const parent = join(ROOT, '../')
  const withoutRoot = (_key: string, value: unknown) =>
    typeof value === 'string' ? value.replaceAll(ROOT, '').replaceAll(parent, '../') : value
  writeFileSync(file, `${JSON.stringify(results, withoutRoot, 1)}\n`)
}

function describe({ environment: { node, cpu, system, date }, rounds, sampleMs }: Results): string {
  return `Node ${node}, ${cpu}, ${system}, ${date}; ${rounds} rounds, samples of at least ${sampleMs} ms.`
}

const PLOT_TITLES: Readonly<Record<string, string>> = {
  recordings: 'Recorded programs',
  churn: 'Random churn by live blocks',
  fragmentation: 'A fragmented heap',
  sizes: 'malloc and free by size',
  'buffers-cleared': 'Cleared Buffers by size',
  utilization: 'Utilization by placement',
  gc: 'Garbage collection'
}

function page(all: readonly Results[], plots: readonly string[]): string {
  const text = [
    '# Benchmarks',
    '',
    'Made by `npm run bench -- --docs` and `npm run bench -- --targets --docs`; don’t edit it by hand. Each contender runs',
    'in its own process; all are warmed by a million operations and checked once, byte by byte, outside the timing; then',
    'they are measured in turns, one sample each in every round. The last column compares in words: ratios are made',
    'within a round, and their median is taken. *nothing* is the harness’s own floor, included in every other figure.',
    ''
  ]
  for (const plot of plots) text.push(`![${PLOT_TITLES[plot] ?? plot}](bench/${plot}.svg)`, '')
  for (const results of all) {
    if (results.parts === undefined) continue
    text.push(`## All contenders, Node ${results.environment.node}`, '', describe(results), '')
    const missing = Object.entries(results.absent).map(([id, reason]) => `${id} (${reason})`)
    if (missing.length > 0) text.push(`Without ${missing.join(', ')}.`, '')
    text.push(...results.parts.map(part => markdownTable(gridOf(part))))
  }
  return text.join('\n')
}

/** Writes docs/bench/*.json, docs/bench/*.svg and docs/benchmarks.md; returns their names. */
export async function writeDocuments(results: Results): Promise<string[]> {
  mkdirSync(DATA, { recursive: true })
  const major = results.environment.node.replace(/^v(\d+).*/, '$1')
  const file = `${DATA}/${results.targets === undefined ? 'node' : 'targets-node'}${major}.json`
  const { parts } = results
  if (parts !== undefined && existsSync(file)) {
    // Parts that were not measured this time stay as they were, in the order of the plan.
    const earlier = readResults(file).parts ?? []
    const fresh = new Map(parts.map(part => [part.name, part]))
    const kept = earlier.map(part => fresh.get(part.name) ?? part)
    results.parts = [...kept, ...parts.filter(part => !earlier.some(({ name }) => name === part.name))]
  }
  writeResults(file, results)
  const written = [file]
  if (results.parts !== undefined) {
    for (const [name, svg] of await drawPlots(results.parts, results.environment.node)) {
      writeFileSync(`${DATA}/${name}.svg`, svg)
      written.push(`${DATA}/${name}.svg`)
    }
  }
  const files = readdirSync(DATA).filter(name => name.endsWith('.json'))
  const all: Results[] = files.sort().map(name => readResults(`${DATA}/${name}`))
  const plots = Object.keys(PLOT_TITLES).filter(name => existsSync(`${DATA}/${name}.svg`))
  writeFileSync(`${DOCS}/benchmarks.md`, page(all, plots))
  return [...written, `${DOCS}/benchmarks.md`]
}

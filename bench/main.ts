/** The benchmark's command line: `npm run bench -- --help`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { findTraces } from '#lib/cli/arguments.js'
import { guardOutput } from '#lib/cli/output.js'
import { ALL, contenderOf, FLOORS } from './contenders/contenders.js'
import { setUp } from './contenders/setup.js'
import { MAKERS } from './map/contenders.js'
import { CASES, installMaps, mapGrid, QUICK_CASES, raceMaps, ratioTable } from './map/race.js'
import { DOCS, measurePage, writePage } from './page/page.js'
import { replaceTable } from './page/table.js'
import { ROOT, SHIPPED } from './paths.js'
import type { Clock } from './process/entry.js'
import { compareGrid } from './report/compare.js'
import { gridOf } from './report/grids.js'
import { startProgress } from './report/progress.js'
import { environment, type Results, writeResults } from './report/results.js'
import { targetTable, textTable } from './report/tables.js'
import { compare } from './run/compare.js'
import { type Part, plan } from './run/plan.js'
import { countSteps, type PartResult, runPart } from './run/run.js'
import { FULL, QUICK } from './run/scale.js'
import type { Settings } from './run/settings.js'
import { TARGET_GROUPS, type TargetRow } from './run/targets.js'
import { SHARED_PARTS, sharedGrid, sharedPicture } from './shared/race.js'

interface Options {
  readonly targets?: boolean
  readonly map?: boolean
  readonly shared?: boolean
  readonly compare?: readonly string[]
  readonly quick?: boolean
  readonly docs?: boolean
  readonly only?: readonly string[]
  readonly contenders?: readonly string[]
  readonly rounds?: number
  readonly sampleMs?: number
  readonly clock: Clock
  readonly node: string
  readonly before?: string
  readonly traces: readonly string[]
  readonly json?: string
}

function positive(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1) return value
  throw new InvalidArgumentError('It must be a whole number from 1.')
}

/** `a,b,c`, each the id of a contender. */
function contenderList(text: string): string[] {
  const ids = text.split(',')
  for (const id of ids) {
    try {
      contenderOf(id)
    } catch (error) {
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
  return ids
}

/** The named entries, or all if none is named. */
function chosen<T>(
  only: readonly string[] | undefined,
  all: ReadonlyMap<string, T>
): [string, T][] {
  const unknown = only?.find(name => !all.has(name))
  if (unknown !== undefined) {
    throw new Error(`There is no part '${unknown}'. There are: ${[...all.keys()].join(', ')}`)
  }
  return [...all].filter(([name]) => only === undefined || only.includes(name))
}

async function runCompare(ids: readonly string[], settings: Settings): Promise<void> {
  const missing = ids.filter(id => !settings.has(id))
  if (missing.length > 0) throw new Error(`${missing.join(', ')} can't take part on this machine`)
  const entries = new Set([...ids, ...Object.values(FLOORS)]).size
  const total = settings.traces.length * entries * (settings.rounds + 1)
  const progress = startProgress('recordings', total)
  let label = ''
  const compared = await compare(
    ids,
    { ...settings, onStep: one => progress.step(`${label}${one.contender}`) },
    done => {
      label = `after ${done}: `
    }
  )
  progress.stop()
  console.log(textTable(compareGrid(compared)))
  for (const [label, race] of compared.races) {
    for (const id of race.contenders) {
      const error = race.error(id)
      if (error !== undefined) console.log(`${label}: ${id} failed: ${error}`)
      if (error !== undefined) process.exitCode = 1
    }
  }
}

/** With `docs`, writes the table of docs/heap-map.md. */
function runMaps({ quick = false, rounds = quick ? 1 : 3, node, json, docs }: Options): void {
  const absent = installMaps()
  for (const name of absent) console.log(`Without ${name}: it can't be loaded`)
  const names = Object.keys(MAKERS).filter(name => !absent.includes(name))
  const cases = quick ? QUICK_CASES : CASES
  const progress = startProgress('maps', names.length * rounds * cases.length)
  const measured = cases.map(one => ({
    ...one,
    results: raceMaps(names, one, { rounds, node, onStep: progress.step })
  }))
  progress.stop()
  for (const { results, ...one } of measured) {
    console.log(textTable(mapGrid(one, results)))
    for (const [name, { error }] of results) {
      if (error === undefined) continue
      console.log(`${name} failed: ${error}`)
      process.exitCode = 1
    }
  }
  if (docs === true) {
    replaceTable(`${ROOT}docs/heap-map.md`, ratioTable(measured))
    execFileSync('npx', ['biome', 'format', '--write', 'docs/heap-map.md'], { cwd: ROOT })
  }
  if (json === undefined) return
  const maps = measured.map(({ results, ...one }) => ({
    ...one,
    results: Object.fromEntries(results)
  }))
  writeFileSync(json, JSON.stringify({ environment: environment(node), maps }))
}

/** With `docs`, writes the pictures to docs/bench. */
async function runShared({
  quick = false,
  only,
  docs,
  json,
  node,
  clock,
  ...rest
}: Options): Promise<void> {
  const { rounds = quick ? 1 : 5 } = rest
  const charts = []
  for (const [name, measure] of chosen(only, SHARED_PARTS)) {
    const progress = startProgress(name, 0)
    const chart = await measure({ quick, rounds, clock, onStep: label => progress.step(label) })
    progress.stop()
    console.log(textTable(sharedGrid(chart)))
    if (docs === true) writeFileSync(join(DOCS, 'bench', chart.file), sharedPicture(chart))
    charts.push(chart)
  }
  if (json !== undefined) {
    writeFileSync(json, JSON.stringify({ environment: environment(node), rounds, charts }))
  }
}

async function runTargets(options: Options, settings: Settings): Promise<TargetRow[]> {
  const rows: TargetRow[] = []
  const { before } = options
  for (const [name, group] of chosen(options.only, TARGET_GROUPS)) {
    const progress = startProgress(name, 0)
    const onStep = ({ contender }: { contender: string }) => progress.step(contender)
    rows.push(
      ...(await group({ ...settings, onStep, ...(before === undefined ? {} : { before }) }))
    )
    progress.stop()
  }
  console.log(targetTable(rows))
  return rows
}

async function runParts(options: Options, settings: Settings): Promise<PartResult[]> {
  const scale = options.quick === true ? QUICK : FULL
  const whole = await plan(
    { ...scale, contenders: options.contenders ?? scale.contenders },
    settings.traces,
    settings.has
  )
  const results: PartResult[] = []
  for (const [name, part] of chosen<Part>(
    options.only,
    new Map(whole.map(part => [part.name, part]))
  )) {
    const progress = startProgress(name, countSteps(part, settings.rounds))
    const result = await runPart(part, {
      ...settings,
      onStep: ({ contender }) => progress.step(contender)
    })
    progress.stop()
    results.push(result)
    console.log(textTable(gridOf(result)))
    const failures = result.cases
      .flatMap(one => one.measurements)
      .filter(one => one.error !== undefined)
    for (const { contender, error } of failures) console.log(`${contender} failed: ${error}`)
    if (failures.length > 0) process.exitCode = 1
  }
  return results
}

/**
 * A quick page is a draft: it is written elsewhere and does not replace that of the documentation.
 */
async function runPage(
  options: Options,
  absent: ReadonlyMap<string, string>,
  settings: Settings
): Promise<void> {
  const { node, quick = false } = options
  const progress = startProgress('docs', 0)
  const missing = Object.fromEntries(absent)
  const figures = await measurePage(environment(node), missing, settings, quick, progress.step)
  progress.stop()
  const folder = quick ? mkdtempSync(join(tmpdir(), 'offheap-benchmarks-')) : DOCS
  for (const file of writePage(figures, folder)) console.log(`Wrote ${file}`)
}

async function run(options: Options): Promise<void> {
  if (options.map === true) return runMaps(options)
  if (options.shared === true) return runShared(options)
  const { quick = false, clock, node } = options
  const wanted = options.compare ?? options.contenders ?? (quick ? QUICK.contenders : ALL)
  const absent = new Map((await setUp(wanted)).map(({ id, reason }) => [id, reason]))
  for (const [id, reason] of absent) {
    if (wanted.includes(id)) console.log(`Without ${id}: ${reason}`)
  }
  const settings: Settings = {
    rounds: options.rounds ?? (quick ? 3 : 5),
    sampleMs: options.sampleMs ?? (quick ? 10 : 100),
    warmOperations: quick ? 100_000 : 1_000_000,
    clock,
    node,
    traces: await findTraces(options.traces),
    has: id => !absent.has(id)
  }
  if (options.docs === true) return runPage(options, absent, settings)
  if (options.compare !== undefined) return runCompare(options.compare, settings)
  const results: Results = {
    environment: environment(node),
    rounds: settings.rounds,
    sampleMs: settings.sampleMs,
    absent: Object.fromEntries(absent)
  }
  if (options.targets === true) results.targets = await runTargets(options, settings)
  else results.parts = await runParts(options, settings)
  if (options.json !== undefined) writeResults(options.json, results)
}

const CONTENDERS = `
Contenders:
  ${ALL.join(', ')};
  any heap as PLACEMENT, then +FLAG or -FLAG: ${'quick, slabs (options), closed, views'};
  PLACEMENT@FOLDER is the build in another checkout;
  module:FILE#ARGUMENT is a module that exports make(buffer, argument).

Examples:
  npm run bench -- --quick
  npm run bench -- --compare segregated-fit,glibc --traces ../shared/traces
  npm run bench -- --compare first-fit@../before,first-fit --clock cpu`

const program = new Command('bench')
  .description('Measures offheap against other allocators, each in its own process, alternately.')
  .option('--quick', 'less than a minute: fewer contenders, cases and rounds')
  .option(
    '--map',
    'maps and caches, beside Map, lru-cache, lmdb and better-sqlite3; --docs writes a table'
  )
  .option('--shared', 'shared heaps: threads, hand-overs, opening files; --docs writes pictures')
  .option('--targets', "only the project's own targets, compared with the measurements")
  .option(
    '--compare <ids>',
    'only these contenders on the recordings, compared with the last of them',
    contenderList
  )
  .option(
    '--only <names...>',
    'parts to run, such as recordings, churn, sizes; with --targets its own'
  )
  .option('--contenders <ids>', 'the contenders, comma-separated', contenderList)
  .option('--rounds <n>', 'rounds, each with one sample of every contender (default: 5)', positive)
  .option('--sample-ms <n>', 'least milliseconds of a sample (default: 100)', positive)
  .addOption(
    new Option('--clock <clock>', 'wall or cpu: the CPU time of the thread, for a busy machine')
      .choices(['wall', 'cpu'])
      .default('wall')
  )
  .option('--node <path>', 'the Node binary that measures', process.execPath)
  .option(
    '--before <folder>',
    'with --targets: a built checkout of an earlier version, to compare with'
  )
  .option('--traces <paths...>', 'traces to replay, or folders of them', [SHIPPED])
  .option('--json <file>', 'write all measurements to this file')
  .option('--docs', 'measure and write docs/benchmarks.md')
  .addHelpText('after', CONTENDERS)
  .action(run)

guardOutput()
try {
  // Otherwise, commander would end the process before its output is written.
  await program.exitOverride().parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError))
    console.error(error instanceof Error ? error.message : error)
  process.exitCode = error instanceof CommanderError ? error.exitCode : 1
}

/** The benchmark's command line: `npm run bench -- --help`. */
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { environment, type Results, writeDocuments, writeResults } from './documents.js'
import { gridOf } from './grids.js'
import { FULL, type Part, plan, QUICK } from './plan.js'
import { countSteps, runPart } from './run.js'
import { setUp } from './setup.js'
import { targetTable, textTable } from './tables.js'
import { runTargets, TARGET_GROUPS } from './targets.js'
import { findTraces, SHIPPED } from './traces.js'

interface Options {
  readonly targets?: boolean
  readonly quick?: boolean
  readonly docs?: boolean
  readonly only?: readonly string[]
  readonly rounds?: number
  readonly sampleMs?: number
  readonly node: string
  readonly traces: readonly string[]
  readonly json?: string
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1.')
  return value
}

/** The named ones of what there is, all when none is named. */
function chosen<T>(only: readonly string[] | undefined, all: ReadonlyMap<string, T>): [string, T][] {
  const unknown = only?.find(name => !all.has(name))
  if (unknown !== undefined) throw new Error(`There is no part '${unknown}'. There are: ${[...all.keys()].join(', ')}`)
  return [...all].filter(([name]) => only === undefined || only.includes(name))
}

/** A bar on a terminal, nothing elsewhere. */
function progress(total: number): { step(name: string): void; stop(): void } {
  if (!process.stderr.isTTY) return { step() {}, stop() {} }
  const bar = new SingleBar({ format: '{bar} {percentage} % | {eta_formatted} left | {name}', clearOnComplete: true })
  bar.start(total, 0, { name: '' })
  return { step: name => bar.increment(1, { name }), stop: () => bar.stop() }
}

async function run(options: Options): Promise<void> {
  const { quick = false, node } = options
  const absent = new Map(setUp().map(({ id, reason }) => [id, reason]))
  for (const [id, reason] of absent) console.log(`Without ${id}: ${reason}`)
  const has = (id: string) => !absent.has(id)
  const rounds = options.rounds ?? (quick ? 2 : 5)
  const sampleMs = options.sampleMs ?? (quick ? 10 : 100)
  const warmOperations = quick ? 100_000 : 1_000_000
  const traces = findTraces(options.traces)
  const results: Results = { environment: environment(node), rounds, sampleMs, absent: Object.fromEntries(absent) }

  if (options.targets === true) {
    const groups = chosen(options.only, TARGET_GROUPS)
    results.targets = await runTargets(groups, { traces, has, rounds, sampleMs, warmOperations, node })
    console.log(targetTable(results.targets.rows))
  } else {
    const whole = await plan(quick ? QUICK : FULL, traces, has)
    const parts = chosen<Part>(options.only, new Map(whole.map(part => [part.name, part]))).map(([, part]) => part)
    const bar = progress(countSteps(parts, rounds))
    const onStep = ({ contender }: { contender: string }) => bar.step(contender)
    results.parts = []
    for (const part of parts) {
      const result = await runPart(part, warmOperations, { rounds, sampleMs, node, onStep })
      results.parts.push(result)
    }
    bar.stop()
    for (const result of results.parts) console.log(textTable(gridOf(result)))
    const failures = results.parts.flatMap(part => part.cases.flatMap(one => one.measurements)).filter(one => one.error)
    for (const { contender, error } of failures) console.log(`${contender} failed: ${error}`)
    if (failures.length > 0) process.exitCode = 1
  }
  if (options.json !== undefined) writeResults(options.json, results)
  if (options.docs === true) for (const file of await writeDocuments(results)) console.log(`Wrote ${file}`)
}

const program = new Command('bench')
  .description('Measures offheap against other allocators, each in a process of its own, in turns.')
  .option('--quick', 'under a minute: fewer contenders, cases and rounds')
  .option('--targets', 'only the numbers that the project set itself, beside what was measured')
  .option('--only <names...>', 'parts to run, such as recordings, churn, hot; with --targets its own')
  .option('--rounds <n>', 'rounds, each with one sample of every contender (default: 5)', positive)
  .option('--sample-ms <n>', 'least milliseconds of a sample (default: 100)', positive)
  .option('--node <path>', 'the Node binary that measures', process.execPath)
  .option('--traces <folders...>', 'folders of traces to replay', [SHIPPED])
  .option('--json <file>', 'write everything that was measured to this file')
  .option('--docs', 'write docs/benchmarks.md and docs/bench/: the tables, the figures and the plots')
  .action(run)

try {
  await program.parseAsync()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

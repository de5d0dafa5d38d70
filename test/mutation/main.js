/**
 * Changes the code of some folders of lib/, one place at a time, and reports which changes no test
 * detects: `node test/check.js mutate`, or `node test/check.js mutate lib/engine/allocator.ts
 * lib/placement` for some files or folders. Prints the score by file and the survivors; the exit
 * code is not 0 below 90 %. test/mutation/README.md explains the known survivors.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Table from 'cli-table3'

/** The percentage of the mutants that tests must detect. */
const GOAL = 90
/** The share of the suite's random sequences that each mutant is tested with. */
const RUNS = '0.01'
/** Stryker needs Node 22 or later. */
const NODE_LINE = '24'

const root = fileURLToPath(new URL('../../', import.meta.url))
const report = join(root, '.mutation/report.json')
const words = process.argv.slice(2)
/**
 * The parts of the lab that run in this process; the rest runs in others, which have no mutants.
 */
const LAB = [
  ...['config', 'report', 'score'].map(name => `grade/${name}`),
  ...['hints', 'ledger', 'memory', 'picture', 'spy', 'strict', 'verify'].map(
    name => `submission/${name}`
  )
]
const ROOMS = ['layout', 'placement', 'engine', 'hardened', 'heap', 'trace'].map(
  room => `lib/${room}`
)
/** Not location.ts: it searches for the package, which is not here. */
const MEMORY = ['addon', 'advice', 'refusal', 'region'].map(name => `lib/memory/${name}.ts`)
const places =
  words.length > 0 ? words : [...ROOMS, ...MEMORY, ...LAB.map(name => `lib/lab/${name}.ts`)]
const patterns = places.map(place =>
  /\.ts(:|$)/.test(place) ? place : `${place.replace(/\/$/, '')}/**/*.ts`
)

/** The path of a Node that can run Stryker: the one that runs this, or one from npm. */
function nodeBinary() {
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(root, 'node_modules/.cache/nodes', NODE_LINE)
  const binary = join(folder, 'node_modules', name, 'bin/node')
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  execFileSync(
    'npm',
    ['install', '--ignore-scripts', '--no-save', '--silent', `${name}@${NODE_LINE}`],
    {
      cwd: folder,
      stdio: 'inherit'
    }
  )
  return binary
}

/** The code that a mutant replaces, on one line. */
function original(lines, { start, end }) {
  const last = start.line === end.line ? end.column - 1 : undefined
  return lines[start.line - 1].slice(start.column - 1, last)
}

const oneLine = text => text.replace(/\s+/g, ' ').slice(0, 100)
const percent = (killed, all) => (all === 0 ? '' : `${((100 * killed) / all).toFixed(1)} %`)

rmSync(report, { force: true })
const stryker = join(root, 'test/mutation/node_modules/@stryker-mutator/core/bin/stryker.js')
const { status } = spawnSync(
  nodeBinary(),
  [stryker, 'run', 'test/mutation/stryker.config.js', '--mutate', patterns.join(',')],
  { cwd: root, stdio: 'inherit', env: { ...process.env, OFFHEAP_RUNS: RUNS } }
)
if (status !== 0 || !existsSync(report))
  throw new Error(`Stryker ended with ${status}, and without a report`)

const table = new Table({
  head: ['file', 'mutants', 'killed', 'survived', 'static', 'score'],
  colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
  style: { head: [], border: [] }
})
const sum = { killed: 0, survived: 0, ignored: 0 }
const survivors = []
for (const [file, { source, mutants }] of Object.entries(
  JSON.parse(readFileSync(report, 'utf8')).files
)) {
  const lines = source.split('\n')
  const count = (...states) => mutants.filter(mutant => states.includes(mutant.status)).length
  // A mutant that never ends is detected too.
  const killed = count('Killed', 'Timeout')
  const survived = count('Survived', 'NoCoverage')
  const ignored = mutants.length - killed - survived
  sum.killed += killed
  sum.survived += survived
  sum.ignored += ignored
  table.push([
    file,
    killed + survived,
    killed,
    survived,
    ignored,
    percent(killed, killed + survived)
  ])
  for (const { status, location, replacement } of mutants) {
    if (status !== 'Survived' && status !== 'NoCoverage') continue
    const { line, column } = location.start
    survivors.push(
      `${file}:${line}:${column}  ${oneLine(original(lines, location))}  →  ${oneLine(replacement)}`
    )
  }
}
const all = sum.killed + sum.survived
table.push(['all', all, sum.killed, sum.survived, sum.ignored, percent(sum.killed, all)])
if (survivors.length > 0) console.log(`\nNo test noticed:\n${survivors.join('\n')}`)
console.log(`\n${table}`)
process.exitCode = sum.killed >= (all * GOAL) / 100 ? 0 : 1

/**
 * `npm run bench -- --map`: measures maps and caches, each in its own process, alternately. Prints
 * a table for each size.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median } from '#lib/bench/statistics.js'
import type { Table } from '../page/table.js'
import { ROOT } from '../paths.js'
import type { Grid } from '../report/grids.js'
import { FIGURES, type Figure, type Figures, LABELS } from './figures.js'

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url))
const FOLDER = `${ROOT}bench/map`

/** The packages to compare with, which are installed for this. */
const PACKAGES = ['lru-cache', 'lmdb', 'better-sqlite3']

/** The number of entries, and the bytes of each value. */
export interface MapCase {
  readonly entries: number
  readonly bytes: number
}

export const QUICK_CASES: readonly MapCase[] = [{ entries: 20_000, bytes: 100 }]
export const CASES: readonly MapCase[] = [
  { entries: 1000, bytes: 100 },
  { entries: 10_000, bytes: 100 },
  { entries: 100_000, bytes: 100 },
  { entries: 1_000_000, bytes: 10 },
  { entries: 1_000_000, bytes: 100 },
  { entries: 300_000, bytes: 1024 },
  { entries: 100_000, bytes: 4096 }
]

/** Can this package be loaded, its addon included? */
function works(name: string): boolean {
  const use =
    name === 'better-sqlite3'
      ? `new (require('${name}'))(':memory:').close()`
      : `require('${name}')`
  const args = ['-e', use]
  try {
    execFileSync(process.execPath, args, { cwd: FOLDER, stdio: 'pipe' })
    return true
  } catch {
    return false
  }
}

/** Installs the packages if they are missing. Returns the names of those that don't work here. */
export function installMaps(): readonly string[] {
  if (!existsSync(`${FOLDER}/node_modules`)) {
    const npm = (...words: string[]) =>
      execFileSync('npm', ['--prefix', FOLDER, '--silent', ...words], { stdio: 'pipe' })
    npm('install', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund')
    try {
      // This package downloads or compiles its binary.
      npm('rebuild', 'better-sqlite3')
    } catch (error) {
      const [why] = String(error).split('\n')
      console.log(`better-sqlite3 could not be built: ${why}`)
    }
  }
  return PACKAGES.filter(name => !works(name))
}

/** The figures of all rounds of one contender, or an error. */
interface Rounds {
  readonly figures: Figures[]
  error?: string
}

export interface RaceOptions {
  readonly rounds: number
  readonly node: string
  onStep(label: string): void
}

/** Measures the contenders on one case, one sample of each per round. */
export function raceMaps(
  names: readonly string[],
  { entries, bytes }: MapCase,
  options: RaceOptions
): Map<string, Rounds> {
  const results = new Map<string, Rounds>(names.map(name => [name, { figures: [] }]))
  for (let round = 0; round < options.rounds; round++) {
    for (const [name, result] of results) {
      if (result.error !== undefined) continue
      const args = [
        '--expose-gc',
        '--max-old-space-size=8192',
        CHILD,
        name,
        String(entries),
        String(bytes)
      ]
      try {
        result.figures.push(
          JSON.parse(execFileSync(options.node, args, { encoding: 'utf8', stdio: 'pipe' }))
        )
      } catch (error) {
        result.error = error instanceof Error ? error.message : String(error)
      }
      options.onStep(name)
    }
  }
  return results
}

function medianOf(results: ReadonlyMap<string, Rounds>, name: string, figure: Figure): number {
  return median(results.get(name)?.figures.map(one => one[figure]) ?? [Number.NaN])
}

/** One row for each contender: medians, and in brackets the comparison with Map. */
export function mapGrid({ entries, bytes }: MapCase, results: ReadonlyMap<string, Rounds>): Grid {
  const rows = [...results].map(([name, { error }]) => [
    name,
    ...FIGURES.map(figure => {
      const value = medianOf(results, name, figure)
      if (error !== undefined || !Number.isFinite(value)) return '-'
      const beside = value / medianOf(results, 'Map', figure)
      const text = value < 10 ? value.toFixed(1) : value.toFixed(0)
      return name === 'Map' || !Number.isFinite(beside) ? text : `${text} (${beside.toFixed(2)})`
    })
  ])
  return {
    title: `${entries.toLocaleString('en')} entries, values of ${bytes.toLocaleString('en')} bytes`,
    head: ['', ...FIGURES.map(figure => LABELS[figure])],
    rows,
    numbers: FIGURES.length,
    note:
      'Nanoseconds of processor time a call, making its key and value included; in brackets: ' +
      'beside Map. Less is better.'
  }
}

/** The results of a case. */
export interface MeasuredCase extends MapCase {
  readonly results: ReadonlyMap<string, Rounds>
}

/** The columns of the table in docs/heap-map.md: a contender's time divided by another's. */
const RATIOS = [
  ['hit', 'hit', 'HeapMap', 'Map'],
  ['hit, kept keys', 'hitKept', 'HeapMap', 'Map'],
  ['miss', 'miss', 'HeapMap', 'Map'],
  ['insert', 'insert', 'HeapMap', 'Map'],
  ['overwrite', 'overwrite', 'HeapMap', 'Map'],
  ['cache, 90/10', 'mixed', 'HeapCache', 'lru-cache']
] as const

/** The table of docs/heap-map.md. */
export function ratioTable(cases: readonly MeasuredCase[]): Table {
  const rows = cases.map(({ entries, bytes, results }) => {
    const of = (name: string, figure: Figure): number => medianOf(results, name, figure)
    const ratios = RATIOS.map(([, figure, one, other]) =>
      (of(one, figure) / of(other, figure)).toFixed(2)
    )
    const pauses = ['Map', 'HeapMap'].map(name => of(name, 'pause').toFixed(0))
    return [`${entries.toLocaleString('en')} of ${bytes} B`, ...ratios, ...pauses]
  })
  return {
    head: ['entries', ...RATIOS.map(([label]) => label), 'GC, Map', 'GC, HeapMap'],
    rows,
    note:
      "Times of HeapMap divided by Map's; in the column of caches, HeapCache divided by\n" +
      'lru-cache, with one set in ten calls. Below 1, the heap is faster. Times include making\n' +
      'the key and the value; kept keys are the same string objects each time. GC is a full\n' +
      'collection, in milliseconds.'
  }
}

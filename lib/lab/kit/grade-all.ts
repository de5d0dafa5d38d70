/** Grades every submission in a folder, several at a time. Skips those that are graded already. */

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { labsFolder } from '../../labs-package.js'
import type { LabConfig, Step } from '../grade/config.js'
import { describeFault } from '../grade/describe.js'
import { isValid } from '../grade/export.js'
import { type Grade, grade } from '../grade/grade.js'
import { withSeed } from './patterns.js'
import { fingerprints, similarity } from './similarity.js'

/** One submission and its grade. */
export interface Row {
  readonly name: string
  readonly score: number
  readonly maximum: number
  readonly correctness: number
  readonly performance: number
  readonly valid: boolean
  /** Whether the machine was too busy to time it. */
  readonly unsettled: boolean
  /** The first defect; empty if there is none. */
  readonly what: string
}

/** Two similar submissions. */
export interface Pair {
  readonly names: readonly [string, string]
  /** The share of the shorter one that the other also contains, 0 … 1. */
  readonly share: number
}

export interface GradeAllOptions {
  /** Contains a folder with an allocator.ts, or a .ts file, for each student. */
  readonly folder: string
  readonly config: LabConfig
  readonly traces: readonly string[]
  readonly step?: Step
  /**
   * The number of submissions graded at a time. Default: one for every core, because judge and
   * submission take turns.
   */
  readonly jobs?: number
  /** Gives each submission its own traces, derived from this text and its name. */
  readonly seed?: string
  /** Called with each row when it is ready. */
  readonly onRow?: (row: Row, done: number, all: number) => void
}

export interface GradeAll {
  /** The rows, the best first. */
  readonly rows: readonly Row[]
  /** Similar pairs, the most similar first. */
  readonly pairs: readonly Pair[]
}

/** The folder in which grades are stored. */
const KEPT = '.grades'
/** The least share of two submissions that are listed as similar. */
const SIMILAR = 0.6

export async function gradeAll(options: GradeAllOptions): Promise<GradeAll> {
  const { folder, jobs = availableParallelism(), onRow = () => {} } = options
  const files = submissionsIn(folder)
  const kept = join(folder, KEPT)
  mkdirSync(kept, { recursive: true })
  const rows: Row[] = []
  const waiting = [...files]
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const row = await rowOf(next, kept, options)
      rows.push(row)
      onRow(row, rows.length, files.length)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return {
    rows: rows.sort((a, b) => b.score - a.score || a.name.localeCompare(b.name)),
    pairs: pairsOf(files)
  }
}

interface Submission {
  readonly name: string
  readonly path: string
}

function submissionsIn(folder: string): Submission[] {
  return readdirSync(folder)
    .filter(name => !name.startsWith('.'))
    .sort()
    .flatMap(name => {
      const path = join(folder, name)
      if (!statSync(path).isDirectory())
        return /\.[tj]s$/.test(name) ? [{ name: basename(name, '.ts'), path }] : []
      const file = join(path, 'allocator.ts')
      return existsSync(file) ? [{ name, path: file }] : []
    })
}

async function rowOf(
  { name, path }: Submission,
  kept: string,
  options: GradeAllOptions
): Promise<Row> {
  const key = keyOf(path, options)
  const file = join(kept, `${name}.json`)
  const before = readKept(file, key)
  if (before !== undefined) return before
  const { config, traces, step, seed } = options
  const seeded = seed === undefined ? undefined : withSeed(traces, `${seed}/${name}`)
  const result = await grade({
    submission: path,
    config,
    traces: seeded?.paths ?? traces,
    ...(step === undefined ? {} : { step })
  }).finally(() => seeded?.remove())
  const row = summary(name, result)
  writeFileSync(file, JSON.stringify({ key, row }))
  return row
}

function summary(name: string, result: Grade): Row {
  const { points, fault, results, unsettled } = result
  const first = fault ?? results.find(each => each.fault !== undefined)?.fault
  const what =
    first === undefined
      ? ''
      : describeFault(first).slice(0, 2).join(' ').replace(/\s+/g, ' ').trim()
  const { score, maximum, correctness, performance } = points
  return { name, score, maximum, correctness, performance, valid: isValid(result), unsettled, what }
}

/** Returns a hash of everything that a grade depends on. */
function keyOf(path: string, { config, traces, step, seed }: GradeAllOptions): string {
  const hash = createHash('sha256').update(readFileSync(path))
  hash.update(JSON.stringify({ config, step, seed }))
  for (const trace of traces) hash.update(readFileSync(trace))
  return hash.digest('hex')
}

function readKept(file: string, key: string): Row | undefined {
  try {
    const kept: { readonly key: string; readonly row: Row } = JSON.parse(readFileSync(file, 'utf8'))
    return kept.key === key && !kept.row.unsettled ? kept.row : undefined
  } catch {
    return undefined
  }
}

function pairsOf(files: readonly Submission[]): Pair[] {
  const starter = fingerprints(readFileSync(join(labsFolder, 'starter/allocator.ts'), 'utf8'))
  const prints = files.map(({ name, path }) => ({
    name,
    print: fingerprints(readFileSync(path, 'utf8'))
  }))
  const pairs: Pair[] = []
  for (const [i, one] of prints.entries()) {
    for (const other of prints.slice(i + 1)) {
      const share = similarity(one.print, other.print, starter)
      if (share >= SIMILAR) pairs.push({ names: [one.name, other.name], share })
    }
  }
  return pairs.sort((a, b) => b.share - a.share)
}

const COLUMNS = ['name', 'score', 'maximum', 'correctness', 'performance', 'valid', 'what'] as const

/**
 * Returns comma-separated values as in RFC 4180. A cell that a spreadsheet would take for a
 * formula gets a leading apostrophe.
 */
export function csvOf({ rows }: GradeAll): string {
  const cell = (value: string | number | boolean) => {
    const text = typeof value === 'number' ? String(Math.round(value * 100) / 100) : String(value)
    const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }
  return [COLUMNS.join(','), ...rows.map(row => COLUMNS.map(column => cell(row[column])).join(','))]
    .map(line => `${line}\r\n`)
    .join('')
}

const SHARE =
  '<p>The share of the shorter one that the other has too, whatever the names. Look at both ' +
  'before you say anything.</p>'

/** Returns a page with the leaderboard and the similar pairs. */
export function htmlOf({ rows, pairs }: GradeAll): string {
  const body = rows
    .map(({ name, score, correctness, performance, valid, what }, i) => {
      const points = [score, correctness, performance].map(each => each.toFixed(1))
      const cells = [i + 1, escaped(name), ...points, valid ? 'yes' : 'no', escaped(what)]
      return `<tr>${cells.map(cell => `<td>${cell}`).join('')}`
    })
    .join('\n')
  const similar = pairs.map(
    ({ names, share }) => `<li>${names.map(escaped).join(' and ')}: ${(100 * share).toFixed(0)} %`
  )
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Allocator lab</title>
<style>
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884 }
td:nth-child(-n+5):not(:nth-child(2)) { text-align: right; font-variant-numeric: tabular-nums }
</style>
<h1>Allocator lab</h1>
<table>
<thead><tr><th><th>submission<th>score<th>correctness<th>performance<th>valid<th>first
defect</thead>
<tbody>
${body}
</tbody></table>
<h2>Much in common</h2>
${similar.length === 0 ? '<p>No two submissions.</p>' : listOf(similar)}
</html>
`
}

function listOf(items: readonly string[]): string {
  return `<ul>\n${items.join('\n')}\n</ul>\n${SHARE}`
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

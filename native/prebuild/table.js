/**
 * Generates the tables of platforms in README.md and docs/ from targets.js. `node
 * native/prebuild/table.js` writes them between the markers in the files.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../build.js'
import { TARGETS } from './targets.js'

const WORDS = {
  suite: 'all tests',
  emulated: 'tests under an emulator',
  bun: 'tests on Bun',
  built: 'built, not run'
}

function table(heads, rows) {
  const lines = [heads, ...rows]
  const widths = heads.map((_, column) => Math.max(...lines.map(line => line[column].length)))
  const format = line =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`
  const rule = `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`
  return [format(heads), rule, ...rows.map(format)].join('\n')
}

/** A table with a row for each binary. */
export function longTable() {
  const rows = TARGETS.map(({ system, arch, how }) => [system, arch, how])
  return table(['system', 'processor', 'tested here'], rows)
}

/** A table with a row for each system. */
export function shortTable() {
  const systems = [...new Set(TARGETS.map(({ system }) => system))]
  const cell = (system, arch) =>
    WORDS[TARGETS.find(target => target.system === system && target.arch === arch).tested]
  return table(
    ['binaries in the package', 'x64', 'arm64'],
    systems.map(system => [system, cell(system, 'x64'), cell(system, 'arm64')])
  )
}

/** The files, and the table between the markers of each. */
export const TABLES = {
  'README.md': shortTable,
  'docs/installing.md': shortTable,
  'docs/platforms.md': longTable
}

const BEGIN = '<!-- platforms: node native/prebuild/table.js -->'
const END = '<!-- end of platforms -->'

/** The text of a file with its table up to date. Throws if it has no markers. */
export function withTable(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${path} has no markers for the table of platforms`)
  return `${text.slice(0, begin + BEGIN.length)}\n\n${TABLES[path]()}\n\n${text.slice(end)}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const path of Object.keys(TABLES)) writeFileSync(join(ROOT, path), withTable(path))
}

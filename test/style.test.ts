/**
 * What the linter can't check: no line is longer than 100 columns, comments and messages included.
 * The formatter keeps code within them, but breaks neither comments nor strings.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const COLUMNS = 100
const root = fileURLToPath(new URL('..', import.meta.url))

/** Rooms of lib/ whose lines are checked, and bench/. */
const ROOMS = ['bench', 'bundle', 'cli', 'hardened', 'layout', 'placement', 'report', 'trace'].map(
  name => `lib/${name}`
)

/** Files with HTML, SVG or programs in long strings. */
const MARKUP = /report\/view-(?:page|svg)\.ts$|bench\/held-out\.js$/

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.(?:ts|js)$/.test(name) && !name.startsWith('build/'))
    .map(name => `${folder}/${name}`)
}

test('no line is longer than 100 columns', () => {
  const files = [...ROOMS, 'bench'].flatMap(filesIn).filter(file => !MARKUP.test(file))
  expect(files.length).toBeGreaterThan(100)
  const long = files.flatMap(file =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) => (line.length > COLUMNS ? [`${file}:${i + 1}`] : []))
  )
  expect(long).toEqual([])
})

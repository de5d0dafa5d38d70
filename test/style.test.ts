/**
 * What the linter can't check: no line is longer than 100 columns, comments and strings included.
 * The formatter keeps code within them, but does not break comments or strings.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const COLUMNS = 100
const root = fileURLToPath(new URL('..', import.meta.url))

const FOLDERS = ['lib', 'bench', 'test', 'native', 'docs/recipes']

/** Compiled code, and third-party code. */
const GENERATED = /^(?:bench|native|test\/fuzz|test\/soak)\/build\/|\/node_modules\//

const files = FOLDERS.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => /\.(?:ts|js|mjs|cc|c|h)$/.test(name))
    .map(name => `${folder}/${name.replaceAll('\\', '/')}`)
).filter(file => !GENERATED.test(file))

test('no line is longer than 100 columns', () => {
  expect(files.length).toBeGreaterThan(300)
  const long = files.flatMap(file =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, i) => ([...line].length > COLUMNS ? [`${file}:${i + 1}`] : []))
  )
  expect(long).toEqual([])
})

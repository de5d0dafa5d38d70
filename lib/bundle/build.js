/**
 * Builds dist/ from lib/: compiles it, bundles the heap with its engine, makes the code small, and
 * bundles the pages.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { small } from './small.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

rmSync(join(root, 'dist'), { recursive: true, force: true })
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
await import('./heap.js')
const dist = join(root, 'dist')
/** Rooms in which no loop is hot: there the code may be written anew, and not only its names. */
const COLD = /^(bench|cli|play|report|trace)\b/
for (const name of readdirSync(dist, { recursive: true }).filter(path => path.endsWith('.js'))) {
  const path = join(dist, name)
  writeFileSync(path, small(name, readFileSync(path, 'utf8'), COLD.test(name)))
}
await import('./pages.js')
if (['pack', 'publish'].includes(process.env.npm_command)) {
  const reached = declarations('index.d.ts', declarations('map/index.d.ts'))
  for (const name of readdirSync(dist, { recursive: true }).filter(path => path.endsWith('.d.ts')))
    if (!reached.has(join(name))) rmSync(join(dist, name))
}

/** The declarations that a user's compiler reads, from an entry on; the benchmark needs others. */
function declarations(name, found = new Set()) {
  if (found.has(name)) return found
  found.add(name)
  const text = readFileSync(join(dist, name), 'utf8')
  for (const [, path] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)\.js'/g))
    declarations(join(dirname(name), `${path}.d.ts`), found)
  return found
}

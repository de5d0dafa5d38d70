/**
 * Builds dist/ from lib/: compiles it, bundles the heap with its engine, minifies the code, and
 * bundles the pages.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { declarationsFor } from './declarations.js'
import { small } from './small.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

rmSync(join(root, 'dist'), { recursive: true, force: true })
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
await import('./heap.js')
const dist = join(root, 'dist')
/** Folders without hot loops, whose statements may be rewritten too. */
const COLD = /^(bench|cli|play|report|trace)\b/
for (const name of readdirSync(dist, { recursive: true }).filter(path => path.endsWith('.js'))) {
  const path = join(dist, name)
  writeFileSync(path, small(name, readFileSync(path, 'utf8'), COLD.test(name)))
}
await import('./pages.js')
if (['pack', 'publish'].includes(process.env.npm_command)) prune()

/**
 * Deletes files and declarations that no user of the package can import: most of them are in the
 * bundles. After packing, `postpack` builds it again, for tests and benchmarks.
 */
function prune() {
  const reached = new Set()
  const follow = name => {
    if (reached.has(name)) return
    reached.add(name)
    // Workers are started by the URLs of their files.
    const code = readFileSync(join(dist, name), 'utf8')
    for (const [, path] of code.matchAll(/["'`](\.\.?\/[^"'`$]+\.js)["'`]/g))
      follow(join(dirname(name), path))
  }
  for (const name of ['index.js', 'map/index.js', 'cli/main.js']) follow(join(name))
  const declarations = declarationsFor(dist, ['index.d.ts', join('map/index.d.ts')])
  for (const name of readdirSync(dist, { recursive: true })) {
    const path = join(dist, name)
    const isPage = dirname(name).endsWith('page')
    if (declarations.has(name)) writeFileSync(path, declarations.get(name))
    else if (/\.(js|d\.ts)$/.test(name) && !isPage && !reached.has(name)) rmSync(path)
  }
}

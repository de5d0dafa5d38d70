/**
 * Runs the tests where vitest can't run: on Node for Windows under Wine, on Bun, on Deno, and, if
 * it is named, on Node for arm64 under qemu. Usage: `node test/check.js elsewhere`, or `node
 * test/check.js elsewhere bun test/heap` to select runtimes and tests. Wine and qemu come from
 * Debian (`apt-get install wine64`), the others from npm. A runtime that can't be installed is
 * reported as skipped; with --need, that is an error.
 *
 * Library and tests are compiled file by file into a separate folder, in which vitest.mjs replaces
 * vitest. Tests that start other processes are omitted.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { RUNTIMES } from './runtimes.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CACHE = join(ROOT, 'node_modules', '.cache', 'elsewhere')
/** The folders with tests that can run on these runtimes. */
const ROOMS = [
  'memory',
  'layout',
  'placement',
  'engine',
  'hardened',
  'heap',
  'map',
  'sharing',
  'trace',
  'lab'
].map(room => `test/${room}`)
/**
 * A test file that matches this starts a process or a worker, or compiles with esbuild, so it needs
 * Node and Linux.
 */
const FOREIGN = /node:child_process|\/comp(iled|ile)\.js|node:worker_threads|\bvi\b.* from 'vitest'/
/** The time limit for the tests on one runtime, in milliseconds. Generous, for busy machines. */
const LIMIT = 60 * 60_000

const words = process.argv.slice(2)
const names = RUNTIMES.map(({ name }) => name)
const chosen = words.some(word => names.includes(word))
  ? RUNTIMES.filter(({ name }) => words.includes(name))
  : RUNTIMES.filter(({ isSlow }) => !isSlow)
/** Depends on the runtimes, so that parallel runs don't interfere. */
const OUT = join(CACHE, `package-${chosen.map(({ name }) => name).join('-')}`)
const wanted = words.filter(word => !names.includes(word) && !word.startsWith('--'))

/** The paths of the test files for a runtime, from the root. */
function testFiles({ omitted = /^$/, processes = /^$/ }) {
  return ROOMS.flatMap(room =>
    readdirSync(join(ROOT, room))
      .filter(name => name.endsWith('.test.ts'))
      .map(name => `${room}/${name}`)
      .filter(path => wanted.length === 0 || wanted.some(word => path.includes(word)))
      .filter(path => !omitted.test(path))
      .filter(path => processes.test(path) || !FOREIGN.test(readFileSync(join(ROOT, path), 'utf8')))
  )
}

function sourcesIn(folder) {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts') && !name.includes('fixtures'))
}

/** The sources and all files of the repository that they import. */
function withImports(sources, found = new Set()) {
  for (const source of sources.filter(path => !found.has(path))) {
    found.add(source)
    const imports = readFileSync(join(ROOT, source), 'utf8').matchAll(/'(\.\.?\/[^']+)\.js'/g)
    const paths = [...imports].map(([, path]) => join(dirname(source), `${path}.ts`))
    withImports(
      paths.filter(path => existsSync(join(ROOT, path))),
      found
    )
  }
  return found
}

/** Replaces test/memory/compiled.ts, which compiles the library. */
const COMPILED = `
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
const [region, heap, map] = ['memory/region', 'heap/heap', 'map/index'].map(
  name => new URL(\`../../lib/\${name}.js\`, import.meta.url).href
)
const script = fileURLToPath(new URL('script.mjs', import.meta.url))
export function compile() {
  return {
    region,
    heap,
    map,
    run(body, prefix = []) {
      writeFileSync(
        script,
        \`import { Region } from '\${region}'\\nimport { Heap } from '\${heap}'\\n\${body}\\n\`
      )
      const [command, ...words] = [...prefix, process.execPath, '--expose-gc', script]
      return spawnSync(command, words, { encoding: 'utf8' })
    },
    remove() {}
  }
}
`

/** Compiles library and tests into OUT, with the layout of the package. */
async function compile() {
  rmSync(OUT, { recursive: true, force: true })
  mkdirSync(join(OUT, 'node_modules', 'vitest'), { recursive: true })
  const plain = { platform: 'node', format: 'esm', target: 'es2022', logLevel: 'warning' }
  const sources = withImports([...sourcesIn('lib'), ...ROOMS.flatMap(sourcesIn)])
  await build({
    ...plain,
    absWorkingDir: ROOT,
    entryPoints: [...sources],
    outdir: OUT,
    outbase: '.',
    tsconfigRaw: readFileSync(join(ROOT, 'tsconfig.json'), 'utf8')
  })
  const shim = join(OUT, 'node_modules', 'vitest')
  const entry = fileURLToPath(new URL('vitest.mjs', import.meta.url))
  await build({ ...plain, bundle: true, entryPoints: [entry], outfile: join(shim, 'index.js') })
  writeFileSync(
    join(shim, 'package.json'),
    '{ "name": "vitest", "type": "module", "main": "index.js" }\n'
  )
  writeFileSync(
    join(OUT, 'package.json'),
    '{ "type": "module", "imports": { "#lib/*": "./lib/*" } }\n'
  )
  // What tests start in another process: scripts, and the library that is compiled here already.
  for (const name of readdirSync(join(ROOT, 'test/sharing')).filter(name => name.endsWith('.mjs')))
    copyFileSync(join(ROOT, 'test/sharing', name), join(OUT, 'test/sharing', name))
  writeFileSync(join(OUT, 'test/memory/compiled.js'), COMPILED)
  for (const name of ['prebuilds', 'traces'])
    symlinkSync(join(ROOT, name), join(OUT, name), 'junction')
  for (const name of readdirSync(join(ROOT, 'node_modules')).filter(
    name => !['vitest', '.cache', '.bin'].includes(name)
  )) {
    symlinkSync(join(ROOT, 'node_modules', name), join(OUT, 'node_modules', name), 'junction')
  }
}

/** Runs the tests on a runtime. Returns the result, with the number of tests by state. */
function test(runtime, command) {
  const report = join(CACHE, `${runtime.name}.jsonl`)
  const log = join(CACHE, `${runtime.name}.log`)
  rmSync(report, { force: true })
  const program = fileURLToPath(new URL('run.mjs', import.meta.url))
  writeFileSync(join(OUT, 'run.mjs'), readFileSync(program))
  const place = path => (runtime.placeOf ?? (same => same))(path)
  const args = [
    ...command.args,
    place(join(OUT, 'run.mjs')),
    place(report),
    ...testFiles(runtime).map(file => place(join(OUT, file.replace(/\.ts$/, '.js'))))
  ]
  const env = { ...process.env, OFFHEAP_RUNS: process.env.OFFHEAP_RUNS ?? '0.1', ...command.env }
  const output = openSync(log, 'w')
  const began = performance.now()
  const { status, signal } = spawnSync(command.program, args, {
    cwd: OUT,
    env,
    stdio: ['ignore', output, output],
    timeout: LIMIT,
    killSignal: 'SIGKILL'
  })
  closeSync(output)
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  const entries = existsSync(report)
    ? readFileSync(report, 'utf8')
        .trim()
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line))
    : []
  const rows = entries.flatMap(entry =>
    (entry.rows ?? []).map(row => [relative(OUT, entry.file), ...row])
  )
  const count = state => rows.filter(row => row[2] === state).length
  const known = row => runtime.known.find(({ test }) => test.test(row[1]))
  const failures = rows.filter(row => row[2] === 'fail')
  const surprises = failures.filter(row => known(row) === undefined)
  for (const [, name, , error] of surprises)
    console.error(
      `${runtime.name}: ${name}\n  ${String(error).split('\n').slice(0, 6).join('\n  ')}\n`
    )
  const done = entries.some(entry => entry.done)
  if (!done) {
    const last = entries.at(-1)?.file
    console.error(
      `${runtime.name} ended with ${signal ?? status} ` +
        `${last === undefined ? 'before any test' : `in ${last}`}`
    )
    if (existsSync(log)) console.error(readFileSync(log, 'utf8').slice(-2000))
  }
  return {
    name: runtime.name,
    version: command.version,
    passed: count('pass'),
    failed: surprises.length,
    known: failures.length - surprises.length,
    skipped: count('skip'),
    minutes,
    isGood: done && surprises.length === 0 && count('pass') > 0
  }
}

await compile()
let failed = false
for (const runtime of chosen) {
  const command = runtime.find(CACHE)
  if (typeof command === 'string') {
    console.log(`${runtime.name}: skipped, ${command}`)
    if (words.includes('--need')) failed = true
    continue
  }
  const row = test(runtime, command)
  console.log(
    `${row.isGood ? '✓' : '✗'} ${row.name} (${row.version}): ${row.passed} passed, ` +
      `${row.failed} failed, ${row.known} known to fail, ${row.skipped} skipped, in ` +
      `${row.minutes} minutes`
  )
  if (!row.isGood) failed = true
}
process.exitCode = failed ? 1 : 0

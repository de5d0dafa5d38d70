import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { HANG } from './test/hang.js'

const folder = (name: string): string => fileURLToPath(new URL(`./${name}/`, import.meta.url))

// With OFFHEAP_BUILT the tests see the library as it ships, with the engine's calls written out.
const library =
  process.env.OFFHEAP_BUILT === undefined
    ? []
    : [{ find: /^(\.\.\/)+lib\//, replacement: folder('dist') }]

/**
 * Files that `npm test` leaves out: they take long, or need a browser. What they look at is also
 * looked at by quicker tests, in one case of each kind where these try every one.
 */
const LONG = [
  'bench/command',
  'cli/output',
  'docs/recipes',
  'docs/samples',
  'faults/*',
  'flips/*',
  'fuzz/*',
  'heap/bounds',
  'heap/node-flags',
  'heap/stack',
  'lab/grading',
  'lab/processes',
  'lab/solutions',
  'lab/verdicts',
  'map/kills',
  'map/large',
  'map/stores',
  'memory/endurance',
  'memory/exhaustion',
  'memory/foreign-faults',
  'memory/handler',
  'memory/location',
  'memory/refused',
  'play/page',
  'report/view-browser',
  'sharing/kills',
  'sharing/workers'
].map(name => `test/${name}`)

/**
 * The rooms whose tests leave nothing behind in their process: their files share processes, which
 * saves starting one and importing the library for each. Other files have a process each: a
 * finalizer, a guard page or a worker can only be looked at in a process of its own.
 */
const TOGETHER = [
  'bench',
  'cli',
  'docs',
  'engine',
  'hardened',
  'layout',
  'map',
  'placement',
  'trace',
  'types',
  'values'
]

const files = readdirSync(folder('test'), { recursive: true, encoding: 'utf8' })
  .map(file => `test/${file.replaceAll('\\', '/')}`)
  .filter(file => file.endsWith('.test.ts'))

const isLong = (file: string): boolean =>
  LONG.some(path =>
    path.endsWith('*') ? file.startsWith(path.slice(0, -1)) : file === `${path}.test.ts`
  )

/** Has the file properties, which `npm test` tries for a tenth of their length (test/runs.ts)? */
const hasProperties = (file: string): boolean =>
  readFileSync(folder('.') + file, 'utf8').includes('scaled(')

/**
 * Whether a file runs. OFFHEAP_TESTS is undefined for the quick tests, `long` for what these leave
 * out, `all` for both.
 */
function isChosen(file: string): boolean {
  const tests = process.env.OFFHEAP_TESTS
  if (tests === undefined) return !isLong(file)
  return tests === 'all' || isLong(file) || hasProperties(file)
}

const chosen = files.filter(isChosen)

const isTogether = (file: string): boolean => TOGETHER.includes(file.split('/')[1])

export default defineConfig({
  // The benchmark imports the built library; its tests are to see the sources, as all others do.
  resolve: { alias: [...library, { find: /^#lib\//, replacement: folder('lib') }] },
  test: {
    projects: [true, false].map(together => ({
      extends: true as const,
      test: {
        name: together ? 'together' : 'alone',
        include: chosen.filter(file => isTogether(file) === together),
        isolate: !together,
        // The script of `offheap view`'s page is bundled once, before any test asks for it.
        globalSetup: together ? [] : ['test/report/build-page.ts']
      }
    })),
    pool: 'forks',
    execArgv: ['--expose-gc'],
    // All processors: by default one is left to vitest, which does next to nothing meanwhile.
    maxWorkers: '100%',
    // No test depends on speed.
    testTimeout: HANG,
    hookTimeout: HANG,
    expect: { poll: { timeout: HANG } }
  }
})

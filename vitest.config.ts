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
].map(name => `test/${name}.test.ts`)

/** The tests with properties that `npm test` tries for a tenth of their length (test/runs.ts). */
function withProperties(): string[] {
  return readdirSync(folder('test'), { recursive: true, encoding: 'utf8' })
    .filter(
      file =>
        file.endsWith('.test.ts') && readFileSync(folder('test') + file, 'utf8').includes('scaled(')
    )
    .map(file => `test/${file}`)
}

/** OFFHEAP_TESTS chooses: undefined for the quick tests, `long` for what these leave out, `all` for both. */
const chosen = process.env.OFFHEAP_TESTS

export default defineConfig({
  // The benchmark imports the built library; its tests are to see the sources, as all others do.
  resolve: { alias: [...library, { find: /^#lib\//, replacement: folder('lib') }] },
  test: {
    include: chosen === 'long' ? [...LONG, ...withProperties()] : ['test/**/*.test.ts'],
    exclude: chosen === undefined ? LONG : [],
    // The script of `offheap view`'s page is bundled once, before any test asks for it.
    globalSetup: ['test/report/build-page.ts'],
    // A finalizer, a guard page or a worker can only be looked at from a process of its own.
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

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { HANG } from './test/hang.js'

const folder = (name: string): string => fileURLToPath(new URL(`./${name}/`, import.meta.url))

// With OFFHEAP_BUILT the tests see the library as it ships, with the engine's calls written out.
const library =
  process.env.OFFHEAP_BUILT === undefined ? [] : [{ find: /^(\.\.\/)+lib\//, replacement: folder('dist') }]

export default defineConfig({
  // The benchmark imports the built library; its tests are to see the sources, as all others do.
  resolve: { alias: [...library, { find: /^#lib\//, replacement: folder('lib') }] },
  test: {
    include: ['test/**/*.test.ts'],
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

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { HANG } from './test/hang.js'

export default defineConfig({
  // The benchmark imports the built library; its tests are to see the sources, as all others do.
  resolve: { alias: [{ find: /^#lib\//, replacement: fileURLToPath(new URL('./lib/', import.meta.url)) }] },
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

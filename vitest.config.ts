import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The script of `offheap view`'s page is bundled once, before any test asks for it.
    globalSetup: ['test/report/build-page.ts'],
    // A finalizer, a guard page or a worker can only be looked at from a process of its own.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    testTimeout: 120_000
  }
})

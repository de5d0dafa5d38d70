import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A finalizer, a guard page or a worker can only be looked at from a process of its own.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    testTimeout: 120_000
  }
})

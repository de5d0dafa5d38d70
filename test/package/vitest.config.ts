import { defineConfig } from 'vitest/config'
import { HANG } from '../hang.js'

/** `node test/check.js package`: slow, and needs the npm registry, so `npm test` leaves it out. */
export default defineConfig({
  test: {
    include: ['test/package/*.package.ts'],
    globalSetup: ['test/package/pack.ts'],
    // One at a time: each runs a whole `npm install`, and the rows of the table stay in order.
    pool: 'forks',
    fileParallelism: false,
    // The registry may fail to answer once.
    retry: 1,
    testTimeout: HANG,
    hookTimeout: HANG
  }
})

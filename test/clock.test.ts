/**
 * No test depends on speed, because that depends on the machine. So no test reads a clock or sets a
 * limit of its own; the only limit is `HANG`. A test counts (operations, bytes, iterations of the
 * event loop) or waits for an event.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('.', import.meta.url))

/** The exceptions: files, and the reason for each. */
const ALLOWED: Readonly<Record<string, string>> = {
  'clock.test.ts': 'this file',
  'hang.ts': 'the one limit',
  'elsewhere/main.js': 'prints how long the tests took',
  'elsewhere/vitest.mjs': 'disables the time limit',
  'nodes.js': 'limits the whole suite, in case it hangs',
  'fuzz/child.ts': 'fuzzing runs for a number of minutes',
  'fuzz/main.ts': 'fuzzing runs for a number of minutes',
  'fuzz/file-target.ts': 'opens files with a short busyTimeout',
  'soak/load.ts': 'the soak test measures time',
  'soak/main.ts': 'the soak test measures time',
  'faults/cost.mjs': 'measures what hardening costs',
  'docs/recipes.test.ts': 'a reader that is slow on purpose',
  'lab/cheats.ts': 'patches clocks, and calls timers that do not exist',
  'lab/wrong.ts': 'calls a timer that does not exist',
  'lab/processes.test.ts': 'polls until a process has ended',
  'memory/endurance.test.ts': 'terminates workers at random moments',
  'memory/exhaustion.test.ts': 'raises the limit of a cgroup each second, while the test runs',
  'memory/in-use.test.ts': 'readers and servers that are slow on purpose',
  'memory/location.test.ts': 'the callback of a timer has no file on its stack',
  'mutation/runner.js': 'reports the duration of tests to Stryker',
  'mutation/vitest.js': 'passes on the time limit of a test',
  'sharing/kills.test.ts': 'kills processes at random moments',
  'sharing/processes.test.ts': 'polls until a process has stopped',
  'sharing/support.ts': 'simulated threads, which do not sleep',
  'sharing/turns.test.ts': 'a simulated thread, which does not sleep',
  'sharing/workers.test.ts': 'terminates workers at random moments',
  'trace/record.test.ts': 'a shell polls until it may end'
}

const CLOCK = new RegExp(
  [
    /\b(?:setTimeout|setInterval|performance\.now|hrtime|Date\.now|Atomics\.wait|sleep)\b/,
    /\b\w*[tT]imeout: *[\d_]+/,
    /vi\.wait\w+\((?!.*HANG)/
  ]
    .map(({ source }) => source)
    .join('|')
)

/** A timer that only keeps a process or a thread alive. */
const ALIVE = /setInterval\(\(\) => \{\}, \d+\)/g

test('no test reads a clock, waits for a time, or sets a time limit', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    file => /\.(?:ts|js|mjs)$/.test(file) && !/node_modules|^\w+\/build\//.test(file)
  )
  expect(files.length).toBeGreaterThan(100)
  const found = files.filter(file =>
    CLOCK.test(readFileSync(join(root, file), 'utf8').replace(ALIVE, ''))
  )
  expect(found.filter(file => ALLOWED[file] === undefined)).toEqual([])
})

/**
 * No test depends on speed, because that depends on the machine. So no test reads a clock or sets a
 * limit of its own; the only limit is `HANG`. A test counts (operations, bytes, turns of the event
 * loop) or waits for an event.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('.', import.meta.url))

/** The exceptions: files, and the reason for each. */
const ALLOWED: Readonly<Record<string, string>> = {
  'clock.test.ts': 'this one',
  'hang.ts': 'the one limit',
  'elsewhere/main.js': 'prints how long the tests took',
  'elsewhere/vitest.mjs': 'sets no limit of time: 0',
  'nodes.js': 'a hang of the whole suite',
  'fuzz/child.ts': 'fuzzing works for a number of minutes',
  'fuzz/main.ts': 'fuzzing works for a number of minutes',
  'fuzz/file-target.ts': 'waits no time for another process',
  'soak/load.ts': 'the soak test measures time',
  'soak/main.ts': 'the soak test measures time',
  'faults/cost.mjs': 'measures what hardening costs',
  'docs/recipes.test.ts': 'a reader that is slow on purpose',
  'lab/cheats.ts': 'patches clocks, and asks for timers that are not there',
  'lab/wrong.ts': 'asks for a timer that is not there',
  'lab/processes.test.ts': 'asks again and again whether a process is gone',
  'memory/endurance.test.ts': 'ends workers at any moment',
  'memory/exhaustion.test.ts':
    'a cgroup gets more memory each second, for as long as the test runs',
  'memory/in-use.test.ts': 'readers and servers that are slow on purpose',
  'memory/location.test.ts': 'what a timer calls has no file on its stack',
  'mutation/runner.js': 'reports to Stryker how long the tests took',
  'mutation/vitest.js': 'gives a test the limit that it asks for',
  'sharing/kills.test.ts': 'ends processes at any moment',
  'sharing/processes.test.ts': 'asks again and again whether a process is stopped',
  'sharing/support.ts': 'threads that are made up, and do not sleep',
  'sharing/turns.test.ts': 'a thread whose sleep is made up',
  'sharing/workers.test.ts': 'ends workers at any moment',
  'trace/record.test.ts': 'a shell asks again and again whether it may end'
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

/** What keeps a process or a thread alive. */
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

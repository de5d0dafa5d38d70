/**
 * The checks that `npm test` leaves out because they are long, or need more than a checkout has:
 *
 *     node test/check.js                 lists them
 *     node test/check.js fuzz --help     arguments after the name are passed to the check
 *     node test/check.js all             what CI runs besides npm test: npm run test:all
 *
 * Each is one or more commands, and stops at the first that fails.
 */
import { spawnSync } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const { env } = process

const vitest = ['vitest', 'run', '--reporter=dot']
const tsc = project => ['tsc', '-p', project]
const library = ['npm', 'run', '--silent', 'build:lib']
/** Installs the packages of a folder, whose package.json has exact versions. */
const packages = folder => [
  ...['npm', '--prefix', folder, 'install', '--no-package-lock'],
  ...['--ignore-scripts', '--silent']
]

/** By name: what it does, its commands, and the variables of their environment. */
const checks = {
  long: {
    about: 'the tests that npm test leaves out, and its properties at full length',
    commands: [vitest],
    variables: { OFFHEAP_TESTS: 'long' }
  },
  built: {
    about: "the heap's tests on the library as it ships, with the engine's calls written out",
    commands: [
      library,
      [
        ...vitest,
        'test/heap',
        'test/engine',
        'test/placement',
        'test/sharing/heap-file.test.ts',
        'test/trace/shipped.test.ts'
      ]
    ],
    variables: { OFFHEAP_BUILT: '1', OFFHEAP_TESTS: 'all', OFFHEAP_RUNS: '0.3' }
  },
  nodes: {
    about: 'other Node versions, with the same build of the addon: nodes [20 22 …] [TEST …]',
    commands: [['node', 'test/nodes.js']]
  },
  package: {
    about: 'packs, and uses the tarball in every way that users do; needs the npm registry',
    commands: [['vitest', 'run', '--config', 'test/package/vitest.config.ts']]
  },
  elsewhere: {
    about: 'regions, heaps, maps and traces: elsewhere [wine bun deno arm64] [TEST …]',
    commands: [['node', 'test/elsewhere/main.js']]
  },
  kills: {
    about:
      'kills 1,000 processes (OFFHEAP_KILLS) that work on a heap file, 200 that recover one, and ' +
      '300 that share one',
    commands: [['vitest', 'run', 'test/sharing/kills.test.ts']],
    variables: { OFFHEAP_TESTS: 'all', OFFHEAP_KILLS: '1000' }
  },
  faults: {
    about:
      'each kind of misuse 10,000 times (OFFHEAP_FAULTS) in a busy heap; writes docs/faults.md',
    commands: [['vitest', 'run', 'test/faults']],
    variables: { OFFHEAP_TESTS: 'long', OFFHEAP_FAULTS: '10000' }
  },
  cost: {
    about: 'what a hardened heap costs in time and memory',
    commands: [library, ['node', 'test/faults/cost.mjs']]
  },
  drive: {
    about: 'five million (OFFHEAP_STEPS) random calls for each placement, against the model',
    commands: [['vitest', 'run', 'test/heap/drive.test.ts', '--testTimeout=86400000']],
    variables: { OFFHEAP_TESTS: 'long', OFFHEAP_STEPS: '5000000' }
  },
  endurance: {
    about: 'regions mapped, closed, dropped and transferred, ten times as often as in test:all',
    commands: [['vitest', 'run', 'test/memory/endurance.test.ts']],
    variables: { OFFHEAP_TESTS: 'long', OFFHEAP_ENDURANCE: '1' }
  },
  fuzz: {
    about: 'fuzzing guided by coverage, of heaps, arguments and traces: fuzz --minutes 5',
    commands: [tsc('test/fuzz/tsconfig.json'), ['node', 'test/fuzz/build/test/fuzz/main.js']]
  },
  soak: {
    about: 'a mixed load; utilization, time and memory must stay flat: soak --minutes 60',
    commands: [library, tsc('test/soak/tsconfig.json'), ['node', 'test/soak/build/main.js']]
  },
  mutate: {
    about: 'mutation tests of the rooms of lib/: mutate [FILE …]',
    commands: [packages('test/mutation'), ['node', 'test/mutation/main.js']]
  },
  asan: {
    about: 'the tests with the addon under AddressSanitizer: asan [TEST …]',
    commands: [['node', 'test/native/sanitize.mjs', 'address']]
  },
  ubsan: {
    about: 'the tests with the addon under UndefinedBehaviorSanitizer: ubsan [TEST …]',
    commands: [['node', 'test/native/sanitize.mjs', 'undefined']]
  },
  valgrind: {
    about: 'leaks and wild accesses of the addon; needs valgrind',
    commands: [['node', 'test/native/leaks.mjs']]
  }
}

/** What CI runs besides `npm test`, in this order: names of checks with their arguments. */
const ALL = [
  ['long'],
  ['built'],
  ['nodes'],
  ['package', 'tarball', 'managers', 'bundlers', 'toolchains']
]

/** Runs a check; further arguments are passed to its last command. Returns an exit code. */
function run(name, args) {
  const { commands, variables = {} } = checks[name]
  for (const [index, [program, ...words]] of commands.entries()) {
    const { status, error } = spawnSync(
      program,
      index === commands.length - 1 ? [...words, ...args] : words,
      {
        cwd: root,
        stdio: 'inherit',
        env: {
          ...variables,
          ...env,
          PATH: `${join(root, 'node_modules/.bin')}${delimiter}${env.PATH}`
        }
      }
    )
    if (error !== undefined) console.error(`${program}: ${error.message}`)
    if (status !== 0) return status ?? 1
  }
  return 0
}

function runAll() {
  for (const [name, ...args] of ALL) {
    console.log(`\n=== node test/check.js ${name}: ${checks[name].about}`)
    const code = run(name, args)
    if (code !== 0) return code
  }
  return 0
}

const [name, ...args] = process.argv.slice(2)
if (name === 'all') {
  process.exitCode = runAll()
} else if (name !== undefined && Object.hasOwn(checks, name)) {
  process.exitCode = run(name, args)
} else {
  const list = Object.entries(checks).map(([name, { about }]) => `  ${name.padEnd(10)}${about}`)
  console.log(
    `node test/check.js NAME [ARGUMENT …]\n\n${list.join('\n')}\n  all       ` +
      `${ALL.map(([name]) => name).join(', ')}`
  )
  if (name !== undefined) process.exitCode = 2
}

/**
 * Runs the tests against mutants, for Stryker: all in one process that loads them once. vitest
 * would load them anew for every mutant, which takes ten times as long. This works because lib/
 * keeps the state of a heap in the heap's memory.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { INSTRUMENTER_CONSTANTS } from '@stryker-mutator/api/core'
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin'
import {
  DryRunStatus,
  determineHitLimitReached,
  TestStatus,
  toMutantRunResult
} from '@stryker-mutator/api/test-runner'
import { build } from 'esbuild'

const STAND_IN = 'test/mutation/vitest.js'
/** In Stryker's copy of the project: how long each test takes. */
const TIMES_FILE = 'times.json'
/** Folders whose mutants only their own tests judge. */
const APART = ['trace', 'memory', 'lab']
/**
 * Folders whose tests judge only mutants of these folders of `lib/`. Other tests judge the mutants
 * of all folders that are not apart.
 */
const ONLY = new Map([
  ['layout', ['layout', 'placement']],
  ['placement', ['layout', 'placement']],
  ['hardened', ['hardened', 'heap']],
  ['sharing', ['sharing', 'heap']],
  ...APART.map(folder => [folder, [folder]])
])
/** Folders whose tests judge no mutant of `lib/`. */
const ELSEWHERE = [
  'bench',
  'cli',
  'docs',
  'faults',
  'flips',
  'fuzz',
  'map',
  'mutation',
  'native',
  'package',
  'play',
  'report',
  'soak',
  'types',
  'values'
]
/**
 * They take seconds for each mutant, with gigabytes, or minutes in other processes, which have no
 * mutants.
 */
const LEFT_OUT = [
  'heap/large.test.ts',
  // Other flags of Node, in processes of their own; and a limited stack, of which mutated code
  // needs more.
  'heap/node-flags.test.ts',
  'heap/stack.test.ts',
  'sharing/kills.test.ts',
  'sharing/processes.test.ts',
  'sharing/stores.test.ts',
  'sharing/workers.test.ts',
  'trace/shipped.test.ts',
  'memory/endurance.test.ts',
  'memory/exhaustion.test.ts',
  'memory/handler.test.ts',
  'memory/lifetime.test.ts',
  // The code is not in the same place here as in the package.
  'memory/location.test.ts',
  'memory/protect.test.ts',
  'lab/verdicts.test.ts',
  'lab/cli.test.ts',
  'lab/solutions.test.ts',
  'lab/processes.test.ts'
]
const LEFT_OUT_TESTS = [
  // Counts the mappings of a process; the code that counts statements has some of its own.
  /locking more than RLIMIT_MEMLOCK throws, and names the limit$/,
  // A minute of heaps of gigabytes, whose bounds are those of small ones.
  /around 2 \*\* (1[7-9]|2\d|3\d) bytes: largestFree is exact at every bound$/,
  /a heap of 6 GiB with slabs /,
  // Half a second each; quicker ones find the same.
  /one with slabs .* > serves a request of 2 GiB and more, to the last byte$/,
  /> accepts many free blocks, and all of them merged into one$/,
  /> without a threshold nothing is given back$/,
  /the memory of empty slabs > is returned to the system by trim\(\)$/,
  // The other tests find the same.
  /stays consistent, keeps every byte, and clears memory for calloc$/
]
/** Files that tests read from their folder. */
const NEIGHBOURS = [
  'build',
  'labs',
  'lib',
  'native',
  'node_modules',
  'package.json',
  'prebuilds',
  'traces',
  'tsconfig.json'
]
/** Only these mutants are judged by tests that wait for the garbage collector, for seconds. */
const COLLECTED = /^lib\/(\*\*|heap\/(\*\*|claims\.ts))/
const COLLECTING =
  / > (freeing, resizing or resetting an owned block|an owned (and pinned )?block) /
/**
 * A mutant whose tests execute this many times the statements of the mutated files that all tests
 * execute without a mutant, and this many more, is in an endless loop.
 */
const TIMES = 4
const MORE_STEPS = 2e7
/** The tests that judge mutants of the files that match `patterns`. */
function testFiles(patterns) {
  const folders = new Set(patterns.map(pattern => pattern.split('/')[1]))
  const isWanted = name =>
    folders.has('**') ||
    (ONLY.get(name)?.some(each => folders.has(each)) ??
      [...folders].some(each => !APART.includes(each)))
  return readdirSync('test', { withFileTypes: true })
    .filter(entry => entry.isDirectory() && !ELSEWHERE.includes(entry.name) && isWanted(entry.name))
    .flatMap(({ name: folder }) =>
      readdirSync(`test/${folder}`).map(name => `test/${folder}/${name}`)
    )
    .filter(file => file.endsWith('.test.ts') && !LEFT_OUT.some(name => file.endsWith(name)))
}

/**
 * A copy of lib/ that records coverage at every statement. For a mutant, coverage is not needed.
 * Its statements are counted instead, because a mutant can make loops endless that it is not part
 * of.
 */
const countSteps = {
  name: 'count-steps',
  setup(builder) {
    builder.onLoad({ filter: /\/lib\/.*\.ts$/ }, ({ path }) => ({
      loader: 'ts',
      contents: readFileSync(path, 'utf8').replace(
        'var c = cov.static;',
        `ns.steps++;
        if (ns.activeMutant !== undefined) {
          if (ns.steps > ns.maxSteps) throw new Error('endless');
          return;
        }
        $&`
      )
    }))
  }
}

/** The groups around a test, the outermost first. */
function groupsOf(test) {
  const groups = []
  for (let at = test.group; at !== undefined; at = at.outer) groups.unshift(at)
  return groups
}

class InProcessRunner {
  static inject = ['options']

  constructor({ mutate }) {
    this.patterns = mutate
    // Shared with the mutated code: which mutant is active, and which test reached which mutants.
    globalThis[INSTRUMENTER_CONSTANTS.NAMESPACE] ??= {}
    this.state = globalThis[INSTRUMENTER_CONSTANTS.NAMESPACE]
  }

  capabilities() {
    return { reloadEnvironment: false }
  }

  /** Bundles the tests and loads them; the working directory is Stryker's copy of the project. */
  async init() {
    const files = testFiles(this.patterns)
    const folder = join(process.cwd(), `tests-${process.pid}`)
    await build({
      entryPoints: [STAND_IN, 'test/mutation/setup.ts', ...files],
      alias: { vitest: `./${STAND_IN}` },
      bundle: true,
      splitting: true,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node24',
      outdir: folder,
      // As deep as the tests and lib/, because both search for files relative to their own place.
      chunkNames: 'test/chunks/[name]-[hash]',
      // Not the default, which is the folder in which Stryker was started.
      absWorkingDir: process.cwd(),
      outbase: '.',
      plugins: [countSteps],
      logLevel: 'error'
    })
    // Files that bundled code expects in its folder: the addon, and what tests compile.
    for (const name of NEIGHBOURS.filter(existsSync))
      symlinkSync(join('..', name), join(folder, name))
    symlinkSync(join(process.cwd(), 'build'), join(folder, 'test/chunks/build'))
    for (const room of new Set(['test/native', ...files.map(dirname)])) {
      mkdirSync(join(folder, room), { recursive: true })
      for (const name of readdirSync(room).filter(name => name.endsWith('.c'))) {
        symlinkSync(join(process.cwd(), room, name), join(folder, room, name))
      }
    }
    const load = file => import(pathToFileURL(join(folder, file.replace(/\.ts$/, '.js'))).href)
    const { beginFile, tests } = await load(STAND_IN)
    await load('test/mutation/setup.ts')
    for (const file of files) {
      beginFile(file)
      await load(file)
    }
    const leftOut = this.patterns.some(pattern => COLLECTED.test(pattern))
      ? LEFT_OUT_TESTS
      : [...LEFT_OUT_TESTS, COLLECTING]
    this.tests = tests
      .filter(({ name }) => !leftOut.some(left => left.test(name)))
      .map((test, i) => ({ ...test, id: String(i) }))
    // By test and by file: the time in ms, and how often it ended a run. A process that replaces
    // one that did not answer reads the times from a file.
    const times = existsSync(TIMES_FILE) ? JSON.parse(readFileSync(TIMES_FILE, 'utf8')) : {}
    Object.assign(this.state, { maxSteps: times.maxSteps })
    this.costs = new Map(
      [...this.tests.map(({ id }) => id), ...files].map(key => [
        key,
        { time: times[key] ?? 0, kills: 0 }
      ])
    )
  }

  async dryRun() {
    Object.assign(this.state, { activeMutant: undefined, steps: 0 })
    const tests = await this.run(this.tests, false)
    for (const { id, fileName, timeSpentMs } of tests) {
      this.costs.get(id).time = timeSpentMs
      this.costs.get(fileName).time += timeSpentMs
    }
    this.state.maxSteps = TIMES * this.state.steps + MORE_STEPS
    const times = [...this.costs].map(([key, { time }]) => [key, time])
    writeFileSync(
      TIMES_FILE,
      JSON.stringify({ ...Object.fromEntries(times), maxSteps: this.state.maxSteps })
    )
    return { status: DryRunStatus.Complete, tests, mutantCoverage: this.state.mutantCoverage }
  }

  async mutantRun({ testFilter, activeMutant, hitLimit }) {
    const wanted = testFilter && new Set(testFilter)
    // The first failure ends a run: quick tests, and those that ended many runs, come first. Tests
    // with hooks of their own stay together.
    const rank = ({ id, file, group }) => {
      const ofFile = this.costs.get(file)
      if (groupsOf({ group }).some(each => each.beforeAll.length > 0))
        return ofFile.time / (1 + ofFile.kills)
      const { time, kills } = this.costs.get(id)
      return time / (1 + 4 * kills + ofFile.kills)
    }
    const tests = this.tests
      .filter(({ id }) => !wanted || wanted.has(id))
      .sort((a, b) => rank(a) - rank(b))
    Object.assign(this.state, { activeMutant: activeMutant.id, hitCount: 0, hitLimit, steps: 0 })
    // For the processes that tests start: their mutated code reads here which mutant is active.
    process.env[INSTRUMENTER_CONSTANTS.ACTIVE_MUTANT_ENV_VARIABLE] = activeMutant.id
    const results = await this.run(tests, true)
    const last = results.at(-1)
    if (last?.status === TestStatus.Failed) {
      this.costs.get(last.id).kills++
      this.costs.get(last.fileName).kills++
    }
    delete process.env[INSTRUMENTER_CONSTANTS.ACTIVE_MUTANT_ENV_VARIABLE]
    const timeout = determineHitLimitReached(this.state.hitCount, hitLimit)
    const endless =
      this.state.steps > this.state.maxSteps
        ? { status: DryRunStatus.Timeout, reason: 'too many statements' }
        : undefined
    Object.assign(this.state, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined })
    return toMutantRunResult(
      timeout ?? endless ?? { status: DryRunStatus.Complete, tests: results }
    )
  }

  /** Runs the tests in order, with their hooks. With `bail`, stops at the first failure. */
  async run(tests, bail) {
    const results = []
    let open = []
    for (const test of tests) {
      const groups = groupsOf(test)
      const result = await this.runOne(test, groups, open)
      open = groups
      results.push(result)
      if (bail && result.status === TestStatus.Failed) break
    }
    await leave(open, [])
    return results
  }

  async runOne(test, groups, open) {
    const begin = performance.now()
    const result = { id: test.id, name: test.name, fileName: test.file, status: TestStatus.Success }
    this.state.currentTestId = test.id
    try {
      await leave(open, groups)
      for (const group of groups) if (!open.includes(group)) await runAll(group.beforeAll)
      for (const group of groups) await runAll(group.beforeEach)
      await test.body({ skip: leaveTest })
      for (const group of groups.toReversed()) await runAll(group.afterEach)
    } catch (error) {
      if (error === SKIPPED) return { ...result, timeSpentMs: performance.now() - begin }
      result.status = TestStatus.Failed
      result.failureMessage = String(error?.message ?? error)
    }
    this.state.currentTestId = undefined
    return { ...result, timeSpentMs: performance.now() - begin }
  }
}

const SKIPPED = new Error('this test was skipped')

/** A test calls it to skip itself. */
function leaveTest() {
  throw SKIPPED
}

/** Ends the groups of `open` that are not among `groups`, the innermost first. */
async function leave(open, groups) {
  for (const group of open.toReversed()) if (!groups.includes(group)) await runAll(group.afterAll)
}

async function runAll(hooks) {
  for (const hook of hooks) await hook()
}

export const strykerPlugins = [
  declareClassPlugin(PluginKind.TestRunner, 'in-process', InProcessRunner)
]

/**
 * `offheap lab`: an allocator lab for courses. `init` creates a workspace, `grade` grades a
 * submission.
 */

import { existsSync, statSync, watch } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { OffheapError } from '../errors.js'
import type { LabConfig, Step } from '../lab/grade/config.js'
import type { Grade } from '../lab/grade/grade.js'
import { traceName, withSeed } from '../lab/kit/patterns.js'
import { labsFolder, missingLabs } from '../labs-package.js'
import { findTraces, UsageError } from './arguments.js'
import type { Io } from './io.js'
import { writeOutput } from './output.js'
import { startProgress } from './progress.js'

interface GradeCommandOptions {
  readonly traces?: string
  readonly file?: string
  readonly step?: number
  readonly seed?: string
  readonly config?: string
  readonly checkEvery?: boolean
  readonly timeout?: number
  readonly format: 'text' | 'json' | 'gradescope'
  readonly json?: boolean
  readonly output?: string
  readonly watch?: boolean
}

const EXIT_CODES = `
Exit codes:
  0  every trace is valid
  1  a trace, or the submission as a whole, is not valid
  2  the command line, the configuration or a trace file is wrong
  3  every trace is valid, but the machine was too busy to time them: grade again`

/**
 * Milliseconds that a file must be left alone before --watch grades it again: editors save in
 * several steps.
 */
const SETTLE = 150
/** The most operations that the page of `offheap play` takes. */
const MOST_PLAYED = 20_000

/** Calls `done` with the exit code. */
export function labCommand(io: Io, done: (code: number) => void): Command {
  const lab = new Command('lab').description('write an allocator step by step, and grade it')
  const commands = [
    initCommand(io),
    gradeCommand(io, done),
    kitCommand(io),
    gradeAllCommand(io, done),
    tracesCommand(io),
    breakCommand(io, done)
  ]
  for (const command of commands) lab.addCommand(command)
  // Subcommands report errors as the program does; commander copies this only on request.
  lab.copyInheritedSettings = program => {
    Command.prototype.copyInheritedSettings.call(lab, program)
    for (const command of commands) command.copyInheritedSettings(program)
    return lab
  }
  return lab
}

function initCommand(io: Io): Command {
  return new Command('init')
    .summary('create a workspace for a student')
    .description(
      'Creates a workspace with a first allocator, the handout, traces and editor settings. ' +
        'Overwrites nothing.'
    )
    .argument('<dir>', 'folder to fill; created if it does not exist')
    .action(async (folder: string) => {
      assertLabs()
      const { initLab } = await import('../lab/kit/init.js')
      const { written, kept } = initLab(folder)
      if (written.length > 0) io.out.write(`${folder}: wrote ${written.join(', ')}\n`)
      if (kept.length > 0) io.out.write(`${folder}: left as they were: ${kept.join(', ')}\n`)
      io.out.write(
        `Begin with ${join(folder, 'handout', 'README.md')}, then: cd ${folder} && npm ` +
          `install && npm run grade\n`
      )
    })
}

function gradeCommand(io: Io, done: (code: number) => void): Command {
  return new Command('grade')
    .summary('grade an allocator')
    .description(
      'Grades an allocator: whether it is valid on every trace, how much memory it wastes, ' +
        'and how fast it is.'
    )
    .argument('<file>', 'the TypeScript or JavaScript file that exports create(memory)')
    .option(
      '-t, --traces <dir>',
      "folder of .rep or .rep.gz files (default: traces/ beside the file, or else the lab's)"
    )
    .option('-f, --file <trace>', 'grade only this trace')
    .option('--step <n>', 'the traces and thresholds of this step of the handout', number(1, 100))
    .option(
      '--config <file>',
      "weights and thresholds (default: lab.jsonc beside the file, or else the lab's)"
    )
    .option(
      '--seed <text>',
      'replace the traces with others of the same kinds, made from this text'
    )
    .option('--check-every', 'compare all payloads and call check() after every operation; slow')
    .option('--timeout <seconds>', 'stop a trace that takes longer', number(0.1, 3600))
    .addOption(
      new Option('--format <format>', 'format of the result')
        .choices(['text', 'json', 'gradescope'])
        .default('text')
    )
    .option('--json', 'short for --format json')
    .option(
      '-o, --output <file>',
      'write the result here (default: to the terminal; gradescope: results.json)'
    )
    .option('--watch', 'grade again whenever a file of the submission changes')
    .addHelpText('after', EXIT_CODES)
    .action(async (file: string, options: GradeCommandOptions) => {
      if (options.watch) await watchAndGrade(io, file, options)
      else done((await gradeOnce(io, file, options)).code)
    })
}

function kitCommand(io: Io): Command {
  return new Command('kit')
    .summary('write the files that a course needs for grading')
    .description(
      'Writes the files that a course needs for grading: a Gradescope autograder, a Dockerfile ' +
        'and a workflow for GitHub Classroom. Overwrites nothing.'
    )
    .argument('<dir>', 'folder to fill; created if it does not exist')
    .action(async (folder: string) => {
      assertLabs()
      const { layKit } = await import('../lab/kit/kit.js')
      const { written, kept } = layKit(folder)
      io.out.write(`${folder}: wrote ${written.join(', ')}\n`)
      if (kept.length > 0) io.out.write(`${folder}: left as they were: ${kept.join(', ')}\n`)
    })
}

function tracesCommand(io: Io): Command {
  return new Command('traces')
    .summary('write hidden traces, made from a seed')
    .description('Writes traces of the same kinds as those of the lab, made from a seed.')
    .argument('<dir>', 'folder to write to; traces there with the same names are replaced')
    .requiredOption('--seed <text>', 'any text; the same text gives the same traces')
    .action(async (folder: string, { seed }: { seed: string }) => {
      const { seededTraces, writeTraces } = await import('../lab/kit/patterns.js')
      const paths = writeTraces(folder, seededTraces(seed))
      io.out.write(`${folder}: wrote ${paths.map(path => basename(path)).join(', ')}\n`)
    })
}

interface BreakCommandOptions {
  readonly config?: string
  readonly json?: boolean
}

const BREAK_EXIT_CODES = `
Exit codes:
  0  your tests break all ten
  1  some are not broken
  2  a test is not valid`

function breakCommand(io: Io, done: (code: number) => void): Command {
  return new Command('break')
    .summary('report which of ten wrong allocators your tests break')
    .description('Reports which of ten wrong allocators your tests break.')
    .argument('<traces...>', '.rep files of at most 200 operations, or folders of them')
    .option(
      '--config <file>',
      "time and memory limits (default: lab.jsonc here, or else the lab's)"
    )
    .option('--json', 'write the result as JSON')
    .addHelpText('after', BREAK_EXIT_CODES)
    .action(async (paths: readonly string[], options: BreakCommandOptions) => {
      assertLabs()
      const { breakAll } = await import('../lab/kit/breakers.js')
      const config = await configFor('allocator.ts', { ...options, format: 'text' })
      const progress = startProgress(io, 1)
      let result: Awaited<ReturnType<typeof breakAll>>
      try {
        const tests = await findTraces(paths)
        result = await breakAll(tests, config, (share, what) => progress.update(share, what))
      } catch (error) {
        throw isTraceError(error) ? new UsageError(error.message) : error
      } finally {
        progress.stop()
      }
      const { broken, unfair } = result
      const count = broken.filter(each => each !== undefined).length
      if (options.json) io.out.write(`${JSON.stringify({ ...result, count }, null, 2)}\n`)
      else {
        const lines = broken.map((each, i) => {
          const said = each === undefined ? 'not broken' : `broken by ${each.test}: ${each.what}`
          return `allocator ${String(i + 1).padStart(2)}  ${said}\n`
        })
        const odd = unfair.map(test => `${test} is unfair: a correct allocator fails on it\n`)
        io.out.write(`${lines.join('')}${odd.join('')}${count} of ${broken.length} broken\n`)
      }
      done(count === broken.length ? 0 : 1)
    })
}

interface GradeAllCommandOptions extends Pick<GradeCommandOptions, 'traces' | 'step' | 'config'> {
  readonly csv?: string
  readonly html?: string
  readonly jobs?: number
  readonly seed?: string
}

function gradeAllCommand(io: Io, done: (code: number) => void): Command {
  return new Command('grade-all')
    .summary('grade every submission in a folder')
    .description(
      'Grades every submission in a folder, except those whose grades are already in .grades/.'
    )
    .argument(
      '<dir>',
      'folder of submissions: a folder with an allocator.ts, or a .ts file, for each student'
    )
    .option('-t, --traces <dir>', "folder of .rep or .rep.gz files (default: the lab's)")
    .option('--step <n>', 'the traces and thresholds of this step of the handout', number(1, 100))
    .option('--config <file>', "weights and thresholds (default: the lab's)")
    .option(
      '--seed <text>',
      'give each submission its own traces, made from this text and its name'
    )
    .option('--csv <file>', 'write a table here')
    .option('--html <file>', 'write a leaderboard here, with a list of similar submissions')
    .option('-j, --jobs <n>', 'submissions at a time (default: one for every core)', number(1, 64))
    .action(async (folder: string, options: GradeAllCommandOptions) => {
      const { csvOf, gradeAll, htmlOf } = await import('../lab/kit/grade-all.js')
      if (!existsSync(folder)) throw new UsageError(`there is no folder ${folder}`)
      assertLabs()
      // Ignore other files that a student submitted.
      const nowhere = join(folder, 'allocator.ts')
      const config = await configFor(nowhere, {
        ...options,
        format: 'text',
        config: options.config ?? join(labsFolder, 'lab.jsonc')
      })
      const step = stepOf(config, options.step)
      const traces = await tracesFor(
        nowhere,
        { ...options, format: 'text', traces: options.traces ?? join(labsFolder, 'traces') },
        step
      )
      const result = await gradeAll({
        folder,
        config,
        traces,
        ...(step === undefined ? {} : { step }),
        ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
        ...(options.seed === undefined ? {} : { seed: options.seed }),
        onRow: ({ name, score, what }, count, all) => {
          const defect = what === '' ? '' : `: ${what}`
          io.err.write(`${count} of ${all}: ${name}, ${score.toFixed(1)} points${defect}\n`)
        }
      })
      if (options.csv !== undefined) writeOutput(options.csv, csvOf(result))
      if (options.html !== undefined) writeOutput(options.html, htmlOf(result))
      if (options.csv === undefined && options.html === undefined) io.out.write(csvOf(result))
      done(0)
    })
}

/** Throws a UsageError that says how to install the files of the course, when they are missing. */
function assertLabs(): void {
  const missing = missingLabs()
  if (missing !== undefined) throw new UsageError(missing)
}

function number(least: number, most: number): (text: string) => number {
  return text => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`Give a number from ${least} to ${most}.`)
  }
}

interface Graded {
  readonly code: number
  readonly sources: readonly string[]
}

async function gradeOnce(io: Io, file: string, options: GradeCommandOptions): Promise<Graded> {
  const { grade } = await import('../lab/grade/grade.js')
  const { isValid } = await import('../lab/grade/export.js')
  const config = await configFor(file, options)
  const step = stepOf(config, options.step)
  const traces = await tracesFor(file, options, step)
  const seeded = options.seed === undefined ? undefined : withSeed(traces, options.seed)
  const progress = startProgress(io, 1)
  let result: Grade
  try {
    result = await grade({
      submission: file,
      config,
      traces: seeded?.paths ?? traces,
      ...(step === undefined ? {} : { step }),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      checkEvery: options.checkEvery === true,
      types: true,
      progress: (share, what) => progress.update(share, what),
      onOutput: text => io.err.write(text)
    })
  } catch (error) {
    throw isTraceError(error) ? new UsageError(error.message) : error
  } finally {
    progress.stop()
    seeded?.remove()
  }
  // Traces of a seed lie in no file that could be looked at.
  const look = options.seed === undefined ? lookAt(file, traces) : () => undefined
  await tell(io, result, config, options, look)
  for (const message of result.refused) io.err.write(`offheap: ${message}\n`)
  const code = result.refused.length > 0 ? 2 : !isValid(result) ? 1 : result.unsettled ? 3 : 0
  return { code, sources: result.sources }
}

/** The command that opens a submission's heap at an operation of a trace. */
function lookAt(file: string, traces: readonly string[]) {
  const quoted = (path: string) =>
    /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
  return (trace: string, operation: number): string | undefined => {
    const path = traces.find(each => traceName(each) === trace)
    if (path === undefined || operation > MOST_PLAYED) return undefined
    return (
      `npx offheap play ${quoted(file)} --trace ${quoted(relative('.', path))} --at ` +
      `${operation}`
    )
  }
}

/** Whether an error says that no trace could be read. */
function isTraceError(error: unknown): error is OffheapError {
  return (
    error instanceof OffheapError &&
    (error.code === 'ERR_OFFHEAP_TRACE' || error.code === 'ERR_OFFHEAP_SYSTEM')
  )
}

async function tell(
  io: Io,
  result: Grade,
  config: LabConfig,
  options: GradeCommandOptions,
  look: (trace: string, operation: number) => string | undefined
): Promise<void> {
  const { gradeJson, gradescopeResults } = await import('../lab/grade/export.js')
  const format = options.json ? 'json' : options.format
  let text: string
  if (format === 'json') text = JSON.stringify(gradeJson(result), null, 2)
  else if (format === 'gradescope')
    text = JSON.stringify(gradescopeResults(result, config.points), null, 2)
  else {
    const { gradeReport } = await import('../lab/grade/report.js')
    const { color, ascii } = options.output === undefined ? io : { ...io, color: false }
    text = gradeReport(result, { color, ascii, look })
  }
  const output = options.output ?? (format === 'gradescope' ? 'results.json' : undefined)
  if (output === undefined) io.out.write(`${text}\n`)
  else {
    writeOutput(output, `${text}\n`)
    io.err.write(
      `offheap: ${result.points.score.toFixed(1)} of ${result.points.maximum} points; wrote ` +
        `${output}\n`
    )
  }
}

/** Grades until Ctrl-C ends the process. */
async function watchAndGrade(io: Io, file: string, options: GradeCommandOptions): Promise<void> {
  for (;;) {
    if (io.color) io.out.write('\x1b[2J\x1b[3J\x1b[H')
    const began = Date.now()
    const { sources } = await gradeOnce(io, file, options)
    const change = changed([...new Set([resolve(file), ...sources])], began)
    io.err.write(`offheap: watching ${file} and what it imports; Ctrl-C ends\n`)
    await change
  }
}

/**
 * Resolves when one of the files was written after `since`, in milliseconds since the epoch.
 * Watches folders, because editors replace files.
 */
function changed(files: readonly string[], since: number): Promise<void> {
  return new Promise(done => {
    let timer: NodeJS.Timeout | undefined
    const settle = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        for (const watcher of watchers) watcher.close()
        done()
      }, SETTLE)
    }
    const watchers = [...new Set(files.map(file => dirname(file)))].map(folder =>
      watch(folder, (_event, name) => {
        if (name !== null && files.includes(join(folder, name))) settle()
      })
    )
    // A file may have been saved while the last version was graded.
    if (files.some(file => (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > since))
      settle()
  })
}

async function configFor(file: string, options: GradeCommandOptions): Promise<LabConfig> {
  const { ConfigError, readConfig } = await import('../lab/grade/config.js')
  const beside = join(dirname(file), 'lab.jsonc')
  if (options.config === undefined && !existsSync(beside)) assertLabs()
  const path = options.config ?? (existsSync(beside) ? beside : join(labsFolder, 'lab.jsonc'))
  try {
    return readConfig(path)
  } catch (error) {
    throw error instanceof ConfigError ? new UsageError(error.message) : error
  }
}

function stepOf(config: LabConfig, number: number | undefined): Step | undefined {
  if (number === undefined) return undefined
  const step = config.steps.find(each => each.step === number)
  if (step !== undefined) return step
  throw new UsageError(
    `there is no step ${number}; the steps are ${config.steps.map(each => each.step).join(', ')}`
  )
}

async function tracesFor(
  file: string,
  options: GradeCommandOptions,
  step: Step | undefined
): Promise<string[]> {
  if (options.file !== undefined) return findTraces([options.file])
  const beside = join(dirname(file), 'traces')
  if (options.traces === undefined && !existsSync(beside)) assertLabs()
  const folder = options.traces ?? (existsSync(beside) ? beside : join(labsFolder, 'traces'))
  const found = await findTraces([folder])
  const wanted = step?.traces
  if (wanted === undefined) return found
  return wanted.map(name => {
    const path = found.find(each => traceName(each) === name)
    if (path !== undefined) return path
    throw new UsageError(
      `step ${step?.step} is graded on the trace ${name}, which ${folder} does not hold`
    )
  })
}

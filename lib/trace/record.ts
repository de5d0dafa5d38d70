/**
 * Records the allocations of a real program as a `.rep` trace. The program runs with
 * native/recorder.c preloaded, which notes every call of malloc and its family in a file. When the
 * program has ended, events.ts translates that file to text. The header of the text has counts that
 * are known only at the end, so the file is read twice: once to count, once to write.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants, createWriteStream } from 'node:fs'
import { access, mkdtemp, rename, rm, stat, symlink } from 'node:fs/promises'
import { constants as osConstants, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { inspect, invalidType, OffheapError, outOfRange } from '../errors.js'
import { recorderPath } from '../memory/addon.js'
import { type OptionNames, readOptions } from '../options.js'
import {
  createEvents,
  readEventsHeader,
  Translation,
  translateEvents,
  WINDOW_EVENTS
} from './events.js'

const MAXIMUM_EVENTS = 2 ** 30

export interface RecordOptions {
  /** The program: a path, or a name in PATH. */
  readonly program: string
  /** Its arguments. Default: none. */
  readonly args?: readonly string[]
  /** The file to write or replace; gzipped if its name ends in `.gz`. */
  readonly output: string
  /**
   * The most calls to keep, from 1 to 2^30, rounded up to a multiple of 65,536; a realloc counts
   * twice. While the program runs, each takes 24 bytes of disk beside the output. Later calls are
   * counted as `lost`. Default: 2^30.
   */
  readonly maximumEvents?: number
  /** The preload library. Default: the one that comes with the addon. */
  readonly recorder?: string
}

const recordOptions: OptionNames<RecordOptions> = {
  program: true,
  args: true,
  output: true,
  maximumEvents: true,
  recorder: true
}

export interface RecordSummary {
  /** The number of operations in the trace. */
  readonly operations: number
  /** The number of blocks allocated, each with an id of its own. */
  readonly ids: number
  /** The maximum total size of live blocks, in bytes. */
  readonly peakBytes: number
  /** The number of blocks never freed, and their bytes. */
  readonly aliveBlocks: number
  readonly aliveBytes: number
  /** The number of calls left out because their block is older than the recording. */
  readonly dropped: number
  /** The number of requests that the program's allocator refused; not in the trace. */
  readonly failed: number
  /**
   * The number of calls without room in the recording (`maximumEvents`, or a full disk); not in the
   * trace.
   */
  readonly lost: number
  /** The program's exit code; 128 + the signal's number if a signal ended it. */
  readonly exitCode: number
}

/**
 * Runs a program with this process's standard input, output and error, and writes a trace of what
 * it allocated. All threads are recorded. Child processes are not, nor is a program that replaces
 * this one by `execve`.
 *
 * The trace is text: four header lines (suggested heap bytes, ids, operations, 1), then `a ID SIZE`
 * (malloc), `c ID COUNT SIZE` (calloc), `m ID ALIGN SIZE` (memalign and its kin), `r ID SIZE`
 * (realloc), `f ID` (free), and a last line `# alive at the end: …`.
 *
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` on a system other than Linux, or if nothing could
 * be recorded (the program is statically linked or setuid, or never calls libc's malloc);
 * `ERR_OFFHEAP_NO_ADDON` if the recorder is not built; `ERR_OFFHEAP_SYSTEM` if the program can't be
 * started, or if the output can't be written: that is checked before the program runs.
 */
export async function record(options: RecordOptions): Promise<RecordSummary> {
  const { program, args, output, windows, recorder } = validate(options)
  if (process.platform !== 'linux') {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `recording needs Linux; this is ${process.platform}`
    )
  }
  if (!(await readable(recorder))) {
    throw new OffheapError(
      'ERR_OFFHEAP_NO_ADDON',
      `the recorder is not built: no ${recorder}. Run npm run build:native`
    )
  }
  await checkOutput(output)
  const folder = await attempt(`can't write ${output}`, () => mkdtemp(`${resolve(output)}-`))
  try {
    const events = join(folder, 'events')
    await attempt(`can't write beside ${output}`, () => createEvents(events, windows))
    const exitCode = await run(program, args, recorder, events)
    const header = await readEventsHeader(events)
    if (!header.attached || (header.events === 0 && header.lost === 0))
      throw nothingRecorded(program, header.attached)
    const text = join(folder, 'trace')
    const translation = await attempt(`can't write ${output}`, () =>
      writeText(events, text, output.endsWith('.gz'))
    )
    await attempt(`can't write ${output}`, () => rename(text, output))
    const { operations, ids, peakBytes, aliveBlocks, aliveBytes, dropped, failed } = translation
    return {
      operations,
      ids,
      peakBytes,
      aliveBlocks,
      aliveBytes,
      dropped,
      failed,
      lost: header.lost,
      exitCode
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function validate(options: RecordOptions) {
  const read = readOptions('record', options, recordOptions)
  const {
    program,
    args = [],
    output,
    maximumEvents = MAXIMUM_EVENTS,
    recorder = recorderPath()
  } = read
  if (typeof program !== 'string' || program === '')
    throw invalidType('program', 'a non-empty string', program)
  if (typeof output !== 'string' || output === '')
    throw invalidType('output', 'a non-empty string', output)
  if (typeof recorder !== 'string' || recorder === '')
    throw invalidType('recorder', 'a non-empty string', recorder)
  if (!Array.isArray(args) || !args.every(arg => typeof arg === 'string')) {
    throw invalidType('args', 'an array of strings', args)
  }
  if (typeof maximumEvents !== 'number')
    throw invalidType('maximumEvents', 'a number', maximumEvents)
  if (!Number.isInteger(maximumEvents) || maximumEvents < 1 || maximumEvents > MAXIMUM_EVENTS) {
    throw outOfRange('maximumEvents', `an integer from 1 to ${MAXIMUM_EVENTS}`, maximumEvents)
  }
  return {
    program,
    args,
    output,
    windows: Math.ceil(maximumEvents / WINDOW_EVENTS),
    recorder: resolve(recorder)
  }
}

/** Runs a step that the system may refuse; its error says what was being done. */
async function attempt<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw systemError(what, error)
  }
}

function systemError(what: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number')
    return error
  const syscall =
    'syscall' in error && typeof error.syscall === 'string' ? error.syscall : 'unknown'
  const reason =
    'code' in error && error.code === 'ENOENT' ? 'no such file or folder' : error.message
  return new OffheapError('ERR_OFFHEAP_SYSTEM', `${what}: ${reason}`, {
    errno: -error.errno,
    syscall
  })
}

async function readable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false
  )
}

/**
 * Checks that the output can be written: an existing one is replaced at the end, so it must be a
 * file.
 */
async function checkOutput(output: string): Promise<void> {
  const existing = await stat(output).catch(() => undefined)
  if (existing === undefined) return
  if (!existing.isFile()) {
    const { EISDIR, EINVAL } = osConstants.errno
    const errno = existing.isDirectory() ? EISDIR : EINVAL
    throw new OffheapError('ERR_OFFHEAP_SYSTEM', `can't write ${output}: it is not a file`, {
      errno,
      syscall: 'open'
    })
  }
  await attempt(`can't write ${output}`, () => access(output, constants.W_OK))
}

/** Runs the program to its end and returns its exit code. */
async function run(
  program: string,
  args: readonly string[],
  recorder: string,
  events: string
): Promise<number> {
  // LD_PRELOAD separates its entries by spaces and colons and can't quote them.
  const folder = /[\s:]/.test(recorder) ? await mkdtemp(join(tmpdir(), 'offheap-')) : undefined
  try {
    const library = folder === undefined ? recorder : join(folder, 'recorder.so')
    if (folder !== undefined) await symlink(recorder, library)
    const preload = process.env.LD_PRELOAD ? `${library}:${process.env.LD_PRELOAD}` : library
    const env = { ...process.env, LD_PRELOAD: preload, OFFHEAP_RECORD_FILE: events }
    return await ended(spawn(program, args, { stdio: 'inherit', env }), program)
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
}

async function ended(child: ChildProcess, program: string): Promise<number> {
  // The terminal sends ^C and ^\ to the program too, which decides what they mean. Other signals
  // are passed on.
  const stay = () => {}
  const passOn = (signal: NodeJS.Signals) => child.kill(signal)
  process.on('SIGINT', stay).on('SIGQUIT', stay).on('SIGTERM', passOn).on('SIGHUP', passOn)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.on('error', error => reject(systemError(`can't run ${inspect(program)}`, error)))
      child.on('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : osConstants.signals[signal]))
      )
    })
  } finally {
    process.off('SIGINT', stay).off('SIGQUIT', stay).off('SIGTERM', passOn).off('SIGHUP', passOn)
  }
}

function nothingRecorded(program: string, attached: boolean): OffheapError {
  const reason = attached
    ? `${program} never called malloc, or has an allocator of its own`
    : 'the program is statically linked or setuid'
  return new OffheapError('ERR_OFFHEAP_UNSUPPORTED', `nothing was recorded: ${reason}`)
}

async function writeText(events: string, output: string, gzip: boolean): Promise<Translation> {
  const count = new Translation()
  for await (const _ of translateEvents(events, count));
  const text = traceText(events, count)
  const file = createWriteStream(output)
  if (gzip) await pipeline(text, createGzip({ level: 9 }), file)
  else await pipeline(text, file)
  return count
}

async function* traceText(events: string, count: Translation): AsyncGenerator<string> {
  yield `${suggestedHeap(count.peakSpace)}\n${count.ids}\n${count.operations}\n1\n`
  yield* translateEvents(events, new Translation())
  yield `# alive at the end: ${count.aliveBlocks} blocks, ${count.aliveBytes} bytes\n`
}

/** A power of two, at least 1 MiB, with a quarter to spare for fragmentation. */
function suggestedHeap(peakSpace: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2 ** 20, peakSpace * 1.25)))
}

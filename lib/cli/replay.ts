/** `offheap replay`: replays traces on a mapped heap, and prints a table and pictures. */

import { Command, Option } from 'commander'
import type { PlacementName } from '../placement/placement.js'
import { placements } from '../placement/policies.js'
import type { Measurement } from '../trace/measure.js'
import { lookForTraces, parseBytes, type Refused, UsageError } from './arguments.js'
import type { Io } from './io.js'
import { startProgress } from './progress.js'

interface ReplayOptions {
  readonly size?: number
  readonly placement: PlacementName
  readonly slabs?: boolean
  readonly verify?: boolean
  readonly json?: boolean
}

interface Failure {
  readonly trace: string
  readonly error: { readonly code?: string; readonly message: string }
}

/** The rows of cells in the picture of a single trace, and in each of several. */
const ROWS = { one: 8, several: 2 }

const NOTE = 'Blocks and pictures show each heap at the peak of its payload.'

/** Calls `done` with the exit code. */
export function replayCommand(io: Io, done: (code: number) => void): Command {
  return new Command('replay')
    .summary('replay recorded traces on a mapped heap')
    .description(
      'Replays traces on a mapped heap, and prints time, memory and a picture of each heap ' +
        'at its peak.'
    )
    .argument('<trace...>', '.rep or .rep.gz files, or folders of them')
    .option(
      '-s, --size <bytes>',
      'size of the heap, such as 64MiB (default: ample for the trace)',
      parseBytes
    )
    .addOption(
      new Option('-p, --placement <policy>', 'which free block a request gets')
        .choices(placements)
        .default(placements[0])
    )
    .option('--slabs', 'serve small requests from slabs (default for segregated-fit)')
    .option('--no-slabs', 'serve every request from a block of its own')
    .option(
      '--verify',
      'first check every byte, alignment and overlap, and the whole heap at intervals'
    )
    .option('--json', 'print the results as JSON')
    .action(async (paths: string[], options: ReplayOptions) => {
      const { found, refused } = await lookForTraces(paths)
      const [first] = refused
      if (found.length === 0 && first !== undefined) throw new UsageError(first.reason)
      done(await replayTraces(io, found, refused, options))
    })
}

/**
 * Replays each trace, even after one that fails; `refused` failed already. Resolves to the exit
 * code.
 */
async function replayTraces(
  io: Io,
  paths: readonly string[],
  refused: readonly Refused[],
  options: ReplayOptions
): Promise<number> {
  const { readTrace } = await import('../trace/read.js')
  const { measure } = await import('../trace/measure.js')
  const { hasSlabs, heapPicture } = await import('../report/picture.js')
  const { humanCount } = await import('../sizes.js')
  const { size, placement, slabs, verify = false, json = false } = options
  const single = paths.length === 1
  const results: (Measurement | Failure)[] = []
  const pictures: string[] = []
  let slabsAnywhere = false
  const progress = startProgress(io, paths.length)
  for (const [index, path] of paths.entries()) {
    progress.update(index, path)
    try {
      const trace = await readTrace(path)
      const measurement = measure(trace, {
        ...(size === undefined ? {} : { size }),
        heap: { placement, ...(slabs === undefined ? {} : { slabs }) },
        verify,
        progress: share => progress.update(index + share, path),
        inspect: (heap, operations) => {
          if (json) return
          const picture = heapPicture(heap, {
            ...io,
            rows: single ? ROWS.one : ROWS.several,
            legend: single
          })
          pictures.push(`${trace.name}, after ${humanCount(operations)} operations\n${picture}`)
          slabsAnywhere ||= hasSlabs(heap)
        }
      })
      results.push(measurement)
    } catch (error) {
      results.push({ trace: path, error: describeError(error) })
    }
  }
  progress.stop()
  for (const { path, reason } of refused) results.push({ trace: path, error: { message: reason } })
  if (json) io.out.write(`${await asJson(results)}\n`)
  else await print(io, results, pictures, slabsAnywhere)
  const failures = results.filter(isFailure)
  for (const { trace, error } of failures) {
    io.err.write(`offheap: ${error.message.includes(trace) ? '' : `${trace}: `}${error.message}\n`)
  }
  return failures.length === 0 ? 0 : 1
}

async function print(
  io: Io,
  results: readonly (Measurement | Failure)[],
  pictures: readonly string[],
  slabs: boolean
): Promise<void> {
  const { replayTable } = await import('../report/table.js')
  const { pictureLegend } = await import('../report/picture.js')
  const measurements = results.filter(isMeasurement)
  if (measurements.length === 0) return
  const parts = [`${replayTable(measurements, io)}\n${NOTE}`, ...pictures]
  if (results.length > 1) parts.push(pictureLegend({ ...io, slabs }))
  io.out.write(`${parts.join('\n\n')}\n`)
  for (const { trace, notes } of measurements) {
    for (const note of notes) io.err.write(`offheap: note: ${trace}: ${note}\n`)
  }
}

async function asJson(results: readonly (Measurement | Failure)[]): Promise<string> {
  const { meansOf } = await import('../report/table.js')
  const measurements = results.filter(isMeasurement)
  const mean = measurements.length === 0 ? null : meansOf(measurements)
  return JSON.stringify({ results, mean }, null, 2)
}

function isFailure(result: Measurement | Failure): result is Failure {
  return 'error' in result
}

function isMeasurement(result: Measurement | Failure): result is Measurement {
  return !isFailure(result)
}

function describeError(error: unknown): Failure['error'] {
  if (!(error instanceof Error)) return { message: String(error) }
  return 'code' in error
    ? { code: String(error.code), message: error.message }
    : { message: error.message }
}

/**
 * Runs a job in a worker and stays outside: a submission that loops for ever, or eats all memory, is killed and the reason is
 * told.
 */

import type { Readable } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { describeOperation } from '../trace/trace.js'
import { type Fault, faultOf, placesIn } from './fault.js'
import { HINTS } from './hints.js'
import {
  DIAGNOSING,
  type Job,
  LOADING,
  OPERATION,
  type Outcome,
  PAIRING,
  PHASE,
  PROGRESS_WORDS,
  TIMING,
  type TraceJob
} from './job.js'
import { sharedState } from './runs.js'

export interface Limits {
  /** Seconds for each phase of a job. */
  readonly timeout: number
  /** Bytes of JavaScript objects. */
  readonly javascript: number
  /** Hears what the submission prints. */
  readonly onOutput: (text: string) => void
}

type Unstarted<Kind> = Kind extends Job ? Omit<Kind, 'progress'> : never

const MIB = 2 ** 20
/** Milliseconds between two looks at the worker. */
const LOOK = 40
/** More than the job's own memory and JavaScript's: what typed arrays and strings of a submission may take, in bytes. */
const SLACK = 512 * MIB
/** Milliseconds that timing and diagnosing may take beyond the limit: they end by themselves, but an operation may be slow. */
const GRACE = 20_000
/** An operation that lasts for this share of the time limit counts as one that does not end. */
const STUCK_SHARE = 0.5

/** Seconds for finding out where an operation goes round. */
const DIAGNOSIS_SECONDS = 8

interface End {
  readonly outcome?: Outcome
  readonly killed?: 'time' | 'memory'
  readonly error?: unknown
  readonly phase: number
  readonly operation: number
  /** The last operation has been under way for most of the time. */
  readonly stuck: boolean
}

/** Resolves to what the job found, faults that only show from outside included. */
export async function supervise(job: Unstarted<Job>, limits: Limits): Promise<Outcome> {
  const end = await runWorker(job, limits)
  if (end.outcome !== undefined) return end.outcome
  const fault = await explain(job, end, limits)
  return { fault, peakPayload: 0, heap: 0 }
}

function runWorker(job: Unstarted<Job>, limits: Limits): Promise<End> {
  return new Promise(resolve => {
    const progress = new Int32Array(new SharedArrayBuffer(PROGRESS_WORDS * 4))
    progress[OPERATION] = -1
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { ...job, progress },
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(limits.javascript / MIB), maxYoungGenerationSizeMb: 32 }
    })
    for (const stream of [worker.stdout, worker.stderr]) forward(stream, limits.onOutput)
    const residentBefore = process.memoryUsage.rss()
    let [phase, operation] = progress
    let phaseBegan = performance.now()
    let operationBegan = phaseBegan
    let outcome: Outcome | undefined
    let killed: 'time' | 'memory' | undefined
    let error: unknown

    const kill = (reason: 'time' | 'memory') => {
      if (killed !== undefined) return
      killed = reason
      void worker.terminate()
    }
    const look = () => {
      const now = performance.now()
      if (progress[PHASE] !== phase) phaseBegan = now
      if (progress[PHASE] !== phase || progress[OPERATION] !== operation) operationBegan = now
      phase = progress[PHASE]
      operation = progress[OPERATION]
      // A search for an endless loop may be endless itself.
      const grace = phase === TIMING || (phase === DIAGNOSING && job.task !== 'diagnose') ? GRACE : 0
      if (now - phaseBegan > limits.timeout * 1000 + grace) kill('time')
      if (process.memoryUsage.rss() - residentBefore > job.memory + limits.javascript + SLACK) kill('memory')
    }
    const timer = setInterval(look, LOOK)
    worker.on('message', (message: Outcome) => {
      outcome = message
    })
    worker.on('error', (reason: unknown) => {
      error = reason
    })
    worker.on('exit', () => {
      clearInterval(timer)
      const now = performance.now()
      const stuck = now - operationBegan > STUCK_SHARE * (now - phaseBegan)
      resolve({
        ...(outcome === undefined ? {} : { outcome }),
        ...(killed === undefined ? {} : { killed }),
        error,
        phase: progress[PHASE],
        operation: progress[OPERATION],
        stuck
      })
    })
  })
}

function forward(stream: Readable, onOutput: (text: string) => void): void {
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => onOutput(text))
}

async function explain(job: Unstarted<Job>, end: End, limits: Limits): Promise<Fault> {
  const { operation } = end
  const inTrace = 'trace' in job && operation >= 0 && end.phase !== TIMING && end.phase !== LOADING
  const place = inTrace ? { operation, where: describeOperation(job.trace, operation) } : {}
  const code = end.error instanceof Error && 'code' in end.error ? end.error.code : undefined
  if (end.killed === 'memory' || code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const what = `JavaScript objects take more than ${Math.round(limits.javascript / MIB)} MiB, apart from the mapped memory; the worker was stopped`
    return faultOf('runaway', what, { ...place, hint: HINTS.runaway })
  }
  if (end.killed === 'time') {
    if (job.task === 'state') return faultOf('slow', 'malloc and free of 20,000 small blocks do not end in time')
    if (end.phase === PAIRING) return sharedState('it does not end', place)
    if (job.task === 'trace' && inTrace && end.stuck) return endless(job, operation, limits)
    const share =
      inTrace && job.task === 'trace'
        ? `; ${operation} of ${job.trace.length} operations were done`
        : end.phase === LOADING
          ? ' while the file was being loaded'
          : ''
    return faultOf('slow', `the trace takes longer than ${limits.timeout} s${share}`, { ...place, hint: HINTS.slow })
  }
  if (end.error !== undefined) {
    const { error } = end
    const isError = error instanceof Error
    return faultOf(
      'exception',
      `the worker ended with ${isError ? `${error.name}: ${error.message}` : String(error)}`,
      {
        ...place,
        stack: isError ? placesIn(error.stack ?? '', job.sources) : []
      }
    )
  }
  return faultOf('exit', 'the worker ended before the trace did', {
    ...place,
    hint: 'does the code call process.exit()?'
  })
}

/** Looks, in another worker, where the operation that does not end goes round. */
async function endless(job: Omit<TraceJob, 'progress'>, operation: number, limits: Limits): Promise<Fault> {
  const plain = faultOf('endless', `this operation did not end within ${limits.timeout} s`, {
    operation,
    where: describeOperation(job.trace, operation),
    hint: HINTS.endlessNoMemory
  })
  const diagnosis = { ...job, task: 'diagnose', until: operation } as const
  const end = await runWorker(diagnosis, { ...limits, timeout: DIAGNOSIS_SECONDS })
  return end.outcome?.fault ?? plain
}

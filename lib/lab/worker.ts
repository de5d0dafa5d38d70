/** The process that a submission runs in. It does one job after another; the grader kills it when one takes too long or too much. */

import { writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { type Fault, FaultFound, type FaultKind, faultOf, placesIn } from './fault.js'
import { type Job, type Outcome, placeOf, type Report } from './job.js'
import { createOf } from './load.js'
import {
  ACCESSES,
  LOADING,
  OPERATION,
  PHASE,
  PROGRESS_FD,
  PROGRESS_WORDS,
  RESIDENT,
  RESIDENT_BEFORE,
  WAITING
} from './progress.js'
import { DIAGNOSIS_ACCESSES, type Load, pair, runStrictly, time, verify } from './runs.js'
import { stateOutside } from './state.js'

// Stacks must name the student's own lines, and reach from deep inside the watched views back to them.
process.setSourceMapsEnabled(true)
Error.stackTraceLimit = 40

const progress = new Int32Array(new SharedArrayBuffer(PROGRESS_WORDS * 4))
new Worker(new URL('./beacon.js', import.meta.url), { workerData: progress }).unref()
// The beacon may not have had its turn since.
process.on('exit', () => writeSync(PROGRESS_FD, Int32Array.from(progress)))

/** The job under way. */
let current: Job | undefined
let loads = 0

function loader(job: Job): Load {
  return async () => {
    // A new query makes a new module, with top-level variables of its own.
    const href = `${job.url}?${loads++}`
    let module: unknown
    try {
      module = await import(href)
    } catch (error) {
      throw new FaultFound(thrown('load', "the submission can't be loaded:", error, job))
    }
    return createOf(module)
  }
}

async function run(job: Job): Promise<Outcome> {
  const load = loader(job)
  if (job.task === 'state') {
    const fault = stateOutside(await load(), job.memory, job.sources, progress)
    return { ...(fault === undefined ? {} : { fault }), peakPayload: 0, heap: 0 }
  }
  const runJob = { ...job, progress }
  if (job.task === 'diagnose') {
    const fault = await runStrictly(load, runJob, job.until + 1, DIAGNOSIS_ACCESSES, -1)
    return { ...(fault === undefined ? {} : { fault }), peakPayload: 0, heap: 0 }
  }
  const verdict = await verify(load, runJob, fault => report({ fault, peakPayload: 0, heap: 0 }, false))
  if (verdict.fault !== undefined) return verdict
  const fault = job.pair ? await pair(load, runJob) : undefined
  if (fault !== undefined) return { ...verdict, fault }
  if (job.timing === 0) return verdict
  return { ...verdict, timing: await time(load, runJob, verdict.peakPayload) }
}

function report(outcome: Outcome, done: boolean): void {
  if (done) {
    current = undefined
    progress[PHASE] = WAITING
  }
  const message: Report = { outcome, done }
  process.send?.(message)
}

function fail(error: unknown): void {
  if (current === undefined) return
  const fault =
    error instanceof FaultFound
      ? error.fault
      : {
          ...thrown('exception', 'the worker ended with', error, current),
          ...placeOf(current, progress[PHASE], progress[OPERATION])
        }
  report({ fault, peakPayload: 0, heap: 0 }, true)
}

function thrown(kind: FaultKind, what: string, error: unknown, job: Job): Fault {
  if (!(error instanceof Error)) return faultOf(kind, `${what} ${String(error)}`)
  return faultOf(kind, `${what} ${error.name}: ${error.message}`, { stack: placesIn(error.stack ?? '', job.sources) })
}

// What a submission left to a timer or a promise.
process.on('uncaughtException', fail)
process.on('disconnect', () => process.exit())
process.on('message', (job: Job) => {
  current = job
  progress[RESIDENT_BEFORE] = progress[RESIDENT] = process.memoryUsage.rss() / 1024
  progress[PHASE] = LOADING
  progress[OPERATION] = -1
  progress[ACCESSES] = 0
  run(job).then(outcome => {
    // A timer or a promise may have failed it meanwhile.
    if (current === job) report(outcome, true)
  }, fail)
})

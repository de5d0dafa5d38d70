/**
 * Stays outside while a worker runs a submission: one that loops for ever, or eats all memory, is killed and the reason is told.
 */

import { describeOperation } from '../trace/trace.js'
import { type Fault, faultOf } from './fault.js'
import { HINTS } from './hints.js'
import { type Job, type Outcome, placeOf, type StateJob, type TraceJob } from './job.js'
import { DIAGNOSING, LOADING, PAIRING, TIMING, VERIFYING, WAITING, WEIGHING } from './progress.js'
import { sharedState } from './runs.js'
import type { End, Moment, Stop } from './worker-process.js'
import type { Limits, Workers } from './workers.js'

const MIB = 2 ** 20
/** More than the job's own memory and JavaScript's: what typed arrays and strings of a submission may take, in bytes. */
const SLACK = 512 * MIB
/** Milliseconds that timing and diagnosing may take beyond the limit: they end by themselves, but an operation may be slow. */
const GRACE = 20_000
/** A phase may last so many times longer by the clock on the wall than its limit of the processor's time. */
const PATIENCE = 5
/** Seconds, by that clock, until a process must have started. */
const START_SECONDS = 60
/** One operation may take this share of the time for a whole trace… */
const OPERATION_SHARE = 0.2
/** …and at least so many seconds. */
const OPERATION_SECONDS = 2
/** Of an operation that has lasted for this share of its time, or so many milliseconds, it is asked where it goes round. */
const SUSPICION_SHARE = 0.5
const SUSPICION = 1000
/** When time is up, an operation that lasted for this share of it counts as one that does not end. */
const STUCK_SHARE = 0.5
/** Milliseconds for finding out where an operation goes round… */
const DIAGNOSIS = 8000
/** …of which so many may pass in it without a touch of the memory. */
const IDLE = 1500

/** Seconds for finding state outside of the memory. */
const STATE_SECONDS = 30

/** Resolves to what the job found, faults that only show from outside included. */
export async function supervise(job: TraceJob | StateJob, workers: Workers): Promise<Outcome> {
  if (job.task === 'trace') return superviseTrace(job, workers)
  const limits = { ...workers.limits, timeout: STATE_SECONDS }
  const end = await workers.run(job, moment => excess(job, moment, limits))
  return end.outcome ?? failed(explain(job, end, limits))
}

async function superviseTrace(job: TraceJob, workers: Workers): Promise<Outcome> {
  const { limits } = workers
  let inquiry: Inquiry | undefined
  /** What is known about the operation under way. */
  const about = (moment: Moment) =>
    moment.phase === VERIFYING && inquiry?.operation === moment.operation ? inquiry : undefined
  try {
    const end = await workers.run(job, moment => {
      if (about(moment)?.fault !== undefined) return 'stuck'
      if (isSuspect(moment, limits) && (inquiry === undefined || inquiry.isOver)) {
        if (about(moment) === undefined) inquiry = new Inquiry(job, moment.operation, workers)
      }
      return excess(job, moment, limits)
    })
    if (end.outcome !== undefined) return end.outcome
    if (end.moment.phase !== VERIFYING || !isStuck(end)) return failed(explain(job, end, limits))
    const asked = about(end.moment) ?? (await replaced(inquiry, () => new Inquiry(job, end.moment.operation, workers)))
    inquiry = asked
    await asked.over
    return failed(asked.fault ?? endless(job, end, asked.touched, limits))
  } finally {
    await inquiry?.drop()
  }
}

async function replaced(old: Inquiry | undefined, make: () => Inquiry): Promise<Inquiry> {
  await old?.drop()
  return make()
}

/** Looks, in another worker, where an operation that does not seem to end goes round. The first one goes on meanwhile. */
class Inquiry {
  /** -1 for `create`. */
  readonly operation: number
  /** What was found, as soon as something is. */
  fault: Fault | undefined
  /** Whether the operation touches the memory. */
  touched = false
  isOver = false
  readonly over: Promise<void>
  #isDropped = false

  constructor(job: TraceJob, operation: number, workers: Workers) {
    this.operation = operation
    this.over = this.#run(job, workers)
    // Whoever waits for it is told.
    this.over.catch(() => {})
  }

  /** Ends it without a result, if it is not over. */
  async drop(): Promise<void> {
    this.#isDropped = true
    await this.over
  }

  async #run(job: TraceJob, workers: Workers): Promise<void> {
    const diagnosis = { ...job, task: 'diagnose', until: this.operation } as const
    const end = await workers.run(diagnosis, moment => {
      if (this.#isDropped) return 'dropped'
      if (moment.phase === DIAGNOSING && moment.operation === this.operation && moment.idle > IDLE) return 'stuck'
      if (moment.inPhase > DIAGNOSIS || moment.waited > DIAGNOSIS * PATIENCE) return 'time'
      return excess(diagnosis, moment, { ...workers.limits, timeout: Number.POSITIVE_INFINITY })
    })
    this.isOver = true
    this.touched = end.moment.touched
    if (end.exhausted || end.stopped === 'memory') this.fault = explain(diagnosis, end, workers.limits)
    else this.fault = end.outcome?.fault
  }
}

function excess(job: Job, moment: Moment, limits: Limits): Stop | undefined {
  const { phase, inPhase, inOperation, waited, growth } = moment
  if (phase === WAITING) return waited > START_SECONDS * 1000 ? 'time' : undefined
  if (growth > job.memory + limits.javascript + SLACK) return 'memory'
  const limit = limits.timeout * 1000 + (phase === TIMING || phase === DIAGNOSING ? GRACE : 0)
  if (inPhase > limit || waited > limit * PATIENCE) return 'time'
  const isTimed = phase === VERIFYING || phase === PAIRING || phase === WEIGHING
  return isTimed && inOperation > operationSeconds(limits) * 1000 ? 'stuck' : undefined
}

function operationSeconds({ timeout }: Limits): number {
  return Math.min(timeout, Math.max(OPERATION_SECONDS, timeout * OPERATION_SHARE))
}

function isSuspect({ phase, inOperation }: Moment, limits: Limits): boolean {
  return phase === VERIFYING && inOperation > Math.min(SUSPICION, operationSeconds(limits) * 1000 * SUSPICION_SHARE)
}

function isStuck({ stopped, moment }: End): boolean {
  return stopped === 'stuck' || (stopped === 'time' && moment.inOperation > STUCK_SHARE * moment.inPhase)
}

function failed(fault: Fault): Outcome {
  return { fault, peakPayload: 0, heap: 0 }
}

/** What is wrong with a submission whose worker had to be stopped, or ended by itself. */
function explain(job: Job, end: End, limits: Limits): Fault {
  const { phase, operation } = end.moment
  const place = placeOf(job, phase, operation)
  if (end.stopped === 'memory' || end.exhausted) {
    const what = `JavaScript objects take more than ${Math.round(limits.javascript / MIB)} MiB, apart from the mapped memory; the worker was stopped`
    return faultOf('runaway', what, { ...place, hint: HINTS.runaway })
  }
  if (end.stopped !== undefined) {
    if (phase === LOADING)
      return faultOf('load', `the file is not loaded after ${limits.timeout} s`, { hint: HINTS.topLevel })
    if (job.task === 'state') return faultOf('slow', 'malloc and free of 20,000 small blocks do not end in time')
    if (phase === PAIRING) return sharedState('it does not end', place)
    const isInTrace = place.operation !== undefined
    const share = isInTrace ? `; ${operation} of ${job.trace.length} operations were done` : ''
    return faultOf('slow', `the trace takes longer than ${limits.timeout} s${share}`, { ...place, hint: HINTS.slow })
  }
  if (end.signal !== undefined) return faultOf('exit', `the worker was ended by the signal ${end.signal}`)
  return faultOf('exit', 'the worker ended before the trace did', {
    ...place,
    hint: 'does the code call process.exit()?'
  })
}

function endless(job: TraceJob, end: End, touched: boolean, limits: Limits): Fault {
  const { operation } = end.moment
  const seconds = end.stopped === 'stuck' ? operationSeconds(limits) : limits.timeout
  const hint = touched ? HINTS.endlessMemory : HINTS.endlessNoMemory
  if (operation === -1) return faultOf('endless', `create(memory) did not end within ${seconds} s`, { hint })
  return faultOf('endless', `this operation did not end within ${seconds} s`, {
    operation,
    where: describeOperation(job.trace, operation),
    hint
  })
}

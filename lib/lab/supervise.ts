/**
 * Stays outside while a worker runs a submission: one that loops for ever, or eats all memory, is killed and the reason is told.
 */

import { describeOperation } from '../trace/trace.js'
import { type Fault, faultOf } from './fault.js'
import { HINTS } from './hints.js'
import { type Job, type Outcome, placeOf, type StateJob, type TraceJob } from './job.js'
import { ENDLESS, type TimeLimits } from './limits.js'
import { DIAGNOSING, LOADING, PAIRING, TIMING, VERIFYING, WAITING, WEIGHING } from './progress.js'
import { sharedState } from './runs.js'
import type { End, Moment, Stop } from './worker-process.js'
import type { Limits, Workers } from './workers.js'

const MIB = 2 ** 20
/** More than the job's own memory and JavaScript's: what typed arrays and strings of a submission may take, in bytes. */
const SLACK = 512 * MIB
/** When time is up, an operation that lasted for this share of it counts as one that does not end. */
const STUCK_SHARE = 0.5

/** Resolves to what the job found, faults that only show from outside included. */
export async function supervise(job: TraceJob | StateJob, workers: Workers): Promise<Outcome> {
  if (job.task === 'trace') return superviseTrace(job, workers)
  const end = await workers.run(job, moment => excess(job, moment, workers.limits))
  return end.outcome ?? failed(explain(job, end, workers.limits))
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
      if (isSuspect(moment, limits.time) && (inquiry === undefined || inquiry.isOver)) {
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
    const { time } = workers.limits
    // Only what is below ends it, and too much memory.
    const limits = { ...workers.limits, time: ENDLESS }
    const end = await workers.run(diagnosis, moment => {
      if (this.#isDropped) return 'dropped'
      if (moment.phase === DIAGNOSING && moment.operation === this.operation && moment.idle > time.idle * 1000)
        return 'stuck'
      if (isOver(moment, time.diagnosis, time.patience)) return 'time'
      return excess(diagnosis, moment, limits)
    })
    this.isOver = true
    this.touched = end.moment.touched
    if (end.exhausted || end.stopped === 'memory') this.fault = explain(diagnosis, end, workers.limits)
    else this.fault = end.outcome?.fault
  }
}

function excess(job: Job, moment: Moment, limits: Limits): Stop | undefined {
  const { phase, inOperation, waited, growth } = moment
  const { time } = limits
  if (phase === WAITING) return waited > time.start * 1000 ? 'time' : undefined
  if (growth > job.memory + limits.javascript + SLACK) return 'memory'
  if (isOver(moment, secondsFor(phase, time), time.patience)) return 'time'
  const isTimed = phase === VERIFYING || phase === PAIRING || phase === WEIGHING
  const operation = phase === PAIRING ? 2 * time.operation : time.operation
  return isTimed && inOperation > operation * 1000 ? 'stuck' : undefined
}

function isOver({ inPhase, waited }: Moment, seconds: number, patience: number): boolean {
  return inPhase > seconds * 1000 || waited > seconds * 1000 * patience
}

function secondsFor(phase: number, { load, trace, grace, state }: TimeLimits): number {
  if (phase === LOADING) return load
  if (phase === WEIGHING) return state
  // Two heaps do what one has done in time.
  if (phase === PAIRING) return 2 * trace + grace
  return phase === TIMING || phase === DIAGNOSING ? trace + grace : trace
}

function isSuspect({ phase, inOperation }: Moment, { suspicion }: TimeLimits): boolean {
  return phase === VERIFYING && inOperation > suspicion * 1000
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
    if (phase === WAITING) return faultOf('exit', `the worker did not start within ${limits.time.start} s`)
    if (phase === LOADING)
      return faultOf('load', `the file is not loaded after ${limits.time.load} s`, { hint: HINTS.topLevel })
    if (job.task === 'state') return faultOf('slow', 'malloc and free of 20,000 small blocks do not end in time')
    if (phase === PAIRING) return sharedState('it does not end', place)
    const isInTrace = place.operation !== undefined
    const share = isInTrace ? `; ${operation} of ${job.trace.length} operations were done` : ''
    return faultOf('slow', `the trace takes longer than ${limits.time.trace} s${share}`, { ...place, hint: HINTS.slow })
  }
  if (end.signal !== undefined) return faultOf('exit', `the worker was ended by the signal ${end.signal}`)
  return faultOf('exit', 'the worker ended before the trace did', {
    ...place,
    hint: 'does the code call process.exit()?'
  })
}

function endless(job: TraceJob, end: End, touched: boolean, limits: Limits): Fault {
  const { operation } = end.moment
  const seconds = end.stopped === 'stuck' ? limits.time.operation : limits.time.trace
  const hint = touched ? HINTS.endlessMemory : HINTS.endlessNoMemory
  if (operation === -1) return faultOf('endless', `create(memory) did not end within ${seconds} s`, { hint })
  return faultOf('endless', `this operation did not end within ${seconds} s`, {
    operation,
    where: describeOperation(job.trace, operation),
    hint
  })
}

/**
 * Explains a defect: another process of the submission runs the trace again, with every access
 * watched.
 */

import { describeOperation, type Trace } from '../../trace/trace.js'
import {
  ALIGNMENT,
  CREATING,
  DIAGNOSE,
  FAULT,
  FINE,
  INTERVAL,
  LOADING,
  MOST,
  NEEDS_CALLOC,
  THREW,
  UNTIL,
  WATCH,
  WRITERS
} from '../submission/channel.js'
import { type Fault, type FaultParts, faultOf } from '../submission/fault.js'
import { HINTS } from '../submission/hints.js'
import type { Bench } from './bench.js'
import type { Case } from './job.js'
import { faultFrom } from './parse.js'
import { Gone, type Moment, type Stop } from './seat.js'

const MIB = 2 ** 20
/** The bytes for typed arrays, strings and Node itself, besides JavaScript objects. */
const SLACK = 512 * MIB
/**
 * The most accesses to watch for an explanation. A count rather than a time, so that the verdict
 * is the same on every machine.
 */
const DIAGNOSIS_ACCESSES = 30_000_000
/** If a trace exceeds its time, an operation that took this share of it counts as endless. */
const STUCK_SHARE = 0.5

/** The options of a watched run. */
export interface Watched {
  /** The end of the operations to run, exclusive. */
  readonly until: number
  readonly most?: number
  /** The id whose payload is checked after every operation; -1 for none. */
  readonly watch?: number
  readonly checkInterval: number
  readonly writers?: boolean
  /** Seconds. */
  readonly limit: number
}

export class Explainer {
  readonly #case: Case
  readonly #clinic: Bench
  /** Whether the last operation of the last stopped run accessed the memory. */
  touched = false

  constructor(grading: Case, clinic: Bench) {
    this.#case = grading
    this.#clinic = clinic
  }

  /** Decides whether a process may go on, by its memory and its time. */
  excess(moment: Moment, seconds: number): Stop | undefined {
    const { javascript, limits } = this.#case
    if (moment.bytes > javascript + 2 * this.#case.memory + SLACK) return 'memory'
    const isOver =
      moment.inCommand > seconds * 1000 || moment.waited > seconds * 1000 * limits.patience
    return isOver ? 'time' : undefined
  }

  /** Returns the first defect that a watched run finds, if any. */
  watched(trace: Trace, options: Watched): Fault | undefined {
    const { script, sources, alignment, limits } = this.#case
    const seat = this.#clinic.sit(script)
    const { words } = seat.channel
    seat.channel.lay(trace)
    words[UNTIL] = options.until
    words[MOST] = options.most ?? DIAGNOSIS_ACCESSES
    words[WATCH] = options.watch ?? -1
    words[INTERVAL] = options.checkInterval
    words[ALIGNMENT] = alignment
    words[NEEDS_CALLOC] = this.#case.calloc ? 1 : 0
    words[WRITERS] = options.writers === true ? 1 : 0
    const look = (moment: Moment): Stop | undefined =>
      moment.idle > limits.idle * 1000 ? 'idle' : this.excess(moment, options.limit)
    try {
      const status = seat.order(DIAGNOSE, look, false)
      if (status !== FINE) this.#clinic.dismiss()
      if (status === FAULT) return faultFrom(seat.channel.text, sources)
      if (status === THREW)
        return faultOf(
          'exception',
          `the file or create(memory) threw ${seat.channel.text.split('\0')[0]}`
        )
      return undefined
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      this.touched = error.moment.touched
      return error.exhausted || error.stopped === 'memory' ? this.gone(error, trace) : undefined
    }
  }

  /** Explains a defect: returns the same one with its source line, or an earlier one. */
  causeOf(found: Fault, trace: Trace, checkInterval: number): Fault {
    if (found.operation === -1 || found.kind === 'slow') return found
    const cause = this.watched(trace, {
      until: found.operation + 1,
      watch: found.block,
      checkInterval: found.kind === 'check' ? 1 : checkInterval,
      writers: true,
      limit: this.#case.limits.diagnosis
    })
    if (cause === undefined || cause.operation > found.operation) return found
    if (found.kind !== 'overlap' || cause.kind === 'overlap' || cause.operation < found.operation)
      return cause
    // A block that was handed out twice says more than what was overwritten before that.
    return {
      ...found,
      cause: cause.cause,
      stack: cause.stack,
      details: [`On the way there, ${cause.what}.`, ...found.details]
    }
  }

  /** Describes why a process is gone. */
  gone(gone: Gone, trace: Trace | undefined): Fault {
    const { limits, javascript } = this.#case
    const { stopped, exhausted, signal, moment } = gone
    const { operation } = moment
    const isInTrace = trace !== undefined && operation >= 0 && operation < trace.length
    const place: FaultParts = isInTrace
      ? { operation, where: describeOperation(trace, operation) }
      : {}
    if (exhausted || stopped === 'memory') {
      const most = Math.round(javascript / MIB)
      const what =
        `JavaScript objects take more than ${most} MiB, apart from the mapped memory; the ` +
        'process was stopped'
      return faultOf('runaway', what, { ...place, hint: HINTS.runaway })
    }
    if (stopped === undefined) {
      const how = signal ? 'was ended by a signal' : 'ended'
      return faultOf(
        'exit',
        `the process of the submission ${how} before the judge was done with it`,
        place
      )
    }
    if (operation === LOADING) {
      return faultOf('load', `the file is not loaded after ${limits.load} s`, {
        hint: HINTS.topLevel
      })
    }
    const isStuck = stopped === 'stuck' || moment.inOperation > STUCK_SHARE * limits.trace * 1000
    if (operation === CREATING || isStuck) {
      const hint = this.touched ? HINTS.endlessMemory : HINTS.endlessNoMemory
      const seconds = stopped === 'stuck' ? limits.operation : limits.trace
      const subject = operation === CREATING ? 'create(memory)' : 'this operation'
      return faultOf(
        'endless',
        `${subject} did not end within ${operation === CREATING ? limits.operation : seconds} s`,
        { ...place, hint }
      )
    }
    return isInTrace
      ? this.slow(trace, operation)
      : faultOf('slow', this.#takesLong(''), { hint: HINTS.slow })
  }

  /** Describes a trace that exceeds its time. */
  slow(trace: Trace, operation: number): Fault {
    return faultOf(
      'slow',
      this.#takesLong(`; ${operation} of ${trace.length} operations were done`),
      {
        operation,
        where: describeOperation(trace, operation),
        hint: HINTS.slow
      }
    )
  }

  #takesLong(more: string): string {
    return `the trace takes longer than ${this.#case.limits.trace} s${more}`
  }
}

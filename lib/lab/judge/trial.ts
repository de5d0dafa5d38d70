/**
 * Judges a submission on one trace. The judge calls it over shared memory, one operation after the
 * other, and checks the memory itself after each. What the submission's process says is used only
 * in reports.
 */

import { randomBytes } from 'node:crypto'
import { describeOperation, type Trace } from '../../trace/trace.js'
import {
  CHANGED,
  COUNTING,
  CREATING,
  FAULT,
  FINE,
  GROWTH,
  OPERATION
} from '../submission/channel.js'
import {
  type Fault,
  FaultFound,
  type FaultParts,
  faultOf,
  OF_VARIANT
} from '../submission/fault.js'
import { HINTS } from '../submission/hints.js'
import { type Places, thrownFrom } from '../submission/places.js'
import { Verifier, type VerifySettings } from '../submission/verify.js'
import { amnesia, holes, Patience } from './amnesia.js'
import type { Bench } from './bench.js'
import { Explainer } from './explain.js'
import type { Case, Cost, Outcome, TraceJob } from './job.js'
import { faultFrom } from './parse.js'
import { type Look, Raised, Remote, thrownBy } from './remote.js'
import { plain, salted, traceOf, type Variant } from './salt.js'
import { Gone, type Moment, type Seat, type Stop } from './seat.js'
import type { SharedHeap } from './shared-heap.js'
import { timed, VariantFault, type Verified } from './timing.js'

/** The number of operations of a valid trace of which every access is watched… */
const STRICT_OPERATIONS = 3000
/** …and the approximate maximum of accesses. */
const STRICT_ACCESSES = 4_000_000
/** The number of operations run on two heaps, and how far one is behind the other. */
const PAIRED_OPERATIONS = 1000
const BEHIND = 37
/** The number of words to count in a trace, and of operations between two looks at the count. */
const COUNTED_WORDS = 6_000_000
const COUNTED_STEP = 64
/** The number of operations between two looks at the clock. */
const CLOCK = 256
/** The bytes checked beyond the end of a heap; farther off, there must be no pages at all. */
const BEYOND = 2 ** 15

/** The benches of the processes of one grading. */
export interface Benches {
  readonly own: Bench
  /** The bench of a second process of the submission, which explains defects. */
  readonly clinic: Bench
  readonly reference: Bench
  readonly builtIn: Bench
}

export class Trial {
  readonly #case: Case
  readonly #benches: Benches
  readonly #places: Places
  readonly #explainer: Explainer

  constructor(grading: Case, benches: Benches, places: Places) {
    this.#case = grading
    this.#benches = benches
    this.#places = places
    this.#explainer = new Explainer(grading, benches.clinic)
  }

  /** Judges one trace. */
  trace(trace: Trace, job: TraceJob): Outcome {
    const { own } = this.#benches
    const seat = own.sit(this.#case.script)
    let fault: Fault
    try {
      return this.#judge(trace, job, seat)
    } catch (error) {
      own.dismiss()
      if (error instanceof Gone) fault = this.#explainer.gone(error, trace)
      else if (error instanceof FaultFound) fault = error.fault
      else throw error
    }
    return { fault, utilization: 0 }
  }

  /** Looks for state outside the heap. */
  state(): Outcome {
    const fault = this.#remembers() ?? this.#grows()
    return fault === undefined ? { utilization: 0 } : { fault, utilization: 0 }
  }

  /** Looks for state outside the heap by wiping the heap: see amnesia.ts. */
  #remembers(): Fault | undefined {
    const { own } = this.#benches
    const [heap] = own.heaps
    const seat = own.sit(this.#case.script)
    try {
      const { trace, moment } = holes(() => randomBytes(4).readUInt32LE() / 2 ** 32)
      seat.channel.lay(trace)
      const patience = new Patience(this.#case.limits.state * 1000)
      const remote = this.#remote(seat, patience.look)
      return heap && amnesia(remote, heap, plain(trace), moment, patience)
    } catch (error) {
      // Other trials find out whether it works.
      if (error instanceof Gone || error instanceof FaultFound) return undefined
      throw error
    }
  }

  /** Looks for state in JavaScript objects: see growth.ts. */
  #grows(): Fault | undefined {
    const { limits, script, sources } = this.#case
    const { own } = this.#benches
    // A reused process would have objects of earlier runs in its JavaScript heap.
    own.dismiss()
    const seat = own.sit(script)
    const blocks = 'with 20,000 small blocks'
    try {
      const look = (moment: Moment) => this.#explainer.excess(moment, limits.state)
      const status = seat.order(GROWTH, look, false)
      const { text } = seat.channel
      if (status === FAULT) return faultFrom(text, sources)
      if (status === FINE) return undefined
      const { message, stack } = thrownFrom(text, this.#places)
      return faultOf('exception', `${blocks}, the allocator threw ${message}`, { stack })
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      if (error.exhausted || error.stopped === undefined || error.stopped === 'memory') {
        return this.#explainer.gone(error, undefined)
      }
      return faultOf('slow', `${blocks}, malloc and free do not end in time`)
    } finally {
      own.dismiss()
    }
  }

  #judge(trace: Trace, job: TraceJob, seat: Seat): Outcome {
    const { limits } = this.#case
    seat.channel.lay(trace)
    const verified = this.#verified(trace, job, seat)
    const strict = this.#explainer.watched(trace, {
      until: Math.min(STRICT_OPERATIONS, trace.length),
      most: STRICT_ACCESSES,
      checkInterval: job.checkInterval,
      writers: false,
      limit: limits.trace + limits.grace
    })
    if (strict !== undefined)
      throw new FaultFound(
        job.explain ? this.#explainer.causeOf(strict, trace, job.checkInterval) : strict
      )
    if (this.#case.state) this.#pair(trace, job, seat)
    const measures = job.timing > 0 ? this.#measures(trace, job, seat, verified) : undefined
    const cost = job.timing > 0 ? this.#cost(trace) : undefined
    this.#unchanged(seat)
    return {
      utilization:
        measures?.utilization ?? (verified.heap === 0 ? 0 : verified.peak / verified.heap),
      ...(measures === undefined ? {} : { timing: measures.timing }),
      ...(cost === undefined ? {} : { cost })
    }
  }

  /** Verifies the whole trace, one operation after the other. */
  #verified(trace: Trace, job: TraceJob, seat: Seat): Verified {
    const { limits } = this.#case
    const { words } = seat.channel
    const [heap] = this.#benches.own.heaps
    if (heap === undefined) throw new TypeError('there is no heap')
    let suspected = -1
    let suspicion: Fault | undefined
    const look: Look = moment => {
      const { operation, inOperation } = moment
      if (operation < 0)
        return this.#explainer.excess(
          moment,
          operation === CREATING ? limits.operation : limits.load
        )
      if (inOperation > limits.suspicion * 1000 && suspected !== operation) {
        suspected = operation
        suspicion = this.#explainer.watched(trace, {
          until: operation + 1,
          checkInterval: job.checkInterval,
          writers: true,
          limit: limits.diagnosis
        })
        if (suspicion !== undefined) return 'stuck'
      }
      return inOperation > limits.operation * 1000 ? 'stuck' : this.#tooLong(moment, seat)
    }
    const remote = this.#remote(seat, look)
    let fault: Fault
    try {
      remote.create(0)
      const verifier: Verifier = new Verifier(
        trace,
        heap,
        remote.allocator(0, () => verifier.operation),
        this.#settings(job)
      )
      for (let i = 0; i < trace.length; i++) {
        verifier.step(i)
        if (i % CLOCK === 0 && seat.spent > limits.trace * 1000)
          throw new FaultFound(this.#explainer.slow(trace, i))
      }
      verifier.checkAll()
      this.#nothingBeyond(heap)
      return {
        results: seat.channel.results.slice(0, trace.length),
        heap: heap.high - heap.low,
        peak: verifier.peakPayload
      }
    } catch (error) {
      if (error instanceof Gone && error.stopped !== undefined && error.moment.operation >= 0) {
        if (suspicion !== undefined) throw new FaultFound(suspicion)
        if (suspected !== words[OPERATION] && error.stopped === 'stuck') {
          const cause = this.#explainer.watched(trace, {
            until: error.moment.operation + 1,
            checkInterval: job.checkInterval,
            writers: true,
            limit: limits.diagnosis
          })
          if (cause !== undefined) throw new FaultFound(cause)
        }
      }
      if (!(error instanceof FaultFound)) throw error
      fault = error.fault
    }
    this.#benches.own.dismiss()
    throw new FaultFound(
      job.explain ? this.#explainer.causeOf(fault, trace, job.checkInterval) : fault
    )
  }

  #tooLong(moment: Moment, seat: Seat): Stop | undefined {
    const { limits } = this.#case
    if (seat.spent > limits.trace * 1000) return 'time'
    return this.#explainer.excess(moment, limits.trace)
  }

  #remote(seat: Seat, look: Look): Remote {
    return new Remote(seat, this.#places, this.#case.sources, look)
  }

  #settings(job: TraceJob): VerifySettings {
    return {
      alignment: this.#case.alignment,
      needsCalloc: this.#case.calloc,
      checkInterval: job.checkInterval,
      thrown: thrownBy,
      watch: -1
    }
  }

  /**
   * Checks that nothing was written beyond the end of a heap: pages exist only if something
   * accessed them.
   */
  #nothingBeyond(heap: SharedHeap): void {
    const excess = this.#benches.own.excess()
    const written = excess > BEYOND ? excess : heap.writtenBeyond(BEYOND)
    if (written === 0) return
    throw new FaultFound(
      faultOf(
        'access',
        `${written} bytes were used beyond the end of the heap: sbrk never handed them out`,
        {
          hint: HINTS.outsideState
        }
      )
    )
  }

  /**
   * Runs the beginning of a trace on two heaps, one some operations behind the other. Each must
   * behave as it does alone.
   */
  #pair(trace: Trace, job: TraceJob, seat: Seat): void {
    const { limits } = this.#case
    const look: Look = moment =>
      moment.inOperation > limits.operation * 1000
        ? 'stuck'
        : this.#explainer.excess(moment, 2 * limits.trace + limits.grace)
    const remote = this.#remote(seat, look)
    try {
      const verifiers = this.#benches.own.heaps.map((heap, instance) => {
        heap.clear()
        remote.create(instance)
        const verifier: Verifier = new Verifier(
          trace,
          heap,
          remote.allocator(instance, () => verifier.operation),
          this.#settings(job)
        )
        return verifier
      })
      const until = Math.min(PAIRED_OPERATIONS, trace.length)
      const behind = Math.min(BEHIND, trace.length >> 1)
      for (let i = 0; i < until + behind; i++) {
        if (i < until) verifiers[0]?.step(i)
        if (i >= behind) verifiers[1]?.step(i - behind)
      }
      for (const verifier of verifiers) verifier.checkAll()
    } catch (error) {
      if (error instanceof FaultFound)
        throw new FaultFound(sharedState(error.fault.what, error.fault))
      if (error instanceof Gone && error.stopped !== undefined && error.stopped !== 'memory') {
        const { operation } = error.moment
        const where =
          operation >= 0 && operation < trace.length ? describeOperation(trace, operation) : ''
        throw new FaultFound(sharedState('it does not end', { operation, where }))
      }
      throw error
    }
  }

  #measures(trace: Trace, job: TraceJob, seat: Seat, verified: Verified) {
    const { reference, builtIn, own } = this.#benches
    const { limits } = this.#case
    const theirs = reference.sit(this.#case.reference)
    const rival = job.builtIn ? builtIn.sit('') : undefined
    const look: Look = moment => this.#explainer.excess(moment, limits.trace + limits.grace)
    try {
      return timed(
        { bench: own, seat },
        { bench: reference, seat: theirs },
        rival === undefined ? undefined : { bench: builtIn, seat: rival },
        {
          trace,
          verified,
          alignment: this.#case.alignment,
          milliseconds: job.timing,
          look,
          places: this.#places,
          sources: this.#case.sources
        }
      )
    } catch (error) {
      // Its operation is one of a variant.
      if (error instanceof Gone) throw new FaultFound(this.#explainer.gone(error, undefined))
      if (!(error instanceof VariantFault)) throw error
      throw new FaultFound(this.#inVariant(error) ?? error.fault)
    }
  }

  /** Explains a defect in a variant of the trace, if it occurs again in a new process. */
  #inVariant({ variant }: VariantFault): Fault | undefined {
    const found = this.#explainer.watched(traceOf(variant), {
      until: variant.length,
      checkInterval: variant.length,
      writers: true,
      limit: this.#case.limits.diagnosis
    })
    return found && { ...found, details: [OF_VARIANT, ...found.details] }
  }

  /**
   * Counts the words read and written, up to a fixed number of words. A reset process replays a
   * variant of the trace, first with views that count, then with ordinary ones. Both must give the
   * same results.
   */
  #cost(trace: Trace): Cost {
    const { limits, script, reference } = this.#case
    const look: Look = moment => this.#explainer.excess(moment, limits.trace + limits.grace)
    const variant = salted(plain(trace), 0)
    const own = counted(
      this.#benches.clinic,
      script,
      seat => this.#remote(seat, look),
      variant,
      variant.length
    )
    const other = counted(
      this.#benches.reference,
      reference,
      seat => this.#remote(seat, look),
      variant,
      own.operations
    )
    return {
      words: own.words / own.operations,
      ratio: other.words / own.words,
      operations: own.operations
    }
  }

  /**
   * Checks that the submission did not replace built-ins of the language: there is no honest
   * reason to.
   */
  #unchanged(seat: Seat): void {
    seat.order(CHANGED, moment => this.#explainer.excess(moment, this.#case.limits.load))
    const [name = ''] = seat.channel.text.split('\n')
    if (name === '') return
    throw new FaultFound(
      faultOf('tampering', `the submission replaced ${name}, a part of the language itself`, {
        hint: 'an allocator needs no other Math, Number or Array than there is'
      })
    )
  }
}

/**
 * Replays with views that count, until enough is counted. Throws if the results differ from those
 * of an ordinary replay.
 */
function counted(
  bench: Bench,
  script: string,
  remoteAt: (seat: Seat) => Remote,
  variant: Variant,
  most: number
): { readonly words: number; readonly operations: number } {
  const { channel, heaps } = bench
  const seat = bench.sit(script)
  const replay = (remote: Remote, instance: number, from: number, until: number) => {
    const odd = remote.run(instance, from, until)
    if (odd instanceof Raised) throw unlikeCounted(`it threw ${odd.thrown.message}`)
    if (odd !== undefined) throw unlikeCounted(`an operation returned ${odd.text}`)
  }
  try {
    const remote = remoteAt(seat)
    channel.put(variant)
    remote.create(0, COUNTING)
    let operations = 0
    while (operations < most && channel.counted[0] < COUNTED_WORDS) {
      const until = Math.min(most, operations + COUNTED_STEP)
      replay(remote, 0, operations, until)
      operations = until
    }
    const words = Math.max(1, channel.counted[0])
    const results = channel.results.slice(0, operations)
    remote.create(1)
    replay(remote, 1, 0, operations)
    if (
      results.some((result, i) => result !== channel.results[i]) ||
      heaps[0]?.high !== heaps[1]?.high
    ) {
      throw unlikeCounted('it returned other pointers, or took more memory')
    }
    return { words, operations }
  } catch (error) {
    bench.dismiss()
    throw error
  }
}

function unlikeCounted(what: string): FaultFound {
  return new FaultFound(
    faultOf(
      'unlike',
      'a replay in which accesses were counted went another way than the one that was ' +
        `verified: ${what}`,
      {
        hint: 'use the views that memory has, and no others over their buffer'
      }
    )
  )
}

/** @param what the second heap does to the first */
export function sharedState(what: string, more: FaultParts): Fault {
  const { operation = -1, where = '', stack = [] } = more
  const told =
    'two heaps at a time disturb each other, although each works alone: they share state ' +
    'outside their memory'
  return faultOf('shared-state', told, {
    operation,
    where,
    stack,
    details: [`With a second heap that is some operations behind, ${what}.`],
    hint: HINTS.shared
  })
}

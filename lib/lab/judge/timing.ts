/**
 * Measures a submission's processor time against the reference allocator's. Both replay by turns,
 * each in its own process, and the system provides the processor time of each. Rounds go on until
 * the best ones agree. Some rounds replay the trace unchanged, and must give the same results as
 * the verified replay. The others, which count, replay variants that the submission has not seen
 * before. All are checked.
 */

import { randomBytes } from 'node:crypto'
import { describeOperation, type Trace } from '../../trace/trace.js'
import { CHECK, NOTHING } from '../submission/channel.js'
import { type Fault, FaultFound, faultOf } from '../submission/fault.js'
import type { Places } from '../submission/places.js'
import { Told } from '../submission/verify.js'
import type { Bench } from './bench.js'
import type { BuiltIn, Timing } from './job.js'
import { placementOf } from './placement.js'
import { Raised, Remote } from './remote.js'
import { plain, salted, type Variant } from './salt.js'
import type { Moment, Seat, Stop } from './seat.js'

/** Every round with a multiple of this number replays the trace unchanged. */
const EXACT_EVERY = 5
const FEWEST_ROUNDS = 20
const MOST_ROUNDS = 400
/**
 * This many best rounds must agree, within this share or this number of milliseconds, which is the
 * resolution of the system's clock.
 */
const AGREEING = 3
const SHARE = 0.05
const GRAIN = 0.01
/** This many rounds may seem to have taken less time than the best ones that agree. */
const OUTLIERS = 2
/** If the best rounds don't agree, they go on for up to this many times the requested time. */
const EXTENSION = 10
/**
 * The least share of the trace's utilization that a variant must reach; below, it lowers the
 * result.
 */
const TOLERANCE = 0.9
/** The number of variants whose utilization counts. They are the same in every grading. */
const FIXED = 3
/** A replay with this many times the heap of the verified one counts as another allocator's. */
const ANOTHER = 2

export interface Verified {
  readonly results: Int32Array
  /** The bytes of the heap, and the most payload. */
  readonly heap: number
  readonly peak: number
}

export interface TimingOptions {
  readonly trace: Trace
  readonly verified: Verified
  readonly alignment: number
  readonly milliseconds: number
  readonly look: (moment: Moment) => Stop | undefined
  readonly places: Places
  readonly sources: readonly string[]
}

/** One allocator that is timed. */
class Contender {
  readonly bench: Bench
  readonly remote: Remote
  readonly seat: Seat
  /** The milliseconds of each round with a variant. */
  readonly times: number[] = []
  #overhead = 0

  constructor(bench: Bench, seat: Seat, options: TimingOptions) {
    this.bench = bench
    this.seat = seat
    this.remote = new Remote(seat, options.places, options.sources, options.look)
    const nothing = Array.from({ length: 5 }, () =>
      this.#measure(() => seat.order(NOTHING, options.look, false))
    )
    this.#overhead = Math.min(...nothing)
  }

  /** Milliseconds that the process computes, for two commands. */
  #measure(act: () => unknown): number {
    const wall = performance.now()
    const before = this.seat.processorTime()
    act()
    const after = this.seat.processorTime()
    return before === undefined || after === undefined ? performance.now() - wall : after - before
  }

  /** Replays a variant. Returns the milliseconds, and an invalid result, if any. */
  replay(variant: Variant): { readonly time: number; readonly odd: Raised | Told | undefined } {
    const [heap] = this.bench.heaps
    heap?.clear()
    this.bench.channel.put(variant)
    let odd: Raised | Told | undefined
    const time = this.#measure(() => {
      this.remote.create(0, 0, false)
      odd = this.remote.run(0, 0, variant.length, false)
    })
    return { time: Math.max(time - 2 * this.#overhead, 1e-4), odd }
  }

  /** The shortest time that was measured more than once. */
  get best(): number {
    const sorted = this.times.toSorted((a, b) => a - b)
    return sorted[Math.max(0, agreed(sorted))]
  }

  get settled(): boolean {
    return agreed(this.times.toSorted((a, b) => a - b)) !== -1
  }
}

/** The index of the first of the sorted times that agrees with the next ones; -1 for none. */
function agreed(sorted: readonly number[]): number {
  for (let i = 0; i <= OUTLIERS && i + AGREEING <= sorted.length; i++) {
    if (sorted[i + AGREEING - 1] <= sorted[i] + Math.max(sorted[i] * SHARE, GRAIN)) return i
  }
  return -1
}

/**
 * Times the submission in the process of `mine`. Also returns its least utilization. Throws
 * `FaultFound`.
 */
export function timed(
  mine: { readonly bench: Bench; readonly seat: Seat },
  theirs: { readonly bench: Bench; readonly seat: Seat },
  rival: { readonly bench: Bench; readonly seat: Seat } | undefined,
  options: TimingOptions
): { readonly timing: Timing; readonly utilization: number } {
  const { trace, verified, milliseconds } = options
  const own = new Contender(mine.bench, mine.seat, options)
  const reference = new Contender(theirs.bench, theirs.seat, options)
  const builtIn = rival === undefined ? undefined : new Contender(rival.bench, rival.seat, options)
  const secret = randomBytes(4).readUInt32LE()
  const exact = plain(trace)
  const usual = verified.peak / verified.heap
  const utilizations: number[] = []
  const begin = performance.now()
  let rounds = 0
  let highWater = 0
  const isEnough = () => {
    const spent = performance.now() - begin
    if (rounds < FEWEST_ROUNDS) return false
    const settled = own.settled && reference.settled
    return (
      (settled && spent > milliseconds / 8) ||
      spent > milliseconds * EXTENSION ||
      rounds >= MOST_ROUNDS
    )
  }
  for (; !isEnough(); rounds++) {
    const isExact = rounds % EXACT_EVERY === 0
    const isFixed = !isExact && utilizations.length < FIXED
    const variant = isExact ? exact : salted(exact, isFixed ? rounds : secret + rounds)
    const { time, odd } = own.replay(variant)
    const peak = judgedAs(own, variant, odd, options, isExact)
    const [heap] = mine.bench.heaps
    if (heap !== undefined && isFixed) {
      const utilization = peak / (heap.high - heap.low)
      if (utilization * ANOTHER < usual) throw another(utilization, usual)
      utilizations.push(utilization / TOLERANCE)
    }
    const other = reference.replay(variant)
    if (!isExact) {
      own.times.push(time)
      reference.times.push(other.time)
    }
    if (builtIn === undefined) continue
    builtIn.times.push(builtIn.replay(variant).time)
    if (isExact) highWater = highWaterOf(builtIn, options)
  }
  const timing: Timing = {
    ratio: reference.best / own.best,
    nsPerOperation: (own.best * 1e6) / trace.length,
    rounds,
    settled: own.settled && reference.settled,
    ...(builtIn === undefined
      ? {}
      : { builtIn: compare(reference, builtIn, verified.peak / highWater) })
  }
  return { timing, utilization: Math.min(usual, ...utilizations) }
}

function compare(reference: Contender, builtIn: Contender, utilization: number): BuiltIn {
  return { utilization, throughput: reference.best / builtIn.best }
}

/** Returns the bytes of the built-in heap, which its `check()` returns. */
function highWaterOf(builtIn: Contender, options: TimingOptions): number {
  builtIn.seat.order(CHECK, options.look, false)
  return Number(builtIn.bench.channel.text.slice(1))
}

/** Does what `judged` does, but throws a fault in a variant together with the variant. */
function judgedAs(
  own: Contender,
  variant: Variant,
  odd: Raised | Told | undefined,
  options: TimingOptions,
  isExact: boolean
): number {
  try {
    return judged(own, variant, odd, options, isExact)
  } catch (error) {
    if (isExact || !(error instanceof FaultFound)) throw error
    throw new VariantFault(error.fault, variant)
  }
}

/** Checks a replay afterwards. Returns the most payload. */
function judged(
  own: Contender,
  variant: Variant,
  odd: Raised | Told | undefined,
  options: TimingOptions,
  isExact: boolean
): number {
  const { trace, verified, alignment } = options
  const [heap] = own.bench.heaps
  const { channel } = own.bench
  if (heap === undefined) return 0
  if (odd instanceof Raised) throw unlike(`it threw ${odd.thrown.message}`)
  if (odd instanceof Told) throw unlike(`an operation returned ${odd.text}`)
  const { low, high } = heap
  if (isExact) {
    const at = verified.results.findIndex((result, i) => result !== channel.results[i])
    if (at !== -1) {
      const said =
        `it returned ${channel.results[at]} for ${describeOperation(trace, at)}, and ` +
        `${verified.results[at]} in the verified one`
      throw unlike(said)
    }
    if (high - low !== verified.heap)
      throw unlike(`its heap has ${high - low} bytes, and ${verified.heap} in the verified one`)
  }
  const { misplaced, peak } = placementOf(variant, channel, { low, high, alignment })
  if (misplaced === undefined) return peak
  const origin = variant.origins[misplaced.operation]
  const where =
    origin === -1 ? 'a block that the trace does not have' : describeOperation(trace, origin)
  throw unlike(`at ${where}, ${misplaced.what}`)
}

/** Thrown for a fault in a variant, with that variant. */
export class VariantFault extends FaultFound {
  readonly variant: Variant

  constructor(fault: Fault, variant: Variant) {
    super(fault)
    this.variant = variant
  }
}

function unlike(what: string): FaultFound {
  return new FaultFound(
    faultOf(
      'unlike',
      `a later replay of the same trace went another way than the one that was verified: ${what}`,
      {
        hint:
          'an allocator must do the same for the same calls, however often and however fast ' +
          'they come'
      }
    )
  )
}

function another(utilization: number, usual: number): FaultFound {
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`
  return unlike(
    `with a few more blocks in the trace, utilization is ${percent(utilization)} in place ` +
      `of ${percent(usual)}`
  )
}

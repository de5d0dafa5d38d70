/**
 * How long a submission may take. All but `patience` is processor time of its process: on a busy
 * machine, or one that slept, a submission is not to blame for having had no turn.
 */

/** Seconds, except `patience`. */
export interface TimeLimits {
  /** Loading the submission, and `create`. */
  readonly load: number
  /** Each pass over a trace. */
  readonly trace: number
  /**
   * Allowance beyond `trace` for passes that end by themselves, such as timing: one of their
   * operations may be slow.
   */
  readonly grace: number
  /** One operation. */
  readonly operation: number
  /** One operation, until a second process looks where it goes round. */
  readonly suspicion: number
  /** The search for the line behind a defect, or where an operation goes round… */
  readonly diagnosis: number
  /** …and its time in one operation without touching the memory. */
  readonly idle: number
  /** Looking for state outside the memory. */
  readonly state: number
  /** Wall-clock allowance, as a multiple of each limit above: for a submission that sleeps. */
  readonly patience: number
}

/** One operation may take this share of the time for a whole trace… */
const OPERATION_SHARE = 0.2
/** …and at least so many seconds. */
const OPERATION_SECONDS = 2
/** The share of its time after which an operation is suspected, and the most seconds. */
const SUSPICION_SHARE = 0.5
const SUSPICION_SECONDS = 1

/** The limits of a grading that gives each trace so many seconds. */
export function timeLimits(timeout: number): TimeLimits {
  const operation = Math.min(timeout, Math.max(OPERATION_SECONDS, timeout * OPERATION_SHARE))
  return {
    load: timeout,
    trace: timeout,
    grace: 20,
    operation,
    suspicion: Math.min(SUSPICION_SECONDS, operation * SUSPICION_SHARE),
    diagnosis: 8,
    idle: 1.5,
    state: 30,
    patience: 20
  }
}

/** Limits that nothing reaches. */
export const ENDLESS: TimeLimits = {
  load: Number.POSITIVE_INFINITY,
  trace: Number.POSITIVE_INFINITY,
  grace: Number.POSITIVE_INFINITY,
  operation: Number.POSITIVE_INFINITY,
  suspicion: Number.POSITIVE_INFINITY,
  diagnosis: Number.POSITIVE_INFINITY,
  idle: Number.POSITIVE_INFINITY,
  state: Number.POSITIVE_INFINITY,
  patience: Number.POSITIVE_INFINITY
}

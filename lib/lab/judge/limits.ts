/**
 * The time limits of a submission. All but `patience` are processor time of its process, so that a
 * busy or suspended machine does not matter.
 */

/** Seconds, except `patience`. */
export interface TimeLimits {
  /** Loading the submission, and `create`. */
  readonly load: number
  /** Each pass over a trace. */
  readonly trace: number
  /**
   * The allowance beyond `trace` for passes that end by themselves, such as timing: one of their
   * operations may be slow.
   */
  readonly grace: number
  /** One operation. */
  readonly operation: number
  /** One operation, before a second process looks for an endless loop. */
  readonly suspicion: number
  /** The search for the line of a defect or of an endless loop… */
  readonly diagnosis: number
  /** …and its time in one operation without touching the memory. */
  readonly idle: number
  /** Looking for state outside the memory. */
  readonly state: number
  /** Wall-clock allowance, as a multiple of each limit above: for a submission that sleeps. */
  readonly patience: number
}

/** The share of a trace's time that one operation may take… */
const OPERATION_SHARE = 0.2
/** …but at least this many seconds. */
const OPERATION_SECONDS = 2
/**
 * The share of its time after which an operation is suspected to be endless, and the most seconds.
 */
const SUSPICION_SHARE = 0.5
const SUSPICION_SECONDS = 1

/** Returns the limits of a grading with this many seconds for each trace. */
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

/** No limits. */
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

/** The requests to the judge, and its results. */

import type { Trace } from '../../trace/trace.js'
import type { Fault } from '../submission/fault.js'
import type { TimeLimits } from './limits.js'

/** The settings for all traces of a grading. */
export interface Case {
  /** The paths of the compiled submission and of the reference allocator. */
  readonly script: string
  readonly reference: string
  /** The absolute paths of the submission's sources. */
  readonly sources: readonly string[]
  /** The most bytes that `sbrk` hands out. */
  readonly memory: number
  /** The most bytes of JavaScript objects. */
  readonly javascript: number
  readonly limits: TimeLimits
  /** The alignment of payloads, in bytes. */
  readonly alignment: number
  /** Whether the allocator must have a calloc. */
  readonly calloc: boolean
  /** Whether to look for state outside the mapped memory. */
  readonly state: boolean
  readonly traces: readonly Trace[]
}

export interface TraceJob {
  readonly task: 'trace'
  /** The index of the trace in the case. */
  readonly trace: number
  /** The number of operations between two checks of the whole heap. */
  readonly checkInterval: number
  /** The least milliseconds to spend on timing; 0 for no timing. */
  readonly timing: number
  /** Whether to measure the built-in heap too. */
  readonly builtIn: boolean
  /** Whether to find the source line of a defect. */
  readonly explain: boolean
}

/** Looks for state in JavaScript objects. */
export interface StateJob {
  readonly task: 'state'
}

export type Job = TraceJob | StateJob

export interface Timing {
  /** The reference allocator's processor time / the submission's. */
  readonly ratio: number
  /** Nanoseconds of processor time per operation of the submission. */
  readonly nsPerOperation: number
  readonly rounds: number
  /** Whether the best rounds agree. If not, the machine is too busy. */
  readonly settled: boolean
  readonly builtIn?: BuiltIn
}

/** The figures of offheap's own heap on the same trace. */
export interface BuiltIn {
  /** Peak payload / high water. */
  readonly utilization: number
  /** The throughput, as a share of the reference allocator's. */
  readonly throughput: number
}

/** The words read and written per operation. They are counted, and the same in every run. */
export interface Cost {
  readonly words: number
  /** The reference allocator's words / the submission's. */
  readonly ratio: number
  /** The number of operations counted. */
  readonly operations: number
}

export interface Outcome {
  /** The fault; undefined if there is none. */
  readonly fault?: Fault
  /** Peak payload / bytes of the heap; the least of all replays. */
  readonly utilization: number
  readonly timing?: Timing
  readonly cost?: Cost
  /** A note for the grade, such as that the system has no filter for system calls. */
  readonly notes?: readonly string[]
}

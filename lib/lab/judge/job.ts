/** What is asked of the judge, and what the judge finds. */

import type { Trace } from '../../trace/trace.js'
import type { Fault } from '../submission/fault.js'
import type { TimeLimits } from './limits.js'

/** What holds for all traces of a grading. */
export interface Case {
  /** Path of the compiled submission, and of the reference allocator. */
  readonly script: string
  readonly reference: string
  /** Absolute paths of the submission's sources. */
  readonly sources: readonly string[]
  /** Most bytes that `sbrk` hands out. */
  readonly memory: number
  /** Bytes of JavaScript objects. */
  readonly javascript: number
  readonly limits: TimeLimits
  /** Bytes that every payload must be a multiple of. */
  readonly alignment: number
  /** Whether an allocator without calloc is wrong. */
  readonly calloc: boolean
  /** Whether state outside of the mapped memory is looked for. */
  readonly state: boolean
  readonly traces: readonly Trace[]
}

export interface TraceJob {
  readonly task: 'trace'
  /** Index of the trace in the case. */
  readonly trace: number
  /** Operations from one look at the whole heap to the next. */
  readonly checkInterval: number
  /** Milliseconds to spend on timing at least; 0 for none. */
  readonly timing: number
  /** Whether the built-in heap is measured as well. */
  readonly builtIn: boolean
  /** Whether a defect is looked into until the line that did it is known. */
  readonly explain: boolean
}

/** Find out whether state is kept in JavaScript objects. */
export interface StateJob {
  readonly task: 'state'
}

export type Job = TraceJob | StateJob

export interface Timing {
  /** The reference allocator's processor time / the submission's. */
  readonly ratio: number
  /** Nanoseconds of processor time for each operation of the submission. */
  readonly nsPerOperation: number
  readonly rounds: number
  /** Whether the best rounds agree; else the machine is too busy to tell. */
  readonly settled: boolean
  readonly builtIn?: BuiltIn
}

/** How offheap's own heap does on the same trace. */
export interface BuiltIn {
  /** Peak payload / high water. */
  readonly utilization: number
  /** As a share of the reference allocator's. */
  readonly throughput: number
}

/** Words read and written for each operation, counted: the same in every run. */
export interface Cost {
  readonly words: number
  /** The reference allocator's words / the submission's. */
  readonly ratio: number
  /** Operations counted. */
  readonly operations: number
}

export interface Outcome {
  /** What is wrong; undefined when nothing is. */
  readonly fault?: Fault
  /** Peak payload / bytes of the heap; the least of all replays. */
  readonly utilization: number
  readonly timing?: Timing
  readonly cost?: Cost
  /** What the grade should mention, such as a system without filters for calls. */
  readonly notes?: readonly string[]
}

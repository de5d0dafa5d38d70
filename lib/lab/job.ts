/** What the grader and its worker say to each other. */

import { describeOperation, type Trace } from '../trace/trace.js'
import type { Fault, FaultParts } from './fault.js'
import { DIAGNOSING, PAIRING, VERIFYING } from './progress.js'

interface Common {
  /** URL of the compiled submission. */
  readonly url: string
  /** Absolute paths of its sources. */
  readonly sources: readonly string[]
  /** Most bytes that `sbrk` hands out. */
  readonly memory: number
}

/** Verify a trace, and time it when it is valid. */
export interface TraceJob extends Common {
  readonly task: 'trace'
  readonly trace: Trace
  /** Bytes that every payload must be a multiple of. */
  readonly alignment: number
  /** Operations from one look at the whole heap to the next. */
  readonly checkInterval: number
  /** Whether two heaps run side by side must not disturb each other. */
  readonly pair: boolean
  /** Milliseconds to spend on timing; 0 for none. */
  readonly timing: number
  /** Whether the built-in heap is measured as well. */
  readonly builtIn: boolean
}

/** Find the line of source behind operation `until`, which does not seem to end; -1 stands for `create`. */
export interface DiagnoseJob extends Omit<TraceJob, 'task'> {
  readonly task: 'diagnose'
  readonly until: number
}

/** Find out whether state is kept in JavaScript objects. */
export interface StateJob extends Common {
  readonly task: 'state'
}

export type Job = TraceJob | DiagnoseJob | StateJob

export interface Timing {
  /** The reference allocator's time / the submission's time. */
  readonly ratio: number
  /** Nanoseconds for each operation of the submission. */
  readonly nsPerOperation: number
  readonly rounds: number
  readonly builtIn?: BuiltIn
}

/** How offheap's own heap does on the same trace. */
export interface BuiltIn {
  /** Peak payload / high water. */
  readonly utilization: number
  /** As a share of the reference allocator's. */
  readonly throughput: number
}

export interface Outcome {
  /** What is wrong; undefined when nothing is. */
  readonly fault?: Fault
  /** Bytes. */
  readonly peakPayload: number
  readonly heap: number
  readonly timing?: Timing
}

/** What a worker answers. The last report counts, should it end before it is done. */
export interface Report {
  readonly outcome: Outcome
  readonly done: boolean
}

/** Where in a trace a worker is, when it is in one. */
export function placeOf(job: Job, phase: number, operation: number): FaultParts {
  const isInTrace = phase === VERIFYING || phase === DIAGNOSING || phase === PAIRING
  if (job.task === 'state' || operation < 0 || !isInTrace) return {}
  return { operation, where: describeOperation(job.trace, operation) }
}

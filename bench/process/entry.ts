/** The messages between the parent and the process that measures. */
import type { Work } from '../work/work.js'

/**
 * The clock: `wall`, or `cpu`, the CPU time of the thread, which other load affects less. Neither
 * includes garbage collection on other threads.
 */
export type Clock = 'wall' | 'cpu'

/** One contender at one piece of work. */
export interface Entry {
  readonly contender: string
  readonly work: Work
  /** Operations before the first sample. */
  readonly warmOperations: number
  readonly clock: Clock
  /** Stop after the first run of a new process: only its facts are needed. */
  readonly once: boolean
}

/** The parts that the parent adds. */
export type Asked = Pick<Entry, 'contender' | 'work'>

/**
 * Figures beside the samples:
 *
 * - `cold`: ns per operation of the first run in a fresh process;
 * - `utilization`: peak payload / the most memory in use in that run, the index's share included;
 * - `overNeeded`: that memory / the least that the same blocks take with their headers;
 * - `faults`: page faults per 1,000 operations, warm, of a loop in C++;
 * - `totalMs`, `gcMs`, `worstPauseMs`, `collections`: of GcWork;
 * - `fresh`, `warm`: ns per page of FreshWork.
 */
export type Facts = Readonly<Record<string, number>>

/** From the parent: take one sample. */
export interface Question {
  readonly sampleMs: number
}

/** From the process that measures. */
export type Answer =
  | { readonly ready: true; readonly facts: Facts }
  | { readonly ns: number }
  | { readonly error: string }

export interface Measurement {
  readonly contender: string
  readonly work: Work
  /** ns per operation in each round; empty if it failed, or if only facts were requested. */
  readonly samples: readonly number[]
  /**
   * The facts of each process: one process, or one in each round if the work is done once per
   * process.
   */
  readonly facts: readonly Facts[]
  /** Why nothing was measured. */
  readonly error?: string
}

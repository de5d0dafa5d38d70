/** What is measured, and the messages between the parent and the process that measures. */

/** A recorded trace, replayed whole. */
export interface TraceWork {
  readonly kind: 'trace'
  readonly path: string
}

/** Random churn of `live` blocks of 1 to `largest` bytes. */
export interface ChurnWork {
  readonly kind: 'churn'
  readonly live: number
  readonly largest: number
}

/** Churn of 1,000 larger blocks on a heap with `holes` small free blocks. */
export interface FragmentedWork {
  readonly kind: 'fragmented'
  readonly holes: number
}

/** Arrays that grow by realloc. */
export interface GrowthWork {
  readonly kind: 'growth'
}

export type ColumnWork = TraceWork | ChurnWork | FragmentedWork | GrowthWork

/** malloc (or, cleared, calloc) and free of one size, over and over. One operation is the pair. */
export interface PairWork {
  readonly kind: 'pairs'
  readonly size: number
  readonly cleared: boolean
}

/** `live` blocks of 1 KiB, kept alive while as many again are freed and allocated at random; once, in a fresh process. */
export interface GcWork {
  readonly kind: 'gc'
  readonly live: number
}

/** `count` blocks of `size` bytes, a byte written into each page: first on fresh pages, then, all freed, again. */
export interface FreshWork {
  readonly kind: 'fresh'
  readonly size: number
  readonly count: number
}

/** Work that a process does once: what is measured is in its facts. */
export type SingleWork = GcWork | FreshWork

export type Work = ColumnWork | PairWork | SingleWork

/** One contender at one piece of work. */
export interface Entry {
  readonly contender: string
  readonly work: Work
  /** Operations before the first sample. */
  readonly warmOperations: number
  /** Stop after the first run of the fresh process: its facts are what is asked for. */
  readonly once: boolean
}

/**
 * Figures beside the samples: `cold`, nanoseconds per operation of the first run in a fresh process; `utilization`, peak
 * payload / highWater of that run; `gcMs`, `worstPauseMs`, `collections`, `totalMs` of GcWork; `fresh` and `warm`,
 * nanoseconds per page of FreshWork.
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
  /** Nanoseconds per operation in each round; empty when it failed, or was asked for facts only. */
  readonly samples: readonly number[]
  /** Of each process that was started for it: one, or one in each round when the work is done once. */
  readonly facts: readonly Facts[]
  /** Why nothing was measured. */
  readonly error?: string
}

/** The kinds of work, as data: the parent sends it to the process that measures. */

/** A recorded trace, replayed whole. */
export interface TraceWork {
  readonly kind: 'trace'
  readonly path: string
}

/** Random churn of `live` blocks of `least` to `largest` bytes. */
export interface ChurnWork {
  readonly kind: 'churn'
  readonly live: number
  readonly least: number
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

/** Small blocks, most of them freed, and somewhat larger ones in their place. */
export interface PinningWork {
  readonly kind: 'pinning'
}

export type ColumnWork = TraceWork | ChurnWork | FragmentedWork | GrowthWork | PinningWork

/** malloc (or, cleared, calloc) and free of one size, over and over. One operation is the pair. */
export interface PairWork {
  readonly kind: 'pairs'
  readonly size: number
  readonly cleared: boolean
}

/**
 * `live` blocks of 1 KiB, kept alive while as many again are freed and allocated at random; once,
 * in a fresh process.
 */
export interface GcWork {
  readonly kind: 'gc'
  readonly live: number
}

/**
 * `count` blocks of `size` bytes, a byte written into each page: first on fresh pages, then, all
 * freed, again.
 */
export interface FreshWork {
  readonly kind: 'fresh'
  readonly size: number
  readonly count: number
}

/** Work that a process does once; its facts are the result. */
export type SingleWork = GcWork | FreshWork

export type Work = ColumnWork | PairWork | SingleWork

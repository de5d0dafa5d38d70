/**
 * The measurements of each contender. Times are nanoseconds per call, unless the label says
 * otherwise.
 */
export const LABELS = {
  insert: 'insert',
  hit: 'hit',
  hitKept: 'hit, kept keys',
  miss: 'miss',
  many: 'getMany, a key',
  overwrite: 'overwrite',
  mixed: '90/10, Zipf',
  churn: 'new keys',
  pause: 'full GC, ms',
  longest: 'longest GC, ms',
  rss: 'RSS, MiB'
} as const

export type Figure = keyof typeof LABELS
export type Figures = Readonly<Record<Figure, number>>
export const FIGURES = Object.keys(LABELS).filter((name): name is Figure => name in LABELS)

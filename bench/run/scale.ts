/** The scale of a run: everything, or a part that takes less than a minute. */
import { ALL, FLOORS } from '../contenders/contenders.js'

export interface Scale {
  /** The parts; undefined for all. */
  readonly parts?: readonly string[]
  readonly live: readonly number[]
  readonly holes: readonly number[]
  readonly sizes: readonly number[]
  readonly gcLive: number
  readonly freshBlocks: number
  /** The most operations in a trace. */
  readonly longestTrace: number
  /** The most traces; the shortest ones are used. */
  readonly mostTraces: number
  readonly contenders: readonly string[]
}

export const FULL: Scale = {
  live: [1e2, 1e3, 1e4, 1e5, 1e6],
  holes: [1e3, 1e4, 1e5, 1e6],
  sizes: Array.from({ length: 11 }, (_, step) => 16 * 4 ** step),
  gcLive: 1_000_000,
  freshBlocks: 4096,
  longestTrace: Number.POSITIVE_INFINITY,
  mostTraces: Number.POSITIVE_INFINITY,
  contenders: ALL
}

export const QUICK: Scale = {
  parts: ['recordings', 'utilization', 'churn', 'sizes', 'buffers-cleared'],
  live: [1e4],
  holes: [],
  sizes: [64, 1024, 65_536],
  gcLive: 0,
  freshBlocks: 0,
  longestTrace: 50_000,
  mostTraces: 3,
  contenders: [
    'first-fit',
    'segregated-fit',
    'first-fit+views',
    'segregated-fit+views',
    'glibc',
    'dlmalloc-wasm',
    'Buffer.alloc',
    ...Object.values(FLOORS)
  ]
}

/** The results of `offheap bench`, and their wording. */
import { cpus } from 'node:os'
import { BASE } from './contenders.js'
import type { Figure } from './race.js'
import type { As } from './work.js'

export interface Results {
  readonly node: string
  readonly cpu: string
  readonly as: As
  readonly cleared: boolean
  readonly live: number
  readonly sizes: readonly { readonly size: number; readonly figures: readonly Figure[] }[]
}

/** This machine. */
export function machine(): Pick<Results, 'node' | 'cpu'> {
  return { node: process.version, cpu: cpus()[0]?.model ?? 'unknown processor' }
}

/** A time with three digits: `85.1 ns`, `1.23 µs`, `4.5 ms`. */
export function humanTime(ns: number): string {
  if (Number.isNaN(ns)) return '-'
  const units = ['ns', 'µs', 'ms', 's']
  let value = ns
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${Number(value.toPrecision(3))} ${units[unit]}`
}

/** A number with two digits. */
export function digits(value: number): string {
  return value >= 99.5 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

/** Ratios below this count as equal. */
const EVEN = 1.03

/** A ratio in words: `3.2 times as fast`, `1.4 times as slow`, `as fast`. */
export function asFast(times: number): string {
  if (times < EVEN && times > 1 / EVEN) return 'as fast'
  return times >= 1 ? `${digits(times)} times as fast` : `${digits(1 / times)} times as slow`
}

/** The ratio of a contender in words; '' for the one that others are compared with. */
export function inWords({ contender, timesAsFast, error }: Figure): string {
  if (error !== undefined) return error
  return contender === BASE || Number.isNaN(timesAsFast) ? '' : asFast(timesAsFast)
}

/**
 * The longest bar shows at most this many times the time of the contender that others are compared
 * with.
 */
const CUT_AT = 4

/**
 * The time of the longest bar, in ns. The bar of a contender that is many times slower is cut,
 * because the others would be too short to see.
 */
export function longestBar(figures: readonly Figure[]): number {
  const known = figures.filter(({ ns }) => !Number.isNaN(ns))
  const base = known.find(({ contender }) => contender === BASE)?.ns ?? Number.POSITIVE_INFINITY
  return Math.min(Math.max(...known.map(({ ns }) => ns)), base * CUT_AT)
}

/** One sentence about what was measured. */
export function headline({ as, cleared, live }: Results): string {
  const what = { pointer: 'Blocks by pointer', buffer: 'Buffers', array: 'Uint8Arrays' }[as]
  return (
    `${what}${cleared ? ', cleared' : ''}: ${live.toLocaleString('en-US')} alive, one after ` +
    `the other replaced`
  )
}

export const NOTE =
  'Time to free a block and allocate a new one, writing a byte of each page; compared with ' +
  `${BASE}. ` +
  'Medians; ± half the distance between the quartiles. Each in its own process, alternately.'

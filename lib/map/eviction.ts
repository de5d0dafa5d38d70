/**
 * Which entry is evicted when a map is full. Each policy is an order of the entries:
 *
 * - `fifo`: evicts the oldest entry.
 * - `lru`: evicts the least recently used entry. Each use makes an entry the newest one.
 * - `sieve`: a hand moves from the oldest entry to the newest, and evicts the first one that was
 *   not used since the hand last passed it. A use costs one store, and scans evict few entries that
 *   are in use (Zhang, Yang, Yue, Vigfusson, Rashmi: SIEVE is Simpler than LRU, NSDI 2024).
 * - `none`: evicts nothing; storing an entry that has no room throws.
 */
import { COUNT, EXPIRY, HAND, KIND, TIMED, VISITED } from './layout.js'
import type { MapMemory } from './memory.js'
import type { Order } from './order.js'
import { readNumber } from './values.js'

export type EvictionPolicy = 'none' | 'fifo' | 'sieve' | 'lru'
/** The index of a policy is its number in the header. */
export const policies: readonly EvictionPolicy[] = ['none', 'fifo', 'sieve', 'lru']

/** The most entries that the hand passes in one call. Then it evicts the entry that it is at. */
const MOST_PASSED = 256

/** Has the entry expired? */
export function isExpired(m: Int32Array, entry: number): boolean {
  return (m[entry + KIND] & TIMED) !== 0 && readNumber(m, entry + EXPIRY) < Date.now()
}

/** The entry to evict next, but not `keep`; 0 if there is none. */
export function victim(
  policy: EvictionPolicy,
  memory: MapMemory,
  order: Order,
  keep: number
): number {
  if (policy === 'none') return 0
  if (policy === 'sieve') return sift(memory, order, keep)
  const { oldest } = order
  return oldest === keep && keep !== 0 ? order.newer(oldest) : oldest
}

function sift({ m, at }: MapMemory, order: Order, keep: number): number {
  const passed = Math.min(MOST_PASSED, 2 * m[at + COUNT])
  let entry = m[at + HAND] << 1 || order.oldest
  for (let left = passed; entry !== 0; left--) {
    const kind = m[entry + KIND]
    const isFree = (kind & VISITED) === 0 || left <= 0 || isExpired(m, entry)
    if (entry !== keep && isFree) break
    m[entry + KIND] = kind & ~VISITED
    entry = order.newer(entry) || order.oldest
    if (entry === keep && m[at + COUNT] <= 1) return 0
  }
  if (entry !== 0) m[at + HAND] = m[entry + 2]
  return entry
}

/** Records a use of an entry. */
export function touch(policy: EvictionPolicy, { m }: MapMemory, order: Order, entry: number): void {
  if (policy === 'sieve') {
    const kind = m[entry + KIND]
    if ((kind & VISITED) === 0) m[entry + KIND] = kind | VISITED
  } else if (policy === 'lru') order.renew(entry)
}

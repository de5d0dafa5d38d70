/** Iterates over the entries of a table, which may change meanwhile: in their order, or by hash. */
import { outOfRange } from '../errors.js'
import { LOCAL_DEPTH, MOST_DEPTH, PREFIX, REBUILDS, SEGMENT_WORDS } from './layout.js'
import { countOf } from './options.js'
import type { Table } from './table.js'

/**
 * Visits at most `most` entries, from the oldest to the newest, or the other way if `backwards`.
 * Includes expired entries if `stale`.
 */
export function* visit(
  table: Table,
  backwards: boolean,
  stale: boolean,
  most: number
): Generator<number, undefined, undefined> {
  const { order, segments } = table
  segments.ready()
  const cursor = order.open(backwards)
  try {
    let left = most
    for (
      let entry = order.step(cursor);
      entry !== 0 && left > 0;
      entry = order.step(cursor), left--
    ) {
      if (stale || !table.isExpired(entry)) yield entry
      segments.ready()
    }
  } finally {
    order.close(cursor)
  }
}

/**
 * The number of steps in a scan: each is the smallest range of hashes that a segment can have. A
 * cursor is a step, plus STEPS times the number of rebuilds.
 */
const STEPS = 2 ** MOST_DEPTH

/**
 * Iterates in the order of the index, a segment at a time: an entry that is there from the first
 * call to the last is returned at least once. When a segment splits, two others take over its range
 * of hashes, so the scan continues where it was.
 *
 * Returns the entries of the next segments, at least `count` unless the end is reached, and the
 * next cursor, 0 at the end.
 */
export function scan(
  table: Table,
  cursor: number,
  count: number
): { cursor: number; entries: number[] } {
  countOf('cursor', cursor)
  if (countOf('count', count) === 0) throw outOfRange('count', 'an integer from 1', count)
  const { segments, memory } = table
  segments.ready()
  const { m, at } = memory
  const rebuilds = m[at + REBUILDS]
  // If the hash was changed, every entry is elsewhere: begin again.
  let step = Math.floor(cursor / STEPS) === rebuilds ? cursor % STEPS : 0
  const entries: number[] = []
  while (step < STEPS && entries.length < count) {
    const segment = segments.segmentOf(step << (32 - MOST_DEPTH))
    for (let slot = segment + SEGMENT_WORDS, left = segments.slots; left > 0; slot += 2, left--) {
      if (m[slot + 1] !== 0) entries.push(m[slot + 1] << 1)
    }
    step = (m[segment + PREFIX] + 1) * 2 ** (MOST_DEPTH - m[segment + LOCAL_DEPTH])
  }
  return { cursor: step >= STEPS ? 0 : rebuilds * STEPS + step, entries }
}

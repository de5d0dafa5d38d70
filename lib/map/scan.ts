/**
 * A walk over the entries in the order of the index, a segment at a time, for maps that change
 * meanwhile: what is there from the first call to the last comes at least once. A segment that
 * splits hands its range of hashes to two others, so the walk goes on where it was.
 */
import { outOfRange } from '../errors.js'
import { LOCAL_DEPTH, MOST_DEPTH, PREFIX, REBUILDS, SEGMENT_WORDS } from './layout.js'
import { countOf } from './options.js'
import type { Table } from './table.js'

/**
 * The cursor: how far in the space of hashes, in steps of the smallest range; above it how often
 * the hash changed.
 */
const STEPS = 2 ** MOST_DEPTH

/**
 * The entries of the next segments, at least `count` of them unless these are the last; and the
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
  // With another hash every entry is elsewhere: begin again.
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

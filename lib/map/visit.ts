/** Iteration over the entries of a table, which may change meanwhile. */
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

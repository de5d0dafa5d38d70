/** Figures about a map. */

import { segmentsOf } from './directory.js'
import {
  BYTES_F64,
  COUNT,
  DIRECTORY_WORDS,
  EVICTED,
  EXPIRED,
  REBUILDS,
  SEGMENT_WORDS
} from './layout.js'
import type { Table } from './table.js'

export interface MapStats {
  /** The number of entries, expired ones that were not removed yet included. */
  readonly entries: number
  /**
   * The bytes that the entries take from the heap: keys, values, their headers and those of their
   * blocks.
   */
  readonly bytes: number
  /** The bytes of the index. */
  readonly indexBytes: number
  /** Calls through this object that found an entry, and those that found none. */
  readonly hits: number
  readonly misses: number
  /**
   * Entries that were evicted, and entries that were removed because their time had passed, since
   * the map was made.
   */
  readonly evicted: number
  readonly expired: number
  /** How often the map chose another hash because too many were alike. */
  readonly rebuilds: number
}

export function statsOf(table: Table, hits: number, misses: number): MapStats {
  const { memory, segments } = table
  segments.ready()
  const { m, f64, at } = memory
  let indexWords = DIRECTORY_WORDS + 2 ** segments.depth
  for (const _ of segmentsOf(memory, segments.directory))
    indexWords += SEGMENT_WORDS + 2 * segments.slots
  return {
    entries: m[at + COUNT],
    bytes: f64[at / 2 + BYTES_F64],
    indexBytes: indexWords * 4,
    hits,
    misses,
    evicted: m[at + EVICTED] >>> 0,
    expired: m[at + EXPIRED] >>> 0,
    rebuilds: m[at + REBUILDS]
  }
}

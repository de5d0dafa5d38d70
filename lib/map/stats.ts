/** Statistics of a map. */
import { OffheapError } from '../errors.js'
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
  /** The number of entries, including expired ones that were not removed yet. */
  readonly entries: number
  /**
   * The number of bytes that the entries take in the heap: keys, values, and the headers of entries
   * and blocks.
   */
  readonly bytes: number
  /** The size of the index in bytes. */
  readonly indexBytes: number
  /** The number of lookups through this object that found an entry, and of those that did not. */
  readonly hits: number
  readonly misses: number
  /**
   * The number of entries that were evicted, and of those that expired, since the map was created.
   */
  readonly evicted: number
  readonly expired: number
  /** The number of times that the map changed its hash because too many keys collided. */
  readonly rebuilds: number
}

/** What JSON.stringify and console.log show of a map. */
export interface MapSummary {
  /** The number of entries; 0 if the map is closed, or its memory was overwritten. */
  readonly size: number
  /** The pointer of the map's header. */
  readonly pointer: number
  readonly closed: boolean
}

/** A summary of a map in any state. */
export function summaryOf(map: { readonly size: number; readonly pointer: number }): MapSummary {
  const { pointer } = map
  try {
    return { size: map.size, pointer, closed: false }
  } catch (error) {
    const closed = error instanceof OffheapError && error.code === 'ERR_OFFHEAP_CLOSED'
    return { size: 0, pointer, closed }
  }
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

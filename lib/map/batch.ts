/**
 * Looks up many keys at once: hashes all of them, then reads all slots, then all entries, and only
 * then compares keys. In a large map most of these reads miss the processor's caches; this way, it
 * waits for many at the same time.
 */
import { keys, type MapKey } from './keys.js'
import { KIND } from './layout.js'
import type { Table } from './table.js'

/** The most keys in a batch. */
const BATCH = 64

const at = new Int32Array(BATCH)
const kind = new Int32Array(BATCH)
const bytes = new Int32Array(BATCH)
const hash = new Int32Array(BATCH)
const guess = new Int32Array(BATCH)
const found: number[] = new Array(BATCH).fill(0)

/**
 * Looks up the keys from index `begin` on, as many as fit in one batch. Calls `visit` with the
 * index and the entry (0 if there is none) of each. Returns the index where the next batch begins.
 */
export function findBatch(
  table: Table,
  list: readonly MapKey[],
  begin: number,
  visit: (index: number, entry: number) => void
): number {
  const { segments, memory } = table
  segments.ready()
  const { m } = memory
  let count = 0
  let word = 0
  while (count < BATCH && begin + count < list.length && keys.hasRoom(list[begin + count], word)) {
    keys.pack(list[begin + count], segments, word)
    at[count] = word
    kind[count] = keys.kind
    bytes[count] = keys.bytes
    hash[count] = keys.hash
    word += (keys.bytes + 3) >> 2
    count++
  }
  for (let i = 0; i < count; i++) guess[i] = segments.guess(hash[i])
  let sum = 0
  for (let i = 0; i < count; i++) sum += m[(guess[i] << 1) + KIND]
  for (let i = 0; i < count; i++) {
    keys.at = at[i]
    keys.kind = kind[i]
    keys.bytes = bytes[i]
    keys.hash = hash[i]
    found[i] = segments.find(keys)
  }
  for (let i = 0; i < count; i++) visit(begin + i, found[i])
  return sum === 0.5 ? begin : begin + count
}

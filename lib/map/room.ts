/**
 * Makes room for an entry: in the heap, in the index, and within the limits. Evicts other entries
 * if the policy allows; otherwise throws.
 */
import { OffheapError } from '../errors.js'
import { type EvictionPolicy, isExpired, victim } from './eviction.js'
import {
  BYTES_F64,
  COUNT,
  EVICTED,
  MAX_BYTES_F64,
  MAX_ENTRIES_F64,
  MAX_ENTRY_BYTES_F64,
  SEGMENT_WORDS
} from './layout.js'
import type { MapMemory } from './memory.js'
import type { Order } from './order.js'
import type { Segments } from './segments.js'

/** Why a value was removed, with the names that lru-cache uses. */
export type Reason = 'set' | 'delete' | 'evict' | 'expire'

/** The header of a block, which `usableSize` does not include. */
export const BLOCK_BYTES = 4

/** The parts of a table that this file uses. */
export interface Roomy {
  readonly memory: MapMemory
  readonly segments: Segments
  readonly order: Order
  readonly policy: EvictionPolicy
  remove(entry: number, reason: Reason): void
}

/** The error when there is no room for an entry. */
export function outOfMemory(bytes: number): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_OUT_OF_MEMORY',
    `The map has no room for an entry of ${bytes} bytes, and none that it may evict for ` +
      'it. Delete some, or use a larger heap'
  )
}

/** Is the entry larger than the limit for one entry, or for all entries? */
export function isTooLarge({ f64, at }: MapMemory, bytes: number): boolean {
  const most = f64[at / 2 + MAX_ENTRY_BYTES_F64] || f64[at / 2 + MAX_BYTES_F64]
  return most !== 0 && bytes + BLOCK_BYTES > most
}

/**
 * Evicts the entry that the policy selects, but not `keep`. Returns the number of freed bytes; 0 if
 * there is nothing to evict.
 */
export function evict(table: Roomy, keep: number): number {
  const { memory } = table
  const { m } = memory
  const entry = victim(table.policy, memory, table.order, keep)
  if (entry === 0) return 0
  const bytes = memory.heap.usableSize(entry * 4) + BLOCK_BYTES
  const reason = isExpired(m, entry) ? 'expire' : 'evict'
  if (reason === 'evict') m[memory.at + EVICTED]++
  table.remove(entry, reason)
  return bytes
}

/**
 * Allocates a block for an entry, and returns its first word. If the heap is full, evicts entries,
 * but not `keep`. Throws ERR_OFFHEAP_OUT_OF_MEMORY.
 */
export function allocate(table: Roomy, bytes: number, keep: number): number {
  const { heap } = table.memory
  const pointer = heap.malloc(bytes)
  if (pointer !== 0) return pointer / 4
  // Evicted entries may be small and far apart: for a large one, evict several times its size, in
  // growing steps.
  const most = 16 * bytes + 65_536
  const isHopeless = bytes >= heap.buffer.byteLength
  for (let freed = 0, step = 1; !isHopeless && freed < most; step *= 2) {
    const before = freed
    for (let i = 0; i < step && freed < most; i++) freed += evict(table, keep)
    if (freed === before) break
    const found = heap.malloc(bytes)
    if (found !== 0) return found / 4
  }
  throw outOfMemory(bytes)
}

/**
 * Makes room in the index for a hash: grows the index or, without memory, evicts entries. Throws
 * ERR_OFFHEAP_OUT_OF_MEMORY.
 */
export function growIndex(table: Roomy, hash: number, bytes: number): void {
  const { segments, memory } = table
  if (segments.grow(hash)) return
  if (table.policy === 'none') throw outOfMemory(bytes)
  // Evicted entries may be far apart, so evict more than a segment needs.
  const needed = 3 * (segments.slots * 8 + 64)
  for (let freed = 0, last = -1; freed < needed && freed !== last; ) {
    last = freed
    freed += evict(table, 0)
  }
  segments.ready()
  if (segments.grow(hash)) return
  const { m, at } = memory
  const segment = segments.segmentOf(hash)
  for (let slot = segment + SEGMENT_WORDS, left = segments.slots; left > 0; slot += 2, left--) {
    if (m[slot + 1] === 0) continue
    m[at + EVICTED]++
    table.remove(m[slot + 1] << 1, 'evict')
    return
  }
  throw outOfMemory(bytes)
}

/**
 * Evicts until an entry of `bytes` bytes, which may replace `old`, fits within the limits. Throws
 * ERR_OFFHEAP_OUT_OF_MEMORY.
 */
export function keepLimits(table: Roomy, old: number, bytes: number): void {
  const { heap, m, f64, at } = table.memory
  const mostEntries = f64[at / 2 + MAX_ENTRIES_F64]
  const mostBytes = f64[at / 2 + MAX_BYTES_F64]
  if (mostEntries !== 0 && old === 0 && m[at + COUNT] >= mostEntries && evict(table, 0) === 0) {
    throw outOfMemory(bytes)
  }
  if (mostBytes === 0) return
  const replaced = old === 0 ? 0 : heap.usableSize(old * 4) + BLOCK_BYTES
  while (f64[at / 2 + BYTES_F64] - replaced + bytes + BLOCK_BYTES > mostBytes) {
    if (evict(table, old) === 0) throw outOfMemory(bytes)
  }
}

/**
 * Evicts while all entries together exceed the limit: a block can be larger than the entry that it
 * holds.
 */
export function keepBytes(table: Roomy, keep: number): void {
  const { f64, at } = table.memory
  const most = f64[at / 2 + MAX_BYTES_F64]
  if (most === 0) return
  while (f64[at / 2 + BYTES_F64] > most && evict(table, keep) !== 0);
}

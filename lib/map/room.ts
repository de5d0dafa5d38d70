/**
 * Room for an entry: in the heap, in the index, within the limits. A map that may evict makes it;
 * another throws.
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

/** Why a value left the map, in lru-cache's words. */
export type Reason = 'set' | 'delete' | 'evict' | 'expire'

/** A block's own header, which its usable bytes don't count. */
export const BLOCK_BYTES = 4

/** What can have room. */
export interface Roomy {
  readonly memory: MapMemory
  readonly segments: Segments
  readonly order: Order
  readonly policy: EvictionPolicy
  remove(entry: number, reason: Reason): void
}

/** No memory for an entry. */
export function outOfMemory(bytes: number): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_OUT_OF_MEMORY',
    `The map has no room for an entry of ${bytes} bytes, and none that it may evict for ` +
      'it. Delete some, or use a larger heap'
  )
}

/** Is the entry larger than entries may be, or than all together may be? */
export function isTooLarge({ f64, at }: MapMemory, bytes: number): boolean {
  const most = f64[at / 2 + MAX_ENTRY_BYTES_F64] || f64[at / 2 + MAX_BYTES_F64]
  return most !== 0 && bytes + BLOCK_BYTES > most
}

/**
 * Evicts the entry that the policy says, but not `keep`. Returns the bytes that are free now; 0
 * when there is none to evict.
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
 * The word of a block for an entry: entries are evicted for it when the heap is full, but for
 * `keep`. Throws ERR_OFFHEAP_OUT_OF_MEMORY.
 */
export function allocate(table: Roomy, bytes: number, keep: number): number {
  const { heap } = table.memory
  const pointer = heap.malloc(bytes)
  if (pointer !== 0) return pointer / 4
  // Small entries that go may lie apart: a large one gets several times its size, in larger and
  // larger steps.
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
 * Makes room in the index for a hash: by memory, else by eviction. Throws
 * ERR_OFFHEAP_OUT_OF_MEMORY.
 */
export function growIndex(table: Roomy, hash: number, bytes: number): void {
  const { segments, memory } = table
  if (segments.grow(hash)) return
  if (table.policy === 'none') throw outOfMemory(bytes)
  // What is evicted may lie apart, and be too little for a segment.
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
 * Evicts until an entry of so many bytes, in the place of `old` if that is one, keeps the limits.
 * Throws ERR_OFFHEAP_OUT_OF_MEMORY.
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
 * Evicts while all entries together take more bytes than they may: a block can be larger than what
 * it holds.
 */
export function keepBytes(table: Roomy, keep: number): void {
  const { f64, at } = table.memory
  const most = f64[at / 2 + MAX_BYTES_F64]
  if (most === 0) return
  while (f64[at / 2 + BYTES_F64] > most && evict(table, keep) !== 0);
}

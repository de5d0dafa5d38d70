/**
 * Creates, fills, walks and frees directories and segments, which are blocks of the heap.
 * segments.ts decides when.
 */
import { corrupt } from '../errors.js'
import { hashOf } from './hash.js'
import type { Hashing } from './keys.js'
import {
  capacityOf,
  DEPTH,
  DIRECTORY_WORDS,
  HASH_KIND,
  KEY_BYTES_MASK,
  KIND,
  keyAt,
  LOCAL_DEPTH,
  MASK,
  PREFIX,
  SEED_A,
  SEED_B,
  SEGMENT_COUNT,
  SEGMENT_WORDS
} from './layout.js'
import type { MapMemory } from './memory.js'

/** The length of a cache line. Segments are aligned to it, so that a probe touches few lines. */
const LINE = 64

/** Returns the word of a new, empty segment; 0 when out of memory. */
export function makeSegment(
  { heap, m }: MapMemory,
  slots: number,
  depth: number,
  prefix: number
): number {
  const words = SEGMENT_WORDS + 2 * slots
  const segment = heap.alignedAlloc(LINE, words * 4) / 4
  if (segment === 0) return 0
  m.fill(0, segment, segment + words)
  m[segment + LOCAL_DEPTH] = depth
  m[segment + PREFIX] = prefix
  return segment
}

/** Returns the word of a new directory without segments; 0 when out of memory. */
export function makeDirectory(
  { heap, m }: MapMemory,
  depth: number,
  slots: number,
  hashing: Hashing
): number {
  const directory = heap.calloc(DIRECTORY_WORDS + 2 ** depth, 4) / 4
  if (directory === 0) return 0
  m[directory + DEPTH] = depth
  m[directory + MASK] = slots - 1
  m[directory + SEED_A] = hashing.seedA
  m[directory + SEED_B] = hashing.seedB
  m[directory + HASH_KIND] = hashing.hashKind
  return directory
}

/** Iterates over the segments of a directory, each once. An incomplete directory has 0 for some. */
export function* segmentsOf(
  { m }: MapMemory,
  directory: number
): Generator<number, void, undefined> {
  const depth = m[directory + DEPTH]
  const end = directory + DIRECTORY_WORDS + 2 ** depth
  let last = 0
  for (let i = directory + DIRECTORY_WORDS; i < end; i++) {
    const segment = m[i] << 1
    if (segment !== 0 && segment !== last) yield segment
    last = segment
  }
}

/** Frees a directory and its segments. */
export function freeDirectory(memory: MapMemory, directory: number): void {
  const { heap } = memory
  for (const segment of [...segmentsOf(memory, directory)]) heap.free(segment * 4)
  heap.free(directory * 4)
}

/** Computes the hash of an entry's key. */
export function hashOfEntry(
  m: Int32Array,
  entry: number,
  { hashKind, seedA, seedB }: Hashing
): number {
  const kind = m[entry + KIND]
  return hashOf(m, keyAt(entry, kind), kind & KEY_BYTES_MASK, hashKind, seedA, seedB)
}

/** Puts an entry in the first empty slot. There must be an empty slot. */
export function put(
  m: Int32Array,
  segment: number,
  mask: number,
  hash: number,
  entry: number
): void {
  const slots = segment + SEGMENT_WORDS
  let i = hash & mask
  for (let left = mask; m[slots + 2 * i + 1] !== 0; left--) {
    if (left === 0) throw corrupt('a segment of the index of a map has no empty slot')
    i = (i + 1) & mask
  }
  m[slots + 2 * i] = hash
  m[slots + 2 * i + 1] = entry >>> 1
  m[segment + SEGMENT_COUNT]++
}

/** Empties slot `i`, and moves up the entries after it that need it, one by one. */
export function eraseSlot(m: Int32Array, segment: number, mask: number, i: number): void {
  const slots = segment + SEGMENT_WORDS
  let hole = i
  for (let j = (i + 1) & mask; j !== i && m[slots + 2 * j + 1] !== 0; j = (j + 1) & mask) {
    const home = m[slots + 2 * j] & mask
    if (((j - home) & mask) < ((j - hole) & mask)) continue
    m[slots + 2 * hole + 1] = m[slots + 2 * j + 1]
    m[slots + 2 * hole] = m[slots + 2 * j]
    hole = j
  }
  m[slots + 2 * hole + 1] = 0
}

/**
 * Copies all entries of one directory to another, whose segments all have the same depth. Returns
 * false if a segment is too small.
 */
export function fill(
  memory: MapMemory,
  from: number,
  to: number,
  hashing: Hashing | undefined
): boolean {
  const { m } = memory
  const shift = 31 - m[to + DEPTH]
  const mask = m[to + MASK]
  const capacity = capacityOf(mask + 1)
  for (const segment of segmentsOf(memory, from)) {
    const end = segment + SEGMENT_WORDS + 2 * (m[from + MASK] + 1)
    for (let slot = segment + SEGMENT_WORDS; slot < end; slot += 2) {
      const entry = m[slot + 1] << 1
      if (entry === 0) continue
      const hash = hashing === undefined ? m[slot] : hashOfEntry(m, entry, hashing)
      const target = m[to + DIRECTORY_WORDS + ((hash >>> 1) >>> shift)] << 1
      if (m[target + SEGMENT_COUNT] >= capacity) return false
      put(m, target, mask, hash, entry)
    }
  }
  return true
}

/**
 * The index of a map: extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979). A directory
 * of segments, selected by the top bits of the hash; linear probing in each segment. A full segment
 * is split in two; if its prefix uses all bits of the directory, the directory is doubled first. So
 * the longest pause is one split, however large the map is.
 *
 * The order of stores keeps the index valid after every single one:
 *
 * - A slot gets its hash, then its entry: the store of the entry is the commit.
 * - A removed entry is overwritten by the entries that must move up, one by one. Each is there
 *   twice for a moment. Then the last slot is emptied.
 * - New segments and directories are complete before the map refers to them. Until then, and until
 *   the old ones are freed, `PENDING` and `DOOMED` refer to the blocks that would be lost.
 */
import { randomInt } from 'node:crypto'
import {
  eraseSlot,
  fill,
  freeDirectory,
  makeDirectory,
  makeSegment,
  put,
  segmentsOf
} from './directory.js'
import { SIPHASH } from './hash.js'
import { type Hashing, type Keys, keys } from './keys.js'
import {
  COUNT,
  capacityOf,
  DEPTH,
  DIRECTORY,
  DIRECTORY_WORDS,
  DOOMED,
  GENERATION,
  HASH,
  HASH_KIND,
  KEY_MASK,
  KIND,
  keyAt,
  LEAST_SLOTS,
  LOCAL_DEPTH,
  MASK,
  MOST_DEPTH,
  MOST_SLOTS,
  PENDING,
  PREFIX,
  REBUILDS,
  SEED_A,
  SEED_B,
  SEGMENT_COUNT,
  SEGMENT_WORDS,
  SPLIT
} from './layout.js'
import type { MapMemory } from './memory.js'

/** Returns new random seeds. */
export const randomSeeds = () => ({ seedA: randomInt(2 ** 32) | 0, seedB: randomInt(2 ** 32) | 0 })

/** This many keys with the same 32-bit hash in one search are no coincidence. */
const MOST_ALIKE = 8

/** Does the entry have the packed key? */
function sameKey(m: Int32Array, entry: number, { words, at, kind, bytes }: Keys): boolean {
  const found = m[entry + KIND]
  if ((found & KEY_MASK) !== kind) return false
  const key = keyAt(entry, found)
  for (let i = (bytes + 3) >> 2; --i >= 0; ) {
    if (m[key + i] !== words[at + i]) return false
  }
  return true
}

export class Segments implements Hashing {
  hashKind = 0
  seedA = 0
  seedB = 0
  /** A copy of the directory's header, valid while its generation is the same. */
  private generation = -1
  private first = 0
  private shift = 31
  private mask = 0
  /** The number of entries with the right hash but another key that `find` has met. */
  private alike = 0
  /** The slot of the entry that the last `find` found. */
  private slot = 0
  private readonly memory: MapMemory

  constructor(memory: MapMemory) {
    this.memory = memory
  }

  /** Creates the index of a new map. Returns false when out of memory. */
  static make(memory: MapMemory, hashing: Hashing): boolean {
    const directory = makeDirectory(memory, 0, LEAST_SLOTS, hashing)
    const segment = directory === 0 ? 0 : makeSegment(memory, LEAST_SLOTS, 0, 0)
    if (segment === 0) {
      memory.heap.free(directory * 4)
      return false
    }
    memory.m[directory + DIRECTORY_WORDS] = segment >>> 1
    memory.m[memory.at + DIRECTORY] = directory >>> 1
    memory.m[memory.at + GENERATION] = 1
    return true
  }

  /**
   * Begins every call of a map: throws if the map is closed, and reads the directory again if it
   * changed.
   */
  ready(): void {
    const { m, at } = this.memory
    if (m[at + GENERATION] !== this.generation) this.reload()
  }

  /** Makes the next `ready` check the memory: it was closed. */
  forget(): void {
    this.generation = -1
  }

  private reload(): void {
    this.memory.checkOpen()
    const { m, at } = this.memory
    const { directory } = this
    this.first = directory + DIRECTORY_WORDS
    this.shift = 31 - m[directory + DEPTH]
    this.mask = m[directory + MASK]
    this.hashKind = m[directory + HASH_KIND]
    this.seedA = m[directory + SEED_A]
    this.seedB = m[directory + SEED_B]
    this.generation = m[at + GENERATION]
  }

  get directory(): number {
    return this.memory.m[this.memory.at + DIRECTORY] << 1
  }

  /** The number of slots in each segment. */
  get slots(): number {
    return this.mask + 1
  }

  get depth(): number {
    return 31 - this.shift
  }

  segmentOf(hash: number): number {
    return this.memory.m[this.first + ((hash >>> 1) >>> this.shift)] << 1
  }

  // ---- entries ----------------------------------------------------------------------------------

  /** Finds the entry with the packed key; 0 if there is none. */
  find(key: Keys): number {
    const { m } = this.memory
    const { mask } = this
    const { hash } = key
    const slots = (m[this.first + ((hash >>> 1) >>> this.shift)] << 1) + SEGMENT_WORDS
    let i = hash & mask
    for (let left = mask; left >= 0; left--) {
      const slot = slots + 2 * i
      const entry = m[slot + 1] << 1
      if (entry === 0) return 0
      if (m[slot] === hash) {
        if (sameKey(m, entry, key)) {
          this.slot = slot
          return entry
        }
        this.alike++
      }
      i = (i + 1) & mask
    }
    return 0
  }

  /**
   * The reference of the first entry that a search for this hash looks at: usually the right one.
   */
  guess(hash: number): number {
    const { m } = this.memory
    return m[this.segmentOf(hash) + SEGMENT_WORDS + 2 * (hash & this.mask) + 1]
  }

  /** Is the segment for this hash full? */
  isFull(hash: number): boolean {
    return this.memory.m[this.segmentOf(hash) + SEGMENT_COUNT] >= capacityOf(this.mask + 1)
  }

  /** Inserts an entry whose key is not in the index. The segment must not be full. */
  insert(hash: number, entry: number): void {
    put(this.memory.m, this.segmentOf(hash), this.mask, hash, entry)
  }

  /** Replaces the entry that the last `find` found. */
  replace(entry: number): void {
    this.memory.m[this.slot + 1] = entry >>> 1
  }

  /** Removes an entry. */
  erase(entry: number): void {
    const { m } = this.memory
    const { mask } = this
    const hash = m[entry + HASH]
    const segment = this.segmentOf(hash)
    const reference = entry >>> 1
    let i = hash & mask
    for (let left = mask; m[segment + SEGMENT_WORDS + 2 * i + 1] !== reference; left--) {
      if (left === 0) return
      i = (i + 1) & mask
    }
    eraseSlot(m, segment, mask, i)
    m[segment + SEGMENT_COUNT]--
  }

  // ---- growing ----------------------------------------------------------------------------------

  /**
   * Makes room for another entry with this hash, or takes a step towards it. Returns false when out
   * of memory; nothing has changed then. Subscribers to events may have run, so the caller must
   * begin again.
   */
  grow(hash: number): boolean {
    const { m, at } = this.memory
    const { depth, slots } = this
    if (slots < MOST_SLOTS) return this.remake(this, 0, slots * 2, false)
    const segment = this.segmentOf(hash)
    if (m[segment + LOCAL_DEPTH] < depth) return this.split(segment)
    // If the directory is far larger than this number of entries needs, their hashes are not random
    // any more.
    return depth < MOST_DEPTH && 2 ** depth <= 4 + m[at + COUNT] / 128
      ? this.double()
      : this.rehash()
  }

  /** Did searches meet more colliding hashes than chance explains? Resets the count. */
  wasAttacked(): boolean {
    const { alike } = this
    if (alike !== 0) this.alike = 0
    return alike >= MOST_ALIKE && this.hashKind !== SIPHASH
  }

  /** Rebuilds the index with SipHash and a new key. Returns false when out of memory. */
  rehash(): boolean {
    const { m, at } = this.memory
    const hashing = { hashKind: SIPHASH, ...randomSeeds() }
    const needed = Math.max(0, Math.ceil(Math.log2((m[at + COUNT] + 1) / (MOST_SLOTS / 2))))
    if (!this.remake(hashing, needed, MOST_SLOTS, true)) return false
    m[at + REBUILDS]++
    return true
  }

  /** Moves all entries to a new directory, with segments of one size. */
  private remake(hashing: Hashing, depth: number, slots: number, rehashes: boolean): boolean {
    const { memory } = this
    const { m, at } = memory
    const { serial } = keys
    memory.begin()
    const made = this.build(hashing, depth, slots)
    const old = this.directory
    // If a subscriber changed the map meanwhile, the caller tries again.
    const isCurrent = keys.serial === serial
    if (made !== 0 && isCurrent && fill(memory, old, made, rehashes ? hashing : undefined)) {
      this.adopt(made, old)
      if (rehashes) this.copyHashes()
      freeDirectory(memory, old)
    } else if (made !== 0) freeDirectory(memory, made)
    m[at + DOOMED] = 0
    m[at + DOOMED + 1] = 0
    memory.end()
    return made !== 0
  }

  /**
   * Creates a directory with all its segments, referred to by `DOOMED`; returns 0 when out of
   * memory.
   */
  private build(hashing: Hashing, depth: number, slots: number): number {
    const { memory } = this
    const { m, at } = memory
    const directory = makeDirectory(memory, depth, slots, hashing)
    if (directory === 0) return 0
    m[at + DOOMED] = directory >>> 1
    for (let prefix = 0; prefix < 2 ** depth; prefix++) {
      const segment = makeSegment(memory, slots, depth, prefix)
      if (segment === 0) {
        m[at + DOOMED] = 0
        freeDirectory(memory, directory)
        return 0
      }
      m[directory + DIRECTORY_WORDS + prefix] = segment >>> 1
    }
    return directory
  }

  /** Replaces the current directory, in one store. */
  private adopt(directory: number, old: number): void {
    const { m, at } = this.memory
    m[at + DOOMED + 1] = old >>> 1
    m[at + DIRECTORY] = directory >>> 1
    m[at + DOOMED] = 0
    m[at + GENERATION] = ((m[at + GENERATION] + 1) & 0x3fffffff) + 1
    this.reload()
  }

  /** Copies the hashes of the slots to the entries. */
  private copyHashes(): void {
    const { m } = this.memory
    for (const segment of segmentsOf(this.memory, this.directory)) {
      for (let slot = segment + SEGMENT_WORDS, left = this.mask; left >= 0; slot += 2, left--) {
        const entry = m[slot + 1] << 1
        if (entry !== 0) m[entry + HASH] = m[slot]
      }
    }
  }

  /** Replaces the directory with one twice as long. */
  private double(): boolean {
    const { memory } = this
    const { m, at } = memory
    const { serial } = keys
    const directory = makeDirectory(memory, this.depth + 1, this.mask + 1, this)
    if (directory === 0) return false
    if (keys.serial !== serial) {
      memory.heap.free(directory * 4)
      return true
    }
    memory.begin()
    const { first } = this
    m[at + PENDING] = directory >>> 1
    for (let i = 0, length = 2 ** this.depth; i < length; i++) {
      m[directory + DIRECTORY_WORDS + 2 * i] = m[first + i]
      m[directory + DIRECTORY_WORDS + 2 * i + 1] = m[first + i]
    }
    const old = this.directory
    m[at + PENDING + 1] = old >>> 1
    m[at + DIRECTORY] = directory >>> 1
    m[at + GENERATION] = ((m[at + GENERATION] + 1) & 0x3fffffff) + 1
    this.reload()
    memory.finish(old)
    return true
  }

  /** Replaces a segment with two, each for half of its hashes. */
  private split(segment: number): boolean {
    const { memory, mask } = this
    const { m, at } = memory
    const { serial } = keys
    const depth = m[segment + LOCAL_DEPTH] + 1
    const prefix = m[segment + PREFIX] * 2
    const low = makeSegment(memory, mask + 1, depth, prefix)
    const high = low === 0 ? 0 : makeSegment(memory, mask + 1, depth, prefix + 1)
    if (high === 0 || keys.serial !== serial) {
      memory.heap.free(low * 4)
      memory.heap.free(high * 4)
      return high !== 0
    }
    memory.begin()
    m[at + PENDING] = low >>> 1
    m[at + PENDING + 1] = high >>> 1
    m[at + PENDING + 2] = segment >>> 1
    for (let slot = segment + SEGMENT_WORDS, left = mask; left >= 0; slot += 2, left--) {
      const entry = m[slot + 1] << 1
      const hash = m[slot]
      if (entry !== 0) put(m, ((hash >>> (32 - depth)) & 1) === 0 ? low : high, mask, hash, entry)
    }
    m[at + SPLIT] = 1
    this.point(low)
    this.point(high)
    m[at + SPLIT] = 0
    memory.finish(segment)
    return true
  }

  /** Sets all references in the directory that match the segment's prefix. */
  point(segment: number): void {
    const { m } = this.memory
    const span = 2 ** (this.depth - m[segment + LOCAL_DEPTH])
    const begin = this.first + m[segment + PREFIX] * span
    for (let i = begin; i < begin + span; i++) m[i] = segment >>> 1
  }

  /**
   * Replaces the index with an empty one. Returns the old directory, so that the caller can free
   * its entries; 0 when out of memory.
   */
  clear(): number {
    const old = this.directory
    const made = this.build(this, 0, LEAST_SLOTS)
    if (made === 0) return 0
    this.adopt(made, old)
    return old
  }
}

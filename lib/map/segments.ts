/**
 * The index of a map: extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979). A directory
 * of segments, chosen by the top bits of the hash; in each, linear probing. A full segment is split
 * in two; when it was the only one for its prefix, the directory doubles first. So the longest
 * pause is a split, however large the map is.
 *
 * Stores are in an order in which the index is whole after any of them:
 *
 * - A slot gets its hash, then its entry: the entry is the commit.
 * - An entry that is taken out is overwritten by those that must move up, one after the other: for
 *   a moment the moved one is there twice. Then the last slot is emptied.
 * - New segments and directories are complete before the map refers to them. Until then, and from
 *   then on until the old ones are freed, `PENDING` and `DOOMED` name what would be lost.
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

/** Seeds that nobody can guess. */
export const randomSeeds = () => ({ seedA: randomInt(2 ** 32) | 0, seedB: randomInt(2 ** 32) | 0 })

/** So many keys with the same 32 bits of hash in one search are no coincidence. */
const MOST_ALIKE = 8

/** Does the entry have the key that is packed? */
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
  /** What the directory says, as long as its generation is the same. */
  private generation = -1
  private first = 0
  private shift = 31
  private mask = 0
  /** The entries that `find` met with the hash of another key. */
  private alike = 0
  /** The slot of the entry that the last `find` found. */
  private slot = 0
  private readonly memory: MapMemory

  constructor(memory: MapMemory) {
    this.memory = memory
  }

  /** The first index of a new map. False without memory. */
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
   * The first call of every call of a map: throws when the map is closed, and reads the directory
   * if it changed.
   */
  ready(): void {
    const { m, at } = this.memory
    if (m[at + GENERATION] !== this.generation) this.reload()
  }

  /** The memory is gone: the next `ready` is to find out. */
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

  /** The entry with the key that is packed; 0 when there is none. */
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
   * The reference of the entry where the search for a hash begins: most often the one that is
   * looked for.
   */
  guess(hash: number): number {
    const { m } = this.memory
    return m[this.segmentOf(hash) + SEGMENT_WORDS + 2 * (hash & this.mask) + 1]
  }

  /** Is there no room for another entry with this hash? */
  isFull(hash: number): boolean {
    return this.memory.m[this.segmentOf(hash) + SEGMENT_COUNT] >= capacityOf(this.mask + 1)
  }

  /** Puts in an entry whose key is not there. There must be room. */
  insert(hash: number, entry: number): void {
    put(this.memory.m, this.segmentOf(hash), this.mask, hash, entry)
  }

  /** Puts another entry in the place of the one that the last `find` found. */
  replace(entry: number): void {
    this.memory.m[this.slot + 1] = entry >>> 1
  }

  /** Takes out an entry. */
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
   * Makes room for another entry with this hash, or a part of the way to it. False when the heap
   * has no memory for it; then nothing changed. Subscribers to events may run, so the caller begins
   * anew.
   */
  grow(hash: number): boolean {
    const { m, at } = this.memory
    const { depth, slots } = this
    if (slots < MOST_SLOTS) return this.remake(this, 0, slots * 2, false)
    const segment = this.segmentOf(hash)
    if (m[segment + LOCAL_DEPTH] < depth) return this.split(segment)
    // A directory that is far larger than so many entries need: their hashes are no longer as good
    // as random.
    return depth < MOST_DEPTH && 2 ** depth <= 4 + m[at + COUNT] / 128
      ? this.double()
      : this.rehash()
  }

  /**
   * Did searches meet more entries with the hash of another key than random hashes give? Answers
   * once.
   */
  wasAttacked(): boolean {
    const { alike } = this
    if (alike !== 0) this.alike = 0
    return alike >= MOST_ALIKE && this.hashKind !== SIPHASH
  }

  /** Indexes all entries by SipHash, with a new key. False when the heap has no memory for it. */
  rehash(): boolean {
    const { m, at } = this.memory
    const hashing = { hashKind: SIPHASH, ...randomSeeds() }
    const needed = Math.max(0, Math.ceil(Math.log2((m[at + COUNT] + 1) / (MOST_SLOTS / 2))))
    if (!this.remake(hashing, needed, MOST_SLOTS, true)) return false
    m[at + REBUILDS]++
    return true
  }

  /** Puts all entries in a new directory, with segments of one size. */
  private remake(hashing: Hashing, depth: number, slots: number, rehashes: boolean): boolean {
    const { memory } = this
    const { m, at } = memory
    const { serial } = keys
    memory.begin()
    const made = this.build(hashing, depth, slots)
    const old = this.directory
    // When a subscriber changed the map meanwhile, the caller tries again.
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

  /** A new directory with all its segments, named by `DOOMED`; 0 without memory. */
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

  /** Another directory takes the place of this one, by one store. */
  private adopt(directory: number, old: number): void {
    const { m, at } = this.memory
    m[at + DOOMED + 1] = old >>> 1
    m[at + DIRECTORY] = directory >>> 1
    m[at + DOOMED] = 0
    m[at + GENERATION] = ((m[at + GENERATION] + 1) & 0x3fffffff) + 1
    this.reload()
  }

  /** Entries get the hashes of their slots. */
  private copyHashes(): void {
    const { m } = this.memory
    for (const segment of segmentsOf(this.memory, this.directory)) {
      for (let slot = segment + SEGMENT_WORDS, left = this.mask; left >= 0; slot += 2, left--) {
        const entry = m[slot + 1] << 1
        if (entry !== 0) m[entry + HASH] = m[slot]
      }
    }
  }

  /** Replaces the directory by one of twice the length. */
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

  /** Replaces a segment by two, each with half of its hashes. */
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

  /** Makes the directory refer to a segment wherever the segment's prefix says so. */
  point(segment: number): void {
    const { m } = this.memory
    const span = 2 ** (this.depth - m[segment + LOCAL_DEPTH])
    const begin = this.first + m[segment + PREFIX] * span
    for (let i = begin; i < begin + span; i++) m[i] = segment >>> 1
  }

  /**
   * Puts an index without entries in the place of this one. Returns the old directory, with which
   * the caller frees the entries; 0 without memory.
   */
  clear(): number {
    const old = this.directory
    const made = this.build(this, 0, LEAST_SLOTS)
    if (made === 0) return 0
    this.adopt(made, old)
    return old
  }
}

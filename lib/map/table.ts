/**
 * Finds, stores, removes and evicts the entries of a map. HeapMap and HeapCache are its two public
 * classes; they check arguments and call the user's functions.
 *
 * A call that changes the map first allocates all the memory it needs. That may run the caller's
 * code (a subscriber to the events of the heap), so if the packed key was replaced meanwhile, the
 * call begins again. After that, no other code runs until the end of the call.
 */
import { invalidState } from '../errors.js'
import type { Heap } from '../heap/heap.js'
import { freeDirectory, segmentsOf } from './directory.js'
import { type EvictionPolicy, isExpired, policies, touch } from './eviction.js'
import { keys, type MapKey } from './keys.js'
import {
  BYTES_F64,
  CHANGES,
  COUNT,
  CRASH_SAFE,
  DOOMED,
  ENTRY_TTL,
  ENTRY_WORDS,
  EXPIRED,
  EXPIRY,
  EXPIRY_WORDS,
  FORMAT_WORD,
  HASH,
  KEY_BYTES_MASK,
  KEY_ENCODING_SHIFT,
  KIND,
  keyAt,
  NEWER,
  OLDER,
  PENDING,
  POLICY_SHIFT,
  SEGMENT_WORDS,
  SWEEP,
  TIMED,
  TIMED_COUNT,
  TTL_F64,
  VALUE_BYTES,
  VALUE_KIND_SHIFT,
  VISITED
} from './layout.js'
import { MapMemory } from './memory.js'
import type { RecordKind } from './options.js'
import { Order } from './order.js'
import {
  allocate,
  BLOCK_BYTES,
  growIndex,
  isTooLarge,
  keepBytes,
  keepLimits,
  type Reason,
  type Roomy
} from './room.js'
import { Segments } from './segments.js'
import { RAW } from './text.js'
import { readNumber, readRecord, readValue, type Stored, Value, writeNumber } from './values.js'

/** The expiry time of an entry, in milliseconds since the epoch, and its TTL. */
export interface Time {
  readonly expiry: number
  readonly ttl: number
}

/** A value that left the map, to be passed to `dispose`. */
export interface Departure {
  readonly key: Stored
  readonly value: Stored
  readonly reason: Reason
}

/** The number of entries that each `set` checks for expiry. */
const SWEPT = 2
/**
 * The most times that a call begins. It begins again when a subscriber changed the map, and when
 * the map has grown.
 */
const MOST_TRIES = 100

export class Table implements Roomy {
  readonly memory: MapMemory
  readonly segments: Segments
  readonly order: Order
  readonly policy: EvictionPolicy
  /** The values that left since they were last reported; undefined if nobody listens. */
  departed: Departure[] | undefined
  /** The kind of record that values are; undefined if they are of any kind. */
  readonly records: RecordKind | undefined
  private readonly crashSafe: boolean

  /** For the map whose header is at `pointer`. */
  constructor(heap: Heap, pointer: number, records?: RecordKind) {
    this.records = records
    this.memory = new MapMemory(heap, pointer)
    this.segments = new Segments(this.memory)
    this.order = new Order(this.memory)
    const format = this.memory.m[this.memory.at + FORMAT_WORD]
    this.policy = policies[(format >> POLICY_SHIFT) & 15] ?? 'none'
    this.crashSafe = (format & CRASH_SAFE) !== 0
  }

  get count(): number {
    const { m, at } = this.memory
    this.segments.ready()
    return m[at + COUNT]
  }

  /** A number of the header, such as a limit. */
  setting(index: number): number {
    const { f64, at } = this.memory
    this.segments.ready()
    return f64[at / 2 + index]
  }

  /** Finds the entry with this key, expired or not; 0 if there is none. */
  find(key: MapKey): number {
    const { segments } = this
    segments.ready()
    keys.pack(key, segments)
    return segments.find(keys)
  }

  /** Finds the entry with this key that has not expired; 0 if there is none. */
  findLive(key: MapKey): number {
    const entry = this.find(key)
    return entry !== 0 && this.isExpired(entry) ? 0 : entry
  }

  isExpired(entry: number): boolean {
    return isExpired(this.memory.m, entry)
  }

  /** The expiry time of the entry; undefined if it never expires. */
  timeOf(entry: number): Time | undefined {
    const { m } = this.memory
    if ((m[entry + KIND] & TIMED) === 0) return undefined
    return { expiry: readNumber(m, entry + EXPIRY), ttl: readNumber(m, entry + ENTRY_TTL) }
  }

  /** The time until the entry expires, in milliseconds. */
  remaining(entry: number): number {
    const time = this.timeOf(entry)
    return time === undefined ? Number.POSITIVE_INFINITY : Math.max(0, time.expiry - Date.now())
  }

  /**
   * The expiry time of an entry that is set now. `ttl` is the option of the call, undefined for
   * that of the map.
   */
  timeFrom(ttl: number | undefined): Time | undefined {
    const lives = ttl === undefined ? this.setting(TTL_F64) : ttl
    return lives === 0 ? undefined : { expiry: Date.now() + lives, ttl: lives }
  }

  touch(entry: number): void {
    touch(this.policy, this.memory, this.order, entry)
  }

  read(entry: number): Stored {
    const { memory, records } = this
    return records === undefined ? readValue(memory, entry) : readRecord(memory, entry, records)
  }

  /** A value that is about to be stored. May run the caller's code, and throws as Value does. */
  encode(value: unknown): Value {
    return new Value(value, this.records)
  }

  /** The key of an entry. Its type is known only to the caller. */
  keyOf(entry: number): Stored {
    const { m, u8, text } = this.memory
    const kind = m[entry + KIND]
    const at = keyAt(entry, kind) * 4
    const bytes = kind & KEY_BYTES_MASK
    const encoding = (kind >> KEY_ENCODING_SHIFT) & 3
    this.memory.checkRange(at, bytes)
    return encoding === RAW ? u8.slice(at, at + bytes) : text.read(encoding, at, bytes)
  }

  // ---- storing ----------------------------------------------------------------------------------

  /**
   * Stores a value, which never expires if `time` is undefined. Returns false if the entry is
   * larger than the limit. Throws ERR_OFFHEAP_OUT_OF_MEMORY; an existing entry is then unchanged.
   */
  put(key: MapKey, value: Value, time: Time | undefined): boolean {
    const { segments, memory } = this
    value.leave(memory.heap.buffer)
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      segments.ready()
      keys.pack(key, segments)
      const { serial, hash } = keys
      const { m, at } = memory
      const words = ENTRY_WORDS + (time === undefined ? 0 : EXPIRY_WORDS) + ((keys.bytes + 3) >> 2)
      const bytes = words * 4 + value.bytes
      const entry = segments.find(keys)
      if (segments.wasAttacked() && segments.rehash()) continue
      if (isTooLarge(memory, bytes)) return false
      if (m[at + TIMED_COUNT] > 0 && this.sweep(SWEPT, entry) > 0) continue
      if (entry !== 0 && this.overwrite(entry, value, time, bytes)) return true
      if (entry === 0 && segments.isFull(hash)) {
        growIndex(this, hash, bytes)
        continue
      }
      const changes = m[at + CHANGES]
      keepLimits(this, entry, bytes)
      const made = allocate(this, bytes, entry)
      if (keys.serial !== serial) {
        memory.heap.free(made * 4)
        continue
      }
      // Evictions may have moved the slot of the entry.
      const hasChanged = m[at + CHANGES] !== changes
      this.write(made, value, time)
      if (entry === 0) this.link(made)
      else {
        if (hasChanged) segments.find(keys)
        this.exchange(entry, made)
      }
      keepBytes(this, made)
      return true
    }
    throw invalidState('the map changed each time that it was about to store an entry')
  }

  /** Writes a new entry, except for its links. */
  private write(made: number, value: Value, time: Time | undefined): void {
    const { memory } = this
    const { m, at } = memory
    memory.begin()
    m[at + PENDING] = made >>> 1
    const timed = time === undefined ? 0 : TIMED
    m[made + HASH] = keys.hash
    m[made + KIND] = keys.kind | (value.kind << VALUE_KIND_SHIFT) | timed
    m[made + VALUE_BYTES] = value.bytes
    if (time !== undefined) this.setTime(made, time)
    const begin = made + ENTRY_WORDS + (timed === 0 ? 0 : EXPIRY_WORDS)
    const words = (keys.bytes + 3) >> 2
    for (let i = 0; i < words; i++) m[begin + i] = keys.words[i]
    value.write(memory, (begin + words) * 4)
  }

  /** Adds a written entry to the map: the store of its slot is the commit. */
  private link(made: number): void {
    const { memory, order } = this
    const { m, at } = memory
    order.linkAsNewest(made)
    this.segments.insert(keys.hash, made)
    order.append(made)
    m[at + COUNT]++
    this.account(made, 1)
    m[at + PENDING] = 0
    memory.end()
  }

  /** Replaces an entry with a written one of the same key, and frees it. */
  private exchange(entry: number, made: number): void {
    const { memory, order } = this
    const { m, at } = memory
    this.note(entry, 'set')
    m[made + OLDER] = m[entry + OLDER]
    m[made + NEWER] = m[entry + NEWER]
    m[made + KIND] |= VISITED
    m[at + PENDING + 1] = entry >>> 1
    this.segments.replace(made)
    order.replace(entry, made)
    this.account(entry, -1)
    this.account(made, 1)
    memory.finish(entry)
    if (this.policy === 'lru') order.renew(made)
  }

  /**
   * Overwrites a value with one of about the same size. Returns false if it doesn't fit, or if the
   * map must survive crashes.
   */
  private overwrite(entry: number, value: Value, time: Time | undefined, bytes: number): boolean {
    const { memory } = this
    const { m } = memory
    const kind = m[entry + KIND]
    const timed = time === undefined ? 0 : TIMED
    if (this.crashSafe || (kind & TIMED) !== timed) return false
    const usable = memory.heap.usableSize(entry * 4)
    if (bytes > usable || usable - bytes > (usable >> 2) + 16) return false
    this.note(entry, 'set')
    memory.begin()
    m[entry + KIND] = keys.kind | (value.kind << VALUE_KIND_SHIFT) | timed | VISITED
    m[entry + VALUE_BYTES] = value.bytes
    if (time !== undefined) this.setTime(entry, time)
    value.write(memory, entry * 4 + bytes - value.bytes)
    memory.end()
    if (this.policy === 'lru') this.order.renew(entry)
    return true
  }

  /** Changes the expiry time of an entry, which must have one. */
  setTime(entry: number, { expiry, ttl }: Time): void {
    const { m } = this.memory
    writeNumber(m, entry + EXPIRY, expiry)
    writeNumber(m, entry + ENTRY_TTL, ttl)
  }

  /** Adds an entry to the totals, or subtracts it. */
  private account(entry: number, sign: number): void {
    const { heap, m, f64, at } = this.memory
    f64[at / 2 + BYTES_F64] += sign * (heap.usableSize(entry * 4) + BLOCK_BYTES)
    if ((m[entry + KIND] & TIMED) !== 0) m[at + TIMED_COUNT] += sign
  }

  // ---- removing ---------------------------------------------------------------------------------

  remove(entry: number, reason: Reason): void {
    const { memory } = this
    const { m, at } = memory
    this.note(entry, reason)
    memory.begin()
    m[at + PENDING] = entry >>> 1
    this.segments.erase(entry)
    this.order.unlink(entry)
    m[at + COUNT]--
    this.account(entry, -1)
    if (reason === 'expire') m[at + EXPIRED]++
    memory.finish(entry)
  }

  /** Removes the entry with this key. Returns whether it was there and had not expired. */
  delete(key: MapKey): boolean {
    const entry = this.find(key)
    if (entry === 0) return false
    const isLive = !this.isExpired(entry)
    this.remove(entry, isLive ? 'delete' : 'expire')
    return isLive
  }

  /**
   * Checks `most` entries, from where the last sweep ended, and removes those that have expired,
   * but not `keep`. Returns the number of removed entries.
   */
  sweep(most: number, keep = 0): number {
    const { order, memory } = this
    const { m, at } = memory
    let removed = 0
    for (let i = 0; i < most && m[at + TIMED_COUNT] > 0; i++) {
      const entry = m[at + SWEEP] << 1 || order.oldest
      m[at + SWEEP] = order.newer(entry) >>> 1
      if (entry === keep || !this.isExpired(entry)) continue
      this.remove(entry, 'expire')
      removed++
    }
    return removed
  }

  /** Removes every entry. */
  clear(): void {
    const { memory, segments, order } = this
    segments.ready()
    keys.serial++
    const { m, f64, at } = memory
    if (this.departed !== undefined) this.noteAll()
    memory.begin()
    let old = segments.clear()
    // If the heap has no room for an empty index, remove entries until it has.
    while (old === 0 && order.oldest !== 0) {
      this.remove(order.oldest, 'delete')
      memory.begin()
      old = segments.clear()
    }
    if (old === 0) {
      memory.end()
      return
    }
    order.clear()
    m[at + COUNT] = 0
    m[at + TIMED_COUNT] = 0
    f64[at / 2 + BYTES_F64] = 0
    this.freeEntries(old)
    freeDirectory(memory, old)
    m[at + DOOMED + 1] = 0
    memory.end()
  }

  /** Frees the entries that a directory refers to. */
  freeEntries(directory: number): void {
    const { memory } = this
    const { heap, m } = memory
    for (const segment of segmentsOf(memory, directory)) {
      const end = segment + SEGMENT_WORDS + 2 * (m[directory + 1] + 1)
      for (let slot = segment + SEGMENT_WORDS; slot < end; slot += 2) {
        if (m[slot + 1] !== 0) heap.free((m[slot + 1] << 1) * 4)
      }
    }
  }

  /** Notes a value that leaves the map, if anybody listens. */
  private note(entry: number, reason: Reason): void {
    this.departed?.push({ key: this.keyOf(entry), value: this.read(entry), reason })
  }

  private noteAll(): void {
    let entry = this.order.oldest
    for (let left = this.count; left > 0 && entry !== 0; left--, entry = this.order.newer(entry)) {
      this.note(entry, 'delete')
    }
  }
}

/**
 * SharedMap: a map for several threads and processes at the same time. The hash of a key decides in
 * which shard it is; each shard is a map of its own (table.ts) with a lock:
 *
 *     header   ┌───────┬─────────┬────────┬────────┬────────┬────────────────────────────┐
 *              │ magic │ version │ shards │ seed A │ seed B │ pointer / 8 of each record │
 *              └───────┴─────────┴────────┴────────┴────────┴────────────────────────────┘
 *     record   ┌───────┬─────────┬──────────────────────┐  of a shard, in a cache line of its
 *              │ mutex │ changes │ pointer / 8 of a map │  own
 *              └───────┴─────────┴──────────────────────┘
 *
 * A writer holds the mutex of the shard and makes `changes` odd. Readers take no lock (Lamport,
 * 1977: Concurrent Reading and Writing): they read `changes`, then the entry, then `changes` again.
 * If it was odd or has changed, they discard what they read and begin again; after a few attempts
 * they wait for the mutex as a writer does. What they read in between can be anything. It must not
 * lead out of the heap, into an endless loop, or to a huge allocation: `Segments.find` is bounded,
 * and `changes` is read once more before an entry is decoded.
 *
 * Memory order: the mutex and `changes` are accessed with Atomics. A writer's plain stores lie
 * between its two atomic stores of `changes`, so a reader that read the same even number before and
 * after its loads has seen all of a change or nothing of it. On processors that reorder loads (all
 * but x86), the reader's last read of `changes` is an atomic addition of 0, so that no earlier load
 * is executed after it.
 *
 * A thread that ends during a change leaves the shard half changed. The next thread that takes the
 * mutex recovers it first (recover.ts). That is why the shards are crash-safe.
 */
import { type InspectOptionsStylized, inspect } from 'node:util'
import { corrupt, invalidType, outOfRange } from '../errors.js'
import { Heap } from '../heap/heap.js'
import type { Mutex } from '../heap/mutex.js'
import { INSIDE, illegalConstructor, inspectAs } from '../inspect.js'
import { type OptionNames, readOptions } from '../options.js'
import { check } from './check.js'
import { MIXED } from './hash.js'
import { type Hashing, keys, type MapKey } from './keys.js'
import { KIND, VISITED } from './layout.js'
import { checkRecords, create, destroy, notAMap, tableAt } from './lifecycle.js'
import {
  countOf,
  functionOf,
  limitOf,
  type MapOptions,
  mapOptions,
  type RecordKind,
  recordKindOf,
  type SetOptions,
  ttlFrom,
  type ValueOptions,
  valueOptions
} from './options.js'
import { isCut, recover } from './recover.js'
import { outOfMemory } from './room.js'
import { randomSeeds } from './segments.js'
import { type MapStats, type MapSummary, statsOf, summaryOf } from './stats.js'
import type { Table } from './table.js'
import type { Stored, Value } from './values.js'

const MAGIC = 0x70614d53
const VERSION = 1
const [MAGIC_WORD, VERSION_WORD, SHARDS_WORD, SEED_A_WORD, SEED_B_WORD, FIRST_WORD] = [
  0, 1, 2, 3, 4, 5
]
const [CHANGES, MAP] = [1, 2]
const CACHE_LINE = 64
const MOST_SHARDS = 256

/** The number of attempts of a reader before it waits for the writer. */
const ATTEMPTS = 4

/** Whether this processor executes loads in program order. */
const KEEPS_ORDER = process.arch === 'x64' || process.arch === 'ia32'

export interface SharedMapOptions<V = never> extends Omit<MapOptions<V>, 'size' | 'crashSafe'> {
  /**
   * The number of shards, a power of two from 1 to 256. Only one thread at a time can change a
   * shard. `max` and `maxSize` are divided among the shards. Default: 64.
   */
  readonly shards?: number
}

const { size: _size, crashSafe: _crashSafe, ...sharedOptions } = mapOptions
const optionNames: OptionNames<SharedMapOptions<unknown>> = { ...sharedOptions, shards: true }

interface Shard {
  readonly table: Table
  readonly mutex: Mutex
  /** The index of the word `changes`. */
  readonly changes: number
}

/** The shards of a map, and how a key is assigned to one. */
interface Parts {
  readonly heap: Heap
  readonly pointer: number
  readonly hashing: Hashing
  readonly shards: readonly Shard[]
}

/**
 * A map for several threads and processes at the same time, in a heap that was created with
 * `shared: true`. Keys and values are those of a HeapMap. The entries have no order. `size`, loops
 * and `stats` go from shard to shard, while other threads may change the map. Readers take no lock,
 * except with `lru`.
 *
 * Methods throw ERR_OFFHEAP_CLOSED after close(), ERR_OFFHEAP_CORRUPT if the memory was
 * overwritten, and ERR_OFFHEAP_BUSY if another thread or process holds a shard for too long.
 */
export class SharedMap<K extends MapKey = string, V = unknown> {
  private readonly parts: Parts
  private hits = 0
  private misses = 0

  /**
   * Creates an empty map. Other threads open it by `map.pointer`: send that in a message, or store
   * it as the root of the heap. Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE,
   * ERR_OUT_OF_RANGE, ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  static create<K extends MapKey = string, V = unknown>(
    heap: Heap,
    options: SharedMapOptions<V> = {}
  ): SharedMap<K, V> {
    if (!(heap instanceof Heap)) throw invalidType('heap', 'a Heap', heap)
    const given = readOptions('SharedMap.create', options, optionNames)
    return new SharedMap<K, V>(INSIDE, partsAt(heap, createShards(heap, given), given.value))
  }

  /**
   * Opens the map whose header is at `pointer`. Default of `pointer`: the root of the heap. A map
   * of records needs the option `value`. Throws ERR_OFFHEAP_NOT_A_HEAP if there is none, and
   * ERR_INVALID_ARG_VALUE if it stores records of another size.
   */
  static open<K extends MapKey = string, V = unknown>(
    heap: Heap,
    pointer = heap.root,
    options: ValueOptions<V> = {}
  ): SharedMap<K, V> {
    const { value } = readOptions('SharedMap.open', options, valueOptions)
    return new SharedMap<K, V>(INSIDE, partsAt(heap, pointer, recordKindOf(value)))
  }

  private constructor(inside: typeof INSIDE, parts: Parts) {
    if (inside !== INSIDE)
      throw illegalConstructor('SharedMap.create(heap, options) or SharedMap.open(heap)')
    this.parts = parts
  }

  /** The heap that the map is in. */
  get heap(): Heap {
    return this.parts.heap
  }

  /** The pointer of the map's header, for `SharedMap.open`. */
  get pointer(): number {
    return this.parts.pointer
  }

  /** The number of entries. Expired entries count until they are removed. */
  get size(): number {
    let size = 0
    for (const { table } of this.shards()) size += table.count
    return size
  }

  // ---- one key ----------------------------------------------------------------------------------

  /** Returns the value of a key; undefined if there is none, or if it has expired. */
  get(key: K): V | undefined {
    const shard = this.shardOf(key)
    const value = look(shard, key, (table, entry) => table.read(entry))
    if (value === ABSENT) {
      this.misses++
      return undefined
    }
    this.hits++
    return value
  }

  /** Returns whether there is an entry with this key that has not expired. */
  has(key: K): boolean {
    return look(this.shardOf(key), key, () => true) === true
  }

  /**
   * Stores a copy of a value. Throws ERR_INVALID_ARG_TYPE if the value can't be stored (functions,
   * symbols, BigInts), the errors of JSON.stringify, and ERR_OFFHEAP_OUT_OF_MEMORY if there is no
   * room and nothing may be evicted; an existing entry is then unchanged.
   */
  set(key: K, value: V, options?: SetOptions): this {
    const stored = this.encode(value)
    const ttl = ttlFrom(options)
    const shard = this.shardOf(key)
    change(shard, table => put(table, key, stored, ttl))
    return this
  }

  /** Removes the entry of a key. Returns false if there is none. */
  delete(key: K): boolean {
    return change(this.shardOf(key), table => table.delete(key))
  }

  /**
   * Returns the value of a key. If there is none, stores `value` and returns it as it was stored.
   * If several threads do this at the same time, one stores its value, and all return that.
   */
  getOrInsert(key: K, value: V, options?: SetOptions): V {
    const found = this.get(key)
    if (found !== undefined) return found
    const stored = this.encode(value)
    const ttl = ttlFrom(options)
    return change(this.shardOf(key), table => {
      if (table.findLive(key) === 0) put(table, key, stored, ttl)
      return table.read(table.find(key))
    })
  }

  /**
   * Calls `compute` with the value of a key, undefined if there is none, and stores what it
   * returns; if that is undefined, changes nothing. Other threads that change the same shard wait
   * until it returns: `compute` must be quick, and must not use the map. Returns the value of the
   * key. Throws what `compute` throws, and the errors of set; an existing entry is then unchanged.
   */
  update(
    key: K,
    compute: (value: V | undefined) => V | undefined,
    options?: SetOptions
  ): V | undefined {
    functionOf('compute', compute)
    const ttl = ttlFrom(options)
    return change(this.shardOf(key), table => {
      const entry = table.findLive(key)
      const old = entry === 0 ? undefined : table.read(entry)
      const value = compute(old)
      if (value === undefined) return old
      put(table, key, this.encode(value), ttl)
      return value
    })
  }

  // ---- the whole map ----------------------------------------------------------------------------

  /**
   * Iterates over the entries, shard by shard: those that a shard has when the loop comes to it.
   */
  *entries(): Generator<[K, V], undefined, undefined> {
    for (const shard of this.shards()) {
      const found = change(shard, table => entriesOf<K, V>(table))
      yield* found
    }
  }

  *keys(): Generator<K, undefined, undefined> {
    for (const [key] of this.entries()) yield key
  }

  *values(): Generator<V, undefined, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): Generator<[K, V], undefined, undefined> {
    return this.entries()
  }

  /** Removes all entries, shard by shard. */
  clear(): void {
    for (const shard of this.shards()) change(shard, table => table.clear())
  }

  /**
   * Checks up to `budget` entries that have a time to live, in each shard, and removes the expired
   * ones. Returns their number. Default: all.
   */
  purgeStale(budget = Number.MAX_SAFE_INTEGER): number {
    const most = countOf('budget', budget)
    let removed = 0
    for (const shard of this.shards())
      removed += change(shard, table => table.sweep(Math.min(most, table.count)))
    return removed
  }

  /** Returns statistics of the map: sums over its shards. Takes time proportional to its index. */
  stats(): MapStats {
    const sum = { entries: 0, bytes: 0, indexBytes: 0, evicted: 0, expired: 0, rebuilds: 0 }
    for (const shard of this.shards()) {
      const stats = change(shard, table => statsOf(table, 0, 0))
      sum.entries += stats.entries
      sum.bytes += stats.bytes
      sum.indexBytes += stats.indexBytes
      sum.evicted += stats.evicted
      sum.expired += stats.expired
      sum.rebuilds += stats.rebuilds
    }
    return { ...sum, hits: this.hits, misses: this.misses }
  }

  /** Verifies every invariant of each shard. Throws ERR_OFFHEAP_CORRUPT. */
  check(): void {
    for (const shard of this.shards()) change(shard, table => check(table))
  }

  /** Ends this object. The map stays in the heap, for others and for a later `open`. */
  close(): void {
    for (const { table } of this.parts.shards) {
      table.memory.close()
      table.segments.forget()
    }
  }

  /**
   * Frees all blocks of the map, and closes it. No other thread or process may use it after that.
   */
  destroy(): void {
    const { heap, pointer } = this.parts
    const shards = this.shards()
    for (const { table } of shards) table.segments.ready()
    heap.i32[pointer / 4 + MAGIC_WORD] = 0
    for (const shard of shards) freeShard(heap, shard.table, (shard.changes - CHANGES) * 4)
    if (heap.root === pointer) heap.root = 0
    heap.free(pointer)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'SharedMap'
  }

  /** What JSON.stringify and console.log show of a map: the number of its entries, not these. */
  toJSON(): MapSummary {
    return summaryOf(this)
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('SharedMap', this.toJSON(), depth, options)
  }

  // ---- internals --------------------------------------------------------------------------------

  /** The shards. Throws ERR_OFFHEAP_CLOSED, and ERR_OFFHEAP_CORRUPT if the map is gone. */
  private shards(): readonly Shard[] {
    const { shards } = this.parts
    const { memory } = shards[0].table
    if (!memory.open) memory.checkOpen()
    return shards
  }

  private encode(value: V): Value {
    return this.parts.shards[0].table.encode(value)
  }

  private shardOf(key: K): Shard {
    const { hashing } = this.parts
    const shards = this.shards()
    keys.packAhead(key, hashing)
    // Not the bits that choose a place within the shard.
    return shards[(keys.hash >>> 12) & (shards.length - 1)]
  }
}

// ---- a shard ------------------------------------------------------------------------------------

const ABSENT: unique symbol = Symbol('absent')

/**
 * The result of `use` for the entry of a key, while the shard was unchanged; ABSENT if there is no
 * entry, or if it has expired.
 */
function look(
  shard: Shard,
  key: MapKey,
  use: (table: Table, entry: number) => Stored
): Stored | typeof ABSENT {
  const { table, changes } = shard
  const { m } = table.memory
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = Atomics.load(m, changes)
    if ((before & 1) === 0) {
      try {
        const entry = table.findLive(key)
        const isUse = entry !== 0 && changesOrder(table, entry)
        if (latest(m, changes) === before) {
          const result = entry === 0 ? ABSENT : use(table, entry)
          if (latest(m, changes) === before) {
            if (isUse) touch(shard, entry, before)
            return result
          }
        }
      } catch (error) {
        if (latest(m, changes) === before) throw error
      }
      // The directory may have been read while it changed.
      table.segments.forget()
    }
  }
  return change(shard, () => {
    const entry = table.findLive(key)
    if (entry === 0) return ABSENT
    table.touch(entry)
    return use(table, entry)
  })
}

/** Reads `changes` after all earlier loads of this thread. */
function latest(m: Int32Array, changes: number): number {
  return KEEPS_ORDER ? Atomics.load(m, changes) : Atomics.add(m, changes, 0)
}

/** Whether a use of the entry must be recorded. */
function changesOrder({ policy, memory }: Table, entry: number): boolean {
  if (policy === 'sieve') return (memory.m[entry + KIND] & VISITED) === 0
  return policy === 'lru'
}

/** Records a use of the entry if the shard is unchanged and nobody holds its mutex. */
function touch({ table, mutex, changes }: Shard, entry: number, before: number): void {
  mutex.tryRun(() => {
    if (Atomics.load(table.memory.m, changes) === before) table.touch(entry)
  })
}

/** Runs `work` while nobody else changes the shard, and readers discard what they read there. */
function change<Result>({ table, mutex, changes }: Shard, work: (table: Table) => Result): Result {
  return mutex.run(() => {
    const { m } = table.memory
    // It is odd already if a thread ended during a change.
    const now = Atomics.or(m, changes, 1) | 1
    try {
      if (isCut(table)) recover(table)
      return work(table)
    } finally {
      // The heap may have been closed by a subscriber to its events.
      if (m.length !== 0) Atomics.store(m, changes, (now + 1) | 0)
    }
  })
}

function put(table: Table, key: MapKey, value: Value, ttl: number | undefined): void {
  if (!table.put(key, value, table.timeFrom(ttl))) throw outOfMemory(value.bytes)
}

function entriesOf<K, V>(table: Table): [K, V][] {
  const { order } = table
  const entries: [K, V][] = []
  let entry = order.oldest
  for (let left = table.count; left > 0 && entry !== 0; left--, entry = order.newer(entry)) {
    if (!table.isExpired(entry)) entries.push([table.keyOf(entry), table.read(entry)])
  }
  return entries
}

// ---- the header ---------------------------------------------------------------------------------

/** Creates the shards and the header. Returns its pointer. */
function createShards(heap: Heap, options: SharedMapOptions<unknown>): number {
  const { shards = 64, max, maxSize, ...rest } = options
  if (typeof shards !== 'number') throw invalidType('options.shards', 'of type number', shards)
  if (!isShards(shards))
    throw outOfRange('options.shards', `a power of two from 1 to ${MOST_SHARDS}`, shards)
  const share = (name: string, limit: number | undefined): number | undefined =>
    limit === undefined ? undefined : Math.ceil(limitOf(name, limit) / shards)
  const limits = {
    ...rest,
    ...optional('max', share('options.max', max)),
    ...optional('maxSize', share('options.maxSize', maxSize)),
    crashSafe: true
  }
  const header = heap.calloc(FIRST_WORD + shards, 4)
  if (header === 0) throw outOfMemory(FIRST_WORD * 4)
  const { i32 } = heap
  const first = header / 4 + FIRST_WORD
  try {
    for (let i = 0; i < shards; i++) {
      const record = heap.alignedAlloc(CACHE_LINE, CACHE_LINE)
      if (record === 0) throw outOfMemory(CACHE_LINE)
      i32.fill(0, record / 4, (record + CACHE_LINE) / 4)
      i32[first + i] = record / 8
      i32[record / 4 + MAP] = create(heap, limits).pointer / 8
    }
  } catch (error) {
    for (let i = first; i32[i] !== 0 && i < first + shards; i++) {
      const record = i32[i] * 8
      const map = i32[record / 4 + MAP] * 8
      if (map === 0) heap.free(record)
      else freeShard(heap, tableAt(heap, map), record)
    }
    heap.free(header)
    throw error
  }
  const { seedA, seedB } = randomSeeds()
  i32[header / 4 + VERSION_WORD] = VERSION
  i32[header / 4 + SHARDS_WORD] = shards
  i32[header / 4 + SEED_A_WORD] = seedA
  i32[header / 4 + SEED_B_WORD] = seedB
  Atomics.store(i32, header / 4 + MAGIC_WORD, MAGIC)
  return header
}

/** Frees the map and the record of a shard. */
function freeShard(heap: Heap, table: Table, record: number): void {
  destroy({ table, pointer: table.memory.at * 4, ownsHeap: false })
  heap.free(record)
}

function isShards(shards: number): boolean {
  return Number.isInteger(Math.log2(shards)) && shards >= 1 && shards <= MOST_SHARDS
}

/** Opens the shards of the map whose header is at `pointer`. */
function partsAt(heap: Heap, pointer: number, records: RecordKind | undefined): Parts {
  if (!(heap instanceof Heap)) throw invalidType('heap', 'a Heap', heap)
  if (!heap.owns(pointer)) throw notAMap(`no block of the heap begins at byte ${pointer}`)
  const { i32 } = heap
  const header = pointer / 4
  const words = heap.usableSize(pointer) / 4
  if (words < FIRST_WORD + 1 || Atomics.load(i32, header + MAGIC_WORD) !== MAGIC)
    throw notAMap(`the block at byte ${pointer} does not hold the header of a shared map`)
  if (i32[header + VERSION_WORD] !== VERSION) {
    const version = i32[header + VERSION_WORD]
    throw notAMap(`its layout version is ${version}, but this offheap reads version ${VERSION}`)
  }
  const shards = i32[header + SHARDS_WORD]
  if (!isShards(shards) || words < FIRST_WORD + shards)
    throw corrupt(`the header of a shared map says that it has ${shards} shards`)
  const hashing = {
    hashKind: MIXED,
    seedA: i32[header + SEED_A_WORD],
    seedB: i32[header + SEED_B_WORD]
  }
  const first = header + FIRST_WORD
  const opened = Array.from(i32.subarray(first, first + shards), eighth => {
    const record = eighth * 8
    if (heap.usableSize(record) < CACHE_LINE)
      throw corrupt(`a shard of a shared map has its record at byte ${record}, in a smaller block`)
    const table = tableAt(heap, i32[record / 4 + MAP] * 8, records)
    checkRecords(table)
    return { table, mutex: heap.mutex(record), changes: record / 4 + CHANGES }
  })
  return { heap, pointer, hashing, shards: opened }
}

/** An object with that property, unless it is undefined. */
function optional(name: string, value: number | undefined): Record<string, number> {
  return value === undefined ? {} : { [name]: value }
}

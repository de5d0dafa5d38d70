/** HeapCache: a cache whose entries live in a heap, with an API like that of lru-cache. */
import { type InspectOptionsStylized, inspect } from 'node:util'
import { Heap } from '../heap/heap.js'
import { inspectAs } from '../inspect.js'
import { findBatch } from './batch.js'
import {
  type CacheBehaviour,
  type CacheOptions,
  type CacheSetOptions,
  type FetchContext,
  type FetchOptions,
  type GetOptions,
  type HasOptions,
  type PeekOptions,
  readBehaviour,
  readCache,
  readFetch,
  readGet,
  readHas,
  readPeek,
  readSet
} from './cache-options.js'
import { check } from './check.js'
import { disposeOf } from './departures.js'
import { Flights } from './flights.js'
import type { MapKey } from './keys.js'
import { MAX_BYTES_F64, MAX_ENTRIES_F64, MAX_ENTRY_BYTES_F64, TTL_F64 } from './layout.js'
import { close, create, destroy, type Opened, open } from './lifecycle.js'
import { countOf, functionOf } from './options.js'
import { checkTarget, copyInto, copyOf, viewOf } from './raw.js'
import { evict } from './room.js'
import { type MapStats, type MapSummary, statsOf, summaryOf } from './stats.js'
import type { Table } from './table.js'
import { visit } from './visit.js'

/** The caches that `open` found, by the behaviour that it passes to the constructor. */
const found = new WeakMap<object, Opened>()

/**
 * A cache in a heap: when it is full, it evicts entries that were not used recently. Options and
 * methods have the same names and meanings as in lru-cache. The differences: values are copied, as
 * in a HeapMap; sizes are the bytes that entries really take; the default policy is `sieve`;
 * `dispose` is called after the call is complete, with a copy of the value.
 *
 * Iteration goes from the newest entry to the oldest; with `lru`, from the most to the least
 * recently used.
 */
export class HeapCache<K extends MapKey = string, V = unknown> {
  private readonly opened: Opened
  private readonly table: Table
  private readonly behaviour: Partial<CacheBehaviour<K, V>>
  private readonly flights = new Flights<V | undefined>()
  private hits = 0
  private misses = 0

  /**
   * Creates an empty cache in the given heap, or in a new heap, which close() closes. Throws
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  static create<K extends MapKey = string, V = unknown>(
    where: Heap | CacheOptions<K, V> = {},
    options: CacheOptions<K, V> = {}
  ): HeapCache<K, V> {
    return new HeapCache<K, V>(where, options)
  }

  /**
   * Opens the cache whose header is at `pointer`. Default: the root of the heap. Limits, policy and
   * TTL are those it was created with. Recovers a cache that was interrupted during a call. Throws
   * ERR_OFFHEAP_NOT_A_HEAP if there is no cache, and ERR_INVALID_ARG_VALUE if it stores records of
   * another size than `behaviour.value` has.
   */
  static open<K extends MapKey = string, V = unknown>(
    heap: Heap,
    pointer = heap.root,
    behaviour: CacheBehaviour<K, V> = {}
  ): HeapCache<K, V> {
    const given = readBehaviour('HeapCache.open', behaviour)
    found.set(given, open(heap, pointer, given.value))
    return new HeapCache<K, V>(heap, given)
  }

  /** Creates an empty cache, as `HeapCache.create` does. Throws what that throws. */
  constructor(where: Heap | CacheOptions<K, V> = {}, options: CacheOptions<K, V> = {}) {
    const opened = found.get(options)
    if (opened === undefined) {
      const given = where instanceof Heap ? options : where
      const { map, behaviour } = readCache('HeapCache', given)
      const heap = where instanceof Heap ? where : undefined
      this.opened = create(heap, { eviction: 'sieve', ...map })
      this.behaviour = behaviour
    } else {
      this.opened = opened
      this.behaviour = options
    }
    this.table = this.opened.table
    const { behaviour } = this
    if (behaviour.dispose !== undefined) this.table.departed = []
  }

  /** The heap that holds the cache. */
  get heap(): Heap {
    return this.table.memory.heap
  }

  /** The pointer of the cache's header, for `HeapCache.open`. */
  get pointer(): number {
    return this.opened.pointer
  }

  /** The number of entries, including expired ones that were not removed yet. */
  get size(): number {
    return this.table.count
  }

  /** The number of bytes that the entries take in the heap. */
  get calculatedSize(): number {
    return this.stats().bytes
  }

  /** The limits and the TTL that the cache was created with; 0 for none. */
  get max(): number {
    return this.table.setting(MAX_ENTRIES_F64)
  }

  get maxSize(): number {
    return this.table.setting(MAX_BYTES_F64)
  }

  get maxEntrySize(): number {
    return this.table.setting(MAX_ENTRY_BYTES_F64)
  }

  get ttl(): number {
    return this.table.setting(TTL_F64)
  }

  // ---- reading ----------------------------------------------------------------------------------

  /**
   * Returns the value of a key; undefined if there is none. An expired entry is removed, and its
   * value returned only with `allowStale`.
   */
  get(key: K, options?: GetOptions): V | undefined {
    const { table, behaviour } = this
    const entry = table.find(key)
    const given = options === undefined ? behaviour : { ...behaviour, ...readGet(options) }
    if (entry === 0) {
      this.misses++
      return undefined
    }
    if (table.isExpired(entry)) {
      this.misses++
      const value = given.allowStale === true ? table.read(entry) : undefined
      if (given.noDeleteOnStaleGet !== true) {
        table.remove(entry, 'expire')
        this.disposeDeparted()
      }
      return value
    }
    this.hits++
    if (given.updateAgeOnGet === true) this.renew(entry)
    const value = table.read(entry)
    table.touch(entry)
    return value
  }

  /** Returns the value of a key, without counting as a use. */
  peek(key: K, options?: PeekOptions): V | undefined {
    const { table } = this
    const { allowStale } = { ...this.behaviour, ...readPeek(options) }
    const entry = table.find(key)
    return entry === 0 || (table.isExpired(entry) && allowStale !== true)
      ? undefined
      : table.read(entry)
  }

  /** Returns whether there is an entry with this key that has not expired. */
  has(key: K, options?: HasOptions): boolean {
    const { table, behaviour } = this
    const updates = readHas(options).updateAgeOnHas ?? behaviour.updateAgeOnHas
    const entry = table.find(key)
    if (entry === 0 || table.isExpired(entry)) return false
    if (updates === true) this.renew(entry)
    return true
  }

  /**
   * Returns the values of many keys, undefined for those without one. In large caches this is
   * faster than a `get` for each.
   */
  getMany(keys: readonly K[]): (V | undefined)[] {
    const { table } = this
    const values: (V | undefined)[] = new Array(keys.length)
    let begin = 0
    while (begin < keys.length) {
      begin = findBatch(table, keys, begin, (index, entry) => {
        values[index] = this.count(entry) === 0 ? undefined : table.read(entry)
      })
    }
    return values
  }

  /**
   * Returns a view of the bytes of a value, valid until the cache changes: see `getView` of
   * HeapMap.
   */
  getView(key: K): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.count(this.table.find(key))
    return entry === 0 ? undefined : viewOf(this.table.memory, entry)
  }

  /** Returns a copy of the bytes that `getView` shows. */
  getBuffer(key: K): Buffer<ArrayBuffer> | undefined {
    const entry = this.count(this.table.find(key))
    return entry === 0 ? undefined : copyOf(this.table.memory, entry)
  }

  /**
   * Copies the bytes that `getView` shows to the beginning of `target`, and returns their number;
   * undefined if there is no value. Throws ERR_OUT_OF_RANGE if `target` is too short.
   */
  getInto(key: K, target: Uint8Array): number | undefined {
    checkTarget(target)
    const entry = this.count(this.table.find(key))
    return entry === 0 ? undefined : copyInto(this.table.memory, entry, target)
  }

  /**
   * Returns the time until the entry of a key expires, in milliseconds: Infinity if it never
   * expires, 0 if there is no entry.
   */
  getRemainingTTL(key: K): number {
    const entry = this.table.find(key)
    return entry === 0 ? 0 : this.table.remaining(entry)
  }

  /** Counts a hit or a miss, and the use. Returns the entry; 0 if it has expired. */
  private count(entry: number): number {
    const { table } = this
    if (entry === 0 || table.isExpired(entry)) {
      this.misses++
      return 0
    }
    this.hits++
    table.touch(entry)
    return entry
  }

  /** Restarts the TTL of an entry. */
  private renew(entry: number): void {
    const time = this.table.timeOf(entry)
    if (time !== undefined)
      this.table.setTime(entry, { expiry: Date.now() + time.ttl, ttl: time.ttl })
  }

  // ---- changing ---------------------------------------------------------------------------------

  /**
   * Stores a copy of a value. Undefined deletes the entry. A value larger than `maxEntrySize` is
   * not stored, and an existing entry with this key is removed. Throws ERR_INVALID_ARG_TYPE for a
   * value that can't be stored (a function, symbol or BigInt), and ERR_OFFHEAP_OUT_OF_MEMORY if
   * there is no room even after a bounded number of evictions.
   */
  set(key: K, value: V | undefined, options?: CacheSetOptions): this {
    if (value === undefined) {
      this.delete(key)
      return this
    }
    const { table, behaviour } = this
    const {
      ttl,
      noUpdateTTL = behaviour.noUpdateTTL,
      noDisposeOnSet = behaviour.noDisposeOnSet
    } = readSet(options)
    const stored = table.encode(value)
    this.flights.cancel(key)
    let time = table.timeFrom(ttl === Number.POSITIVE_INFINITY ? 0 : ttl)
    if (noUpdateTTL === true) {
      const entry = table.find(key)
      if (entry !== 0 && !table.isExpired(entry)) time = table.timeOf(entry)
    }
    try {
      if (!table.put(key, stored, time)) {
        const entry = table.find(key)
        if (entry !== 0) table.remove(entry, 'set')
      }
    } finally {
      this.disposeDeparted(noDisposeOnSet === true, value)
    }
    return this
  }

  /** Stores many entries: pairs of keys and values. */
  setMany(entries: Iterable<readonly [K, V]>, options?: CacheSetOptions): this {
    for (const [key, value] of entries) this.set(key, value, options)
    return this
  }

  /**
   * Returns a promise of the value of a key. If there is none, calls `fetchMethod`, once for all
   * callers that ask meanwhile. With `allowStale`, an expired value is returned at once while a new
   * one is fetched.
   */
  async fetch(key: K, options?: FetchOptions): Promise<V | undefined> {
    const { table, behaviour } = this
    const given = { ...behaviour, ...readFetch(options) }
    const { fetchMethod } = behaviour
    const { ttl, noUpdateTTL, noDisposeOnSet, context } = given
    if (fetchMethod === undefined) return this.get(key)
    const entry = table.find(key)
    const isStale = entry !== 0 && table.isExpired(entry)
    if (entry !== 0 && !isStale && given.forceRefresh !== true) {
      if (given.updateAgeOnGet === true) this.renew(entry)
      const value = table.read(entry)
      this.count(entry)
      return value
    }
    this.misses++
    const stale: V | undefined = entry === 0 ? undefined : table.read(entry)
    const storing: FetchContext['options'] = {
      ...(ttl === undefined ? {} : { ttl }),
      ...(noUpdateTTL === undefined ? {} : { noUpdateTTL }),
      ...(noDisposeOnSet === undefined ? {} : { noDisposeOnSet })
    }
    const flight = this.flights.join(
      key,
      signal =>
        fetchMethod(key, stale, {
          signal,
          options: storing,
          ...(context === undefined ? {} : { context })
        }),
      value => this.set(key, value, storing)
    )
    const settled = flight.catch((error: unknown) => {
      const keeps = given.allowStaleOnFetchRejection === true && stale !== undefined
      if (given.noDeleteOnFetchRejection !== true && !keeps) this.deleteStale(key)
      if (keeps) return stale
      throw error
    })
    if (!isStale || given.allowStale !== true) return settled
    // Nobody waits for the new value: the stale one is returned.
    settled.catch(() => {})
    return stale
  }

  /** Removes an expired entry that could not be fetched again. */
  private deleteStale(key: K): void {
    if (this.table.memory.open === false) return
    const entry = this.table.find(key)
    if (entry === 0 || !this.table.isExpired(entry)) return
    this.table.remove(entry, 'expire')
    this.disposeDeparted()
  }

  /** Removes the entry of a key. Returns false if there is none. */
  delete(key: K): boolean {
    const { table } = this
    const entry = table.find(key)
    if (entry !== 0) table.remove(entry, 'delete')
    // Last, because both may run the caller's code.
    this.flights.cancel(key)
    if (entry === 0) return false
    this.disposeDeparted()
    return true
  }

  /** Evicts the next entry, and returns its value; undefined if the cache is empty. */
  pop(): V | undefined {
    const { table } = this
    const { departed } = table
    table.segments.ready()
    const taken = departed ?? []
    const before = taken.length
    table.departed = taken
    evict(table, 0)
    table.departed = departed
    const value = taken[before]?.value
    this.disposeDeparted()
    return value
  }

  /** Removes all entries, and frees the memory of the index. */
  clear(): void {
    this.flights.cancelAll()
    this.table.clear()
    this.disposeDeparted()
  }

  /**
   * Checks up to `budget` entries, and removes those that have expired. Returns the number of
   * removed entries. Default: all entries.
   */
  purgeStale(budget = Number.MAX_SAFE_INTEGER): number {
    const { table } = this
    const removed = table.sweep(Math.min(countOf('budget', budget), table.count))
    this.disposeDeparted()
    return removed
  }

  /** Calls `dispose` for the values that were removed. */
  private disposeDeparted(withoutReplaced = false, replacedBy?: V): void {
    const { table, behaviour } = this
    if (table.departed === undefined || table.departed.length === 0) return
    disposeOf(table, behaviour.dispose, withoutReplaced, replacedBy)
  }

  // ---- iteration --------------------------------------------------------------------------------

  *entries(): Generator<[K, V], undefined, undefined> {
    for (const entry of this.visit(true)) yield [this.table.keyOf(entry), this.table.read(entry)]
  }

  *keys(): Generator<K, undefined, undefined> {
    for (const entry of this.visit(true)) yield this.table.keyOf(entry)
  }

  *values(): Generator<V, undefined, undefined> {
    for (const entry of this.visit(true)) yield this.table.read(entry)
  }

  /** Iterates over pairs of keys and values, from the oldest entry to the newest. */
  *rentries(): Generator<[K, V], undefined, undefined> {
    for (const entry of this.visit(false)) yield [this.table.keyOf(entry), this.table.read(entry)]
  }

  /** Iterates over the keys, from the oldest entry to the newest. */
  *rkeys(): Generator<K, undefined, undefined> {
    for (const entry of this.visit(false)) yield this.table.keyOf(entry)
  }

  /** Iterates over the values, from the oldest entry to the newest. */
  *rvalues(): Generator<V, undefined, undefined> {
    for (const entry of this.visit(false)) yield this.table.read(entry)
  }

  [Symbol.iterator](): Generator<[K, V], undefined, undefined> {
    return this.entries()
  }

  /**
   * Calls `callback` with each value, its key and the cache, from the newest entry to the oldest.
   */
  forEach(callback: (value: V, key: K, cache: this) => void, thisArg: unknown = this): void {
    functionOf('callback', callback)
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this)
  }

  /**
   * Returns the first value, from the newest on, for which `test` returns true; undefined if there
   * is none.
   */
  find(test: (value: V, key: K, cache: this) => boolean): V | undefined {
    functionOf('test', test)
    for (const [key, value] of this.entries()) if (test(value, key, this)) return value
    return undefined
  }

  /**
   * Iterates over the entries. Includes expired ones only with `allowStale`. From the oldest on, it
   * ends after the initial number of entries: with `lru`, a `get` in the loop makes entries the
   * newest, so the loop might never end.
   */
  private visit(backwards: boolean): Generator<number, undefined, undefined> {
    const { table, behaviour } = this
    const most = backwards ? Number.POSITIVE_INFINITY : table.count
    return visit(table, backwards, behaviour.allowStale === true, most)
  }

  // ---- the whole cache --------------------------------------------------------------------------

  /** Returns statistics of the cache. Takes time proportional to the size of the index. */
  stats(): MapStats {
    return statsOf(this.table, this.hits, this.misses)
  }

  /**
   * Verifies every invariant of the cache. Takes time proportional to the number of entries. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  check(): void {
    check(this.table)
  }

  /**
   * Closes the cache. A heap that `create` made for it is closed, too. In a given heap, the cache
   * stays and can be opened again.
   */
  close(): void {
    this.flights.cancelAll()
    close(this.opened)
  }

  /** Frees all blocks of the cache, and closes it. */
  destroy(): void {
    this.flights.cancelAll()
    destroy(this.opened)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'HeapCache'
  }

  /** What JSON.stringify and console.log show of a cache: the number of its entries, not these. */
  toJSON(): MapSummary {
    return summaryOf(this)
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('HeapCache', this.toJSON(), depth, options)
  }
}

/** HeapCache: a cache whose entries lie in a heap, with the names and the meaning of lru-cache. */
import { Heap } from '../heap/heap.js'
import { INSIDE, illegalConstructor } from '../inspect.js'
import { findBatch } from './batch.js'
import {
  type CacheBehaviour,
  type CacheOptions,
  type CacheSetOptions,
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
import { close, create, destroy, type Opened, open } from './lifecycle.js'
import { countOf, functionOf } from './options.js'
import { checkTarget, copyInto, copyOf, viewOf } from './raw.js'
import { evict } from './room.js'
import { type MapStats, statsOf } from './stats.js'
import type { Table } from './table.js'
import { Value } from './values.js'
import { visit } from './visit.js'

/**
 * A cache in a heap: what is not used for long leaves it when it is full. Its options and methods
 * have the names and the meaning that they have in lru-cache, so that one can stand for the other.
 * What differs: values are copied, as in a HeapMap; sizes are bytes that are really taken; the
 * policy is `sieve`, unless `eviction` is `lru`; `dispose` is called when the call is done, with a
 * copy of the value.
 *
 * Loops go from the newest entry to the oldest; with `lru`, from the last used to the first.
 */
export class HeapCache<K extends MapKey = string, V = unknown> {
  private readonly opened: Opened
  private readonly table: Table
  private readonly behaviour: Partial<CacheBehaviour<K, V>>
  private readonly flights = new Flights<V | undefined>()
  private hits = 0
  private misses = 0

  /**
   * Makes an empty cache, in a heap that is given or in one of its own, which close() ends. Throws
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE, ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  static create<K extends MapKey = string, V = unknown>(
    where: Heap | CacheOptions<K, V> = {},
    options: CacheOptions<K, V> = {}
  ): HeapCache<K, V> {
    const heap = where instanceof Heap ? where : undefined
    const { map, behaviour } = readCache(
      'HeapCache.create',
      where instanceof Heap ? options : where
    )
    return new HeapCache<K, V>(INSIDE, create(heap, { eviction: 'sieve', ...map }), behaviour)
  }

  /**
   * Opens the cache whose header is at `pointer`: limits, policy and TTL are those it was made
   * with. A cache that was cut off within a call is made whole first. Throws ERR_OFFHEAP_NOT_A_HEAP
   * when there is none.
   */
  static open<K extends MapKey = string, V = unknown>(
    heap: Heap,
    pointer = heap.root,
    behaviour: CacheBehaviour<K, V> = {}
  ): HeapCache<K, V> {
    return new HeapCache<K, V>(
      INSIDE,
      open(heap, pointer),
      readBehaviour('HeapCache.open', behaviour)
    )
  }

  private constructor(
    inside: typeof INSIDE,
    opened: Opened,
    behaviour: Partial<CacheBehaviour<K, V>>
  ) {
    if (inside !== INSIDE)
      throw illegalConstructor('HeapCache.create(options) or HeapCache.open(heap)')
    this.opened = opened
    this.table = opened.table
    this.behaviour = behaviour
    if (behaviour.dispose !== undefined) this.table.departed = []
  }

  /** The heap that the cache lies in. */
  get heap(): Heap {
    return this.table.memory.heap
  }

  /** The pointer of the cache's header: what `HeapCache.open` takes. */
  get pointer(): number {
    return this.opened.pointer
  }

  /** The number of entries. Expired ones count until they are removed. */
  get size(): number {
    return this.table.count
  }

  /** The bytes that the entries take from the heap. */
  get calculatedSize(): number {
    return this.stats().bytes
  }

  // ---- reading ----------------------------------------------------------------------------------

  /**
   * Returns the value of a key; undefined when there is none. An expired one is removed, and
   * returned only with `allowStale`.
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

  /** Returns the value of a key, and does not count as a use. */
  peek(key: K, options?: PeekOptions): V | undefined {
    const { table } = this
    const { allowStale } = { ...this.behaviour, ...readPeek(options) }
    const entry = table.find(key)
    return entry === 0 || (table.isExpired(entry) && allowStale !== true)
      ? undefined
      : table.read(entry)
  }

  /** Is there an entry with this key, whose time has not passed? */
  has(key: K, options?: HasOptions): boolean {
    const { table, behaviour } = this
    const updates = readHas(options).updateAgeOnHas ?? behaviour.updateAgeOnHas
    const entry = table.find(key)
    if (entry === 0 || table.isExpired(entry)) return false
    if (updates === true) this.renew(entry)
    return true
  }

  /**
   * Returns the values of many keys, undefined where there is none: faster than one `get` for each
   * in large caches.
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
   * Returns the bytes of a value where they lie, until the cache changes: see HeapMap's `getView`.
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
   * Copies the bytes that `getView` shows to the beginning of `target`, and returns how many there
   * are. Throws ERR_OUT_OF_RANGE when it is too short.
   */
  getInto(key: K, target: Uint8Array): number | undefined {
    checkTarget(target)
    const entry = this.count(this.table.find(key))
    return entry === 0 ? undefined : copyInto(this.table.memory, entry, target)
  }

  /**
   * Returns how long the entry of a key will live, in milliseconds: Infinity for ever, 0 when there
   * is none.
   */
  getRemainingTTL(key: K): number {
    const entry = this.table.find(key)
    return entry === 0 ? 0 : this.table.remaining(entry)
  }

  /** Counts a hit or a miss, and the use. Returns the entry; 0 when it is expired. */
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

  /** The time of an entry begins anew. */
  private renew(entry: number): void {
    const time = this.table.timeOf(entry)
    if (time !== undefined)
      this.table.setTime(entry, { expiry: Date.now() + time.ttl, ttl: time.ttl })
  }

  // ---- changing ---------------------------------------------------------------------------------

  /**
   * Stores a copy of a value. Undefined deletes. What is larger than `maxEntrySize` is not stored,
   * and an entry with this key is removed. Throws ERR_INVALID_ARG_TYPE for what can't be stored
   * (functions, symbols, BigInts), and ERR_OFFHEAP_OUT_OF_MEMORY when evicting a bounded number of
   * entries gave no room.
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
    const stored = new Value(value)
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

  /** Stores all of these pairs of keys and values. */
  setMany(entries: Iterable<readonly [K, V]>, options?: CacheSetOptions): this {
    for (const [key, value] of entries) this.set(key, value, options)
    return this
  }

  /**
   * Returns a promise of the value of a key. When there is none, `fetchMethod` makes it, once for
   * all who ask meanwhile. With `allowStale` an expired value is returned at once, while another is
   * fetched.
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
    const setOptions = {
      ...(ttl === undefined ? {} : { ttl }),
      ...(noUpdateTTL === undefined ? {} : { noUpdateTTL }),
      ...(noDisposeOnSet === undefined ? {} : { noDisposeOnSet })
    }
    const flight = this.flights.join(
      key,
      signal => fetchMethod(key, stale, context === undefined ? { signal } : { signal, context }),
      value => this.set(key, value, setOptions)
    )
    const settled = flight.catch((error: unknown) => {
      const keeps = given.allowStaleOnFetchRejection === true && stale !== undefined
      if (given.noDeleteOnFetchRejection !== true && !keeps) this.deleteStale(key)
      if (keeps) return stale
      throw error
    })
    if (!isStale || given.allowStale !== true) return settled
    // Nobody waits for what replaces a value that is returned already.
    settled.catch(() => {})
    return stale
  }

  /** What could not be fetched anew is removed, if it is expired. */
  private deleteStale(key: K): void {
    if (this.table.memory.open === false) return
    const entry = this.table.find(key)
    if (entry === 0 || !this.table.isExpired(entry)) return
    this.table.remove(entry, 'expire')
    this.disposeDeparted()
  }

  /** Removes the entry of a key. False when there is none. */
  delete(key: K): boolean {
    const { table } = this
    const entry = table.find(key)
    this.flights.cancel(key)
    if (entry === 0) return false
    table.remove(entry, 'delete')
    this.disposeDeparted()
    return true
  }

  /**
   * Evicts the entry that is next to go, and returns its value; undefined when the cache is empty.
   */
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

  /** Removes all entries. The memory of the index is given back too. */
  clear(): void {
    this.flights.cancelAll()
    this.table.clear()
    this.disposeDeparted()
  }

  /**
   * Looks at up to `budget` entries that may expire, and removes those whose time has passed.
   * Returns how many. Default: all.
   */
  purgeStale(budget = Number.MAX_SAFE_INTEGER): number {
    const { table } = this
    const removed = table.sweep(Math.min(countOf('budget', budget), table.count))
    this.disposeDeparted()
    return removed
  }

  /** Calls `dispose` for what left. */
  private disposeDeparted(withoutReplaced = false, replacedBy?: V): void {
    const { table, behaviour } = this
    if (table.departed === undefined || table.departed.length === 0) return
    disposeOf(table, behaviour.dispose, withoutReplaced, replacedBy)
  }

  // ---- visiting ---------------------------------------------------------------------------------

  *entries(): Generator<[K, V], undefined, undefined> {
    for (const entry of this.visit(true)) yield [this.table.keyOf(entry), this.table.read(entry)]
  }

  *keys(): Generator<K, undefined, undefined> {
    for (const entry of this.visit(true)) yield this.table.keyOf(entry)
  }

  *values(): Generator<V, undefined, undefined> {
    for (const entry of this.visit(true)) yield this.table.read(entry)
  }

  /** Like `entries`, from the oldest entry to the newest. */
  *rentries(): Generator<[K, V], undefined, undefined> {
    for (const entry of this.visit(false)) yield [this.table.keyOf(entry), this.table.read(entry)]
  }

  /** Like `keys`, from the oldest entry to the newest. */
  *rkeys(): Generator<K, undefined, undefined> {
    for (const entry of this.visit(false)) yield this.table.keyOf(entry)
  }

  /** Like `values`, from the oldest entry to the newest. */
  *rvalues(): Generator<V, undefined, undefined> {
    for (const entry of this.visit(false)) yield this.table.read(entry)
  }

  [Symbol.iterator](): Generator<[K, V], undefined, undefined> {
    return this.entries()
  }

  /** Calls `callback` with each value, its key and the cache. */
  forEach(callback: (value: V, key: K, cache: this) => void, thisArg: unknown = this): void {
    functionOf('callback', callback)
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this)
  }

  /** Returns the first value, from the newest on, for which `test` returns true. */
  find(test: (value: V, key: K, cache: this) => boolean): V | undefined {
    functionOf('test', test)
    for (const [key, value] of this.entries()) if (test(value, key, this)) return value
    return undefined
  }

  /**
   * The entries, without those that are expired unless `allowStale` is true. From the oldest on it
   * ends after as many as there are when it begins: with `lru`, a `get` in the loop would bring
   * more for ever.
   */
  private visit(backwards: boolean): Generator<number, undefined, undefined> {
    const { table, behaviour } = this
    const most = backwards ? Number.POSITIVE_INFINITY : table.count
    return visit(table, backwards, behaviour.allowStale === true, most)
  }

  // ---- the whole cache --------------------------------------------------------------------------

  /** Returns figures about the cache, in time proportional to its index. */
  stats(): MapStats {
    return statsOf(this.table, this.hits, this.misses)
  }

  /**
   * Verifies every invariant of the cache, in time proportional to its entries. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  check(): void {
    check(this.table)
  }

  /**
   * Lets go of the cache. A heap of its own is closed; in a heap that was given the cache stays,
   * and can be opened again.
   */
  close(): void {
    this.flights.cancelAll()
    close(this.opened)
  }

  /** Frees every block of the cache, and closes it. */
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
}

/** HeapMap: a Map whose entries live in a heap, out of reach of the garbage collector. */
import { type InspectOptionsStylized, inspect } from 'node:util'
import { Heap } from '../heap/heap.js'
import { INSIDE, illegalConstructor, inspectAs } from '../inspect.js'
import { readOptions } from '../options.js'
import { findBatch } from './batch.js'
import { check } from './check.js'
import { Flights } from './flights.js'
import type { MapKey } from './keys.js'
import { close, create, destroy, type Opened, open } from './lifecycle.js'
import {
  countOf,
  functionOf,
  type MapOptions,
  mapOptions,
  type SetOptions,
  ttlFrom,
  type ValueOptions,
  valueOptions
} from './options.js'
import { checkTarget, copyInto, copyOf, viewOf } from './raw.js'
import { outOfMemory } from './room.js'
import { type MapStats, type MapSummary, statsOf, summaryOf } from './stats.js'
import type { Table, Time } from './table.js'
import type { Value } from './values.js'
import { scan, visit } from './visit.js'

/** Called by `fetch` for a key without a value. */
export type Load<K, V> = (key: K, options: { readonly signal: AbortSignal }) => V | PromiseLike<V>

/**
 * A map in a heap. Keys are strings or bytes (Uint8Array). Values are strings, numbers, bytes,
 * undefined, and everything that JSON can represent; or all are records, with the option `value`.
 * They are copied: `get` never returns the object that was set. Bytes are returned as a Uint8Array,
 * objects as JSON.parse creates them.
 *
 * Methods that `Map` has too behave as in Map: iteration is in the order in which entries were
 * first set, an entry that is set again keeps its place, and entries added during an iteration are
 * visited.
 *
 * All state is in the memory of the heap. Only one thread at a time may use the map. Each method
 * throws ERR_OFFHEAP_CLOSED after close(), and ERR_OFFHEAP_CORRUPT if it finds that the memory was
 * overwritten.
 */
export class HeapMap<K extends MapKey = string, V = unknown> {
  private readonly opened: Opened
  private readonly table: Table
  private readonly flights = new Flights<V>()
  private hits = 0
  private misses = 0

  /**
   * Creates an empty map in the given heap, or in a new heap, which close() closes. To find the map
   * again, keep `map.pointer`, for example in `heap.root`; a heap created for the map has it there.
   * Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
   * ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  static create<K extends MapKey = string, V = unknown>(
    where: Heap | MapOptions<V> = {},
    options: MapOptions<V> = {}
  ): HeapMap<K, V> {
    const heap = where instanceof Heap ? where : undefined
    const given = where instanceof Heap ? options : where
    return new HeapMap<K, V>(INSIDE, create(heap, readOptions('HeapMap.create', given, mapOptions)))
  }

  /**
   * Opens the map whose header is at `pointer`. Default: the root of the heap. Recovers a map that
   * was interrupted during a call. A map of records needs the option `value`. Throws
   * ERR_OFFHEAP_NOT_A_HEAP if there is no map, and ERR_INVALID_ARG_VALUE if it stores records of
   * another size.
   */
  static open<K extends MapKey = string, V = unknown>(
    heap: Heap,
    pointer = heap.root,
    options: ValueOptions<V> = {}
  ): HeapMap<K, V> {
    const { value } = readOptions('HeapMap.open', options, valueOptions)
    return new HeapMap<K, V>(INSIDE, open(heap, pointer, value))
  }

  private constructor(inside: typeof INSIDE, opened: Opened) {
    if (inside !== INSIDE) throw illegalConstructor('HeapMap.create(options) or HeapMap.open(heap)')
    this.opened = opened
    this.table = opened.table
  }

  /** The heap that holds the map. */
  get heap(): Heap {
    return this.table.memory.heap
  }

  /** The pointer of the map's header, for `HeapMap.open`. */
  get pointer(): number {
    return this.opened.pointer
  }

  /** The number of entries, including expired ones that were not removed yet. */
  get size(): number {
    return this.table.count
  }

  // ---- reading ----------------------------------------------------------------------------------

  /** Returns the value of a key; undefined if there is none, or if it has expired. */
  get(key: K): V | undefined {
    const entry = this.use(key)
    return entry === 0 ? undefined : this.table.read(entry)
  }

  /** Returns the value of a key, without counting as a use. */
  peek(key: K): V | undefined {
    const { table } = this
    const entry = table.findLive(key)
    return entry === 0 ? undefined : table.read(entry)
  }

  /** Returns whether there is an entry with this key that has not expired. */
  has(key: K): boolean {
    return this.table.findLive(key) !== 0
  }

  /**
   * Returns the values of many keys, undefined for those without one. In large maps this is faster
   * than a `get` for each.
   */
  getMany(keys: readonly K[]): (V | undefined)[] {
    const { table } = this
    const values: (V | undefined)[] = new Array(keys.length)
    let begin = 0
    while (begin < keys.length) {
      begin = findBatch(table, keys, begin, (index, entry) => {
        const isThere = entry !== 0 && !table.isExpired(entry)
        if (isThere) {
          this.hits++
          table.touch(entry)
        } else this.misses++
        values[index] = isThere ? table.read(entry) : undefined
      })
    }
    return values
  }

  /**
   * Returns a view of the bytes of a value, without copying them; undefined if there is none. A
   * string or JSON is shown as UTF-8 (as UTF-16 if it has a lone surrogate), a number as 8 bytes.
   * A struct's `over` reads the fields of a record from it. The view is valid until the next call
   * that changes the map; after that, it may show anything. Don't write to it.
   */
  getView(key: K): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.use(key)
    return entry === 0 ? undefined : viewOf(this.table.memory, entry)
  }

  /** Returns a copy of the bytes that `getView` shows. */
  getBuffer(key: K): Buffer<ArrayBuffer> | undefined {
    const entry = this.use(key)
    return entry === 0 ? undefined : copyOf(this.table.memory, entry)
  }

  /**
   * Copies the bytes that `getView` shows to the beginning of `target`, and returns their number;
   * undefined if there is no value. Throws ERR_OUT_OF_RANGE if `target` is too short.
   */
  getInto(key: K, target: Uint8Array): number | undefined {
    checkTarget(target)
    const entry = this.use(key)
    return entry === 0 ? undefined : copyInto(this.table.memory, entry, target)
  }

  /**
   * Returns the time until the entry of a key expires, in milliseconds: Infinity if it never
   * expires, 0 if there is no entry.
   */
  getRemainingTTL(key: K): number {
    const { table } = this
    const entry = table.find(key)
    return entry === 0 ? 0 : table.remaining(entry)
  }

  /**
   * Finds the entry of a key and counts the use; returns 0 if there is none. Removes an expired
   * entry.
   */
  private use(key: K): number {
    const { table } = this
    const entry = table.find(key)
    if (entry === 0) {
      this.misses++
      return 0
    }
    if (table.isExpired(entry)) {
      this.misses++
      table.remove(entry, 'expire')
      return 0
    }
    this.hits++
    table.touch(entry)
    return entry
  }

  // ---- changing ---------------------------------------------------------------------------------

  /**
   * Stores a copy of a value. Throws ERR_INVALID_ARG_TYPE for a value that can't be stored (a
   * function, symbol or BigInt), the errors of JSON.stringify, and ERR_OFFHEAP_OUT_OF_MEMORY if
   * there is no room for the entry and nothing to evict; an existing entry is then unchanged.
   */
  set(key: K, value: V, options?: SetOptions): this {
    const stored = this.table.encode(value)
    this.put(key, stored, this.table.timeFrom(ttlFrom(options)))
    return this
  }

  /** Stores many entries: pairs of keys and values. */
  setMany(entries: Iterable<readonly [K, V]>, options?: SetOptions): this {
    for (const [key, value] of entries) this.set(key, value, options)
    return this
  }

  /** Returns the value of a key. If there is none, stores `value` and returns the stored copy. */
  getOrInsert(key: K, value: V): V {
    return this.getOrInsertComputed(key, () => value)
  }

  /**
   * Returns the value of a key. If there is none, stores the result of `compute` and returns the
   * stored copy.
   */
  getOrInsertComputed(key: K, compute: (key: K) => V): V {
    functionOf('compute', compute)
    const { table } = this
    const found = this.use(key)
    if (found !== 0) return table.read(found)
    this.set(key, compute(key))
    return table.read(table.find(key))
  }

  /**
   * Returns a promise of the value of a key. If there is none, calls `load`, once for all callers
   * that ask meanwhile, and stores the result. If the key is set or deleted before that, the signal
   * that was passed to `load` is aborted, and the result is not stored.
   */
  async fetch(key: K, load: Load<K, V>, options?: SetOptions): Promise<V> {
    functionOf('load', load)
    const entry = this.use(key)
    if (entry !== 0) return this.table.read(entry)
    return this.flights.join(
      key,
      signal => load(key, { signal }),
      value => this.put(key, this.table.encode(value), this.table.timeFrom(ttlFrom(options)))
    )
  }

  /** Removes the entry of a key. Returns false if there is none. */
  delete(key: K): boolean {
    const isThere = this.table.delete(key)
    // Last, because it may run the caller's code.
    this.flights.cancel(key)
    return isThere
  }

  /** Removes all entries, and frees the memory of the index. */
  clear(): void {
    this.flights.cancelAll()
    this.table.clear()
  }

  /**
   * Checks up to `budget` entries, and removes those that have expired. Returns the number of
   * removed entries. Default: all entries.
   */
  purgeStale(budget = Number.MAX_SAFE_INTEGER): number {
    const { table } = this
    return table.sweep(Math.min(countOf('budget', budget), table.count))
  }

  private put(key: K, value: Value, time: Time | undefined): void {
    this.flights.cancel(key)
    if (!this.table.put(key, value, time)) throw outOfMemory(value.bytes)
  }

  // ---- iteration --------------------------------------------------------------------------------

  *entries(): Generator<[K, V], undefined, undefined> {
    for (const entry of this.visit()) yield [this.table.keyOf(entry), this.table.read(entry)]
  }

  *keys(): Generator<K, undefined, undefined> {
    for (const entry of this.visit()) yield this.table.keyOf(entry)
  }

  *values(): Generator<V, undefined, undefined> {
    for (const entry of this.visit()) yield this.table.read(entry)
  }

  [Symbol.iterator](): Generator<[K, V], undefined, undefined> {
    return this.entries()
  }

  /** Calls `callback` with each value, its key and the map. */
  forEach(callback: (value: V, key: K, map: this) => void, thisArg?: unknown): void {
    functionOf('callback', callback)
    for (const entry of this.visit())
      callback.call(thisArg, this.table.read(entry), this.table.keyOf(entry), this)
  }

  /**
   * Returns the next keys, at least `count` unless the end is reached, in no particular order, and
   * the cursor for the next call. Begin with cursor 0, and stop when it is 0 again. A key that is
   * there during the whole scan is returned at least once, whatever changes meanwhile, and usually
   * exactly once.
   */
  scan(cursor = 0, count = 10): { cursor: number; keys: K[] } {
    const { table } = this
    const found = scan(table, cursor, count)
    return {
      cursor: found.cursor,
      keys: found.entries.filter(each => !table.isExpired(each)).map(e => this.table.keyOf(e))
    }
  }

  /**
   * Iterates over the entries that have not expired: in the order of Map; with `lru`, from the most
   * to the least recently used.
   */
  private visit(): Generator<number, undefined, undefined> {
    return visit(this.table, this.table.policy === 'lru', false, Number.POSITIVE_INFINITY)
  }

  // ---- the whole map ----------------------------------------------------------------------------

  /** Returns statistics of the map. Takes time proportional to the size of the index. */
  stats(): MapStats {
    return statsOf(this.table, this.hits, this.misses)
  }

  /**
   * Verifies every invariant of the map. Takes time proportional to the number of entries. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  check(): void {
    check(this.table)
  }

  /**
   * Closes the map. A heap that `create` made for it is closed, too. In a given heap, the map stays
   * and can be opened again.
   */
  close(): void {
    this.flights.cancelAll()
    close(this.opened)
  }

  /** Frees all blocks of the map, and closes it. */
  destroy(): void {
    this.flights.cancelAll()
    destroy(this.opened)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'HeapMap'
  }

  /** What JSON.stringify and console.log show of a map: the number of its entries, not these. */
  toJSON(): MapSummary {
    return summaryOf(this)
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('HeapMap', this.toJSON(), depth, options)
  }
}

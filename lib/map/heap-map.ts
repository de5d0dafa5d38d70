/** HeapMap: a Map whose entries lie in a heap, where the garbage collector never looks. */
import { Heap } from '../heap/heap.js'
import { INSIDE, illegalConstructor } from '../inspect.js'
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
  setOptions,
  ttlOf
} from './options.js'
import { checkTarget, copyInto, copyOf, viewOf } from './raw.js'
import { outOfMemory } from './room.js'
import { scan } from './scan.js'
import { type MapStats, statsOf } from './stats.js'
import type { Table, Time } from './table.js'
import { Value } from './values.js'
import { visit } from './visit.js'

/** What `fetch` calls for a key that is not there. */
export type Load<K, V> = (key: K, options: { readonly signal: AbortSignal }) => V | PromiseLike<V>

/** The time of an entry that is set with these options. */
function timeFrom(table: Table, options: SetOptions | undefined): Time | undefined {
  const ttl = options === undefined ? undefined : readOptions('set', options, setOptions).ttl
  return table.timeFrom(ttl === undefined ? undefined : ttlOf('options.ttl', ttl))
}

/**
 * A map in a heap. Keys are strings or bytes (Uint8Array). Values are strings, numbers, bytes,
 * undefined, and what JSON can hold: they are copied, so that what `get` returns is never the
 * object that was set. Bytes come back as a Uint8Array, objects as JSON.parse makes them.
 *
 * It means what `Map` means wherever Map has the same method: entries are visited in the order in
 * which they were first set, an entry that is set again keeps its place, and what is added during a
 * loop is visited.
 *
 * All of it is in the memory of the heap; one thread uses it at a time. Each method throws
 * ERR_OFFHEAP_CLOSED after close(), and ERR_OFFHEAP_CORRUPT when the memory was overwritten.
 */
export class HeapMap<K extends MapKey = string, V = unknown> {
  private readonly opened: Opened
  private readonly table: Table
  private readonly flights = new Flights<V>()
  private hits = 0
  private misses = 0

  /**
   * Makes an empty map, in a heap that is given or in one of its own, which close() ends. To find
   * it again, keep `map.pointer`, for example as `heap.root`; a heap of the map's own has it there.
   * Throws ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE,
   * ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  static create<K extends MapKey = string, V = unknown>(
    where: Heap | MapOptions = {},
    options: MapOptions = {}
  ): HeapMap<K, V> {
    const heap = where instanceof Heap ? where : undefined
    const given = where instanceof Heap ? options : where
    return new HeapMap<K, V>(INSIDE, create(heap, readOptions('HeapMap.create', given, mapOptions)))
  }

  /**
   * Opens the map whose header is at `pointer`. A map that was cut off within a call is made whole
   * first. Throws ERR_OFFHEAP_NOT_A_HEAP when there is none. Default of `pointer`: the root of the
   * heap.
   */
  static open<K extends MapKey = string, V = unknown>(
    heap: Heap,
    pointer = heap.root
  ): HeapMap<K, V> {
    return new HeapMap<K, V>(INSIDE, open(heap, pointer))
  }

  private constructor(inside: typeof INSIDE, opened: Opened) {
    if (inside !== INSIDE) throw illegalConstructor('HeapMap.create(options) or HeapMap.open(heap)')
    this.opened = opened
    this.table = opened.table
  }

  /** The heap that the map lies in. */
  get heap(): Heap {
    return this.table.memory.heap
  }

  /** The pointer of the map's header: what `HeapMap.open` takes. */
  get pointer(): number {
    return this.opened.pointer
  }

  /** The number of entries. Expired ones count until they are removed. */
  get size(): number {
    return this.table.count
  }

  // ---- reading ----------------------------------------------------------------------------------

  /** Returns the value of a key; undefined when there is none, or when its time has passed. */
  get(key: K): V | undefined {
    const entry = this.use(key)
    return entry === 0 ? undefined : this.table.read(entry)
  }

  /** Returns the value of a key, and does not count as a use. */
  peek(key: K): V | undefined {
    const { table } = this
    const entry = table.find(key)
    return entry === 0 || table.isExpired(entry) ? undefined : table.read(entry)
  }

  /** Is there an entry with this key, whose time has not passed? */
  has(key: K): boolean {
    const entry = this.table.find(key)
    return entry !== 0 && !this.table.isExpired(entry)
  }

  /**
   * Returns the values of many keys, undefined where there is none: faster than one `get` for each
   * in large maps.
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
   * Returns the bytes of a value where they lie, without a copy; undefined when there is none. Of a
   * string or of JSON it is the text, in UTF-8 (in UTF-16 for a string with a lone surrogate), of a
   * number 8 bytes. It is valid until the next call that changes the map: then it may show
   * anything. Don't write to it.
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
   * Copies the bytes that `getView` shows to the beginning of `target`. Returns how many there are;
   * undefined when there is no such entry. Throws ERR_OUT_OF_RANGE when `target` is too short.
   */
  getInto(key: K, target: Uint8Array): number | undefined {
    checkTarget(target)
    const entry = this.use(key)
    return entry === 0 ? undefined : copyInto(this.table.memory, entry, target)
  }

  /**
   * Returns how long the entry of a key will live, in milliseconds: Infinity for ever, 0 when there
   * is none.
   */
  getRemainingTTL(key: K): number {
    const { table } = this
    const entry = table.find(key)
    return entry === 0 ? 0 : table.remaining(entry)
  }

  /** The entry of a key, which is used now; 0 when there is none. An expired one is removed. */
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
   * Stores a copy of a value. Throws ERR_INVALID_ARG_TYPE for what can't be stored (functions,
   * symbols, BigInts), what JSON.stringify throws, and ERR_OFFHEAP_OUT_OF_MEMORY when the map has
   * no room for it and may evict nothing for it; then the entry is as it was.
   */
  set(key: K, value: V, options?: SetOptions): this {
    const stored = new Value(value)
    this.put(key, stored, timeFrom(this.table, options))
    return this
  }

  /** Stores all of these pairs of keys and values. */
  setMany(entries: Iterable<readonly [K, V]>, options?: SetOptions): this {
    for (const [key, value] of entries) this.set(key, value, options)
    return this
  }

  /**
   * Returns the value of a key; when there is none, stores `value` and returns it as it was stored.
   */
  getOrInsert(key: K, value: V): V {
    return this.getOrInsertComputed(key, () => value)
  }

  /**
   * Returns the value of a key; when there is none, stores what `compute` returns, and returns
   * that.
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
   * Returns a promise of the value of a key. When there is none, `load` makes it, once for all who
   * ask meanwhile, and it is stored. When the key is set or deleted before that, the signal that
   * `load` got is aborted, and what it loads is not stored.
   */
  async fetch(key: K, load: Load<K, V>, options?: SetOptions): Promise<V> {
    functionOf('load', load)
    const entry = this.use(key)
    if (entry !== 0) return this.table.read(entry)
    return this.flights.join(
      key,
      signal => load(key, { signal }),
      value => this.put(key, new Value(value), timeFrom(this.table, options))
    )
  }

  /** Removes the entry of a key. False when there is none. */
  delete(key: K): boolean {
    const { table } = this
    const entry = table.find(key)
    this.flights.cancel(key)
    if (entry === 0) return false
    const isThere = !table.isExpired(entry)
    table.remove(entry, isThere ? 'delete' : 'expire')
    return isThere
  }

  /** Removes all entries. The memory of the index is given back too. */
  clear(): void {
    this.flights.cancelAll()
    this.table.clear()
  }

  /**
   * Looks at up to `budget` entries that may expire, and removes those whose time has passed.
   * Returns how many. Default: all.
   */
  purgeStale(budget = Number.MAX_SAFE_INTEGER): number {
    const { table } = this
    return table.sweep(Math.min(countOf('budget', budget), table.count))
  }

  private put(key: K, value: Value, time: Time | undefined): void {
    this.flights.cancel(key)
    if (!this.table.put(key, value, time)) throw outOfMemory(value.bytes)
  }

  // ---- visiting ---------------------------------------------------------------------------------

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
   * Returns some keys, at least `count` of them until the end, and where to go on: begin with
   * cursor 0, and go on until it is 0 again. A key that is there all the time is returned at least
   * once, whatever changes meanwhile, and most often exactly once. The order is none.
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
   * The entries whose time has not passed: in Map's order, or with `lru` from the last used to the
   * first.
   */
  private visit(): Generator<number, undefined, undefined> {
    return visit(this.table, this.table.policy === 'lru', false, Number.POSITIVE_INFINITY)
  }

  // ---- the whole map ----------------------------------------------------------------------------

  /** Returns figures about the map, in time proportional to its index. */
  stats(): MapStats {
    return statsOf(this.table, this.hits, this.misses)
  }

  /**
   * Verifies every invariant of the map, in time proportional to its entries. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  check(): void {
    check(this.table)
  }

  /**
   * Lets go of the map. A heap of its own is closed; in a heap that was given the map stays, and
   * can be opened again.
   */
  close(): void {
    this.flights.cancelAll()
    close(this.opened)
  }

  /** Frees every block of the map, and closes it. */
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
}

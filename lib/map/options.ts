/** The options of maps, checked before anything is mapped or written. */
import { invalidType, outOfRange } from '../errors.js'
import { type OptionNames, readOptions } from '../options.js'
import type { Fields } from '../values/fields.js'
import { Struct } from '../values/struct.js'
import { type EvictionPolicy, policies } from './eviction.js'

/** Any kind of record. */
export type RecordKind = Struct<Fields>

/** What a map stores. `open` needs the same as `create`. */
export interface ValueOptions<V = never> {
  /**
   * The kind of record that all values are, from `struct`. `set` takes a record or an object with
   * its fields; other properties are not stored. `get` returns a record with a copy of them. The
   * map stores the size of a record, and can be opened only with a struct of that size. Default:
   * values of any kind.
   */
  readonly value?: RecordKind & { over(bytes: Uint8Array): V }
}

/** The options of a new map. Sizes are in bytes, times in milliseconds. */
export interface MapOptions<V = never> extends ValueOptions<V> {
  /**
   * The size of the map's own heap; must be left out when a heap is given. Pages take memory once
   * they are used. Default: 1 GiB.
   */
  readonly size?: number
  /**
   * Whether the map's own heap is mapped with huge pages, which makes calls on large maps faster
   * and takes 2 MiB at a time; must be left out when a heap is given. Default: from a `size` of
   * 64 MiB on, if the system has them.
   */
  readonly hugePages?: boolean
  /**
   * Which entry to evict when the map is full: `none`, `fifo`, `lru` or `sieve`. Default: `none`;
   * for a HeapCache, `sieve`.
   */
  readonly eviction?: EvictionPolicy
  /** The most entries. Default: limited only by the heap. */
  readonly max?: number
  /**
   * The most bytes that all entries together take in the heap, keys and headers included. Default:
   * limited only by the heap.
   */
  readonly maxSize?: number
  /** The most bytes that one entry takes, key and header included. Default: `maxSize`. */
  readonly maxEntrySize?: number
  /**
   * The time that entries live, unless `set` has its own `ttl`. 0 and Infinity mean forever.
   * Default: 0.
   */
  readonly ttl?: number
  /**
   * How keys are hashed, always with a random seed: `mixed`, or the slower `siphash`, for keys from
   * untrusted sources. A map switches to `siphash` by itself when too many hashes collide. Default:
   * `mixed`.
   */
  readonly hash?: 'mixed' | 'siphash'
  /**
   * Whether the effects of all completed calls survive a process that is killed at any moment, even
   * during a call. Values are then never overwritten in place. Default: true in a heap file, false
   * elsewhere.
   */
  readonly crashSafe?: boolean
}

export const valueOptions: OptionNames<ValueOptions<unknown>> = { value: true }

export const mapOptions: OptionNames<MapOptions<unknown>> = {
  ...valueOptions,
  size: true,
  hugePages: true,
  eviction: true,
  max: true,
  maxSize: true,
  maxEntrySize: true,
  ttl: true,
  hash: true,
  crashSafe: true
}

/** The options of `set`. */
export interface SetOptions {
  /**
   * The time that the entry lives, in milliseconds; 0 and Infinity mean forever. Default: the map's
   * `ttl`.
   */
  readonly ttl?: number
}

const setOptions: OptionNames<SetOptions> = { ttl: true }

/** Checks a limit: an integer from 1; returns 0 if it was left out. */
export function limitOf(name: string, value: number | undefined): number {
  if (value === undefined) return 0
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(name, `an integer from 1 to ${Number.MAX_SAFE_INTEGER}`, value)
  }
  return value
}

/**
 * Checks a time to live; returns 0 for forever. Throws ERR_INVALID_ARG_TYPE, and ERR_OUT_OF_RANGE
 * for NaN and negative numbers.
 */
export function ttlOf(name: string, value: unknown): number {
  if (value === undefined) return 0
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!(value >= 0)) throw outOfRange(name, 'from 0, in milliseconds', value)
  return value === Number.POSITIVE_INFINITY ? 0 : value
}

/** Reads the `ttl` of `set`'s options, checked as by ttlOf; undefined for that of the map. */
export function ttlFrom(options: SetOptions | undefined): number | undefined {
  const ttl = options === undefined ? undefined : readOptions('set', options, setOptions).ttl
  return ttl === undefined ? undefined : ttlOf('options.ttl', ttl)
}

/** Checks an integer from 0, such as the number of entries that a call may look at. */
export function countOf(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, 'an integer from 0', value)
  return value
}

/** Checks a kind of record. */
export function recordKindOf(value: RecordKind | undefined): RecordKind | undefined {
  if (value !== undefined && !(value instanceof Struct))
    throw invalidType('options.value', 'a Struct, as struct() returns', value)
  return value
}

export function policyOf(value: EvictionPolicy): EvictionPolicy {
  if (typeof value !== 'string') throw invalidType('options.eviction', 'of type string', value)
  if (!policies.includes(value))
    throw outOfRange('options.eviction', `one of ${policies.join(', ')}`, value)
  return value
}

export function flagOf(name: string, value: unknown): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value)
  return value
}

export function functionOf<F extends (...args: never[]) => unknown>(
  name: string,
  value: F | undefined
): F | undefined {
  if (value !== undefined && typeof value !== 'function')
    throw invalidType(name, 'of type function', value)
  return value
}

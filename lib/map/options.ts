/** What a map can be asked to be, checked before anything is mapped or written. */
import { invalidType, outOfRange } from '../errors.js'
import type { OptionNames } from '../options.js'
import { type EvictionPolicy, policies } from './eviction.js'

/** What a map is to be like. Amounts are in bytes, times in milliseconds. */
export interface MapOptions {
  /**
   * The bytes of the heap that the map makes for itself; not together with a heap that is given.
   * Memory is taken as it is needed. Default: 1 GiB.
   */
  readonly size?: number
  /**
   * Which entry goes when the map is full: `none`, `fifo`, `lru` or `sieve`. Default: `none`, and
   * `sieve` for a HeapCache.
   */
  readonly eviction?: EvictionPolicy
  /** The most entries. Default: as many as the heap has room for. */
  readonly max?: number
  /**
   * The most bytes that all entries together take from the heap, their keys and headers included.
   * Default: as many as there are.
   */
  readonly maxSize?: number
  /** The most bytes of one entry, its key and header included. Default: `maxSize`. */
  readonly maxEntrySize?: number
  /** How long entries live, unless `set` says otherwise. 0 and Infinity: for ever. Default: 0. */
  readonly ttl?: number
  /**
   * How keys are hashed, always with a random seed: `mixed`, or `siphash`, which is slower, for
   * keys that strangers choose. A map changes to `siphash` by itself when too many hashes collide.
   * Default: `mixed`.
   */
  readonly hash?: 'mixed' | 'siphash'
  /**
   * Whether a process that ends at any moment, in the middle of a call too, leaves a map from which
   * every completed call can be read: then values are never overwritten in place. Default: false.
   */
  readonly crashSafe?: boolean
}

export const mapOptions: OptionNames<MapOptions> = {
  size: true,
  eviction: true,
  max: true,
  maxSize: true,
  maxEntrySize: true,
  ttl: true,
  hash: true,
  crashSafe: true
}

/** What one call of `set` is to do. */
export interface SetOptions {
  /** How long the entry lives, in milliseconds; 0 and Infinity: for ever. Default: the map's. */
  readonly ttl?: number
}

export const setOptions: OptionNames<SetOptions> = { ttl: true }

/** A limit: an integer from 1; 0 when it was left out. */
export function limitOf(name: string, value: number | undefined): number {
  if (value === undefined) return 0
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 1) {
    throw outOfRange(name, `an integer from 1 to ${Number.MAX_SAFE_INTEGER}`, value)
  }
  return value
}

/**
 * A time to live: 0 for ever. Throws ERR_INVALID_ARG_TYPE, and ERR_OUT_OF_RANGE for NaN and for
 * less than 0.
 */
export function ttlOf(name: string, value: unknown): number {
  if (value === undefined) return 0
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!(value >= 0)) throw outOfRange(name, 'from 0, in milliseconds', value)
  return value === Number.POSITIVE_INFINITY ? 0 : value
}

/** A number of a whole, such as how many entries a call may look at. */
export function countOf(name: string, value: number): number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, 'an integer from 0', value)
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

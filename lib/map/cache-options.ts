/**
 * The options of a HeapCache: those of lru-cache that it has, by the same names, beside those of
 * every map.
 */
import { type OptionNames, readOptions } from '../options.js'
import type { MapKey } from './keys.js'
import {
  flagOf,
  functionOf,
  type MapOptions,
  mapOptions,
  type SetOptions,
  ttlOf
} from './options.js'
import type { Reason } from './room.js'

/** What `fetchMethod` gets beside the key and the expired value, if there is one. */
export interface FetchContext {
  /** Aborted when the key was set or deleted meanwhile: then what is fetched is not stored. */
  readonly signal: AbortSignal
  /** What `fetch` was given. */
  readonly context?: unknown
}

/** How a cache behaves. This belongs to the object, not to the memory: give it to `open` again. */
export interface CacheBehaviour<K extends MapKey, V> {
  /** Whether an expired value is returned, once, before it is removed. Default: false. */
  readonly allowStale?: boolean
  /** Whether `get` renews the time of an entry. Default: false. */
  readonly updateAgeOnGet?: boolean
  /** Whether `has` renews the time of an entry. Default: false. */
  readonly updateAgeOnHas?: boolean
  /** Whether an entry that is set again keeps its time. Default: false. */
  readonly noUpdateTTL?: boolean
  /** Whether `get` leaves an expired entry where it is. Default: false. */
  readonly noDeleteOnStaleGet?: boolean
  /** Whether `dispose` is not called for a value that another one replaces. Default: false. */
  readonly noDisposeOnSet?: boolean
  /**
   * Called with a copy of each value that left the cache, its key, and why, when the call that
   * removed it is done. It may use the cache.
   */
  readonly dispose?: (value: V, key: K, reason: Reason) => void
  /** What `fetch` calls for a key that is not there. Undefined is not stored. */
  readonly fetchMethod?: (
    key: K,
    stale: V | undefined,
    options: FetchContext
  ) => V | undefined | PromiseLike<V | undefined>
  /** Whether `fetch` returns an expired value when `fetchMethod` fails. Default: false. */
  readonly allowStaleOnFetchRejection?: boolean
  /** Whether an expired entry stays when `fetchMethod` fails. Default: false. */
  readonly noDeleteOnFetchRejection?: boolean
}

/** What a cache is to be like. */
export interface CacheOptions<K extends MapKey = string, V = unknown>
  extends MapOptions,
    CacheBehaviour<K, V> {}

export interface HasOptions {
  readonly updateAgeOnHas?: boolean
}

export interface PeekOptions {
  readonly allowStale?: boolean
}

export interface GetOptions extends PeekOptions {
  readonly updateAgeOnGet?: boolean
  readonly noDeleteOnStaleGet?: boolean
}

export interface CacheSetOptions extends SetOptions {
  readonly noUpdateTTL?: boolean
  readonly noDisposeOnSet?: boolean
}

export interface FetchOptions extends GetOptions, CacheSetOptions {
  /** Whether `fetchMethod` is called although there is a value. Default: false. */
  readonly forceRefresh?: boolean
  /** Handed to `fetchMethod`. */
  readonly context?: unknown
  readonly allowStaleOnFetchRejection?: boolean
  readonly noDeleteOnFetchRejection?: boolean
}

const peekNames: OptionNames<PeekOptions> = { allowStale: true }
const getNames: OptionNames<GetOptions> = {
  ...peekNames,
  updateAgeOnGet: true,
  noDeleteOnStaleGet: true
}
const hasNames: OptionNames<HasOptions> = { updateAgeOnHas: true }
const setNames: OptionNames<CacheSetOptions> = {
  ttl: true,
  noUpdateTTL: true,
  noDisposeOnSet: true
}
const fetchNames: OptionNames<FetchOptions> = {
  ...getNames,
  ...setNames,
  forceRefresh: true,
  context: true,
  allowStaleOnFetchRejection: true,
  noDeleteOnFetchRejection: true
}
const behaviourNames: OptionNames<CacheBehaviour<string, unknown>> = {
  allowStale: true,
  updateAgeOnGet: true,
  updateAgeOnHas: true,
  noUpdateTTL: true,
  noDeleteOnStaleGet: true,
  noDisposeOnSet: true,
  dispose: true,
  fetchMethod: true,
  allowStaleOnFetchRejection: true,
  noDeleteOnFetchRejection: true
}

const NONE: object = {}

const FLAGS = [
  'allowStale',
  'updateAgeOnGet',
  'updateAgeOnHas',
  'noUpdateTTL',
  'noDeleteOnStaleGet',
  'noDisposeOnSet',
  'allowStaleOnFetchRejection',
  'noDeleteOnFetchRejection',
  'forceRefresh'
]

/** Options of one call, each read once, those that are flags checked. */
function read<Options extends object>(
  call: string,
  options: Options | undefined,
  names: OptionNames<Options>
): Partial<Options> {
  if (options === undefined) return NONE
  const all = readOptions(call, options, names)
  for (const flag of FLAGS) flagOf(`options.${flag}`, Reflect.get(all, flag))
  ttlOf('options.ttl', Reflect.get(all, 'ttl'))
  return all
}

export const readPeek = (options?: PeekOptions) => read('peek', options, peekNames)
export const readGet = (options?: GetOptions) => read('get', options, getNames)
export const readHas = (options?: HasOptions) => read('has', options, hasNames)
export const readSet = (options?: CacheSetOptions) => read('set', options, setNames)
export const readFetch = (options?: FetchOptions) => read('fetch', options, fetchNames)

/** How a cache behaves, checked. */
export function readBehaviour<K extends MapKey, V>(
  call: string,
  options: CacheBehaviour<K, V>
): Partial<CacheBehaviour<K, V>> {
  const behaviour = read<CacheBehaviour<K, V>>(call, options, behaviourNames)
  functionOf('options.dispose', behaviour.dispose)
  functionOf('options.fetchMethod', behaviour.fetchMethod)
  return behaviour
}

/** The options of a new cache: what its memory keeps, and how the object behaves. */
export function readCache<K extends MapKey, V>(
  call: string,
  options: CacheOptions<K, V>
): { map: MapOptions; behaviour: Partial<CacheBehaviour<K, V>> } {
  const all = readOptions<CacheOptions<K, V>>(call, options, { ...mapOptions, ...behaviourNames })
  const { size, eviction, max, maxSize, maxEntrySize, ttl, hash, crashSafe, ...behaviour } = all
  const map = Object.fromEntries(
    Object.entries({ size, eviction, max, maxSize, maxEntrySize, ttl, hash, crashSafe }).filter(
      ([, v]) => v !== undefined
    )
  )
  return { map, behaviour: readBehaviour(call, behaviour) }
}

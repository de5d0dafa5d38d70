/** The options of a HeapCache: those of every map, and some of lru-cache's, with the same names. */
import { type OptionNames, readOptions } from '../options.js'
import type { MapKey } from './keys.js'
import {
  flagOf,
  functionOf,
  type MapOptions,
  mapOptions,
  type SetOptions,
  ttlOf,
  type ValueOptions,
  valueOptions
} from './options.js'
import type { Reason } from './room.js'

/** The third argument of `fetchMethod`. */
export interface FetchContext {
  /** Aborted if the key is set or deleted meanwhile; the fetched value is then not stored. */
  readonly signal: AbortSignal
  /**
   * The options with which the fetched value will be stored: those of `fetch`. `fetchMethod` may
   * change them, for example set `ttl` to what a server says.
   */
  readonly options: { -readonly [Name in keyof CacheSetOptions]: CacheSetOptions[Name] }
  /** The `context` option of `fetch`. */
  readonly context?: unknown
}

/**
 * The behaviour of a cache. It belongs to the object and is not stored in the memory: pass it to
 * `open` again.
 */
export interface CacheBehaviour<K extends MapKey, V> extends ValueOptions<V> {
  /** Whether `get` returns an expired value, once, before it is removed. Default: false. */
  readonly allowStale?: boolean
  /** Whether `get` restarts the TTL of an entry. Default: false. */
  readonly updateAgeOnGet?: boolean
  /** Whether `has` restarts the TTL of an entry. Default: false. */
  readonly updateAgeOnHas?: boolean
  /** Whether an entry that is set again keeps its expiry time. Default: false. */
  readonly noUpdateTTL?: boolean
  /** Whether `get` does not remove an expired entry. Default: false. */
  readonly noDeleteOnStaleGet?: boolean
  /** Whether `dispose` is not called for a value that `set` replaces. Default: false. */
  readonly noDisposeOnSet?: boolean
  /**
   * Called with a copy of each removed value, its key and the reason, after the call that removed
   * it is complete. May use the cache.
   */
  readonly dispose?: (value: V, key: K, reason: Reason) => void
  /** Called by `fetch` for a key without a value. Undefined is not stored. */
  readonly fetchMethod?: (
    key: K,
    stale: V | undefined,
    options: FetchContext
  ) => V | undefined | PromiseLike<V | undefined>
  /** Whether `fetch` returns the expired value if `fetchMethod` fails. Default: false. */
  readonly allowStaleOnFetchRejection?: boolean
  /** Whether the expired entry is kept if `fetchMethod` fails. Default: false. */
  readonly noDeleteOnFetchRejection?: boolean
}

/** The options of HeapCache.create. */
export interface CacheOptions<K extends MapKey = string, V = unknown>
  extends MapOptions<V>,
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
  /** Whether to call `fetchMethod` even if there is a value. Default: false. */
  readonly forceRefresh?: boolean
  /** Passed to `fetchMethod`. */
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
  ...valueOptions,
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

/** Reads the options of one call, each once, and checks flags and TTLs. */
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

/** Reads and checks the behaviour of a cache. */
export function readBehaviour<K extends MapKey, V>(
  call: string,
  options: CacheBehaviour<K, V>
): Partial<CacheBehaviour<K, V>> {
  const behaviour = read<CacheBehaviour<K, V>>(call, options, behaviourNames)
  functionOf('options.dispose', behaviour.dispose)
  functionOf('options.fetchMethod', behaviour.fetchMethod)
  return behaviour
}

/**
 * Splits the options of a new cache: `map` is stored in the memory, `behaviour` belongs to the
 * object.
 */
export function readCache<K extends MapKey, V>(
  call: string,
  options: CacheOptions<K, V>
): { map: MapOptions<V>; behaviour: Partial<CacheBehaviour<K, V>> } {
  const all = readOptions<CacheOptions<K, V>>(call, options, { ...mapOptions, ...behaviourNames })
  return {
    map: selected(all, mapOptions),
    behaviour: readBehaviour(call, selected(all, behaviourNames))
  }
}

/** The options with these names. */
function selected(options: object, names: object) {
  return Object.fromEntries(Object.entries(options).filter(([name]) => Object.hasOwn(names, name)))
}

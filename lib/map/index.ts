/** The public surface of offheap/map. */
export type {
  CacheBehaviour,
  CacheOptions,
  CacheSetOptions,
  FetchContext,
  FetchOptions,
  GetOptions,
  HasOptions,
  PeekOptions
} from './cache-options.js'
export type { EvictionPolicy } from './eviction.js'
export { HeapCache } from './heap-cache.js'
export { HeapMap, type Load } from './heap-map.js'
export type { MapKey } from './keys.js'
export type { MapOptions, RecordKind, SetOptions, ValueOptions } from './options.js'
export type { Reason } from './room.js'
export { SharedMap, type SharedMapOptions } from './shared-map.js'
export type { MapStats, MapSummary } from './stats.js'

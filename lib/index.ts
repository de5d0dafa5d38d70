/** The public surface of offheap. */
export type { BlockInfo, HeapStats, HeapSummary, Leak, Pointer } from './engine/engine.js'
export {
  type FaultyBlock,
  OffheapError,
  type OffheapErrorCode,
  type SystemFault
} from './errors.js'
export type { BlockReference } from './heap/arguments.js'
export type { Pin } from './heap/claims.js'
export { Heap } from './heap/heap.js'
export type { Mutex } from './heap/mutex.js'
export type { HeapFileOptions } from './heap/open.js'
export type { HeapMapOptions, HeapOptions } from './heap/options.js'
export type { Roots } from './heap/roots.js'
export type { Scope } from './heap/scope.js'
export type { TextEncoding } from './heap/text.js'
export type { TypedArrayConstructor, ViewLike } from './heap/views.js'
export { Region, type RegionOptions } from './memory/region.js'
export type { PlacementName } from './placement/placement.js'
export { placements } from './placement/policies.js'
export type { Recovery } from './sharing/heap-file.js'
export type { HeapHandle } from './sharing/open.js'
export type { Fields, FieldType, FieldValue, StructRecord } from './values/fields.js'
export { type Struct, type StructArray, struct } from './values/struct.js'

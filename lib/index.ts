/** The public surface of offheap. */
export { OffheapError, type OffheapErrorCode, type SystemFault } from './errors.js'
export type { BlockReference, Pointer } from './heap/arguments.js'
export { Heap, type HeapMapOptions, type HeapOptions } from './heap/heap.js'
export type { HeapStats } from './heap/stats.js'
export type { TypedArrayConstructor } from './heap/views.js'
export type { BlockInfo } from './heap/walk.js'
export { Region, type RegionOptions } from './memory/region.js'
export { type PlacementName, placements } from './placement/policies.js'

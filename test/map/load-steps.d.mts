import type { HeapMap } from '../../lib/map/index.js'
/** Makes one call. */
export function apply(map: HeapMap<string, string>, seed: number, call: number): void

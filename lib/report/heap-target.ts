/** Creates a timeline's target for a heap of this library, with everything that it can show. */

import type { Heap } from '../heap/heap.js'
import { SlabTables } from './slab-tables.js'
import type { TimelineTarget } from './timeline.js'

export function heapTarget(heap: Heap): TimelineTarget {
  const tables = new SlabTables(heap.i32)
  return {
    malloc: size => heap.malloc(size),
    calloc: (count, size) => heap.calloc(count, size),
    realloc: (pointer, size) => heap.realloc(pointer, size),
    free: pointer => heap.free(pointer),
    alignedAlloc: (alignment, size) => heap.alignedAlloc(alignment, size),
    usableSize: pointer => heap.usableSize(pointer),
    freeBlocks: () => heap.freeBlocks(),
    extent: () => tables.extent(),
    stats: () => heap.stats(),
    check: () => heap.check(),
    u8: heap.u8,
    ...(tables.chunkGranules > 0 ? { slabs: tables } : {})
  }
}

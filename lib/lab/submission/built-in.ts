/** offheap's own heap as an allocator of the lab, for comparison. */

import { Heap } from '../../heap/heap.js'
import type { Allocator } from './memory.js'

export function builtIn(memory: ArrayBuffer): Allocator {
  const heap = Heap.format(memory)
  return {
    malloc: size => heap.malloc(size),
    free: pointer => heap.free(pointer),
    calloc: (count, size) => heap.calloc(count, size),
    realloc: (pointer, size) => heap.realloc(pointer, size),
    check: () => String(heap.stats().highWater)
  }
}

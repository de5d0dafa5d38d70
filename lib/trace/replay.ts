/**
 * The plain replay: makes a trace's calls as fast as possible. Besides the allocator, its time is
 * the loop over the columns, and one load and store of a pointer.
 */

import { outOfMemory } from './room.js'
import { ALIGNED, CALLOC, FREE, MALLOC, NULL_ID, REALLOC, type Trace } from './trace.js'
import type { ReplayTarget } from './verify-target.js'

/** Pointers by id; int32 keeps the loop in integers where the heap allows it. */
export type Pointers = Int32Array | Float64Array

/** An array for the pointers of a replay of `trace` on a heap of `size` bytes. It can be reused. */
export function pointersFor(trace: Trace, size: number): Pointers {
  return size <= 2 ** 31 ? new Int32Array(trace.ids) : new Float64Array(trace.ids)
}

/**
 * Replays operations `from` to `to` of `trace` on `target`. Stores in `pointers` where each id's
 * block is, 0 once it is free. Throws `ERR_OFFHEAP_OUT_OF_MEMORY` if the target returns NULL.
 */
export function replay(
  trace: Trace,
  target: ReplayTarget,
  pointers: Pointers,
  from = 0,
  to = trace.length
): void {
  const { kinds, idOf, sizes, extras } = trace
  for (let i = from; i < to; i++) {
    const id = idOf[i]
    const size = sizes[i]
    const kind = kinds[i]
    let pointer = 0
    if (kind === FREE) {
      if (id === NULL_ID) target.free(0)
      else {
        target.free(pointers[id])
        pointers[id] = 0
      }
      continue
    }
    if (kind === MALLOC) pointer = target.malloc(size)
    else if (kind === CALLOC) pointer = target.calloc(extras[i], size)
    else if (kind === ALIGNED) pointer = target.alignedAlloc(extras[i], size)
    else pointer = target.realloc(pointers[id], size)
    if (pointer === 0 && (kind !== REALLOC || size > 0)) throw outOfMemory(target, trace, i)
    pointers[id] = pointer
  }
}

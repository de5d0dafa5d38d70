/**
 * The replay that is timed. The worker loads this module once for each allocator (with a query in its URL), so that the JIT compiles
 * the loop for each of them alone, as in a program that has one allocator.
 */

import { performance } from 'node:perf_hooks'
import { FREE, NULL_ID, payloadOf, REALLOC, type Trace } from '../trace/trace.js'
import type { Allocator } from './memory.js'

/** Sizes in bytes of every operation, with calloc's product taken: one column, in integers. */
export function sizesOf(trace: Trace): Int32Array {
  return Int32Array.from({ length: trace.length }, (_, i) => payloadOf(trace, i))
}

/** Replays the whole trace once. Returns milliseconds. `pointers` has room for every id; all are 0 before. */
export function timeReplay(trace: Trace, sizes: Int32Array, allocator: Allocator, pointers: Int32Array): number {
  const { kinds, idOf, length } = trace
  const begin = performance.now()
  for (let i = 0; i < length; i++) {
    const id = idOf[i]
    const kind = kinds[i]
    if (kind === FREE) {
      if (id === NULL_ID) allocator.free(0)
      else {
        allocator.free(pointers[id])
        pointers[id] = 0
      }
    } else if (kind === REALLOC) pointers[id] = allocator.realloc(pointers[id], sizes[i])
    else pointers[id] = allocator.malloc(sizes[i])
  }
  return performance.now() - begin
}

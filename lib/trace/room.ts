/** The size of the heap that a trace needs, and the error for one that is too small. */
import { constants } from 'node:buffer'
import { wordsIn } from '../engine/format.js'
import { OffheapError } from '../errors.js'
import { MAXIMUM_HEAP_BYTES } from '../layout/block.js'
import { describeOperation, peaksOf, type Trace } from './trace.js'

const MIB = 2 ** 20

/** The size in bytes of the largest heap that this Node can map. */
export const MOST_HEAP_BYTES = Math.min(MAXIMUM_HEAP_BYTES, constants.MAX_LENGTH)

/** The size in bytes of a heap with ample room for the trace: untouched pages cost nothing. */
export function roomFor(trace: Trace): number {
  const size = Math.ceil((4 * peaksOf(trace).blocks) / MIB + 1) * MIB
  return Math.min(size, MOST_HEAP_BYTES)
}

/** A heap that had no block for an operation. */
export interface FullHeap {
  readonly u8: Uint8Array
  /** The free bytes, and those of the largest free block. */
  stats?(): { readonly free: number; readonly largestFree: number }
}

/** The error for operation `i`, which got NULL. Advises a larger heap only if that could help. */
export function outOfMemory(heap: FullHeap | undefined, trace: Trace, i: number): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_OUT_OF_MEMORY',
    `${describeOperation(trace, i)}: ${reason(heap, trace)}`
  )
}

function reason(heap: FullHeap | undefined, trace: Trace): string {
  if (heap === undefined) return 'the allocator returned NULL'
  const size = heap.u8.length
  const stats = heap.stats?.()
  const left =
    stats === undefined
      ? ''
      : `, with ${stats.free} bytes free, the largest block of them ${stats.largestFree}`
  return `the heap of ${size} bytes has no block for it${left}; ${advice(size, trace)}`
}

function advice(size: number, trace: Trace): string {
  // Every allocator needs at least the payload.
  const least = peaksOf(trace).payload
  // The largest heap uses slightly less than it was given.
  if (size < wordsIn(MOST_HEAP_BYTES) * 4 && least <= MOST_HEAP_BYTES)
    return 'give it more with --size'
  const larger = least <= MAXIMUM_HEAP_BYTES && MOST_HEAP_BYTES < MAXIMUM_HEAP_BYTES
  const elsewhere = larger ? `; Node 22 and later have heaps of up to ${MAXIMUM_HEAP_BYTES}` : ''
  return (
    `the trace needs at least ${least} bytes, but this Node has heaps of up to ` +
    `${MOST_HEAP_BYTES}${elsewhere}`
  )
}

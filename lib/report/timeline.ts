/**
 * Replays a trace once and writes down what an allocator did with it: where each block went, and how its free list changed.
 * Columns again, one entry for each operation, so that 100,000 operations are a few megabytes here and a few hundred KiB in
 * a page. Everything else that a view shows is worked out from these (history.ts).
 */

import { OffheapError } from '../errors.js'
import { outOfMemory } from '../trace/room.js'
import {
  ALIGNED,
  CALLOC,
  describeOperation,
  FREE,
  MALLOC,
  NULL_ID,
  payloadOf,
  REALLOC,
  type Trace
} from '../trace/trace.js'
import type { ReplayTarget } from '../trace/verify-target.js'
import { type FreeListEdits, FreeListRecorder } from './free-list-edits.js'
import type { SlabEdits } from './slab-edits.js'
import { SlabRecorder, type SlabTables } from './slab-tables.js'

/**
 * What a timeline can be taken of: an allocator, with as much insight as it gives. `Heap` gives the
 * first two; heap-target.ts makes a target of a heap that gives all.
 */
export interface TimelineTarget extends ReplayTarget {
  /** Payload bytes that the block really has. Without it, a block is taken for what was asked for. */
  usableSize?(pointer: number): number
  /** The free blocks in list order, headers included. Without it, a view shows the gaps between payloads. */
  freeBlocks?(): Iterable<{ readonly offset: number; readonly size: number }>
  /** Byte offsets between which the heap lies now. Without it, from the lowest block there ever was to the highest now. */
  extent?(): { readonly low: number; readonly high: number }
  /** Which parts of the heap are slabs. Without it, there are none. */
  readonly slabs?: SlabTables
}

export interface Timeline {
  /** What people call the allocator. */
  readonly label: string
  /** Bytes of header in front of each payload that is no slot; 0 when the target doesn't tell how large its blocks are. */
  readonly headerBytes: number
  /** Whether the target told how large its blocks are. */
  readonly wholeBlocks: boolean
  /** The payload's byte offset after each operation; 0 after a free. */
  readonly pointers: Float64Array
  /** Bytes that each operation's block has beyond what was asked for and its header: rounding, and rests too small to split. */
  readonly slacks: Float64Array
  /** How the free list changed; undefined when the target shows none. */
  readonly freeList: FreeListEdits | undefined
  /** Which blocks are slots, and how the slabs changed; undefined when the target has none. */
  readonly slabs: SlabEdits | undefined
  /** Where the heap ends after each operation; undefined when the target doesn't tell. */
  readonly ends: Float64Array | undefined
  /** Where the heap begins; undefined when the target doesn't tell. */
  readonly low: number | undefined
}

/** The most operations that a view holds: a page of some ten MiB. */
export const MAX_VIEW_OPERATIONS = 2 ** 20

/** The bytes in front of a payload in a heap of this library. */
const HEADER_BYTES = 4
/** Operations between two calls of `progress`. */
const PROGRESS_INTERVAL = 4096

/**
 * Replays all of `trace` on `target`, which is left as the trace leaves it. `progress` hears the share that is done, 0 … 1.
 * Throws an `OffheapError`: `ERR_OFFHEAP_OUT_OF_MEMORY`, `ERR_OFFHEAP_TRACE` for a trace of more than `MAX_VIEW_OPERATIONS`,
 * `ERR_OFFHEAP_CORRUPT` for a pointer outside the heap and for what the target throws; its own `OffheapError`s as they are.
 */
export function recordTimeline(
  trace: Trace,
  target: TimelineTarget,
  label: string,
  progress?: (share: number) => void
): Timeline {
  const { length } = trace
  if (length > MAX_VIEW_OPERATIONS) {
    throw new OffheapError(
      'ERR_OFFHEAP_TRACE',
      `${trace.name} has ${length} operations, and a view holds at most ${MAX_VIEW_OPERATIONS}; cut the trace shorter`
    )
  }
  const wholeBlocks = target.usableSize !== undefined
  const pointers = new Float64Array(length)
  const slacks = new Float64Array(length)
  const ends = target.extent === undefined ? undefined : new Float64Array(length)
  const freeList = target.freeBlocks === undefined ? undefined : new FreeListRecorder(length)
  const slabs = target.slabs === undefined ? undefined : new SlabRecorder(length, target.slabs)
  const now = new Float64Array(trace.ids)
  for (let i = 0; i < length; i++) {
    const pointer = attempt(trace, i, target, now)
    pointers[i] = pointer
    if (pointer !== 0 && target.usableSize !== undefined) slacks[i] = target.usableSize(pointer) - payloadOf(trace, i)
    if (ends !== undefined && target.extent !== undefined) ends[i] = target.extent().high
    if (freeList !== undefined && target.freeBlocks !== undefined) freeList.note(target.freeBlocks())
    slabs?.note(pointer)
    if (i % PROGRESS_INTERVAL === 0) progress?.(i / length)
  }
  return {
    label,
    headerBytes: wholeBlocks ? HEADER_BYTES : 0,
    wholeBlocks,
    pointers,
    slacks,
    freeList: freeList?.finish(),
    slabs: slabs?.finish(),
    ends,
    low: target.extent?.().low
  }
}

/** The same as `perform`, and what the target throws is told with the operation. */
function attempt(trace: Trace, i: number, target: TimelineTarget, now: Float64Array): number {
  try {
    return perform(trace, i, target, now)
  } catch (error) {
    if (error instanceof OffheapError) throw error
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    const wrapped = new OffheapError(
      'ERR_OFFHEAP_CORRUPT',
      `${describeOperation(trace, i)}: the allocator threw ${what}`
    )
    wrapped.cause = error
    throw wrapped
  }
}

/** Operation `i` on the target; its block's new pointer, 0 for none. */
function perform(trace: Trace, i: number, target: TimelineTarget, now: Float64Array): number {
  const id = trace.idOf[i]
  const size = trace.sizes[i]
  const kind = trace.kinds[i]
  if (kind === FREE) {
    target.free(id === NULL_ID ? 0 : now[id])
    if (id !== NULL_ID) now[id] = 0
    return 0
  }
  let pointer: number
  if (kind === MALLOC) pointer = target.malloc(size)
  else if (kind === CALLOC) pointer = target.calloc(trace.extras[i], size)
  else if (kind === ALIGNED) pointer = target.alignedAlloc(trace.extras[i], size)
  else pointer = target.realloc(now[id], size)
  if (pointer === 0 && (kind !== REALLOC || size > 0)) throw outOfMemory(target, trace, i)
  if (!Number.isSafeInteger(pointer) || pointer < 0 || pointer + payloadOf(trace, i) > target.u8.length) {
    throw new OffheapError(
      'ERR_OFFHEAP_CORRUPT',
      `${describeOperation(trace, i)}: returned ${String(pointer)}, where the heap of ${target.u8.length} bytes has no room for it`
    )
  }
  now[id] = pointer
  return pointer
}

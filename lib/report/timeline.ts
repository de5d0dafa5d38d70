/**
 * Replays a trace once and records what an allocator did: the address of each block, and the
 * changes of its free list. The records are columns with one entry for each operation, so that
 * 100,000 operations are a few megabytes here, and less in a page. Everything else that a view
 * shows is derived from them (history.ts).
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
import type { SlabEdits } from './slab-history.js'
import { SlabRecorder, type SlabTables } from './slab-tables.js'

/**
 * An allocator to record, with as much detail as it can show. `Heap` has the first two methods;
 * heap-target.ts makes a target with all of them.
 */
export interface TimelineTarget extends ReplayTarget {
  /** The payload bytes that the block can hold. Default: the requested bytes. */
  usableSize?(pointer: number): number
  /**
   * The free blocks in list order, headers included. Without it, a view shows gaps between
   * payloads.
   */
  freeBlocks?(): Iterable<{ readonly offset: number; readonly size: number }>
  /** The bytes of header before each payload, and of footer after it. Default: 4, and 0. */
  tags?(): { readonly header: number; readonly footer: number }
  /** The current bounds of the heap. Default: from the lowest block ever to the highest one now. */
  extent?(): { readonly low: number; readonly high: number }
  /** Which parts of the heap are slabs. Default: none. */
  readonly slabs?: SlabTables
}

export interface Timeline {
  /** The name of the allocator. */
  readonly label: string
  /**
   * The bytes of header before each payload, except slots; 0 if the target doesn't show block
   * sizes.
   */
  readonly headerBytes: number
  /** The bytes of boundary tag at the end of each block. */
  readonly footerBytes: number
  /** Whether the target showed block sizes. */
  readonly wholeBlocks: boolean
  /** The payload's byte offset after each operation; 0 after a free. */
  readonly pointers: Float64Array
  /** The bytes of each operation's block besides header and request: rounding, rests, footer. */
  readonly slacks: Float64Array
  /** The changes of the free list; undefined if the target shows none. */
  readonly freeList: FreeListEdits | undefined
  /** Which blocks are slots, and the changes of the slabs; undefined if there are none. */
  readonly slabs: SlabEdits | undefined
  /** The end of the heap after each operation; undefined if the target doesn't show it. */
  readonly ends: Float64Array | undefined
  /** The beginning of the heap; undefined if the target doesn't show it. */
  readonly low: number | undefined
}

/** The most operations of a view, whose page then has about ten MiB. */
export const MAX_VIEW_OPERATIONS = 2 ** 20

/** The bytes before a payload in a heap of this library. */
const HEADER_BYTES = 4
const NO_TAGS = { header: 0, footer: 0 }
/** The number of operations between two calls of `progress`. */
const PROGRESS_INTERVAL = 4096

/**
 * Replays all of `trace` on `target`, and leaves its blocks allocated. Calls `progress` with the
 * share that is done, from 0 to 1. Throws `OffheapError`: `ERR_OFFHEAP_OUT_OF_MEMORY`;
 * `ERR_OFFHEAP_TRACE` for a trace of more than `MAX_VIEW_OPERATIONS`; `ERR_OFFHEAP_CORRUPT` for a
 * pointer outside the heap, and for errors of the target that are no `OffheapError` themselves.
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
      `${trace.name} has ${length} operations, but a view holds at most ` +
        `${MAX_VIEW_OPERATIONS}; shorten the trace`
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
    if (pointer !== 0 && target.usableSize !== undefined)
      slacks[i] = target.usableSize(pointer) - payloadOf(trace, i)
    if (ends !== undefined && target.extent !== undefined) ends[i] = target.extent().high
    if (freeList !== undefined && target.freeBlocks !== undefined)
      freeList.note(target.freeBlocks())
    slabs?.note(pointer)
    if (i % PROGRESS_INTERVAL === 0) progress?.(i / length)
  }
  const tags = wholeBlocks ? (target.tags?.() ?? { header: HEADER_BYTES, footer: 0 }) : NO_TAGS
  return {
    label,
    headerBytes: tags.header,
    footerBytes: tags.footer,
    wholeBlocks,
    pointers,
    slacks,
    freeList: freeList?.finish(),
    slabs: slabs?.finish(),
    ends,
    low: target.extent?.().low
  }
}

/** Performs operation `i`; an error of the target names the operation. */
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

/** Performs operation `i` on the target. Returns its block's new pointer, or 0. */
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
  if (
    !Number.isSafeInteger(pointer) ||
    pointer < 0 ||
    pointer + payloadOf(trace, i) > target.u8.length
  ) {
    throw new OffheapError(
      'ERR_OFFHEAP_CORRUPT',
      `${describeOperation(trace, i)}: returned ${String(pointer)}, where the heap of ` +
        `${target.u8.length} bytes has no room for it`
    )
  }
  now[id] = pointer
  return pointer
}

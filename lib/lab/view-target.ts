/**
 * Opens a submission for `offheap view --allocator`. It runs in this process, and is not verified.
 */

import { constants } from 'node:buffer'
import { OffheapError } from '../errors.js'
import { type BoundedTarget, describedTarget } from '../report/described-target.js'
import type { TimelineTarget } from '../report/timeline.js'
import { roomFor } from '../trace/room.js'
import { payloadOf, type Trace } from '../trace/trace.js'
import { compileSubmission } from './grade/compile.js'
import { FaultFound } from './submission/fault.js'
import { allocatorOf, createOf } from './submission/load.js'
import { LabMemory } from './submission/memory.js'

export interface OpenSubmission {
  readonly target: TimelineTarget
  /** Unmaps the memory. */
  close(): void
}

/**
 * Compiles the submission at `path`, and creates its allocator on memory of `size` bytes. With
 * `describes`, uses its `describe()`, if any, to show its blocks and free list. Throws
 * ERR_OFFHEAP_UNSUPPORTED, with the reason, if the submission can't be compiled or loaded, or
 * creates no allocator.
 */
export async function openSubmission(
  path: string,
  size: number,
  describes = true
): Promise<OpenSubmission> {
  const submission = await compileSubmission(path, 'module')
  if (!('url' in submission)) throw unusable(path, [submission.what, ...submission.details])
  try {
    const create = createOf(await import(submission.url))
    const lab = new LabMemory(size)
    try {
      const allocator = allocatorOf(create(lab.face))
      const plain: BoundedTarget = {
        malloc: bytes => allocator.malloc(bytes),
        calloc: (count, bytes) =>
          allocator.calloc?.(count, bytes) ?? allocator.malloc(count * bytes),
        realloc: (pointer, bytes) => allocator.realloc(pointer, bytes),
        free: pointer => allocator.free(pointer),
        // A lab's allocator supports only one alignment.
        alignedAlloc: (_, bytes) => allocator.malloc(bytes),
        check: () => {},
        u8: lab.views.u8,
        extent: () => ({ low: lab.low, high: lab.high })
      }
      const { describe } = allocator
      const target: TimelineTarget =
        describes && typeof describe === 'function'
          ? describedTarget(plain, () => Reflect.apply(describe, allocator, []))
          : plain
      return { target, close: () => lab.close() }
    } catch (error) {
      lab.close()
      throw error
    }
  } catch (error) {
    if (error instanceof FaultFound)
      throw unusable(path, [error.fault.what, ...error.fault.details, error.fault.hint])
    if (error instanceof OffheapError) throw error
    throw unusable(path, [
      `it can't be loaded: ${error instanceof Error ? error.message : String(error)}`
    ])
  } finally {
    submission.remove()
  }
}

/** Returns a size in bytes that is enough even for an allocator that never reuses memory. */
export function roomForSubmission(trace: Trace): number {
  let total = roomFor(trace)
  for (let i = 0; i < trace.length; i++) total += payloadOf(trace, i) + 64
  return Math.min(total, constants.MAX_LENGTH / 2)
}

function unusable(path: string, reasons: readonly string[]): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_UNSUPPORTED',
    `${path}: ${reasons.filter(reason => reason !== '').join('\n  ')}`
  )
}

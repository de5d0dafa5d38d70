/**
 * Opens the package's own allocator for the page: the engine of an ordinary heap, on memory that
 * records.
 */

import { Allocator } from '../engine/allocator.js'
import type { Calls, Host } from '../engine/engine.js'
import { type Header, ordinaryLayout, writeHeader } from '../engine/format.js'
import { TOP_WORD, WITH_SLABS } from '../layout/header.js'
import { chunkGranules } from '../layout/slab.js'
import type { PlacementName } from '../placement/placement.js'
import { policyNamed } from '../placement/policies.js'
import type { Player } from './player.js'
import { Recorder } from './recorder.js'

export interface OwnOptions {
  readonly placement: PlacementName
  readonly slabs: boolean
  /** The size of the heap, in bytes. */
  readonly size: number
}

/** The smallest heap with slabs, in bytes. */
export const SMALLEST_WITH_SLABS = 2 ** 16

/** Opens an empty heap. With `slabs`, `size` must be at least SMALLEST_WITH_SLABS. */
export function openOwn({ placement, slabs, size }: OwnOptions): Player {
  const recorder = new Recorder(new ArrayBuffer(size), Number.POSITIVE_INFINITY)
  const length = size / 4
  const policy = policyNamed(placement)
  const header: Header = {
    policy,
    options: slabs && chunkGranules(length) > 0 ? WITH_SLABS : 0,
    length
  }
  writeHeader(
    recorder.words,
    header,
    ordinaryLayout(length, policy, header.options === WITH_SLABS),
    0,
    true
  )
  const words = recorder.watch(new Int32Array(recorder.words.buffer))
  const calls: Calls = {
    malloc: bytes => (bytes < 2 ** 31 && allocator.slots.take(bytes)) || allocator.allocate(bytes),
    calloc: (count, size) => {
      const bytes = count * size
      const slot = bytes < 2 ** 31 ? allocator.slots.take(bytes) : 0
      if (slot === 0) return allocator.allocateZeroed(bytes)
      // As slots.takeZeroed does, but through a view that records.
      words.fill(0, slot / 4, slot / 4 + (((bytes + 15) >>> 4) << 2))
      return slot
    },
    alignedAlloc: (alignment, bytes) => {
      if (alignment === 0 || !Number.isInteger(Math.log2(alignment))) {
        throw new RangeError(`The alignment must be a power of two. Received ${alignment}`)
      }
      return allocator.allocateAligned(alignment, bytes)
    },
    realloc: (pointer, bytes) => {
      if (pointer === 0) return calls.malloc(bytes)
      if (bytes === 0) {
        calls.free(pointer)
        return 0
      }
      if (allocator.slots.suits(pointer, bytes)) return pointer
      const resized = allocator.resize(pointer, bytes)
      if (resized < 0) throw allocator.refusal('realloc', pointer)
      return resized
    },
    free: pointer => {
      if (pointer === 0 || allocator.slots.give(pointer)) return
      if (!allocator.free(pointer)) throw allocator.refusal('free', pointer)
    }
  }
  const host: Host = { grown: nothing, trim: nothing, fault: nothing, commit: undefined, calls }
  const allocator = new Allocator(words, header, host)
  allocator.reset()
  return {
    ...calls,
    recorder,
    get high() {
      return recorder.words[TOP_WORD] * 4
    },
    describe: nothing
  }
}

/** Replaces what a heap does outside its memory, which the page does not show. */
function nothing(): void {}

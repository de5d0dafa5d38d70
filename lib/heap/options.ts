/** The options of heaps, checked before anything is mapped or written. */
import type { Leak } from '../engine/engine.js'
import { invalidType, OffheapError, outOfRange } from '../errors.js'
import { SLOT_BYTES } from '../hardened/layout.js'
import { MAXIMUM_HEAP_BYTES, TOO_LARGE } from '../layout/block.js'
import { type RegionOptions, regionOptions } from '../memory/region.js'
import type { OptionNames } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { policyNamed } from '../placement/policies.js'
import { MOST_ARENAS } from '../sharing/control.js'
import { checkAmount } from './arguments.js'
import type { Plan } from './kinds.js'

/** The options of a new heap. */
export interface HeapOptions {
  /** Which free block a request gets. Default: `first-fit`. */
  readonly placement?: PlacementName
  /**
   * Whether to serve requests of up to 160 bytes from slabs: slots of one size, without headers,
   * with one bit each. Slabs are several times as fast for programs with many small blocks, and
   * detect every wrong pointer to a slot. A heap of less than 64 KiB has no slabs. Can't be
   * combined with `hardened`. Default: true for `segregated-fit`, false for other placements and
   * for hardened heaps.
   */
  readonly slabs?: boolean
  /**
   * Returns free pages to the system, as trim() does, each time this many bytes were freed. From 1
   * to 8 GiB. Mapped memory only. Default: never.
   */
  readonly trimThreshold?: number
  /**
   * Whether to verify every pointer exactly, and every byte outside payloads: see
   * docs/hardening.md. Hardened heaps are slower and use a quarter of their memory for these
   * checks; a request of 100 bytes takes 128. Default: false.
   */
  readonly hardened?: boolean
  /**
   * Hardened heaps only. The total size, in bytes, of freed blocks that are kept before their
   * memory is reused. From 0 to 8 GiB. Default: 1/16 of the heap.
   */
  readonly quarantine?: number
  /**
   * Hardened heaps only. Whether errors and `leaks()` include the stacks where blocks were
   * allocated and freed, and close() reports blocks that were not freed. The stacks belong to this
   * Heap object and are not stored in the memory. Default: false.
   */
  readonly trackAllocations?: boolean
  /**
   * With `trackAllocations`: called with the leaks by close(), if there are any. Default: emits the
   * process warning `OFFHEAP_LEAK`.
   */
  readonly onLeaks?: (leaks: readonly Leak[]) => void
}

/** The options of a shared heap. */
export interface SharingOptions {
  /**
   * Whether other threads can use the heap at the same time: see `heap.handle()` and
   * docs/sharing.md. Can't be combined with `hardened` or `trimThreshold`. Default: false.
   */
  readonly shared?: boolean
  /**
   * Shared heaps only. The number of arenas, from 1 to 32. `size` is divided among them, and no
   * block is larger than an arena. Each thread uses an arena of its own, while there are enough.
   * Default: the number of processors, at least 2 and at most 16.
   */
  readonly arenas?: number
  /**
   * Shared heaps only. The number of milliseconds that a call waits for another thread to leave an
   * arena, before it throws ERR_OFFHEAP_BUSY. Default: 10,000.
   */
  readonly busyTimeout?: number
}

/**
 * The options of Heap.map: those of a heap, and those of its region. `size` is in bytes, header and
 * index included.
 */
export interface HeapMapOptions extends HeapOptions, SharingOptions, RegionOptions {}

export const heapOptions: OptionNames<HeapOptions> = {
  placement: true,
  slabs: true,
  trimThreshold: true,
  hardened: true,
  quarantine: true,
  trackAllocations: true,
  onLeaks: true
}

export const heapMapOptions: OptionNames<HeapMapOptions> = {
  ...regionOptions,
  ...heapOptions,
  shared: true,
  arenas: true,
  busyTimeout: true
}

/**
 * Checks the options of a shared heap. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
 * ERR_OFFHEAP_UNSUPPORTED.
 */
export function checkSharing(
  { shared = false, arenas, busyTimeout }: SharingOptions,
  plan: Plan
): void {
  checkFlag('shared', shared)
  checkCount('arenas', arenas, shared, 1, MOST_ARENAS)
  checkCount('busyTimeout', busyTimeout, shared, 0, 2 ** 31 - 1)
  if (!shared) return
  if (plan.hardened) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'A heap can be hardened or shared, not both: leave out "hardened" or "shared"'
    )
  }
  if (plan.trimThreshold !== 0) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'A shared heap does not trim by itself: leave out "trimThreshold", and call ' +
        'heap.trim() instead'
    )
  }
}

function checkCount(
  name: string,
  value: number | undefined,
  shared: boolean,
  least: number,
  most: number
): void {
  if (value === undefined) return
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!shared) throw outOfRange(name, 'left out unless "shared" is true', value)
  if (!(Number.isInteger(value) && value >= least && value <= most)) {
    throw outOfRange(name, `an integer from ${least} to ${most}`, value)
  }
}

/**
 * Checks the options of a heap, which were read once before. Throws ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE.
 */
export function planOf(options: HeapOptions): Plan {
  const {
    placement = 'first-fit',
    hardened = false,
    trackAllocations = false,
    onLeaks,
    ...given
  } = options
  const policy = policyNamed(placement)
  const { slabs = policy.slabs && hardened !== true } = given
  checkFlag('slabs', slabs)
  checkFlag('hardened', hardened)
  checkFlag('trackAllocations', trackAllocations)
  if (hardened && slabs)
    throw outOfRange('slabs', 'false in a hardened heap, whose blocks it could not watch', true)
  if (!hardened) {
    if (trackAllocations)
      throw outOfRange('trackAllocations', 'false unless "hardened" is true', true)
    if (given.quarantine !== undefined) {
      throw outOfRange('quarantine', 'left out unless "hardened" is true', given.quarantine)
    }
  }
  if (onLeaks !== undefined) {
    if (typeof onLeaks !== 'function') throw invalidType('onLeaks', 'of type function', onLeaks)
    if (!trackAllocations)
      throw outOfRange('onLeaks', 'left out unless "trackAllocations" is true', onLeaks)
  }
  const wordBytes = hardened ? SLOT_BYTES : 4
  return {
    policy,
    slabs,
    hardened,
    trimThreshold: Math.ceil(wordsOf('trimThreshold', given.trimThreshold, 1, wordBytes) ?? 0),
    quarantine: wordsOf('quarantine', given.quarantine, 0, wordBytes),
    tracks: trackAllocations,
    onLeaks
  }
}

/**
 * Converts a number of bytes, from `least` to 8 GiB, to words of `wordBytes` bytes; undefined if it
 * was left out.
 */
function wordsOf(
  name: string,
  bytes: number | undefined,
  least: number,
  wordBytes: number
): number | undefined {
  if (bytes === undefined) return undefined
  checkAmount(name, bytes)
  if (bytes < least || bytes > MAXIMUM_HEAP_BYTES) {
    throw outOfRange(name, `from ${least} to ${MAXIMUM_HEAP_BYTES} bytes`, bytes)
  }
  return Math.min(bytes / wordBytes, TOO_LARGE)
}

function checkFlag(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value)
}

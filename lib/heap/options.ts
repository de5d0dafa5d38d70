/** What a heap can be asked to be, checked before anything is mapped or written. */
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

/** What a heap is to be like. */
export interface HeapOptions {
  /** Which free block a request gets. Default: `first-fit`. */
  readonly placement?: PlacementName
  /**
   * Serves requests of up to 160 bytes from slabs: slots of one size without headers, a bit each.
   * Several times as fast for programs with many small blocks, and exact about wrong pointers to
   * them. A heap of less than 64 KiB has none. Not together with `hardened`. Default: true for
   * `segregated-fit`, false for the others and for hardened heaps.
   */
  readonly slabs?: boolean
  /**
   * Gives free pages back to the system, as trim() does, each time that blocks of this many bytes
   * were freed; from 1 to 8 GiB, and only on mapped memory. Default: never.
   */
  readonly trimThreshold?: number
  /**
   * Verifies every pointer exactly, and watches every byte outside of payloads: see
   * docs/hardening.md. Slower, and a quarter of the memory goes to the watch; a request of 100
   * bytes takes 128. Default: false.
   */
  readonly hardened?: boolean
  /**
   * Of a hardened heap: freed blocks are held, up to this many bytes together, before their memory
   * is used again; from 0 to 8 GiB. Default: 1/16 of the heap.
   */
  readonly quarantine?: number
  /**
   * Of a hardened heap: whether errors and `leaks()` have the stacks where blocks were allocated
   * and freed, and close() reports the blocks that were not freed. The stacks belong to this Heap
   * object, and are not in the memory. Default: false.
   */
  readonly trackAllocations?: boolean
  /**
   * With `trackAllocations`: gets the leaks at close(), if there are any. Default: a process
   * warning `OFFHEAP_LEAK`.
   */
  readonly onLeaks?: (leaks: readonly Leak[]) => void
}

/** How several threads use a heap. */
export interface SharingOptions {
  /**
   * Whether other threads can use the heap at the same time: see `heap.handle()` and
   * docs/sharing.md. Not together with `hardened` and `trimThreshold`. Default: false.
   */
  readonly shared?: boolean
  /**
   * Of a shared heap: the number of arenas, from 1 to 32. `size` is divided among them, and no
   * block is larger than an arena. Each thread has an arena of its own, as long as there are
   * enough. Default: the number of processors, from 2 to 16.
   */
  readonly arenas?: number
  /**
   * Of a shared heap: how many milliseconds a call waits for another thread to leave an arena
   * before it throws ERR_OFFHEAP_BUSY. Default: 10,000.
   */
  readonly busyTimeout?: number
}

/**
 * The options of a heap, and of the region that it is mapped on; `size` is in bytes, header and
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
 * Verifies the options of sharing. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
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
 * The options of a heap, each read once before, checked. Throws ERR_INVALID_ARG_TYPE,
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
 * An amount of bytes from `least` to 8 GiB, in words of `wordBytes` bytes; undefined when it was
 * left out.
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

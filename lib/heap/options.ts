/** What a heap can be asked to be, checked before anything is mapped or written. */
import { MAXIMUM_HEAP_BYTES } from '../block/block.js'
import { invalidType, outOfRange } from '../errors.js'
import { type RegionOptions, regionOptions } from '../memory/region.js'
import type { OptionNames } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { policyNamed } from '../placement/policies.js'
import { TOO_LARGE } from './allocator.js'
import { checkAmount } from './arguments.js'
import type { Settings, Shape } from './format.js'
import type { Tracking } from './hardened/heap.js'
import { SLOT_BYTES } from './hardened/layout.js'
import type { Leak } from './hardened/stacks.js'

/** What a heap is to be like. */
export interface HeapOptions {
  /** Which free block a request gets; `first-fit` unless told. */
  readonly placement?: PlacementName
  /**
   * Whether small blocks that are given back are kept as they are, by size, for the next request of that size. Faster, for a
   * little more memory: while more than 1/16 of the block space waits in the lists, and more than 1 KiB, it gets no larger than
   * it ever was. Unless told, true for `segregated-fit`, which is about speed, and false for the others.
   */
  readonly quickLists?: boolean
  /**
   * Gives free pages back to the system by itself, as trim() does, each time that blocks of so many bytes have been freed
   * since the last time; from 1 to 8 GiB, and only on mapped memory. Never unless told.
   */
  readonly trimThreshold?: number
  /**
   * Whether every pointer is verified exactly and every byte outside of payloads is watched: see docs/hardening.md. Slower,
   * and a quarter of the memory goes to the watch; a request of 100 bytes takes 128. Not together with `quickLists`. False
   * unless told.
   */
  readonly hardened?: boolean
  /**
   * Of a hardened heap: blocks that were given back are held, up to so many bytes together, before their memory may be
   * handed out again; from 0 to 8 GiB. 1/16 of the heap unless told.
   */
  readonly quarantine?: number
  /**
   * Of a hardened heap: whether errors and `leaks()` have the stacks where blocks were allocated and freed, and close() reports the
   * blocks that were not freed. The stacks are kept by this Heap object, not in the memory. False unless told.
   */
  readonly trackAllocations?: boolean
  /** With `trackAllocations`: gets the leaks at close(), if there are any, in place of a process warning `OFFHEAP_LEAK`. */
  readonly onLeaks?: (leaks: readonly Leak[]) => void
}

/** The same, with the region that it is to be mapped on; `size` is in bytes, header and index included. */
export interface HeapMapOptions extends HeapOptions, RegionOptions {}

export const heapOptions: OptionNames<HeapOptions> = {
  placement: true,
  quickLists: true,
  trimThreshold: true,
  hardened: true,
  quarantine: true,
  trackAllocations: true,
  onLeaks: true
}

export const heapMapOptions: OptionNames<HeapMapOptions> = { ...regionOptions, ...heapOptions }

/** What the options come to. */
export interface Plan {
  readonly shape: Shape
  readonly settings: Settings
  readonly tracking?: Tracking
}

/** The options of a heap, read before, checked. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
export function planOf(options: HeapOptions): Plan {
  const { placement = 'first-fit', hardened = false, trackAllocations = false } = options
  const policy = policyNamed(placement)
  const { quickLists = policy.quickLists && hardened !== true } = options
  checkFlag('quickLists', quickLists)
  checkFlag('hardened', hardened)
  checkFlag('trackAllocations', trackAllocations)
  if (hardened && quickLists)
    throw outOfRange('quickLists', 'false in a hardened heap, which reuses no block at once', true)
  if (!hardened) {
    if (trackAllocations) throw outOfRange('trackAllocations', 'false unless "hardened" is true', true)
    if (options.quarantine !== undefined) {
      throw outOfRange('quarantine', 'left out unless "hardened" is true', options.quarantine)
    }
  }
  const { onLeaks } = options
  if (onLeaks !== undefined) {
    if (typeof onLeaks !== 'function') throw invalidType('onLeaks', 'of type function', onLeaks)
    if (!trackAllocations) throw outOfRange('onLeaks', 'left out unless "trackAllocations" is true', onLeaks)
  }
  const wordBytes = hardened ? SLOT_BYTES : 4
  const trimThreshold = wordsOf('trimThreshold', options.trimThreshold, 1, wordBytes) ?? 0
  const quarantine = wordsOf('quarantine', options.quarantine, 0, wordBytes)
  const settings = { trimThreshold: Math.ceil(trimThreshold), quarantine }
  return { shape: { policy, quickLists, hardened }, settings, ...(trackAllocations ? { tracking: { onLeaks } } : {}) }
}

/** An amount of bytes from `least` to 8 GiB, in words of so many bytes; undefined when it was left out. */
function wordsOf(name: string, bytes: number | undefined, least: number, wordBytes: number): number | undefined {
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

/** The kinds of heaps: which engine a header selects, and where its blocks are. */
import { randomInt } from 'node:crypto'
import { types } from 'node:util'
import { openAllocator } from '../engine/allocator.js'
import type { Engine, Host, Leak } from '../engine/engine.js'
import {
  checkRoom,
  type Header,
  type Layout,
  ordinaryLayout,
  readHeader,
  verifyHeader,
  wordsIn,
  wordsOf,
  writeHeader
} from '../engine/format.js'
import { invalidType } from '../errors.js'
import { HardenedEngine } from '../hardened/engine.js'
import { layoutOfLedger } from '../hardened/layout.js'
import { HARDENED, KEY_WORD, QUARANTINE_LIMIT_WORD, WITH_SLABS } from '../layout/header.js'
import { chunkGranules } from '../layout/slab.js'
import { isRegion, type Region } from '../memory/region.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { closedError } from './arguments.js'

/** The checked options of a new heap. */
export interface Plan {
  readonly policy: PlacementPolicy
  readonly slabs: boolean
  readonly hardened: boolean
  /** In words of the heap, or of the ledger if it is hardened; 0 for never. */
  readonly trimThreshold: number
  /** Hardened heaps only. In words of the ledger. Default: 1/16 of the heap. */
  readonly quarantine: number | undefined
  /** Whether stacks are recorded, and what close() calls with the leaks. */
  readonly tracks: boolean
  readonly onLeaks: ((leaks: readonly Leak[]) => void) | undefined
}

function layoutOf(words: number, policy: PlacementPolicy, options: number): Layout {
  if (options === HARDENED) return layoutOfLedger(words, policy)
  return ordinaryLayout(words, policy, options === WITH_SLABS)
}

function optionsOf({ slabs, hardened }: Plan, words: number): number {
  return hardened ? HARDENED : slabs && chunkGranules(words) > 0 ? WITH_SLABS : 0
}

/** Checks that the planned heap fits in `bytes` bytes. Throws ERR_OUT_OF_RANGE. */
export function checkSize(bytes: number, plan: Plan): void {
  const kind = `${plan.hardened ? 'hardened ' : ''}${plan.policy.name}`
  checkRoom(bytes, kind, words => layoutOf(words, plan.policy, optionsOf(plan, words)))
}

/** The number of bytes before the first block, in a heap of `bytes` bytes. */
export function metadataBytes(plan: Plan, bytes: number): number {
  const words = wordsIn(bytes)
  return layoutOf(words, plan.policy, optionsOf(plan, words)).first * 4
}

/**
 * Formats `buffer`. `zeroed` says that all of its bytes are zero. Returns the words of the heap.
 */
export function writeHeap<Memory extends ArrayBufferLike>(
  buffer: Memory,
  plan: Plan,
  zeroed: boolean
): Int32Array<Memory> {
  checkSize(buffer.byteLength, plan)
  const words = new Int32Array(buffer, 0, wordsIn(buffer.byteLength))
  const header: Header = {
    policy: plan.policy,
    options: optionsOf(plan, words.length),
    length: words.length
  }
  const layout = layoutOf(words.length, plan.policy, header.options)
  // A hardened heap verifies every byte, so each must have a known value.
  if (plan.hardened && !zeroed) words.fill(0)
  writeHeader(words, header, layout, plan.trimThreshold, zeroed || plan.hardened)
  if (plan.hardened) {
    words[KEY_WORD] = randomInt(1, 2 ** 32)
    words[QUARANTINE_LIMIT_WORD] = plan.quarantine ?? layout.end >> 4
  }
  return words
}

/**
 * Verifies the header of the heap in `buffer`, and returns its words. Throws
 * ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_UNSUPPORTED.
 */
export function heapIn<Memory extends ArrayBufferLike>(buffer: Memory): Int32Array<Memory> {
  const words = wordsOf(buffer)
  const { policy, options, length } = readHeader(words)
  verifyHeader(words, layoutOf(length, policy, options))
  return words.subarray(0, length)
}

/** Opens the engine of a heap whose header was verified. */
export function openEngine(words: Int32Array, host: Host, tracks: boolean): Engine {
  const header = readHeader(words)
  return header.options === HARDENED
    ? new HardenedEngine(words, header, host, tracks)
    : openAllocator(words, header, host)
}

/** Returns `Host.commit` for a heap in this region: reserves memory for its first bytes. */
export function committerOf(region: Region): (bytes: number) => boolean {
  return bytes => region.commit(0, Math.ceil(bytes / region.pageSize) * region.pageSize)
}

/**
 * Returns the buffer of a region, or the buffer itself. Throws ERR_INVALID_ARG_TYPE, and
 * ERR_OFFHEAP_CLOSED if the region is closed or the buffer detached.
 */
export function bufferOf(memory: Region): ArrayBuffer
export function bufferOf<Memory extends ArrayBufferLike>(
  memory: Region | Memory
): ArrayBuffer | Memory
export function bufferOf(memory: Region | ArrayBufferLike): ArrayBufferLike {
  const isMapped = isRegion(memory)
  if (isMapped && memory.closed) throw closedError()
  const buffer = isMapped ? memory.buffer : memory
  if (!isFixed(buffer)) {
    throw invalidType(
      'memory',
      'a Region, an ArrayBuffer or a SharedArrayBuffer of fixed length',
      memory
    )
  }
  if (isDetached(buffer)) throw closedError()
  return buffer
}

/** Is this a buffer of fixed length? */
function isFixed(buffer: unknown): boolean {
  if (types.isSharedArrayBuffer(buffer)) return !buffer.growable
  return types.isArrayBuffer(buffer) && !buffer.resizable
}

/** Is the buffer detached? */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength !== 0) return false
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

/**
 * Replays a trace and verifies everything. Each payload gets a pattern of its own, which is
 * compared before every realloc and free and at the end. Each pointer must be aligned, lie inside
 * the heap, and not overlap another block. The used blocks that the heap lists must be exactly
 * those of the trace. The expected state is kept outside the heap, so a heap that corrupts itself
 * can't hide it.
 *
 * An allocator may treat freed blocks as it likes: merge them at once or later, or keep them.
 */

import { OffheapError, type OffheapErrorCode } from '../errors.js'
import { expectedByte } from './pattern.js'
import { outOfMemory } from './room.js'
import {
  ALIGNED,
  CALLOC,
  describeOperation,
  FREE,
  NULL_ID,
  payloadOf,
  REALLOC,
  type Trace
} from './trace.js'
import { inOneMemory, type Place, type ReplayTarget, type Verifiable } from './verify-target.js'

/** The number of checks of the whole heap in a trace… */
const CHECKS = 50
/** …and traces up to this length are checked after every operation. */
const TINY = 500
/** The number of bytes for which one owner is kept. */
const GRANULE = 8

/** A verified replay of `trace` on a heap in one memory. */
export function verifiedReplay(trace: Trace, heap: ReplayTarget): VerifiedReplay<number> {
  return new VerifiedReplay(trace, inOneMemory(heap))
}

/**
 * A verified replay of `trace` on `target`: `run` to any operation, and to the end; then `release`.
 */
export class VerifiedReplay<P> {
  readonly #trace: Trace
  readonly #target: Verifiable<P>
  /**
   * For each granule of the memory, id + 1 of its payload, or 0. Empty if there is no single
   * memory.
   */
  readonly #owners: Int32Array
  /** The target's pointer for each id. */
  readonly #pointers: P[]
  /** The payload bytes of each id; -1 if it has no block. */
  readonly #sizes: Float64Array
  /** The operation that allocated each id's block. */
  readonly #births: Int32Array
  /** The number of ids that have a block. */
  #live = 0
  #done = 0

  constructor(trace: Trace, target: Verifiable<P>) {
    this.#trace = trace
    this.#target = target
    this.#owners = new Int32Array(Math.ceil((target.size ?? 0) / GRANULE))
    this.#pointers = new Array<P>(trace.ids).fill(target.none)
    this.#sizes = new Float64Array(trace.ids).fill(-1)
    this.#births = new Int32Array(trace.ids)
  }

  /**
   * Replays the operations up to `to`, and calls `progress` from time to time with the number that
   * are done. Throws an `OffheapError` that names the operation, what was expected and what was
   * found: `ERR_OFFHEAP_CORRUPT`, `ERR_OFFHEAP_OUT_OF_MEMORY`, or the target's own code.
   */
  run(to = this.#trace.length, progress?: (done: number) => void): void {
    const { length } = this.#trace
    const interval = length <= TINY ? 1 : Math.ceil(length / CHECKS)
    for (let i = this.#done; i < to; i++) {
      this.#step(i)
      if ((i + 1) % interval === 0) {
        this.#checkTarget(`after ${describeOperation(this.#trace, i)}`)
        progress?.(i + 1)
      }
    }
    this.#done = to
    if (to < length) return
    for (let id = 0; id < this.#trace.ids; id++) {
      if (this.#isLive(id)) this.#checkPayload(id, 'at the end of the trace')
    }
    if (length > 0) this.#checkTarget(`after ${describeOperation(this.#trace, length - 1)}`)
  }

  /** Verifies and frees every block that the trace left allocated. */
  release(): void {
    for (let id = 0; id < this.#trace.ids; id++) {
      if (!this.#isLive(id)) continue
      this.#checkPayload(id, 'while freeing what the trace left')
      try {
        this.#target.calls.free(this.#pointers[id])
      } catch (error) {
        throw fault(`while freeing what the trace left: free of ${this.#name(id)}`, error)
      }
      this.#drop(id)
    }
    this.#checkTarget('after freeing what the trace left')
  }

  #step(i: number): void {
    const trace = this.#trace
    const id = trace.idOf[i]
    switch (trace.kinds[i]) {
      case FREE:
        this.#free(i, id)
        break
      case REALLOC:
        this.#reallocate(i, id)
        break
      default:
        this.#allocate(i, id)
    }
  }

  #allocate(i: number, id: number): void {
    const trace = this.#trace
    const kind = trace.kinds[i]
    const size = trace.sizes[i]
    const extra = trace.extras[i]
    const { calls, alignment, aligns, none, heap } = this.#target
    let pointer: P
    try {
      if (kind === CALLOC) pointer = calls.calloc(extra, size)
      else if (kind === ALIGNED) pointer = calls.alignedAlloc(extra, size)
      else pointer = calls.malloc(size)
    } catch (error) {
      throw fault(describeOperation(trace, i), error)
    }
    if (pointer === none) throw outOfMemory(heap, trace, i)
    const bytes = payloadOf(trace, i)
    const place = this.#checkPlace(
      i,
      pointer,
      bytes,
      kind === ALIGNED && aligns ? Math.max(extra, alignment) : alignment
    )
    if (kind === CALLOC && place !== undefined) {
      const { payloads, at } = place
      const dirty = payloads.firstNonZero(at, bytes)
      if (dirty !== -1) {
        const found = hex(payloads.found(at, dirty))
        throw broken(
          trace,
          i,
          `byte ${dirty} of the block${this.#at(pointer)} is ${found}; calloc must clear every byte`
        )
      }
    }
    this.#births[id] = i
    this.#take(id, pointer, bytes)
    place?.payloads.fill(place.at, seedOf(i), 0, bytes)
  }

  #reallocate(i: number, id: number): void {
    const trace = this.#trace
    const { calls, alignment, none, heap } = this.#target
    this.#checkPayload(id, `before ${describeOperation(trace, i)}`)
    const from = this.#pointers[id]
    const before = this.#sizes[id]
    const size = trace.sizes[i]
    let pointer: P
    try {
      pointer = calls.realloc(from, size)
    } catch (error) {
      throw fault(describeOperation(trace, i), error)
    }
    if (pointer === none && size > 0) throw outOfMemory(heap, trace, i)
    this.#drop(id)
    if (size === 0) {
      if (pointer === none) return
      throw broken(
        trace,
        i,
        `returned ${String(pointer)}; realloc to 0 bytes frees the block and returns NULL`
      )
    }
    const place = this.#checkPlace(i, pointer, size, alignment)
    const seed = seedOf(this.#births[id])
    const kept = Math.min(before, size)
    const lost = place?.payloads.firstChanged(place.at, seed, kept) ?? -1
    if (place !== undefined && lost !== -1) {
      const stayed = this.#target.addressOf(pointer) === this.#target.addressOf(from)
      const moved = stayed ? `stayed${this.#at(from)}` : `moved${this.#from(from, pointer)}`
      const found = hex(place.payloads.found(place.at, lost))
      throw broken(
        trace,
        i,
        `the block ${moved}, and byte ${lost} of it is ${found} instead of ` +
          `${hex(expectedByte(seed, lost))}; realloc must keep the first ${kept} bytes`
      )
    }
    this.#take(id, pointer, size)
    place?.payloads.fill(place.at, seed, kept, size)
  }

  #free(i: number, id: number): void {
    const { calls, none } = this.#target
    const isNull = id === NULL_ID
    if (!isNull) {
      this.#checkPayload(id, `before ${describeOperation(this.#trace, i)}`)
      this.#drop(id)
    }
    try {
      calls.free(isNull ? none : this.#pointers[id])
    } catch (error) {
      throw fault(describeOperation(this.#trace, i), error)
    }
  }

  #isLive(id: number): boolean {
    return this.#sizes[id] !== -1
  }

  #take(id: number, pointer: P, bytes: number): void {
    this.#pointers[id] = pointer
    this.#sizes[id] = bytes
    this.#live++
    this.#own(id, id + 1)
  }

  #drop(id: number): void {
    this.#own(id, 0)
    this.#sizes[id] = -1
    this.#live--
  }

  #own(id: number, owner: number): void {
    if (this.#owners.length === 0) return
    const address = this.#target.addressOf(this.#pointers[id]) ?? 0
    this.#owners.fill(owner, Math.floor(address / GRANULE), granuleEnd(address, this.#sizes[id]))
  }

  /**
   * Verifies the address of a new payload. Returns where its bytes are; undefined if they can't be
   * read.
   */
  #checkPlace(i: number, pointer: P, bytes: number, alignment: number): Place | undefined {
    const trace = this.#trace
    const address = this.#target.addressOf(pointer)
    if (address !== undefined) this.#checkAddress(i, address, bytes, alignment)
    const place = this.#target.placeOf(pointer, bytes)
    if (place !== undefined && place.payloads.length - place.at < bytes) {
      throw broken(trace, i, `returned ${place.payloads.length - place.at} bytes`)
    }
    return place
  }

  #checkAddress(i: number, address: number, bytes: number, alignment: number): void {
    const trace = this.#trace
    const { size = Number.POSITIVE_INFINITY } = this.#target
    if (!Number.isInteger(address))
      throw broken(trace, i, `returned ${String(address)}, which is not a byte offset`)
    if (address < 0 || address + Math.max(bytes, 1) > size) {
      throw broken(
        trace,
        i,
        `returned ${address}; ${bytes} bytes from there lie outside the heap of ${size} bytes`
      )
    }
    if (address % alignment !== 0) {
      throw broken(trace, i, `returned ${address}, which is not a multiple of ${alignment}`)
    }
    if (this.#owners.length === 0) return
    const end = granuleEnd(address, bytes)
    for (let granule = Math.floor(address / GRANULE); granule < end; granule++) {
      const owner = this.#owners[granule]
      if (owner !== 0)
        throw broken(
          trace,
          i,
          `returned ${address}; ${bytes} bytes from there overlap ${this.#name(owner - 1)}`
        )
    }
  }

  #checkPayload(id: number, when: string): void {
    const size = this.#sizes[id]
    const place = this.#target.placeOf(this.#pointers[id], size)
    if (place === undefined) return
    const { payloads, at } = place
    const seed = seedOf(this.#births[id])
    const changed = payloads.firstChanged(at, seed, size)
    if (changed === -1) return
    const found = hex(payloads.found(at, changed))
    throw new OffheapError(
      'ERR_OFFHEAP_CORRUPT',
      `${when}: byte ${changed} of ${this.#name(id)} is ${found} instead of ` +
        `${hex(expectedByte(seed, changed))}; the allocator wrote into a payload`
    )
  }

  #checkTarget(when: string): void {
    try {
      this.#target.check?.()
      this.#checkBlocks()
    } catch (error) {
      throw fault(when, error)
    }
  }

  /** Compares the used blocks that the heap lists, if it does, with those of the trace. */
  #checkBlocks(): void {
    const target = this.#target
    if (target.blocks === undefined) return
    let used = 0
    let end = 0
    for (const block of target.blocks()) {
      const { offset, size } = block
      if (offset < end)
        throw mismatch(`lists a block at ${offset}, inside the one before it, which ends at ${end}`)
      end = offset + size
      if (!block.used) continue
      used++
      const id = (this.#owners[block.pointer / GRANULE] ?? 0) - 1
      if (id < 0 || target.addressOf(this.#pointers[id]) !== block.pointer) {
        throw mismatch(
          `calls the block of ${size} bytes at ${offset} used, but the trace has no block ` +
            `at ${block.pointer}`
        )
      }
      if (end < block.pointer + this.#sizes[id])
        throw mismatch(`ends the block of ${this.#name(id)} at ${end}`)
    }
    if (used === this.#live) return
    const listed = new Set(Array.from(target.blocks(), block => (block.used ? block.pointer : -1)))
    const missing = this.#pointers.findIndex(
      (pointer, id) => this.#isLive(id) && !listed.has(target.addressOf(pointer) ?? -1)
    )
    throw mismatch(
      `lists ${used} used blocks where the trace has ${this.#live}; ${this.#name(missing)} ` +
        `is missing`
    )
  }

  /** `id 3 (64 bytes at 1024, made by operation 7)` */
  #name(id: number): string {
    const born = this.#births[id] + 1
    return (
      `id ${id} (${Math.max(0, this.#sizes[id])} bytes${this.#at(this.#pointers[id])}, made ` +
      `by operation ${born})`
    )
  }

  /** ` at 1024`, or '' if that is unknown. */
  #at(pointer: P): string {
    const address = this.#target.addressOf(pointer)
    return address === undefined ? '' : ` at ${address}`
  }

  /** ` from 1024 to 2048`, or '' if that is unknown. */
  #from(from: P, to: P): string {
    const { addressOf } = this.#target
    const address = addressOf(to)
    return address === undefined ? '' : ` from ${addressOf(from)} to ${address}`
  }
}

/** The end of a block's granules; a block of 0 bytes has one too. */
function granuleEnd(pointer: number, bytes: number): number {
  return Math.ceil((pointer + Math.max(bytes, 1)) / GRANULE)
}

/** The seed of a block's pattern, from the operation that made it. */
function seedOf(operation: number): number {
  return Math.imul(operation + 1, 0x85ebca6b)
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

function broken(trace: Trace, i: number, what: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_CORRUPT', `${describeOperation(trace, i)}: ${what}`)
}

/** The error for a listing that disagrees with the trace. */
function mismatch(what: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_CORRUPT', `the heap ${what}`)
}

/** An error that the target threw, with where in the trace. */
function fault(where: string, error: unknown): OffheapError {
  const code: OffheapErrorCode = error instanceof OffheapError ? error.code : 'ERR_OFFHEAP_CORRUPT'
  const wrapped = new OffheapError(
    code,
    `${where}: ${error instanceof Error ? error.message : String(error)}`
  )
  wrapped.cause = error
  return wrapped
}

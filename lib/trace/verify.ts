/**
 * Replays a trace and believes nothing: each payload gets a pattern of its own, which is compared before every realloc and
 * free and at the end; each pointer is checked for alignment, for lying inside the heap and for not touching another block;
 * and the blocks that the heap says are used must be those that the trace has, no more and no fewer. What is checked against
 * is kept outside the heap, so a heap that corrupts itself can't hide it.
 *
 * What an allocator does with a block that was given back is its own affair: it may merge it at once or later, or keep it.
 */

import { OffheapError, type OffheapErrorCode } from '../errors.js'
import { expectedByte } from './pattern.js'
import { outOfMemory } from './room.js'
import { ALIGNED, CALLOC, describeOperation, FREE, NULL_ID, payloadOf, REALLOC, type Trace } from './trace.js'
import { inOneMemory, type Place, type ReplayTarget, type Verifiable } from './verify-target.js'

/** The whole heap is checked this many times in a trace… */
const CHECKS = 50
/** …and after every operation when the trace is no longer than this. */
const TINY = 500
/** Owners are kept for so many bytes each. */
const GRANULE = 8

/** Replays `trace` on a heap, checking as it goes: see `VerifiedReplay`. */
export function verifiedReplay(trace: Trace, heap: ReplayTarget): VerifiedReplay<number> {
  return new VerifiedReplay(trace, inOneMemory(heap))
}

/** Replays `trace` on `target`, checking as it goes. `run` to wherever the heap is to be looked at, and to the end; `release` what is left. */
export class VerifiedReplay<P> {
  readonly #trace: Trace
  readonly #target: Verifiable<P>
  /** For each granule of the memory, id + 1 of the block whose payload lies there; 0 for none. Empty without one memory. */
  readonly #owners: Int32Array
  /** What the target returned for each id. */
  readonly #pointers: P[]
  /** Payload bytes of each id; -1 when it has no block. */
  readonly #sizes: Float64Array
  /** The operation that allocated each id's block. */
  readonly #births: Int32Array
  /** How many ids have a block. */
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
   * Replays the operations up to `to`; `progress` hears now and then how many are done. Throws an `OffheapError` that names the operation,
   * what was expected and what was found: `ERR_OFFHEAP_CORRUPT`, `ERR_OFFHEAP_OUT_OF_MEMORY`, or the target's own code.
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

  /** Frees, after comparing it once more, every block that the trace left allocated. */
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
      throw broken(trace, i, `returned ${String(pointer)}; realloc to 0 bytes frees the block and returns NULL`)
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
        `the block ${moved}, and byte ${lost} of it is ${found} instead of ${hex(expectedByte(seed, lost))}; realloc must keep the first ${kept} bytes`
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

  /** Where the payload of a new block lies, when it may lie there; undefined when there is nothing to look at. */
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
    if (!Number.isInteger(address)) throw broken(trace, i, `returned ${String(address)}, which is not a byte offset`)
    if (address < 0 || address + Math.max(bytes, 1) > size) {
      throw broken(trace, i, `returned ${address}; ${bytes} bytes from there lie outside the heap of ${size} bytes`)
    }
    if (address % alignment !== 0) {
      throw broken(trace, i, `returned ${address}, which is not a multiple of ${alignment}`)
    }
    if (this.#owners.length === 0) return
    const end = granuleEnd(address, bytes)
    for (let granule = Math.floor(address / GRANULE); granule < end; granule++) {
      const owner = this.#owners[granule]
      if (owner !== 0)
        throw broken(trace, i, `returned ${address}; ${bytes} bytes from there overlap ${this.#name(owner - 1)}`)
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
      `${when}: byte ${changed} of ${this.#name(id)} is ${found} instead of ${hex(expectedByte(seed, changed))}; the allocator wrote into a payload`
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

  /** Compares the blocks that the heap calls used with those that the trace has, when it lists them. */
  #checkBlocks(): void {
    const target = this.#target
    if (target.blocks === undefined) return
    let used = 0
    let end = 0
    for (const block of target.blocks()) {
      const { offset, size } = block
      if (offset < end) throw mismatch(`lists a block at ${offset}, inside the one before it, which ends at ${end}`)
      end = offset + size
      if (!block.used) continue
      used++
      const id = (this.#owners[block.pointer / GRANULE] ?? 0) - 1
      if (id < 0 || target.addressOf(this.#pointers[id]) !== block.pointer) {
        throw mismatch(
          `calls the block of ${size} bytes at ${offset} used, but the trace has no block at ${block.pointer}`
        )
      }
      if (end < block.pointer + this.#sizes[id]) throw mismatch(`ends the block of ${this.#name(id)} at ${end}`)
    }
    if (used === this.#live) return
    const listed = new Set(Array.from(target.blocks(), block => (block.used ? block.pointer : -1)))
    const missing = this.#pointers.findIndex(
      (pointer, id) => this.#isLive(id) && !listed.has(target.addressOf(pointer) ?? -1)
    )
    throw mismatch(`lists ${used} used blocks where the trace has ${this.#live}; ${this.#name(missing)} is missing`)
  }

  /** `id 3 (64 bytes at 1024, made by operation 7)` */
  #name(id: number): string {
    const born = this.#births[id] + 1
    return `id ${id} (${Math.max(0, this.#sizes[id])} bytes${this.#at(this.#pointers[id])}, made by operation ${born})`
  }

  /** ` at 1024`, where that is known. */
  #at(pointer: P): string {
    const address = this.#target.addressOf(pointer)
    return address === undefined ? '' : ` at ${address}`
  }

  /** ` from 1024 to 2048`, where that is known. */
  #from(from: P, to: P): string {
    const { addressOf } = this.#target
    const address = addressOf(to)
    return address === undefined ? '' : ` from ${addressOf(from)} to ${address}`
  }
}

/** A block of no bytes is a block all the same and has a granule. */
function granuleEnd(pointer: number, bytes: number): number {
  return Math.ceil((pointer + Math.max(bytes, 1)) / GRANULE)
}

/** Each block's pattern is told by the operation that made it. */
function seedOf(operation: number): number {
  return Math.imul(operation + 1, 0x85ebca6b)
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

function broken(trace: Trace, i: number, what: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_CORRUPT', `${describeOperation(trace, i)}: ${what}`)
}

/** What `blocks()` says is not what the trace did. */
function mismatch(what: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_CORRUPT', `the heap ${what}`)
}

/** An error that the target threw, told where in the trace it did. */
function fault(where: string, error: unknown): OffheapError {
  const code: OffheapErrorCode = error instanceof OffheapError ? error.code : 'ERR_OFFHEAP_CORRUPT'
  const wrapped = new OffheapError(code, `${where}: ${error instanceof Error ? error.message : String(error)}`)
  wrapped.cause = error
  return wrapped
}

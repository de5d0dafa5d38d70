/**
 * Replays a trace and believes nothing: each payload gets a pattern of its own, which is compared before every realloc and
 * free and at the end; each pointer is checked for alignment, for lying inside the heap and for not touching another block;
 * and the blocks that the heap says are used must be those that the trace has, no more and no fewer. What is checked against
 * is kept outside the heap, so a heap that corrupts itself can't hide it.
 *
 * What an allocator does with a block that was given back is its own affair: it may merge it at once or later, or keep it.
 */

import { OffheapError, type OffheapErrorCode } from '../errors.js'
import { expectedByte, Payloads } from './pattern.js'
import { type FullHeap, outOfMemory } from './room.js'
import { ALIGNED, CALLOC, describeOperation, FREE, NULL_ID, payloadOf, REALLOC, type Trace } from './trace.js'

/** What a replay needs of an allocator; `Heap` is one. Pointers are byte offsets in `u8`, 0 is NULL. */
export interface ReplayTarget extends FullHeap {
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  free(pointer: number): void
  alignedAlloc(alignment: number, size: number): number
  /** The whole heap. */
  readonly u8: Uint8Array
  /** Throws when the heap contradicts itself. */
  check(): void
  /**
   * Every block in address order: what malloc returned for it, where it begins, how many bytes it has from there, whether it
   * is used. Blocks of any other state are not used.
   */
  blocks?(): Iterable<{
    readonly pointer: number
    readonly offset: number
    readonly size: number
    readonly used: boolean
  }>
}

/** Every payload begins at a multiple of this. */
const ALIGNMENT = 8
/** The whole heap is checked this many times in a trace… */
const CHECKS = 50
/** …and after every operation when the trace is no longer than this. */
const TINY = 500

/** Replays `trace` on `target`, checking as it goes. `run` to wherever the heap is to be looked at, and to the end; `release` what is left. */
export class VerifiedReplay {
  readonly #trace: Trace
  readonly #target: ReplayTarget
  readonly #payloads: Payloads
  /** For each 8 bytes of the heap, id + 1 of the block whose payload lies there; 0 for none. */
  readonly #owners: Int32Array
  readonly #pointers: Float64Array
  /** Payload bytes of each id; -1 when it has no block. */
  readonly #sizes: Float64Array
  /** The operation that allocated each id's block. */
  readonly #births: Int32Array
  /** How many ids have a block. */
  #live = 0
  #done = 0

  constructor(trace: Trace, target: ReplayTarget) {
    this.#trace = trace
    this.#target = target
    this.#payloads = new Payloads(target.u8)
    this.#owners = new Int32Array(Math.ceil(target.u8.length / ALIGNMENT))
    this.#pointers = new Float64Array(trace.ids)
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
        this.#target.free(this.#pointers[id])
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
    const target = this.#target
    let pointer: number
    try {
      if (kind === CALLOC) pointer = target.calloc(extra, size)
      else if (kind === ALIGNED) pointer = target.alignedAlloc(extra, size)
      else pointer = target.malloc(size)
    } catch (error) {
      throw fault(describeOperation(trace, i), error)
    }
    if (pointer === 0) throw outOfMemory(target, trace, i)
    const bytes = payloadOf(trace, i)
    this.#checkPlace(i, pointer, bytes, kind === ALIGNED ? Math.max(extra, ALIGNMENT) : ALIGNMENT)
    if (kind === CALLOC) {
      const at = this.#payloads.firstNonZero(pointer, bytes)
      if (at !== -1) {
        const found = hex(this.#payloads.found(pointer, at))
        throw broken(trace, i, `byte ${at} of the block at ${pointer} is ${found}; calloc must clear every byte`)
      }
    }
    this.#births[id] = i
    this.#take(id, pointer, bytes)
    this.#payloads.fill(pointer, seedOf(i), 0, bytes)
  }

  #reallocate(i: number, id: number): void {
    const trace = this.#trace
    this.#checkPayload(id, `before ${describeOperation(trace, i)}`)
    const from = this.#pointers[id]
    const before = this.#sizes[id]
    const size = trace.sizes[i]
    let pointer: number
    try {
      pointer = this.#target.realloc(from, size)
    } catch (error) {
      throw fault(describeOperation(trace, i), error)
    }
    if (pointer === 0 && size > 0) throw outOfMemory(this.#target, trace, i)
    this.#drop(id)
    if (size === 0) {
      if (pointer !== 0) throw broken(trace, i, `returned ${pointer}; realloc to 0 bytes frees the block and returns 0`)
      return
    }
    this.#checkPlace(i, pointer, size, ALIGNMENT)
    const seed = seedOf(this.#births[id])
    const kept = Math.min(before, size)
    const at = this.#payloads.firstChanged(pointer, seed, kept)
    if (at !== -1) {
      const moved = pointer === from ? `stayed at ${from}` : `moved from ${from} to ${pointer}`
      const found = hex(this.#payloads.found(pointer, at))
      throw broken(
        trace,
        i,
        `the block ${moved}, and byte ${at} of it is ${found} instead of ${hex(expectedByte(seed, at))}; realloc must keep the first ${kept} bytes`
      )
    }
    this.#take(id, pointer, size)
    this.#payloads.fill(pointer, seed, kept, size)
  }

  #free(i: number, id: number): void {
    const isNull = id === NULL_ID
    if (!isNull) {
      this.#checkPayload(id, `before ${describeOperation(this.#trace, i)}`)
      this.#drop(id)
    }
    try {
      this.#target.free(isNull ? 0 : this.#pointers[id])
    } catch (error) {
      throw fault(describeOperation(this.#trace, i), error)
    }
  }

  #isLive(id: number): boolean {
    return this.#sizes[id] !== -1
  }

  #take(id: number, pointer: number, bytes: number): void {
    this.#pointers[id] = pointer
    this.#sizes[id] = bytes
    this.#live++
    this.#owners.fill(id + 1, pointer / ALIGNMENT, granuleEnd(pointer, bytes))
  }

  #drop(id: number): void {
    const pointer = this.#pointers[id]
    this.#owners.fill(0, pointer / ALIGNMENT, granuleEnd(pointer, this.#sizes[id]))
    this.#sizes[id] = -1
    this.#live--
  }

  #checkPlace(i: number, pointer: number, bytes: number, alignment: number): void {
    const trace = this.#trace
    const size = this.#target.u8.length
    if (!Number.isInteger(pointer)) throw broken(trace, i, `returned ${String(pointer)}, which is not a byte offset`)
    if (pointer < 0 || pointer + Math.max(bytes, 1) > size) {
      throw broken(trace, i, `returned ${pointer}; ${bytes} bytes from there lie outside the heap of ${size} bytes`)
    }
    if (pointer % alignment !== 0) {
      throw broken(trace, i, `returned ${pointer}, which is not a multiple of ${alignment}`)
    }
    const end = granuleEnd(pointer, bytes)
    for (let granule = pointer / ALIGNMENT; granule < end; granule++) {
      const owner = this.#owners[granule]
      if (owner !== 0)
        throw broken(trace, i, `returned ${pointer}; ${bytes} bytes from there overlap ${this.#name(owner - 1)}`)
    }
  }

  #checkPayload(id: number, when: string): void {
    const pointer = this.#pointers[id]
    const seed = seedOf(this.#births[id])
    const at = this.#payloads.firstChanged(pointer, seed, this.#sizes[id])
    if (at === -1) return
    const found = hex(this.#payloads.found(pointer, at))
    throw new OffheapError(
      'ERR_OFFHEAP_CORRUPT',
      `${when}: byte ${at} of ${this.#name(id)} is ${found} instead of ${hex(expectedByte(seed, at))}; the allocator wrote into a payload`
    )
  }

  #checkTarget(when: string): void {
    try {
      this.#target.check()
      this.#checkBlocks()
    } catch (error) {
      throw fault(when, error)
    }
  }

  /** Compares the blocks that the heap calls used with those that the trace has, when it lists them. */
  #checkBlocks(): void {
    const { blocks } = this.#target
    if (blocks === undefined) return
    let used = 0
    let end = 0
    for (const block of blocks.call(this.#target)) {
      const { offset, size } = block
      if (offset < end) throw mismatch(`lists a block at ${offset}, inside the one before it, which ends at ${end}`)
      end = offset + size
      if (!block.used) continue
      used++
      const id = (this.#owners[block.pointer / ALIGNMENT] ?? 0) - 1
      if (id < 0 || this.#pointers[id] !== block.pointer) {
        throw mismatch(
          `calls the block of ${size} bytes at ${offset} used, but the trace has no block at ${block.pointer}`
        )
      }
      if (end < block.pointer + this.#sizes[id]) throw mismatch(`ends the block of ${this.#name(id)} at ${end}`)
    }
    if (used === this.#live) return
    const pointers = new Set<number>()
    for (const block of blocks.call(this.#target)) if (block.used) pointers.add(block.pointer)
    const missing = this.#sizes.findIndex((bytes, id) => bytes !== -1 && !pointers.has(this.#pointers[id]))
    throw mismatch(`lists ${used} used blocks where the trace has ${this.#live}; ${this.#name(missing)} is missing`)
  }

  /** `id 3 (64 bytes at 1024, allocated by operation 7 (line 11), malloc of 64 bytes)` */
  #name(id: number): string {
    const born = this.#births[id] + 1
    return `id ${id} (${Math.max(0, this.#sizes[id])} bytes at ${this.#pointers[id]}, made by operation ${born})`
  }
}

/** Granules are 8 bytes; a block of no bytes is a block all the same and has one. */
function granuleEnd(pointer: number, bytes: number): number {
  return Math.ceil((pointer + Math.max(bytes, 1)) / ALIGNMENT)
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

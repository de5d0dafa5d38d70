/**
 * The grader's own record of all payloads, outside the student's memory, so that a corrupt heap
 * can't hide anything. It also records where every operation placed its block, for the history of
 * an address range.
 */

import { CALLOC, REALLOC, type Trace } from '../../trace/trace.js'

/** Pointers are multiples of at least this many bytes. */
const GRANULE = 8
const FIRST_GRANULES = 4096

export class Ledger {
  readonly trace: Trace
  /** The payload's offset of each id. */
  readonly pointers: Float64Array
  /** The payload bytes of each id; -1 if it has no block. */
  readonly sizes: Float64Array
  /** The operation that allocated each id's block. The block's pattern depends on it. */
  readonly births: Int32Array
  /**
   * For each operation, where it placed its block, and the operation that freed or moved it from
   * there; -1 for none.
   */
  readonly #placed: Float64Array
  readonly #ended: Int32Array
  /** The operation that placed each id's block where it is now. */
  readonly #placing: Int32Array
  /**
   * For each granule up to the last one used, id + 1 of the block whose payload is there; 0 for
   * none.
   */
  #owners = new Int32Array(FIRST_GRANULES)

  constructor(trace: Trace) {
    this.trace = trace
    this.pointers = new Float64Array(trace.ids)
    this.sizes = new Float64Array(trace.ids).fill(-1)
    this.births = new Int32Array(trace.ids)
    this.#placed = new Float64Array(trace.length).fill(-1)
    this.#ended = new Int32Array(trace.length).fill(-1)
    this.#placing = new Int32Array(trace.ids)
  }

  isLive(id: number): boolean {
    return this.sizes[id] !== -1
  }

  take(id: number, pointer: number, bytes: number, operation: number): void {
    this.pointers[id] = pointer
    this.sizes[id] = bytes
    this.#placing[id] = operation
    this.#placed[operation] = pointer
    const end = granuleEnd(pointer, bytes)
    if (end > this.#owners.length) {
      const owners = new Int32Array(2 * end)
      owners.set(this.#owners)
      this.#owners = owners
    }
    this.#owners.fill(id + 1, pointer / GRANULE, end)
  }

  drop(id: number, operation: number): void {
    const pointer = this.pointers[id]
    this.#owners.fill(0, pointer / GRANULE, granuleEnd(pointer, this.sizes[id]))
    this.#ended[this.#placing[id]] = operation
    this.sizes[id] = -1
  }

  /** Returns the id whose payload contains one of the bytes `from` to `to`; -1 for none. */
  ownerWithin(from: number, to: number): number {
    const last = Math.ceil(to / GRANULE)
    for (let granule = Math.max(0, Math.floor(from / GRANULE)); granule < last; granule++) {
      const id = (this.#owners[granule] ?? 0) - 1
      if (id < 0) continue
      const start = this.pointers[id]
      // The last granule of a payload may contain bytes of the allocator.
      if (start < to && start + Math.max(1, this.sizes[id]) > from) return id
    }
    return -1
  }

  /** Returns the operation that placed an id's block where it is now. */
  placing(id: number): number {
    return this.#placing[id]
  }

  /** Returns the blocks that were in use after an operation, with their offsets then. */
  heldAfter(operation: number): { readonly id: number; readonly pointer: number }[] {
    const held: { readonly id: number; readonly pointer: number }[] = []
    for (let i = 0; i <= operation; i++) {
      const isHeld = this.#placed[i] !== -1 && (this.#ended[i] === -1 || this.#ended[i] > operation)
      if (isHeld) held.push({ id: this.trace.idOf[i], pointer: this.#placed[i] })
    }
    return held
  }

  /** Returns the old offset of the block that an operation freed or moved; -1 for none. */
  endedBy(operation: number): number {
    const placing = this.#ended.indexOf(operation)
    return placing === -1 ? -1 : this.#placed[placing]
  }

  /** Describes an id: `id 5 (64 bytes at 4128, from operation 6, line 10)` */
  nameOf(id: number): string {
    return (
      `id ${id} (${this.sizes[id]} bytes at ${this.pointers[id]}, from ` +
      `${this.#shortly(this.#placing[id])})`
    )
  }

  /**
   * Describes the blocks placed at bytes `from` to `to` before operation `until`: at most four,
   * the newest last.
   */
  history(from: number, to: number, until: number): string[] {
    const lines: string[] = []
    for (let i = until - 1; i >= 0 && lines.length < 4; i--) {
      const at = this.#placed[i]
      if (at === -1) continue
      const bytes = this.sizeAt(i)
      if (at >= to || at + Math.max(1, bytes) <= from) continue
      const id = this.trace.idOf[i]
      const end = this.#ended[i]
      const fate =
        end === -1 || end > until
          ? 'still in use'
          : `${this.trace.kinds[end] === REALLOC ? 'moved or resized' : 'freed'} by ` +
            `${this.#shortly(end)}`
      lines.unshift(`${this.#shortly(i)} put id ${id} (${bytes} bytes) at ${at}; ${fate}`)
    }
    return lines
  }

  /** Returns the payload bytes that operation `i` requests. */
  sizeAt(i: number): number {
    const { kinds, sizes, extras } = this.trace
    return kinds[i] === CALLOC ? sizes[i] * extras[i] : sizes[i]
  }

  #shortly(operation: number): string {
    const line = this.trace.lines[operation]
    return line > 0 ? `operation ${operation + 1}, line ${line}` : `operation ${operation + 1}`
  }
}

/** Even an empty block has a granule. */
function granuleEnd(pointer: number, bytes: number): number {
  return Math.ceil((pointer + Math.max(bytes, 1)) / GRANULE)
}

/**
 * The grader's own book of which payload lies where, kept outside the student's memory, so that a
 * heap that destroys itself can't hide it. It also remembers where every operation put its block,
 * to tell the history of a place.
 */

import { CALLOC, REALLOC, type Trace } from '../../trace/trace.js'

/** Pointers are multiples of this at least, in bytes. */
const GRANULE = 8

export class Ledger {
  readonly trace: Trace
  /** Where the block of each id is. */
  readonly pointers: Float64Array
  /** Payload bytes of each id; -1 when it has no block. */
  readonly sizes: Float64Array
  /** The operation that allocated each id's block; its pattern depends on it. */
  readonly births: Int32Array
  /**
   * For each operation, where it put its block, and the operation that ended this placing; -1 for
   * none.
   */
  readonly #placed: Float64Array
  readonly #ended: Int32Array
  /** The operation that put each id where it is. */
  readonly #placing: Int32Array
  /** For each granule, id + 1 of the block whose payload lies there. */
  readonly #owners: Int32Array

  /** @param bytes of the whole memory */
  constructor(trace: Trace, bytes: number) {
    this.trace = trace
    this.pointers = new Float64Array(trace.ids)
    this.sizes = new Float64Array(trace.ids).fill(-1)
    this.births = new Int32Array(trace.ids)
    this.#placed = new Float64Array(trace.length).fill(-1)
    this.#ended = new Int32Array(trace.length).fill(-1)
    this.#placing = new Int32Array(trace.ids)
    this.#owners = new Int32Array(Math.ceil(bytes / GRANULE))
  }

  isLive(id: number): boolean {
    return this.sizes[id] !== -1
  }

  take(id: number, pointer: number, bytes: number, operation: number): void {
    this.pointers[id] = pointer
    this.sizes[id] = bytes
    this.#placing[id] = operation
    this.#placed[operation] = pointer
    this.#owners.fill(id + 1, pointer / GRANULE, granuleEnd(pointer, bytes))
  }

  drop(id: number, operation: number): void {
    const pointer = this.pointers[id]
    this.#owners.fill(0, pointer / GRANULE, granuleEnd(pointer, this.sizes[id]))
    this.#ended[this.#placing[id]] = operation
    this.sizes[id] = -1
  }

  /** The id whose payload holds one of the bytes `from` to `to`; -1 when none does. */
  ownerWithin(from: number, to: number): number {
    const last = Math.ceil(to / GRANULE)
    for (let granule = Math.max(0, Math.floor(from / GRANULE)); granule < last; granule++) {
      const id = (this.#owners[granule] ?? 0) - 1
      if (id < 0) continue
      const start = this.pointers[id]
      // The last granule of a payload may hold bytes that are the allocator's own.
      if (start < to && start + Math.max(1, this.sizes[id]) > from) return id
    }
    return -1
  }

  /** The operation that put the block of an id where it is. */
  placing(id: number): number {
    return this.#placing[id]
  }

  /** The blocks that were in use after an operation, wherever they are now. */
  heldAfter(operation: number): { readonly id: number; readonly pointer: number }[] {
    const held: { readonly id: number; readonly pointer: number }[] = []
    for (let i = 0; i <= operation; i++) {
      const isHeld = this.#placed[i] !== -1 && (this.#ended[i] === -1 || this.#ended[i] > operation)
      if (isHeld) held.push({ id: this.trace.idOf[i], pointer: this.#placed[i] })
    }
    return held
  }

  /** Where the block was that an operation freed or moved; -1 when it was none. */
  endedBy(operation: number): number {
    const placing = this.#ended.indexOf(operation)
    return placing === -1 ? -1 : this.#placed[placing]
  }

  /** `id 5 (64 bytes at 4128, from operation 6, line 10)` */
  nameOf(id: number): string {
    return (
      `id ${id} (${this.sizes[id]} bytes at ${this.pointers[id]}, from ` +
      `${this.#shortly(this.#placing[id])})`
    )
  }

  /**
   * What was put at bytes `from` to `to` before operation `until`, the newest last, at most four
   * sentences.
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

  /** Payload bytes that operation `i` asked for. */
  sizeAt(i: number): number {
    const { kinds, sizes, extras } = this.trace
    return kinds[i] === CALLOC ? sizes[i] * extras[i] : sizes[i]
  }

  #shortly(operation: number): string {
    const line = this.trace.lines[operation]
    return line > 0 ? `operation ${operation + 1}, line ${line}` : `operation ${operation + 1}`
  }
}

/** A block of no bytes is a block all the same, and has a granule. */
function granuleEnd(pointer: number, bytes: number): number {
  return Math.ceil((pointer + Math.max(bytes, 1)) / GRANULE)
}

/** The memory that a map lies in: views of the heap, and where the map's header is. */
import { corrupt, OffheapError } from '../errors.js'
import type { Heap } from '../heap/heap.js'
import { CHANGES, MAGIC, MAGIC_WORD, PENDING, PENDING_WORDS } from './layout.js'
import { Text } from './text.js'

const NOTHING = new ArrayBuffer(0)

export class MapMemory {
  readonly heap: Heap
  /**
   * The index of the header's first word in `m`; half of it is the index of its first number in
   * `f64`.
   */
  readonly at: number
  /** All of the heap. A heap that was closed has views of length 0. */
  m: Int32Array<ArrayBuffer>
  f64: Float64Array<ArrayBuffer>
  u8: Uint8Array<ArrayBuffer>
  text: Text
  /** The bytes of the heap. */
  private readonly limit: number

  constructor(heap: Heap, pointer: number) {
    this.heap = heap
    this.at = pointer / 4
    this.m = heap.i32
    this.f64 = heap.f64
    this.u8 = heap.u8
    this.text = Text.of(heap)
    this.limit = heap.buffer.byteLength
  }

  /** Is there a map at the header? */
  get open(): boolean {
    return this.m[this.at + MAGIC_WORD] === MAGIC
  }

  /** Lets go of the memory: every call of the map throws from now on. */
  close(): void {
    this.m = new Int32Array(NOTHING)
    this.f64 = new Float64Array(NOTHING)
    this.u8 = new Uint8Array(NOTHING)
    this.text = new Text(this.u8)
  }

  /** Throws what is wrong when there is no map at the header. */
  checkOpen(): void {
    if (this.open) return
    if (this.m.length === 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_CLOSED',
        'This map is closed: close() was called, or its heap was closed'
      )
    }
    throw corrupt('the header of a map was overwritten, or its block was freed')
  }

  /**
   * Bytes that an entry says it has. Throws ERR_OFFHEAP_CORRUPT when they are outside of the heap.
   */
  checkRange(at: number, bytes: number): void {
    if (!(at + bytes <= this.limit))
      throw corrupt(`an entry of a map ends at byte ${at + bytes}, behind the heap`)
  }

  /** A change begins: whoever finds the map like this recovers it. */
  begin(): void {
    this.m[this.at + CHANGES] |= 1
  }

  /** The change is complete. */
  end(): void {
    this.m[this.at + CHANGES] = (this.m[this.at + CHANGES] | 1) + 1
  }

  /** The change is complete but for this block, to which nothing refers any more. */
  finish(old: number): void {
    const { m, at } = this
    this.heap.free(old * 4)
    for (let i = PENDING; i < PENDING + PENDING_WORDS; i++) m[at + i] = 0
    this.end()
  }
}

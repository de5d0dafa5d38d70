/** The memory of a map: views of the heap, and the place of the map's header. */
import { corrupt, OffheapError } from '../errors.js'
import type { Heap } from '../heap/heap.js'
import { CHANGES, MAGIC, MAGIC_WORD, PENDING, PENDING_WORDS } from './layout.js'
import { Text } from './text.js'

const NOTHING = new ArrayBuffer(0)

export class MapMemory {
  readonly heap: Heap
  /**
   * The index of the header's first word in `m`. Half of it is the index of its first number in
   * `f64`.
   */
  readonly at: number
  /** Views of the whole heap. Those of a closed heap have length 0. */
  m: Int32Array<ArrayBuffer>
  f64: Float64Array<ArrayBuffer>
  u8: Uint8Array<ArrayBuffer>
  text: Text
  /** The size of the heap in bytes. */
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

  /** Is there still a map at the header? */
  get open(): boolean {
    return this.m[this.at + MAGIC_WORD] === MAGIC
  }

  /** Drops the memory: every later call of the map throws. */
  close(): void {
    this.m = new Int32Array(NOTHING)
    this.f64 = new Float64Array(NOTHING)
    this.u8 = new Uint8Array(NOTHING)
    this.text = new Text(this.u8)
  }

  /** Throws ERR_OFFHEAP_CLOSED or ERR_OFFHEAP_CORRUPT if there is no map at the header. */
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

  /** Checks the range of a key or value. Throws ERR_OFFHEAP_CORRUPT if it lies outside the heap. */
  checkRange(at: number, bytes: number): void {
    if (!(at + bytes <= this.limit))
      throw corrupt(`an entry of a map ends at byte ${at + bytes}, outside the heap`)
  }

  /** Begins a change. A map that is opened in this state is recovered. */
  begin(): void {
    this.m[this.at + CHANGES] |= 1
  }

  /** Ends a change. */
  end(): void {
    this.m[this.at + CHANGES] = (this.m[this.at + CHANGES] | 1) + 1
  }

  /** Ends a change that left one unused block: frees the block. */
  finish(old: number): void {
    const { m, at } = this
    this.heap.free(old * 4)
    for (let i = PENDING; i < PENDING + PENDING_WORDS; i++) m[at + i] = 0
    this.end()
  }
}

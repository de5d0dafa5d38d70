/** A file of binary records, read in place: no object, no string, no copy for a record. */

/*
 * A record, little-endian, begins at a multiple of 8:
 *
 *     0        4        8                 16                    size
 *     ├────────┼────────┼─────────────────┼─────────────────────┤
 *     │ size   │ kind   │ time (f64)      │ name, UTF-8, zeros  │
 */
const HEADER_BYTES = 16

/** Records as the bytes of a file. */
export function encode(records) {
  return Buffer.concat(
    records.map(({ kind, time, name }) => {
      const size = HEADER_BYTES + Math.ceil(Buffer.byteLength(name) / 8) * 8
      const bytes = Buffer.alloc(size)
      bytes.writeUInt32LE(size, 0)
      bytes.writeUInt32LE(kind, 4)
      bytes.writeDoubleLE(time, 8)
      bytes.write(name, HEADER_BYTES)
      return bytes
    })
  )
}

/** A position in a block of records; `next()` advances it. */
export class RecordCursor {
  #heap
  #begin
  #end
  /** The record's pointer. */
  #at
  #size = 0

  /** @param block a view of the heap that contains complete records from `encode` */
  constructor(heap, block) {
    this.#heap = heap
    this.#begin = block.byteOffset
    this.#end = block.byteOffset + block.length
    this.#at = this.#begin
  }

  /** Goes to the next record, initially to the first one. Returns false at the end. */
  next() {
    this.#at += this.#size
    if (this.#at === this.#end) return false
    // The file may contain anything: never read past its end.
    const room = this.#end - this.#at
    const size = room >= HEADER_BYTES ? this.#heap.u32[this.#at / 4] : 0
    if (size < HEADER_BYTES || size % 8 !== 0 || size > room) {
      throw new RangeError(
        `Byte ${this.#at - this.#begin}: a record of ${size} bytes, where ${room} are left`
      )
    }
    this.#size = size
    return true
  }

  get kind() {
    return this.#heap.u32[this.#at / 4 + 1]
  }

  get time() {
    return this.#heap.f64[this.#at / 8 + 1]
  }

  /** The name as a string. This makes a copy, so read it last. */
  get name() {
    const bytes = Buffer.from(this.#heap.buffer, this.#at + HEADER_BYTES, this.#size - HEADER_BYTES)
    const zero = bytes.indexOf(0)
    return bytes.toString('utf8', 0, zero === -1 ? bytes.length : zero)
  }
}

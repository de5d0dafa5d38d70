/**
 * Records in a heap. `struct` lays out fields as C does, and creates a class with their accessors.
 * A record is a position in the view of its array's block.
 *
 *     struct({ id: 'u32', ok: 'bool', weight: 'f64', name: 'utf8:12' })
 *
 *     byte 0    4    5         8            16                   28       32
 *          ┌────┬────┬─────────┬────────────┬────────────────────┬────────┬───
 *          │ id │ ok │ unused  │ weight     │ name, then zeros   │ unused │ id of the next record
 *          └────┴────┴─────────┴────────────┴────────────────────┴────────┴───
 */
import { type InspectOptionsStylized, inspect, types } from 'node:util'
import { invalidType, invalidValue, outOfRange } from '../errors.js'
import type { BlockReference } from '../heap/arguments.js'
import { inspectAs } from '../inspect.js'
import { A, type Fields, kindOf, Place, type StructRecord, V } from './fields.js'

type RecordClass<Names extends Fields> = new (
  view: DataView,
  at: number
) => StructRecord<Names> & Place

/** The key of a kind's class. A map must run no code of the caller to make a record. */
export const TYPE: unique symbol = Symbol('type')

/** A kind of record. See `struct`. */
export class Struct<Names extends Fields> {
  /** The size of a record in bytes, a multiple of the largest alignment of its fields. */
  readonly size: number
  private readonly offsets = new Map<string, number>()
  readonly [TYPE]: RecordClass<Names>

  constructor(fields: Names) {
    if (typeof fields !== 'object' || fields === null)
      throw invalidType('fields', 'an object', fields)
    const type = class Record extends Place {}
    let [end, largest] = [0, 1]
    for (const [name, field] of Object.entries(fields)) {
      if (name in type.prototype)
        throw invalidValue(`fields.${name}`, 'has a name that every object has', name)
      const [size, alignment, accessorAt] = kindOf(name, field)
      const offset = Math.ceil(end / alignment) * alignment
      Object.defineProperty(type.prototype, name, { ...accessorAt(offset), enumerable: true })
      this.offsets.set(name, offset)
      end = offset + size
      largest = Math.max(largest, alignment)
    }
    if (end === 0) throw invalidValue('fields', 'has no field', fields)
    if (!hasFields(type, fields))
      throw invalidType('fields', 'an object whose properties do not change', fields)
    this.size = Math.ceil(end / largest) * largest
    this[TYPE] = type
  }

  /**
   * Allocates an array of `length` records in a heap or a scope. All bytes are zero.
   * `heap.free(array.bytes)` frees it. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
   * ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  alloc(heap: { allocZeroed(length: number): Uint8Array }, length: number): StructArray<Names> {
    return new StructArray(this[TYPE], this.size, heap.allocZeroed(this.bytesOf(length)))
  }

  /**
   * Opens the array of `length` records in an existing block, given its pointer or a view of it. By
   * default, `length` is the number of records that fit into the block, which may be more than were
   * allocated. Throws the same errors as heap.view.
   */
  view(
    heap: { view(block: BlockReference, length?: number): Uint8Array },
    block: BlockReference,
    length?: number
  ): StructArray<Names> {
    const bytes = heap.view(block, length === undefined ? undefined : this.bytesOf(length))
    return new StructArray(this[TYPE], this.size, bytes)
  }

  /**
   * Returns the record in the first `size` bytes of an array, such as `getView` of a map returns.
   * Reading and assigning its fields reads and writes these bytes. Throws ERR_INVALID_ARG_TYPE, and
   * ERR_OUT_OF_RANGE if the array is shorter.
   */
  over(bytes: Uint8Array): StructRecord<Names> {
    if (!types.isUint8Array(bytes)) throw invalidType('bytes', 'a Uint8Array', bytes)
    if (bytes.byteLength < this.size)
      throw outOfRange('bytes', `an array of at least ${this.size} bytes`, bytes.byteLength)
    return new this[TYPE](new DataView(bytes.buffer, bytes.byteOffset, this.size), 0)
  }

  /**
   * Returns the offset of a field in the record, in bytes. Throws ERR_OUT_OF_RANGE for an unknown
   * field.
   */
  offsetOf(name: keyof Names & string): number {
    const offset = this.offsets.get(name)
    if (offset === undefined)
      throw outOfRange('name', `one of ${[...this.offsets.keys()].join(', ')}`, name)
    return offset
  }

  private bytesOf(length: number): number {
    if (typeof length !== 'number') throw invalidType('length', 'of type number', length)
    const most = Math.floor(Number.MAX_SAFE_INTEGER / this.size)
    if (Number.isInteger(length) && length >= 0 && length <= most) return length * this.size
    throw outOfRange('length', `an integer from 0 to ${most}`, length)
  }

  get [Symbol.toStringTag](): string {
    return 'Struct'
  }

  /** What JSON.stringify and console.log show of a kind of record: where its fields are. */
  toJSON(): { size: number; offsets: Record<string, number> } {
    return { size: this.size, offsets: Object.fromEntries(this.offsets) }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Struct', this.toJSON(), depth, options)
  }
}

/**
 * An array of records in one block of a heap, returned by `Struct.alloc` and `Struct.view`. It can
 * be used until the block is freed.
 */
export class StructArray<Names extends Fields> implements Iterable<StructRecord<Names>> {
  /** The number of records. */
  readonly length: number
  /** The bytes of all records. Pass this view to heap.free. */
  readonly bytes: Uint8Array
  private readonly type: RecordClass<Names>
  private readonly size: number
  private readonly data: DataView

  constructor(type: RecordClass<Names>, size: number, bytes: Uint8Array) {
    this.type = type
    this.size = size
    this.bytes = bytes
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.length = Math.floor(bytes.byteLength / size)
  }

  /** The pointer of the block. */
  get pointer(): number {
    return this.data.byteOffset
  }

  /**
   * Returns record `index`. If `reused`, another record of this kind, is given, moves it to `index`
   * and returns it, so that a loop creates no garbage. Throws ERR_OUT_OF_RANGE, and
   * ERR_INVALID_ARG_TYPE if `reused` is not a record of this kind.
   */
  at(index: number, reused?: StructRecord<Names>): StructRecord<Names> {
    if (!(index >= 0 && index < this.length && Number.isInteger(index))) {
      throw outOfRange('index', `an integer from 0 to ${this.length - 1}`, index)
    }
    if (reused === undefined) return new this.type(this.data, index * this.size)
    if (!(reused instanceof this.type)) throw invalidType('reused', 'a record of this kind', reused)
    reused[V] = this.data
    reused[A] = index * this.size
    return reused
  }

  *[Symbol.iterator](): Generator<StructRecord<Names>, void, undefined> {
    for (let index = 0; index < this.length; index++) yield this.at(index)
  }

  get [Symbol.toStringTag](): string {
    return 'StructArray'
  }

  /** All records, as shown by JSON.stringify. */
  toJSON(): StructRecord<Names>[] {
    return [...this]
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    const { length, size, pointer } = this
    return inspectAs('StructArray', { length, size, pointer }, depth, options)
  }
}

function hasFields<Names extends Fields>(
  type: typeof Place,
  fields: Names
): type is RecordClass<Names> & typeof Place {
  return Object.keys(fields).every(name => name in type.prototype)
}

/**
 * Describes a kind of record: numbers `u8` to `i64`, `f32`, `f64`, `bool`, `pointer` (8 bytes),
 * `utf8:n` and `latin1:n` (text of at most n bytes), `bytes:n`. They are laid out in the given
 * order, aligned as in C, in the byte order of the machine. Throws ERR_INVALID_ARG_TYPE,
 * ERR_INVALID_ARG_VALUE, ERR_OUT_OF_RANGE.
 */
export function struct<const Names extends Fields>(fields: Names): Struct<Names> {
  return new Struct(fields)
}

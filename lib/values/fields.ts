/**
 * The fields of records: how each type is stored, and the accessor that reads and writes it. An
 * accessor is a closure over the offset of its field, so no code is generated from strings.
 */
import { endianness } from 'node:os'
import { type InspectOptionsStylized, inspect, types } from 'node:util'
import { invalidType, invalidValue, outOfRange } from '../errors.js'
import { inspectAs } from '../inspect.js'

type NumberType = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64' | 'pointer'

/**
 * The type of a field: a number, a 64-bit integer, a boolean, a pointer of 8 bytes, text of at most
 * n bytes, or exactly n bytes.
 */
export type FieldType =
  | NumberType
  | 'u64'
  | 'i64'
  | 'bool'
  | `utf8:${number}`
  | `latin1:${number}`
  | `bytes:${number}`

/** The type of a field's value. */
export type FieldValue<Type extends FieldType> = Type extends NumberType
  ? number
  : Type extends 'u64' | 'i64'
    ? bigint
    : Type extends 'bool'
      ? boolean
      : Type extends `bytes:${number}`
        ? Uint8Array
        : string

/** The fields of a record, in the order of their offsets: `{ id: 'u32', name: 'utf8:32' }`. */
export type Fields = Readonly<Record<string, FieldType>>

/** One record. Its properties read and write the heap. */
export type StructRecord<Names extends Fields> = {
  -readonly [Name in keyof Names]: FieldValue<Names[Name]>
}

/** Fields have the byte order of the machine, like typed arrays over the heap. */
const LE = endianness() === 'LE'
export const V: unique symbol = Symbol('view')
export const A: unique symbol = Symbol('at')

/**
 * The place of a record: at byte A of the view V of its array. A subclass has the accessors of one
 * kind of record.
 */
export class Place {
  [V]: DataView;
  [A]: number

  constructor(view: DataView, at: number) {
    this[V] = view
    this[A] = at
  }

  /** The fields, as shown by JSON.stringify and console.log. */
  toJSON(): Record<string, unknown> {
    const fields: Record<string, unknown> = {}
    for (const name in this) fields[name] = this[name]
    return fields
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Record', this.toJSON(), depth, options)
  }
}

export type Accessor = { get(): unknown; set(value: never): void } & ThisType<Place>
/** The size and alignment of a field in bytes, and its accessor at offset `o` of the record. */
export type Kind = readonly [bytes: number, alignment: number, at: (o: number) => Accessor]

/** The numeric types. Each accessor is a separate function, so that V8 can inline it. */
// biome-ignore format: a table
const NUMBERS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ['u8', [1, 1, o => ({ get() { return this[V].getUint8(this[A] + o) },
    set(x) { this[V].setUint8(this[A] + o, x) } })]],
  ['i8', [1, 1, o => ({ get() { return this[V].getInt8(this[A] + o) },
    set(x) { this[V].setInt8(this[A] + o, x) } })]],
  ['u16', [2, 2, o => ({ get() { return this[V].getUint16(this[A] + o, LE) },
    set(x) { this[V].setUint16(this[A] + o, x, LE) } })]],
  ['i16', [2, 2, o => ({ get() { return this[V].getInt16(this[A] + o, LE) },
    set(x) { this[V].setInt16(this[A] + o, x, LE) } })]],
  ['u32', [4, 4, o => ({ get() { return this[V].getUint32(this[A] + o, LE) },
    set(x) { this[V].setUint32(this[A] + o, x, LE) } })]],
  ['i32', [4, 4, o => ({ get() { return this[V].getInt32(this[A] + o, LE) },
    set(x) { this[V].setInt32(this[A] + o, x, LE) } })]],
  ['f32', [4, 4, o => ({ get() { return this[V].getFloat32(this[A] + o, LE) },
    set(x) { this[V].setFloat32(this[A] + o, x, LE) } })]],
  ['f64', [8, 8, o => ({ get() { return this[V].getFloat64(this[A] + o, LE) },
    set(x) { this[V].setFloat64(this[A] + o, x, LE) } })]],
  ['u64', [8, 8, o => ({ get() { return this[V].getBigUint64(this[A] + o, LE) },
    set(x) { this[V].setBigUint64(this[A] + o, x, LE) } })]],
  ['i64', [8, 8, o => ({ get() { return this[V].getBigInt64(this[A] + o, LE) },
    set(x) { this[V].setBigInt64(this[A] + o, x, LE) } })]],
  ['bool', [1, 1, o => ({ get() { return this[V].getUint8(this[A] + o) !== 0 },
    set(x) { this[V].setUint8(this[A] + o, x ? 1 : 0) } })]]
])

const bytesAt = (
  { [V]: view, [A]: at }: Place,
  o: number,
  length: number
): Buffer<ArrayBufferLike> => Buffer.from(view.buffer, view.byteOffset + at + o, length)

/** Text of at most `length` bytes, padded with zeros. */
const text = (name: string, encoding: 'utf8' | 'latin1', length: number): Kind => [
  length,
  1,
  o => ({
    get() {
      const bytes = bytesAt(this, o, length)
      const end = bytes.indexOf(0)
      return bytes.toString(encoding, 0, end < 0 ? length : end)
    },
    set(value: string) {
      if (typeof value !== 'string') throw invalidType(name, 'of type string', value)
      if (value.includes('\0'))
        throw invalidValue(name, 'has a zero character, which would end the text', value)
      const size = Buffer.byteLength(value, encoding)
      if (size > length)
        throw outOfRange(name, `text of at most ${length} bytes of ${encoding}`, value)
      const bytes = bytesAt(this, o, length)
      bytes.write(value, encoding)
      bytes.fill(0, size)
    }
  })
]

/** Exactly `length` bytes. */
const bytes = (name: string, length: number): Kind => [
  length,
  1,
  o => ({
    get() {
      const { buffer, byteOffset } = this[V]
      return new Uint8Array(buffer, byteOffset + this[A] + o, length)
    },
    set(value: Uint8Array) {
      if (!types.isUint8Array(value)) throw invalidType(name, 'a Uint8Array', value)
      if (value.length !== length) throw outOfRange(name, `exactly ${length} bytes`, value.length)
      bytesAt(this, o, length).set(value)
    }
  })
]

/** A pointer of any heap: 8 bytes, as an unsigned integer. */
const pointer = (name: string): Kind => [
  8,
  8,
  o => ({
    get() {
      return (
        this[V].getUint32(this[A] + o + (LE ? 0 : 4), LE) +
        this[V].getUint32(this[A] + o + (LE ? 4 : 0), LE) * 2 ** 32
      )
    },
    set(value: number) {
      if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
      if (!Number.isSafeInteger(value) || value < 0) throw outOfRange(name, 'a pointer', value)
      this[V].setBigUint64(this[A] + o, BigInt(value), LE)
    }
  })
]

/** Returns how a field of a type is stored. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
export function kindOf(name: string, type: unknown): Kind {
  if (typeof type !== 'string') throw invalidType(`fields.${name}`, 'of type string', type)
  const number = NUMBERS.get(type)
  if (number !== undefined) return number
  if (type === 'pointer') return pointer(name)
  const [, kind, length] = /^(utf8|latin1|bytes):([1-9]\d{0,8})$/.exec(type) ?? []
  if (kind === 'bytes') return bytes(name, Number(length))
  if (kind === 'utf8' || kind === 'latin1') return text(name, kind, Number(length))
  const known = [...NUMBERS.keys()].join(', ')
  throw outOfRange(`fields.${name}`, `${known}, pointer, utf8:n, latin1:n or bytes:n`, type)
}

/**
 * Values as bytes: strings and bytes are stored as they are, numbers in 8 bytes, undefined in none,
 * everything else as JSON. In a map of records, each value is the bytes of one.
 */
import { types } from 'node:util'
import { corrupt, invalidType, outOfRange } from '../errors.js'
import { A, type Fields, type StructRecord, V } from '../values/fields.js'
import { TYPE } from '../values/struct.js'
import { bytesOf } from './keys.js'
import { KIND, VALUE_BYTES, VALUE_KIND_MASK, VALUE_KIND_SHIFT, valueAt } from './layout.js'
import type { MapMemory } from './memory.js'
import type { RecordKind } from './options.js'
import { ASCII, encodingOf, RAW, UTF8, UTF16 } from './text.js'

/** The kinds of values. For strings and bytes, the kind is the encoding: see text.ts. */
const NUMBER = 4
const JSON_ASCII = 5
const JSON_UTF8 = 6
const UNDEFINED = 7

/** The header of an entry has 32 bits for the length of its value. */
const MOST_VALUE_BYTES = 2 ** 32 - 1

/** The type of a stored value is known only to the caller, as with JSON.parse. */
export type Stored = ReturnType<typeof JSON.parse>

/** Converts between a number and the two words that store it. */
const float = new Float64Array(1)
const halves = new Int32Array(float.buffer)

/** Writes a 64-bit number to two words. */
export function writeNumber(m: Int32Array, at: number, value: number): void {
  float[0] = value
  m[at] = halves[0]
  m[at + 1] = halves[1]
}

/** Reads a 64-bit number from two words. */
export function readNumber(m: Int32Array, at: number): number {
  halves[0] = m[at]
  halves[1] = m[at + 1]
  return float[0]
}

/**
 * The record in the bytes of an array, which must be long enough. Runs no code of the caller, which
 * `kind.over` could be.
 */
function recordOver(kind: RecordKind, bytes: Uint8Array): StructRecord<Fields> {
  return new kind[TYPE](new DataView(bytes.buffer, bytes.byteOffset, kind.size), 0)
}

/**
 * The bytes of a record with the fields of a value: a record of this kind, or an object that has
 * all of them. Throws ERR_INVALID_ARG_TYPE for another value, and the errors of assigning fields.
 */
function packRecord(kind: RecordKind, value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(kind.size)
  if (value instanceof kind[TYPE]) {
    const { buffer, byteOffset } = value[V]
    bytes.set(new Uint8Array(buffer, byteOffset + value[A], kind.size))
    return bytes
  }
  if (typeof value !== 'object' || value === null)
    throw invalidType('value', 'an object with the fields of a record', value)
  const record = recordOver(kind, bytes)
  for (const name in record) {
    const field: unknown = Reflect.get(value, name)
    if (field === undefined) throw invalidType(`value.${name}`, 'the value of a field', field)
    Reflect.set(record, name, field)
  }
  return bytes
}

/** A value that is about to be stored. */
export class Value {
  kind = UNDEFINED
  bytes = 0
  private text = ''
  private number = 0
  private array: Uint8Array | undefined

  /**
   * Reads a value: of any kind, or the fields of a record. This may run the caller's code. Throws
   * ERR_INVALID_ARG_TYPE for a value that JSON can't represent, and the errors of JSON.stringify
   * and of assigning fields.
   */
  constructor(given: unknown, records?: RecordKind) {
    const value = records === undefined ? given : packRecord(records, given)
    if (typeof value === 'string') this.setText(value, ASCII, UTF8)
    else if (typeof value === 'number') {
      this.kind = NUMBER
      this.bytes = 8
      this.number = value
    } else if (types.isUint8Array(value)) {
      this.kind = RAW
      this.bytes = bytesOf(value)
      this.array = value
    } else if (value !== undefined) {
      const text: string | undefined = typeof value === 'bigint' ? undefined : JSON.stringify(value)
      if (text === undefined)
        throw invalidType('value', 'a string, a number, a Uint8Array or a value of JSON', value)
      this.setText(text, JSON_ASCII, JSON_UTF8)
    }
    if (this.bytes > MOST_VALUE_BYTES)
      throw outOfRange('value', `at most ${MOST_VALUE_BYTES} bytes long`, this.bytes)
  }

  private setText(text: string, ascii: number, utf8: number): void {
    this.text = text
    this.bytes = Buffer.byteLength(text)
    const encoding = encodingOf(text, this.bytes)
    this.kind = encoding === ASCII ? ascii : encoding === UTF8 ? utf8 : UTF16
    if (encoding === UTF16) this.bytes = text.length * 2
  }

  /**
   * Copies bytes that are in the memory of the map, where they may be freed before they are read.
   */
  leave(buffer: ArrayBuffer): void {
    if (this.array?.buffer === buffer) this.array = this.array.slice()
  }

  /** Writes the value to byte `at`, a multiple of 4. */
  write({ m, u8, text }: MapMemory, at: number): void {
    const { kind, array } = this
    if (array !== undefined) u8.set(array, at)
    else if (kind === NUMBER) writeNumber(m, at / 4, this.number)
    else if (kind !== UNDEFINED) {
      text.write(this.text, kind >= JSON_ASCII ? kind - JSON_ASCII : kind, at, this.bytes)
    }
  }
}

/** Reads the value of an entry of a map of records. */
export function readRecord(memory: MapMemory, entry: number, records: RecordKind): Stored {
  const bytes: unknown = readValue(memory, entry)
  if (types.isUint8Array(bytes) && bytes.length === records.size) return recordOver(records, bytes)
  throw corrupt(`a map of records has an entry at byte ${entry * 4} that holds no record`)
}

/** Reads the value of an entry. */
export function readValue(memory: MapMemory, entry: number): Stored {
  const { m, text } = memory
  const kind = m[entry + KIND]
  const at = valueAt(entry, kind)
  const bytes = m[entry + VALUE_BYTES] >>> 0
  memory.checkRange(at, bytes)
  const valueKind = (kind >> VALUE_KIND_SHIFT) & VALUE_KIND_MASK
  if (valueKind <= UTF16) return text.read(valueKind, at, bytes)
  if (valueKind === JSON_ASCII || valueKind === JSON_UTF8) {
    return JSON.parse(text.read(valueKind - JSON_ASCII, at, bytes))
  }
  if (valueKind === NUMBER) return readNumber(m, at / 4)
  return valueKind === RAW ? memory.u8.slice(at, at + bytes) : undefined
}

/** Views of a heap's memory: the whole heap as typed arrays, and views of one block. */
import { types } from 'node:util'
import { invalidType } from '../errors.js'

/** A typed array class. */
export interface TypedArrayConstructor<View, Memory extends ArrayBufferLike = ArrayBuffer> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: Memory, byteOffset: number, length: number): View
}

type BufferMaker = new <Memory extends ArrayBufferLike>(
  buffer: Memory,
  byteOffset: number,
  length: number
) => Buffer<Memory>

/** The typed arrays over one type of buffer, by name. */
interface TypedArrays<Memory extends ArrayBufferLike> {
  readonly Int8Array: Int8Array<Memory>
  readonly Uint8Array: Uint8Array<Memory>
  readonly Uint8ClampedArray: Uint8ClampedArray<Memory>
  readonly Int16Array: Int16Array<Memory>
  readonly Uint16Array: Uint16Array<Memory>
  readonly Int32Array: Int32Array<Memory>
  readonly Uint32Array: Uint32Array<Memory>
  readonly Float32Array: Float32Array<Memory>
  readonly Float64Array: Float64Array<Memory>
  readonly BigInt64Array: BigInt64Array<Memory>
  readonly BigUint64Array: BigUint64Array<Memory>
}

/**
 * The type of a view over `Memory`: typed arrays whose type says ArrayBuffer are adapted, other
 * views stay.
 */
export type ViewOver<View, Memory extends ArrayBufferLike> = View extends {
  readonly [Symbol.toStringTag]: infer Name extends keyof TypedArrays<Memory>
}
  ? TypedArrays<ArrayBuffer>[Name] extends View
    ? TypedArrays<Memory>[Name]
    : View
  : View

/** Node's internal class of Buffers. Its constructor is faster than Buffer.from. */
const NodeBuffer: unknown = Reflect.get(Buffer, Symbol.species)

function makesBuffers(type: unknown): type is BufferMaker {
  return typeof type === 'function' && type.prototype === Buffer.prototype
}

/** A Node Buffer over `length` bytes of `buffer`. */
export const bufferOver: <Memory extends ArrayBufferLike>(
  buffer: Memory,
  byteOffset: number,
  length: number
) => Buffer<Memory> =
  makesBuffers(NodeBuffer) && NodeBuffer !== Buffer
    ? (buffer, byteOffset, length) => new NodeBuffer(buffer, byteOffset, length)
    : bufferFrom

function bufferFrom<Memory extends ArrayBufferLike>(
  buffer: Memory,
  byteOffset: number,
  length: number
): Buffer<Memory> {
  const made: Buffer<ArrayBufferLike> = Buffer.from<ArrayBufferLike>(buffer, byteOffset, length)
  if (isOver(made, buffer)) return made
  throw new TypeError('Buffer.from has copied the bytes')
}

function isOver<Memory extends ArrayBufferLike>(
  view: Buffer<ArrayBufferLike>,
  buffer: Memory
): view is Buffer<Memory> {
  return view.buffer === buffer
}

/** The type of a view of a heap, of the same kind as `View`. */
export type ViewLike<
  View extends ArrayBufferView,
  Memory extends ArrayBufferLike = ArrayBuffer
> = View extends Buffer
  ? Buffer<Memory>
  : View extends { readonly [Symbol.toStringTag]: infer Name extends keyof TypedArrays<Memory> }
    ? TypedArrays<Memory>[Name]
    : View extends DataView
      ? DataView<Memory>
      : ArrayBufferView<Memory>

/** A kind of view: the size of its elements, and how to create one. */
export interface Kind {
  readonly elementBytes: number
  over<Memory extends ArrayBufferLike>(
    buffer: Memory,
    byteOffset: number,
    length: number
  ): ArrayBufferView<Memory>
}

const BYTES: Kind = { elementBytes: 1, over: bufferOver }
const UINT8: Kind = {
  elementBytes: 1,
  over: (buffer, byteOffset, length) => new Uint8Array(buffer, byteOffset, length)
}
const DATA: Kind = {
  elementBytes: 1,
  over: (buffer, byteOffset, length) => new DataView(buffer, byteOffset, length)
}

/** Is this a typed array class? Each creates views of any type of buffer. */
function makesViews<Memory extends ArrayBufferLike>(
  type: unknown
): type is TypedArrayConstructor<ArrayBufferView<Memory>, Memory> {
  return typeof type === 'function' && 'BYTES_PER_ELEMENT' in type
}

/** The kind of a typed array class; undefined if `type` is not one. */
function kindOfClass(type: unknown): Kind | undefined {
  if (typeof type !== 'function' || !('BYTES_PER_ELEMENT' in type)) return undefined
  return {
    elementBytes: Number(type.BYTES_PER_ELEMENT),
    over<Memory extends ArrayBufferLike>(
      buffer: Memory,
      byteOffset: number,
      length: number
    ): ArrayBufferView<Memory> {
      if (!makesViews<Memory>(type)) throw invalidType('type', 'a typed array class', type)
      return new type(buffer, byteOffset, length)
    }
  }
}

/** The kinds of typed arrays, by class name. Node before version 24 has no Float16Array. */
const KINDS = new Map<unknown, Kind | undefined>(
  Object.getOwnPropertyNames(globalThis)
    .filter(name => /^(Big)?(Ui|I)nt\d+(Clamped)?Array$|^Float\d+Array$/.test(name))
    .map(name => [name, kindOfClass(Reflect.get(globalThis, name))])
)

/** Reads the class name of a typed array, even if a caller has overridden the property. */
const nameOf: unknown = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag
)?.get

/**
 * The kind of a view. A subclass counts as the class it extends. Throws ERR_INVALID_ARG_TYPE if
 * `view` is not a view.
 */
export function kindOf(view: ArrayBufferView): Kind {
  if (!ArrayBuffer.isView(view))
    throw invalidType('view', 'a typed array, a Buffer or a DataView', view)
  if (Buffer.isBuffer(view)) return BYTES
  if (types.isDataView(view)) return DATA
  const kind = typeof nameOf === 'function' ? KINDS.get(Reflect.apply(nameOf, view, [])) : undefined
  if (kind === undefined) throw invalidType('view', 'a typed array, a Buffer or a DataView', view)
  return kind
}

/** Returns the bytes to copy, and the kind of view for the copy. Throws ERR_INVALID_ARG_TYPE. */
export function bytesOf(source: ArrayBufferView | ArrayBufferLike | Iterable<number>): {
  bytes: Uint8Array
  kind: Kind
} {
  if (ArrayBuffer.isView(source)) {
    const kind = kindOf(source)
    return { bytes: new Uint8Array(source.buffer, source.byteOffset, source.byteLength), kind }
  }
  if (types.isAnyArrayBuffer(source)) return { bytes: new Uint8Array(source), kind: UINT8 }
  if (typeof source === 'object' && source !== null && Symbol.iterator in source) {
    return { bytes: Uint8Array.from(source), kind: UINT8 }
  }
  throw invalidType('source', 'a string, a view, a buffer or an iterable of numbers', source)
}

/** The memory of a heap as typed arrays. */
export interface Views<Memory extends ArrayBufferLike = ArrayBuffer> {
  readonly u8: Uint8Array<Memory>
  readonly i8: Int8Array<Memory>
  readonly u16: Uint16Array<Memory>
  readonly i16: Int16Array<Memory>
  readonly u32: Uint32Array<Memory>
  readonly i32: Int32Array<Memory>
  readonly f32: Float32Array<Memory>
  readonly f64: Float64Array<Memory>
  readonly i64: BigInt64Array<Memory>
  readonly u64: BigUint64Array<Memory>
  readonly dataView: DataView<Memory>
}

/** The views of the first `bytes` bytes of a buffer, a multiple of 8. */
export function viewsOf<Memory extends ArrayBufferLike>(
  buffer: Memory,
  bytes: number
): Views<Memory> {
  return {
    u8: new Uint8Array(buffer, 0, bytes),
    i8: new Int8Array(buffer, 0, bytes),
    u16: new Uint16Array(buffer, 0, bytes / 2),
    i16: new Int16Array(buffer, 0, bytes / 2),
    u32: new Uint32Array(buffer, 0, bytes / 4),
    i32: new Int32Array(buffer, 0, bytes / 4),
    f32: new Float32Array(buffer, 0, bytes / 4),
    f64: new Float64Array(buffer, 0, bytes / 8),
    i64: new BigInt64Array(buffer, 0, bytes / 8),
    u64: new BigUint64Array(buffer, 0, bytes / 8),
    dataView: new DataView(buffer, 0, bytes)
  }
}

/** The whole-heap views: the memory of a heap as numbers of each kind, indexed from its first byte. */

/** A typed array class. */
export interface TypedArrayConstructor<View> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, byteOffset: number, length: number): View
}

type BufferMaker = new (buffer: ArrayBuffer, byteOffset: number, length: number) => Buffer<ArrayBuffer>

/** Node's own class of Buffers: its constructor takes 14 ns where Buffer.from takes 25. */
const NodeBuffer: unknown = Reflect.get(Buffer, Symbol.species)

function makesBuffers(type: unknown): type is BufferMaker {
  return typeof type === 'function' && type.prototype === Buffer.prototype
}

/** A Node Buffer over `length` bytes of `buffer`. */
export const bufferOver: (buffer: ArrayBuffer, byteOffset: number, length: number) => Buffer<ArrayBuffer> =
  makesBuffers(NodeBuffer) && NodeBuffer !== Buffer
    ? (buffer, byteOffset, length) => new NodeBuffer(buffer, byteOffset, length)
    : (buffer, byteOffset, length) => Buffer.from(buffer, byteOffset, length)

/** The memory of a heap as numbers of each kind. */
export interface Views {
  readonly u8: Uint8Array<ArrayBuffer>
  readonly i8: Int8Array<ArrayBuffer>
  readonly u16: Uint16Array<ArrayBuffer>
  readonly i16: Int16Array<ArrayBuffer>
  readonly u32: Uint32Array<ArrayBuffer>
  readonly i32: Int32Array<ArrayBuffer>
  readonly f32: Float32Array<ArrayBuffer>
  readonly f64: Float64Array<ArrayBuffer>
  readonly i64: BigInt64Array<ArrayBuffer>
  readonly u64: BigUint64Array<ArrayBuffer>
  readonly dataView: DataView<ArrayBuffer>
}

/** The views of the first `bytes` bytes of a buffer, a multiple of 8. */
export function viewsOf(buffer: ArrayBuffer, bytes: number): Views {
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

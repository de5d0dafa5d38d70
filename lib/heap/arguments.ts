/** Checks the arguments of the heap's methods, before anything changes. */
import { types } from 'node:util'
import type { Pointer } from '../engine/engine.js'
import { invalidType, OffheapError, outOfRange } from '../errors.js'

/** A block: its pointer, or a view that begins where its payload begins. */
export type BlockReference = Pointer | ArrayBufferView

/**
 * Checks a number of bytes or elements: an integer from 0. Throws ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE.
 */
export function checkAmount(name: string, value: number): void {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange(name, `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`, value)
  }
}

/** Checks an alignment in bytes: a power of two. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE. */
export function checkAlignment(value: number): void {
  if (typeof value !== 'number') throw invalidType('alignment', 'of type number', value)
  // The logarithm alone would round 2 ** 50 + 1 to a power of two.
  if (!(value >= 1 && value <= 2 ** 52 && 2 ** Math.round(Math.log2(value)) === value)) {
    throw outOfRange('alignment', 'a power of two', value)
  }
}

/** The error of every call on a closed heap. */
export function closedError(): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_CLOSED',
    'This heap is closed: close() was called, its region was closed, or its buffer was ' +
      'transferred away'
  )
}

/**
 * Checks that a value can be a pointer: an integer from 0. Throws ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE.
 */
function checkPointer(value: unknown): asserts value is Pointer {
  if (typeof value !== 'number')
    throw invalidType('pointer', 'a pointer (of type number) or a view of a block', value)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange('pointer', 'an integer from 0, as malloc returned it', value)
  }
}

/**
 * Does `view` begin at byte `offset` of this memory? If so, it shows a byte that is written there
 * and restored. This is faster than reading `view.buffer`, for which V8 creates an object.
 */
function beginsAt(view: Uint8Array, offset: number, memory: Uint8Array): boolean {
  const byte: number | undefined = memory[offset]
  if (byte === undefined || view[0] !== byte) return false
  memory[offset] = byte ^ 0xff
  const shows = view[0] === (byte ^ 0xff)
  memory[offset] = byte
  return shows
}

/**
 * The length of a view in bytes; Infinity for a pointer. A caller may have overridden `byteLength`.
 */
export function lengthOf(reference: BlockReference): number {
  if (!ArrayBuffer.isView(reference)) return Number.POSITIVE_INFINITY
  const length: unknown = reference.byteLength
  return typeof length === 'number' && length >= 0 ? Math.floor(length) : 0
}

/**
 * Converts a pointer, or a view of `buffer`, to a pointer. A caller may have overridden the view's
 * `buffer` and `byteOffset`, so each is read once. Pass `memory`, the whole buffer, only if the
 * contents of the block don't matter any more and no other thread uses them; without it, no byte is
 * touched. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_OFFHEAP_FOREIGN_VIEW.
 */
export function pointerTo(
  reference: BlockReference,
  buffer: ArrayBufferLike,
  memory: Uint8Array | undefined,
  call: string
): Pointer {
  if (!ArrayBuffer.isView(reference)) {
    checkPointer(reference)
    return reference
  }
  const offset: unknown = reference.byteOffset
  const canTry = memory !== undefined && typeof offset === 'number' && types.isUint8Array(reference)
  if (canTry && beginsAt(reference, offset, memory)) return offset
  if (reference.buffer === buffer) {
    checkPointer(offset)
    return offset
  }
  throw new OffheapError(
    'ERR_OFFHEAP_FOREIGN_VIEW',
    `${call}: this view is of another buffer; give it to the heap that it came from`
  )
}

/**
 * Converts a pointer, or a view of `buffer`, to a pointer; returns 0 for anything else. Never
 * throws.
 */
export function pointerWithin(reference: unknown, buffer: ArrayBufferLike): Pointer {
  const isOurs = ArrayBuffer.isView(reference) && reference.buffer === buffer
  const pointer: unknown = isOurs ? reference.byteOffset : reference
  return typeof pointer === 'number' && Number.isSafeInteger(pointer) ? pointer : 0
}

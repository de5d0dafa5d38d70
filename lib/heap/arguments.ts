/** Arguments of the heap's calls, checked before anything changes. */
import { types } from 'node:util'
import type { Pointer } from '../engine/engine.js'
import { invalidType, OffheapError, outOfRange } from '../errors.js'

/** A block: its pointer, or a view that begins where its payload begins. */
export type BlockReference = Pointer | ArrayBufferView

/** An amount of bytes or elements: an integer from 0. Throws as Node does. */
export function checkAmount(name: string, value: number): void {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange(name, `an integer from 0 to ${Number.MAX_SAFE_INTEGER}`, value)
  }
}

/** An alignment in bytes: a power of two. Throws as Node does. */
export function checkAlignment(value: number): void {
  if (typeof value !== 'number') throw invalidType('alignment', 'of type number', value)
  // The logarithm alone would round 2 ** 50 + 1 to a power of two.
  if (!(value >= 1 && value <= 2 ** 52 && 2 ** Math.round(Math.log2(value)) === value)) {
    throw outOfRange('alignment', 'a power of two', value)
  }
}

/** The error of every call on a heap whose memory is gone. */
export function closedError(): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_CLOSED',
    'This heap is closed: close() was called, its region was closed, or its buffer was ' +
      'transferred away'
  )
}

/** A pointer by its form alone: an integer from 0. Throws as Node does. */
function checkPointer(value: unknown): asserts value is Pointer {
  if (typeof value !== 'number')
    throw invalidType('pointer', 'a pointer (of type number) or a view of a block', value)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange('pointer', 'an integer from 0, as malloc returned it', value)
  }
}

/**
 * Does `view` begin at the byte `offset` of this memory? Then it shows what is written there, for a
 * moment. That takes a third of the time of asking for its buffer, which V8 makes an object for.
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
 * The bytes of a view, which may have a `byteLength` of the caller's own; Infinity for a pointer.
 */
export function lengthOf(reference: BlockReference): number {
  if (!ArrayBuffer.isView(reference)) return Number.POSITIVE_INFINITY
  const length: unknown = reference.byteLength
  return typeof length === 'number' && length >= 0 ? Math.floor(length) : 0
}

/**
 * The pointer that a pointer or a view of `buffer` stands for. A view may have a `buffer` and a
 * `byteOffset` of the caller's own; each is read once. `memory` is all of the buffer when the
 * contents of the block don't matter any more; without it no byte is touched, so that another
 * thread can be at work on the block. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
 * ERR_OFFHEAP_FOREIGN_VIEW.
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
 * What `owns` looks for: the pointer that a pointer or a view of `buffer` stands for; 0 for
 * anything else.
 */
export function pointerWithin(reference: unknown, buffer: ArrayBufferLike): Pointer {
  const isOurs = ArrayBuffer.isView(reference) && reference.buffer === buffer
  const pointer: unknown = isOurs ? reference.byteOffset : reference
  return typeof pointer === 'number' && Number.isSafeInteger(pointer) ? pointer : 0
}

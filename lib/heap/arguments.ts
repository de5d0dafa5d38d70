/** Arguments of the heap's calls, checked before anything changes. */
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
    'This heap is closed: close() was called, its region was closed, or its buffer was transferred away'
  )
}

/** A pointer by its form alone: an integer from 0. Throws as Node does. */
function checkPointer(value: unknown): asserts value is Pointer {
  if (typeof value !== 'number') throw invalidType('pointer', 'a pointer (of type number) or a view of a block', value)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw outOfRange('pointer', 'an integer from 0, as malloc returned it', value)
  }
}

/**
 * The pointer that a pointer or a view stands for. A view may have a `buffer` and a `byteOffset` of the
 * caller's own; each is read once. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_OFFHEAP_FOREIGN_VIEW.
 */
export function pointerTo(reference: BlockReference, buffer: ArrayBuffer, call: string): Pointer {
  if (!ArrayBuffer.isView(reference)) {
    checkPointer(reference)
    return reference
  }
  const offset: unknown = reference.buffer === buffer ? reference.byteOffset : undefined
  if (offset !== undefined) {
    checkPointer(offset)
    return offset
  }
  throw new OffheapError(
    'ERR_OFFHEAP_FOREIGN_VIEW',
    `${call}: this view is of another buffer; give it to the heap that it came from`
  )
}

/** What `owns` looks for: the pointer that a pointer or a view of `buffer` stands for; 0 for anything else. */
export function pointerWithin(reference: unknown, buffer: ArrayBuffer): Pointer {
  const isOurs = ArrayBuffer.isView(reference) && reference.buffer === buffer
  const pointer: unknown = isOurs ? reference.byteOffset : reference
  return typeof pointer === 'number' && Number.isSafeInteger(pointer) ? pointer : 0
}

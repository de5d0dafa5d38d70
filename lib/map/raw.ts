/**
 * Access to the stored bytes of a value: the text of a string or JSON, the 8 bytes of a number, or
 * bytes as they are.
 */
import { types } from 'node:util'
import { invalidType, outOfRange } from '../errors.js'
import { bytesOf } from './keys.js'
import { KIND, VALUE_BYTES, valueAt } from './layout.js'
import type { MapMemory } from './memory.js'

/** The place of an entry's value. */
function rangeOf(memory: MapMemory, entry: number): { at: number; bytes: number } {
  const at = valueAt(entry, memory.m[entry + KIND])
  const bytes = memory.m[entry + VALUE_BYTES] >>> 0
  memory.checkRange(at, bytes)
  return { at, bytes }
}

/** A view of the bytes, valid until the map changes. */
export function viewOf(memory: MapMemory, entry: number): Uint8Array<ArrayBuffer> {
  const { at, bytes } = rangeOf(memory, entry)
  return memory.u8.subarray(at, at + bytes)
}

/** A copy of the bytes. */
export function copyOf(memory: MapMemory, entry: number): Buffer<ArrayBuffer> {
  const { at, bytes } = rangeOf(memory, entry)
  const copy = Buffer.allocUnsafeSlow(bytes)
  copy.set(memory.u8.subarray(at, at + bytes))
  return copy
}

/**
 * Copies the bytes to the beginning of an array, and returns their number. Throws ERR_OUT_OF_RANGE
 * if the array is too short.
 */
export function copyInto(memory: MapMemory, entry: number, target: Uint8Array): number {
  const { at, bytes } = rangeOf(memory, entry)
  if (bytesOf(target) < bytes)
    throw outOfRange('target', `an array of at least ${bytes} bytes`, bytesOf(target))
  target.set(memory.u8.subarray(at, at + bytes))
  return bytes
}

export function checkTarget(target: Uint8Array): void {
  if (!types.isUint8Array(target)) throw invalidType('target', 'a Uint8Array', target)
}

/**
 * The bytes of a value where they lie: of a string or of JSON the text, of a number 8 bytes, of
 * bytes themselves.
 */
import { types } from 'node:util'
import { invalidType, outOfRange } from '../errors.js'
import { bytesOf } from './keys.js'
import { KIND, VALUE_BYTES, valueAt } from './layout.js'
import type { MapMemory } from './memory.js'

/** Where the value of an entry lies. */
function rangeOf(memory: MapMemory, entry: number): { at: number; bytes: number } {
  const at = valueAt(entry, memory.m[entry + KIND])
  const bytes = memory.m[entry + VALUE_BYTES] >>> 0
  memory.checkRange(at, bytes)
  return { at, bytes }
}

/** The bytes themselves, until the map changes. */
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
 * Copies the bytes to the beginning of an array, which must have room for them. Returns how many
 * they are.
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

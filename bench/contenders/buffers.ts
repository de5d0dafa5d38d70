/** Node's and JavaScript's own memory. */
import type { Allocator } from '../work/replay.js'
import { type Bytes, objects, type Subject } from './subject.js'

/** The block freed last, kept so that V8 can't optimize the allocation away. */
export let lastFreed: Bytes

type Make = (size: number) => Uint8Array

function buffers(make: Make, zeroed: Make): Subject<Bytes> {
  const allocator: Allocator<Bytes> = {
    malloc: make,
    calloc: (count, size) => zeroed(count * size),
    realloc(old, size) {
      const grown = make(size)
      if (old !== undefined) grown.set(old.length > size ? old.subarray(0, size) : old)
      return grown
    },
    alignedAlloc: (_align, size) => make(size),
    free(old) {
      lastFreed = old
    }
  }
  return { ...objects, allocator }
}

/**
 * By contender. Functions, so that a process creates only its own contender: then each call in a
 * loop has one target.
 */
export const BUFFERS: Readonly<Record<string, () => Subject<Bytes>>> = {
  'Buffer.alloc': () =>
    buffers(
      n => Buffer.alloc(n),
      n => Buffer.alloc(n)
    ),
  'Buffer.allocUnsafe': () =>
    buffers(
      n => Buffer.allocUnsafe(n),
      n => Buffer.allocUnsafe(n).fill(0)
    ),
  'Buffer.allocUnsafeSlow': () =>
    buffers(
      n => Buffer.allocUnsafeSlow(n),
      n => Buffer.allocUnsafeSlow(n).fill(0)
    ),
  Uint8Array: () =>
    buffers(
      n => new Uint8Array(n),
      n => new Uint8Array(n)
    )
}

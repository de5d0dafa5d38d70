/**
 * zlib reads its input in chunks, on other threads. If the view was detached between two chunks,
 * Node aborts the process. This module wraps the native `write` of zlib's streams to test first
 * whether the input still exists. From the first `close()` of mapped memory after zlib was loaded
 * on, the operation then fails with ERR_OFFHEAP_CLOSED instead. Nothing else in zlib changes. A
 * runtime whose streams have no such `write` is left unchanged.
 */

/** One factory for each native class with its own `write`. Node before 22.15 has no zstd. */
const MAKERS = [
  'createDeflate',
  'createBrotliCompress',
  'createBrotliDecompress',
  'createZstdCompress',
  'createZstdDecompress'
]

let guarded = false

/** Makes zlib fail cleanly when its input is detached. Call this before memory is detached. */
export function guardZlib(): void {
  if (guarded || !isLoaded()) return
  guarded = true
  const zlib = process.getBuiltinModule?.('node:zlib')
  if (zlib === undefined) return
  for (const maker of MAKERS) {
    const stream = callIfThere(zlib, maker)
    const handle = propertyOf(stream, '_handle')
    if (typeof handle === 'object' && handle !== null) guard(Reflect.getPrototypeOf(handle))
    callIfThere(stream, 'destroy')
  }
}

/**
 * Whether this thread has loaded zlib: if not, zlib reads nothing, and to load it takes longer than
 * all else that closing does. Runtimes other than Node don't know, and return true.
 */
function isLoaded(): boolean {
  const modules: unknown = Reflect.get(process, 'moduleLoadList')
  return !Array.isArray(modules) || modules.includes('NativeModule zlib')
}

function guard(native: object | null): void {
  const write = propertyOf(native, 'write')
  if (native === null || typeof write !== 'function') return
  // write(flush, input, offset, length, …) of a native stream, whose owner sets `onerror`
  const guardedWrite = function (this: object, ...args: unknown[]): unknown {
    const [, input, offset, length] = args
    const isGone = ArrayBuffer.isView(input) && Number(offset) + Number(length) > input.byteLength
    if (!isGone) return Reflect.apply(write, this, args)
    const message =
      'zlib was still reading memory that was closed. Pin it until zlib is done: heap.pin(view)'
    return callIfThere(this, 'onerror', message, -2, 'ERR_OFFHEAP_CLOSED')
  }
  Reflect.set(native, 'write', guardedWrite)
}

function propertyOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/** Calls a method. Returns undefined if there is none. */
function callIfThere(value: unknown, name: string, ...args: unknown[]): unknown {
  const method = propertyOf(value, name)
  return typeof method === 'function' ? Reflect.apply(method, value, args) : undefined
}

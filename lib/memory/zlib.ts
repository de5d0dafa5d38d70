/**
 * zlib reads its input part by part, on other threads. When it returns to a view that was detached
 * meanwhile, Node ends the process. From the first `close()` of mapped memory on, the operation
 * fails with ERR_OFFHEAP_CLOSED instead: the native `write` of zlib's streams is asked first
 * whether its input is there still. Nothing else of zlib changes. A runtime whose streams are made
 * in another way is left as it is.
 */

/** One maker for each native class that has a `write` of its own. Node before 22.15 has no zstd. */
const MAKERS = [
  'createDeflate',
  'createBrotliCompress',
  'createBrotliDecompress',
  'createZstdCompress',
  'createZstdDecompress'
]

let guarded = false

/** Makes zlib survive that its input is detached. Call it before memory is detached. */
export function guardZlib(): void {
  if (guarded) return
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

function guard(native: object | null): void {
  const write = propertyOf(native, 'write')
  if (native === null || typeof write !== 'function') return
  // write(flush, input, offset, length, …) of a native stream, with the `onerror` of its owner
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

/** Calls a method, or returns undefined when there is none. */
function callIfThere(value: unknown, name: string, ...args: unknown[]): unknown {
  const method = propertyOf(value, name)
  return typeof method === 'function' ? Reflect.apply(method, value, args) : undefined
}

/** Other allocators that are called from JavaScript, and the loop that allocates nothing. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DLMALLOC, TLSF } from '../paths.js'
import type { Allocator } from '../work/replay.js'
import { openNative } from './native.js'
import { numbers, type Subject } from './subject.js'

interface WasmExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  aligned_alloc?(alignment: number, size: number): number
  free(pointer: number): void
}

// The part of WebAssembly that is used here; Node's types don't include it.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: WasmExports }
}

function openWasm(file: string): Subject<number> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {})
  const { memory, malloc, calloc, realloc, aligned_alloc, free } = exports
  return {
    ...numbers,
    // TLSF has no aligned allocation: request as many additional bytes as a caller would have to.
    allocator: {
      malloc,
      calloc,
      realloc,
      alignedAlloc: aligned_alloc ?? ((align, size) => malloc(size + align)),
      free
    },
    aligns: aligned_alloc !== undefined,
    bytes: (pointer, size) => new Uint8Array(memory.buffer, pointer, size)
  }
}

async function openThing(): Promise<Subject<number>> {
  const { MemPool } = await import('@thi.ng/malloc')
  const buf = new ArrayBuffer(2 ** 28)
  const pool = new MemPool({ buf })
  return {
    ...numbers,
    allocator: {
      malloc: size => pool.malloc(size),
      calloc: (count, size) => pool.calloc(count * size),
      realloc: (pointer, size) => (pointer === 0 ? pool.malloc(size) : pool.realloc(pointer, size)),
      alignedAlloc: (align, size) => pool.malloc(size + align),
      free: pointer => pool.free(pointer)
    },
    aligns: false,
    bytes: (pointer, size) => new Uint8Array(buf, pointer, size)
  }
}

function openCalls(): Subject<number> {
  const native = openNative()
  return {
    ...numbers,
    allocator: native,
    table: slots => new Float64Array(slots),
    bytes: (pointer, size) => new Uint8Array(native.bytes(pointer, size))
  }
}

/** Never 0, even for 0 bytes: that would be NULL. */
const NOTHING: Allocator<number> = {
  malloc: size => size + 8,
  calloc: (_count, size) => size + 8,
  realloc: (pointer, _size) => pointer,
  alignedAlloc: (_align, size) => size + 8,
  free() {}
}

function openFloor(): Subject<number> {
  return { ...numbers, allocator: NOTHING, alignment: 1, aligns: false, bytes: () => undefined }
}

/** By contender. */
export const OTHERS: Readonly<Record<string, () => Subject<number> | Promise<Subject<number>>>> = {
  'floor-js': openFloor,
  'dlmalloc-wasm': () => openWasm(DLMALLOC),
  'tlsf-wasm': () => openWasm(TLSF),
  'thi.ng': openThing,
  'glibc-call': openCalls
}

/** The result of a module's `make(buffer, argument)`. */
interface Made {
  malloc(size: number): number
  calloc?(count: number, size: number): number
  realloc(pointer: number, size: number): number
  alignedAlloc?(alignment: number, size: number): number
  free(pointer: number): void
  highWater?(): number
}

/**
 * An experimental allocator in a module: `module:FILE#ARGUMENT`. Methods that it lacks are
 * implemented with malloc.
 */
export async function openModule(id: string, size: number): Promise<Subject<number>> {
  const [file = '', argument = ''] = id.replace('module:', '').split('#')
  const { make } = await import(pathToFileURL(resolve(file)).href)
  const buffer = new ArrayBuffer(size)
  const bytes = new Uint8Array(buffer)
  const made: Made = make(buffer, argument)
  const { highWater } = made
  const cleared = (count: number, each: number) => {
    const pointer = made.malloc(count * each)
    bytes.fill(0, pointer, pointer + count * each)
    return pointer
  }
  return {
    ...numbers,
    allocator: {
      malloc: made.malloc,
      calloc: made.calloc ?? cleared,
      realloc: made.realloc,
      alignedAlloc: made.alignedAlloc ?? ((align, n) => made.malloc(n + align)),
      free: made.free
    },
    aligns: made.alignedAlloc !== undefined,
    bytes: (pointer, n) => bytes.subarray(pointer, pointer + n),
    ...(highWater === undefined ? {} : { mostMemory: highWater })
  }
}

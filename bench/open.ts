/** Opens a contender, in the process that will measure it and no other. */
import { readFileSync } from 'node:fs'
import { Heap } from '#lib/heap/heap.js'
import type { HeapMapOptions } from '#lib/heap/options.js'
import { isPlacement } from '#lib/placement/policies.js'
import type { Columns } from './columns.js'
import { ADDON, DLMALLOC, require, TLSF } from './paths.js'
import type { Allocator, Table } from './replay.js'
import { LIBRARIES } from './setup.js'
import type { Verifiable } from './verify.js'

/** An allocator called from JavaScript; P is a pointer, or a Buffer. */
export interface Subject<P> extends Verifiable<P> {
  table(slots: number): Table<P>
  /** Bytes of block space that were ever in use, where the allocator can tell. */
  highWater?(): number
  /** Verifies the allocator's own invariants, where it can. */
  check?(): void
}

/** The C++ loop, see native/bench.cc. */
export interface Native {
  open(file: string, prefix: string): string
  prepare(slots: number): void
  replay(...columns: [...NativeColumns, from: number, to: number]): number
  verify(...columns: [...NativeColumns, length: number]): string
  freeSlots(slots: Int32Array): void
  pairs(size: number, count: number, cleared: boolean): number
  touch(size: number, count: number): number
  release(): void
  bytes(pointer: number, size: number): ArrayBuffer
}

type NativeColumns = [kinds: Uint8Array, slots: Int32Array, sizes: Int32Array, extras: Int32Array]

export function nativeColumns(columns: Columns): NativeColumns {
  return [columns.kinds, columns.slots, columns.sizes, columns.extras]
}

/** The addon, with the library that the contender is about. */
export function openNative(id: string): Native {
  const native: Native = require(ADDON)
  const library = LIBRARIES[id]
  const problem = library === undefined ? '' : native.open(library.file, library.prefix)
  if (problem !== '') throw new Error(problem)
  return native
}

const numbers = { none: 0, alignment: 8, aligns: true, table: (slots: number) => new Int32Array(slots) }

/** The options of a contender of ours; `heap-buffers` is the default heap. */
function heapOptions(id: string, size: number): HeapMapOptions {
  const [name, quick] = id.split('+')
  const options = { size, quickLists: quick === 'quick' }
  return isPlacement(name) ? { ...options, placement: name } : options
}

function openHeap(id: string, size: number): Subject<number> {
  const heap = Heap.map(heapOptions(id, size))
  return {
    ...numbers,
    allocator: heap,
    bytes: (pointer, bytes) => heap.u8.subarray(pointer, pointer + bytes),
    highWater: () => heap.stats().highWater,
    check: () => heap.check()
  }
}

interface WasmExports {
  readonly memory: { readonly buffer: ArrayBuffer }
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  aligned_alloc?(alignment: number, size: number): number
  free(pointer: number): void
}

// Node's types leave WebAssembly to those of browsers; this is all of it that is needed here.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: WasmExports }
}

function openWasm(file: string): Subject<number> {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {})
  const { memory, malloc, calloc, realloc, aligned_alloc, free } = exports
  return {
    ...numbers,
    // TLSF has no aligned allocation: it gets as many bytes more as a caller would have to ask for.
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
  const native: Native & Allocator<number> = require(ADDON)
  return {
    ...numbers,
    allocator: native,
    table: slots => new Float64Array(slots),
    bytes: (pointer, size) => new Uint8Array(native.bytes(pointer, size))
  }
}

type Bytes = Uint8Array | undefined

/** What was freed last: an allocation that nothing refers to must not be optimized away. */
export let lastFreed: Bytes

function openBuffers(make: (size: number) => Uint8Array, zeroed: (size: number) => Uint8Array): Subject<Bytes> {
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
  return {
    allocator,
    none: undefined,
    alignment: 1,
    aligns: false,
    table: slots => new Array<Bytes>(slots).fill(undefined),
    bytes: bytes => bytes
  }
}

function openHeapBuffers(id: string, size: number): Subject<Bytes> {
  const heap = Heap.map(heapOptions(id, size))
  const allocator: Allocator<Bytes> = {
    malloc: bytes => heap.allocBuffer(bytes),
    calloc: (count, bytes) => heap.allocZeroed(count * bytes),
    realloc(old, bytes) {
      if (old === undefined) return heap.allocBuffer(bytes)
      return heap.view(heap.realloc(old.byteOffset, bytes))
    },
    alignedAlloc: (_align, bytes) => heap.allocBuffer(bytes),
    free(old) {
      if (old !== undefined) heap.free(old)
    }
  }
  return {
    allocator,
    none: undefined,
    alignment: 1,
    aligns: false,
    table: slots => new Array<Bytes>(slots).fill(undefined),
    bytes: bytes => bytes,
    check: () => heap.check()
  }
}

const NOTHING: Allocator<number> = {
  malloc: size => size,
  calloc: (_count, size) => size,
  realloc: (pointer, _size) => pointer,
  alignedAlloc: (_align, size) => size,
  free() {}
}

/** A contender opened: one that hands out pointers, or one that hands out Buffers. */
export type Opened = { readonly pointers: Subject<number> } | { readonly buffers: Subject<Bytes> }

/** Opens a contender whose loop is JavaScript. `size`: bytes of the region, for offheap. */
export async function openSubject(id: string, size: number): Promise<Opened> {
  switch (id) {
    case 'nothing':
      return { pointers: { ...numbers, allocator: NOTHING, alignment: 1, bytes: () => undefined } }
    case 'dlmalloc-wasm':
      return { pointers: openWasm(DLMALLOC) }
    case 'tlsf-wasm':
      return { pointers: openWasm(TLSF) }
    case 'thi.ng':
      return { pointers: await openThing() }
    case 'glibc-call':
      return { pointers: openCalls() }
    case 'Buffer.alloc':
      return {
        buffers: openBuffers(
          n => Buffer.alloc(n),
          n => Buffer.alloc(n)
        )
      }
    case 'Buffer.allocUnsafe':
      return {
        buffers: openBuffers(
          n => Buffer.allocUnsafe(n),
          n => Buffer.allocUnsafe(n).fill(0)
        )
      }
    case 'Buffer.allocUnsafeSlow':
      return {
        buffers: openBuffers(
          n => Buffer.allocUnsafeSlow(n),
          n => Buffer.allocUnsafeSlow(n).fill(0)
        )
      }
    case 'Uint8Array':
      return {
        buffers: openBuffers(
          n => new Uint8Array(n),
          n => new Uint8Array(n)
        )
      }
    case 'heap-buffers':
    case 'heap-buffers+quick':
      return { buffers: openHeapBuffers(id, size) }
    default:
      return { pointers: openHeap(id, size) }
  }
}

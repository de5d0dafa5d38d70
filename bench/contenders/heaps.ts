/** Our own heaps, of this build or that of another checkout. */

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PlacementName } from '#lib/placement/placement.js'
import { type HeapName, heapOptions } from './heap-names.js'
import { type Bytes, numbers, type Opened, objects, type Subject } from './subject.js'

/** The part of a Heap that is used; other builds have at least this. */
interface AnyHeap {
  readonly u8: Uint8Array
  malloc(size: number): number
  calloc(count: number, size: number): number
  realloc(pointer: number, size: number): number
  alignedAlloc(alignment: number, size: number): number
  free(block: number | Uint8Array): void
  allocBuffer(size: number): Uint8Array
  allocZeroed(size: number): Uint8Array
  view(pointer: number): Uint8Array
  check(): void
  close(): void
  stats(): { readonly highWater: number; readonly metadata: number }
}

interface HeapClass {
  map(options: { readonly placement: PlacementName; readonly size: number }): AnyHeap
}

async function heapClass(folder: string | undefined): Promise<HeapClass> {
  if (folder === undefined) return (await import('#lib/heap/heap.js')).Heap
  return (await import(pathToFileURL(resolve(folder, 'dist/index.js')).href)).Heap
}

/**
 * The most memory ever in use: block space up to the high-water mark, and its index. The real index
 * covers the whole region, most of which was never touched, so the size of the index of a heap of
 * the needed size is computed instead: a fixed part and a share of the block space, measured with
 * two small heaps.
 */
function mostMemory(Heap: HeapClass, heap: AnyHeap, name: HeapName): number {
  // Don't close these heaps: that would slow down every typed array of the process.
  const metadata = (size: number) => Heap.map({ ...heapOptions(name), size }).stats().metadata
  const [small, large] = [2 ** 20, 2 ** 24]
  const share = (metadata(large) - metadata(small)) / (large - small)
  const fixed = metadata(small) - share * small
  return (fixed + heap.stats().highWater) / (1 - share)
}

function pointers(Heap: HeapClass, heap: AnyHeap, name: HeapName): Subject<number> {
  return {
    ...numbers,
    allocator: heap,
    bytes: (pointer, bytes) => heap.u8.subarray(pointer, pointer + bytes),
    mostMemory: () => mostMemory(Heap, heap, name),
    check: () => heap.check()
  }
}

function views(heap: AnyHeap): Subject<Bytes> {
  return {
    ...objects,
    allocator: {
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
    },
    check: () => heap.check()
  }
}

/** Opens a heap of `size` bytes. Bytes that are not touched cost nothing. */
export async function openHeap(name: HeapName, size: number): Promise<Opened> {
  const Heap = await heapClass(name.folder)
  // From then on, V8 checks at every access to a typed array whether its buffer was detached.
  if (name.flags.get('closed') === true)
    Heap.map({ placement: name.placement, size: 2 ** 20 }).close()
  const heap = Heap.map({ ...heapOptions(name), size })
  if (name.flags.get('views') === true) return { buffers: views(heap) }
  return { pointers: pointers(Heap, heap, name) }
}

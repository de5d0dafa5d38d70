/**
 * The public types of offheap. `npm run typecheck` compiles this file, but does not run it: a type
 * that differs from this file, or a mistake that compiles, is a compiler error.
 */
import { expectTypeOf } from 'vitest'
import {
  type BlockInfo,
  type BlockReference,
  Heap,
  type HeapMapOptions,
  type HeapOptions,
  type HeapStats,
  type OffheapError,
  type OffheapErrorCode,
  type Pin,
  type PlacementName,
  type Pointer,
  placements,
  Region,
  type RegionOptions,
  type Scope,
  type SystemFault,
  struct,
  type TextEncoding
} from '../../lib/index.js'
import { HeapCache, HeapMap, type MapOptions, SharedMap } from '../../lib/map/index.js'

declare const heap: Heap
declare const region: Region
declare const error: OffheapError

export function creation(): void {
  expectTypeOf(Heap.map).parameters.toEqualTypeOf<[options: number | HeapMapOptions]>()
  expectTypeOf(Heap.map(1)).toEqualTypeOf<Heap>()
  expectTypeOf(Heap.format).toBeCallableWith(region)
  expectTypeOf(Heap.format).toBeCallableWith(new ArrayBuffer(4096), { placement: 'next-fit' })
  expectTypeOf<HeapMapOptions>().toExtend<HeapOptions>()
  expectTypeOf(Heap.attach(region)).toEqualTypeOf<Heap>()
  expectTypeOf<HeapMapOptions>().toExtend<RegionOptions>()
  expectTypeOf(
    Region.map({ size: 1, guard: false, hugePages: true, populate: true, lock: true })
  ).toEqualTypeOf<Region>()
  Heap.map({ size: 1, placement: 'best-fit' })
  // @ts-expect-error a size is not a string
  Heap.map('1')
  // @ts-expect-error size is required
  Heap.map({ placement: 'best-fit' })
  // @ts-expect-error no such placement
  Heap.map({ size: 1, placement: 'worst-fit' })
  expectTypeOf(Heap.open('shm:x', { shared: true, arenas: 2 })).toEqualTypeOf<Heap>()
  const shared = Heap.format(new SharedArrayBuffer(4096))
  expectTypeOf(shared).toEqualTypeOf<Heap<SharedArrayBuffer>>()
  expectTypeOf(Heap.attach(shared.buffer)).toEqualTypeOf<Heap<SharedArrayBuffer>>()
  expectTypeOf(shared.u8).toEqualTypeOf<Uint8Array<SharedArrayBuffer>>()
  expectTypeOf(shared.allocBuffer(8)).toEqualTypeOf<Buffer<SharedArrayBuffer>>()
  expectTypeOf(shared.allocArray(Float64Array, 1)).toEqualTypeOf<Float64Array<SharedArrayBuffer>>()
  // @ts-expect-error a SharedArrayBuffer is not an ArrayBuffer
  const unshared: ArrayBuffer = shared.buffer
  expectTypeOf(unshared).toEqualTypeOf<ArrayBuffer>()
  // @ts-expect-error the constructor is private: use map, format or attach
  new Heap(region)
}

export function pointers(): void {
  expectTypeOf<Pointer>().toEqualTypeOf<number>()
  expectTypeOf<BlockReference>().toEqualTypeOf<number | ArrayBufferView>()
  expectTypeOf(heap.malloc(1)).toEqualTypeOf<Pointer>()
  expectTypeOf(heap.calloc(1, 1)).toEqualTypeOf<Pointer>()
  expectTypeOf(heap.realloc(1, 1)).toEqualTypeOf<Pointer>()
  expectTypeOf(heap.alignedAlloc(8, 1)).toEqualTypeOf<Pointer>()
  expectTypeOf(heap.free).returns.toEqualTypeOf<void>()
  expectTypeOf(heap.usableSize(1)).toEqualTypeOf<number>()
  expectTypeOf(heap.root).toEqualTypeOf<Pointer>()
  expectTypeOf(heap.owns).parameter(0).toEqualTypeOf<unknown>()
  heap.free(new Uint8Array(1))
  // @ts-expect-error a pointer is not a bigint
  heap.free(1n)
  // @ts-expect-error the size is required
  heap.malloc()
}

export function views(): void {
  // All views are over an ArrayBuffer, so functions that require one accept them without a cast.
  expectTypeOf(heap.alloc(1)).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  expectTypeOf(heap.allocZeroed(1)).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  expectTypeOf(heap.allocBuffer(1)).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(heap.allocArray(Float64Array, 1)).toExtend<Float64Array>()
  expectTypeOf(heap.allocArray(BigInt64Array, 1)).toExtend<BigInt64Array>()
  expectTypeOf(heap.view(1)).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  expectTypeOf(heap.u8).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  expectTypeOf(heap.f64).toEqualTypeOf<Float64Array<ArrayBuffer>>()
  expectTypeOf(heap.i64).toEqualTypeOf<BigInt64Array<ArrayBuffer>>()
  expectTypeOf(heap.dataView).toEqualTypeOf<DataView<ArrayBuffer>>()
  expectTypeOf(heap.buffer).toEqualTypeOf<ArrayBuffer>()
  // @ts-expect-error not a typed array
  heap.allocArray(Map, 1)
  // @ts-expect-error the views of a heap can't be replaced
  heap.u8 = new Uint8Array(1)
}

export function text(): void {
  expectTypeOf(heap.allocString('a')).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(heap.writeString(1, 'a', 'cstring')).toEqualTypeOf<number>()
  expectTypeOf(heap.readString(1, 'utf8', 3)).toEqualTypeOf<string>()
  expectTypeOf(heap.readString).parameter(0).toEqualTypeOf<BlockReference>()
  expectTypeOf<BufferEncoding>().toExtend<TextEncoding>()
  expectTypeOf(heap.from('a')).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(heap.from(Buffer.alloc(1))).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(heap.from(new Uint8Array(new SharedArrayBuffer(1)))).toEqualTypeOf<
    Uint8Array<ArrayBuffer>
  >()
  expectTypeOf(heap.from(new Float64Array(1))).toEqualTypeOf<Float64Array<ArrayBuffer>>()
  expectTypeOf(heap.from([1, 2])).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  expectTypeOf(heap.resize(heap.allocBuffer(1), 2)).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(heap.resize(new BigInt64Array(1), 2)).toEqualTypeOf<BigInt64Array<ArrayBuffer>>()
  expectTypeOf(heap.resize(new DataView(heap.buffer), 2)).toEqualTypeOf<DataView<ArrayBuffer>>()
  // @ts-expect-error no such encoding
  heap.allocString('a', 'utf9')
  // @ts-expect-error a pointer has no view type to preserve
  heap.resize(8, 2)
  // @ts-expect-error a number is not text
  heap.from(1)
}

export function lifetimes(): void {
  expectTypeOf(heap.scope()).toEqualTypeOf<Scope>()
  expectTypeOf<Scope>().toExtend<Disposable & AsyncDisposable>()
  expectTypeOf<Heap>().toExtend<AsyncDisposable>()
  const scope = heap.scope()
  expectTypeOf(scope.malloc(1)).toEqualTypeOf<Pointer>()
  expectTypeOf(scope.allocArray(Float64Array, 1)).toExtend<Float64Array>()
  expectTypeOf(scope.release(scope.allocBuffer(1))).toEqualTypeOf<Buffer<ArrayBuffer>>()
  expectTypeOf(scope.adopt(heap.malloc(1))).toEqualTypeOf<number>()
  expectTypeOf(scope.scope()).toEqualTypeOf<Scope>()
  expectTypeOf(heap.pin(1)).toEqualTypeOf<Pin>()
  expectTypeOf<Pin>().toExtend<Disposable>()
  expectTypeOf(heap.owned(1)).toEqualTypeOf<Uint8Array<ArrayBuffer>>()
  // @ts-expect-error the pointer of a pin is read-only
  heap.pin(1).pointer = 8
}

export function records(): void {
  const kind = struct({
    id: 'u32',
    big: 'i64',
    ok: 'bool',
    name: 'utf8:8',
    raw: 'bytes:3',
    next: 'pointer'
  })
  const array = kind.alloc(heap, 1)
  expectTypeOf(kind.alloc(heap.scope(), 1)).toEqualTypeOf(array)
  expectTypeOf(array.at(0)).toEqualTypeOf<{
    id: number
    big: bigint
    ok: boolean
    name: string
    raw: Uint8Array
    next: number
  }>()
  for (const record of array) expectTypeOf(record.name).toEqualTypeOf<string>()
  expectTypeOf(kind.offsetOf)
    .parameter(0)
    .toEqualTypeOf<'id' | 'big' | 'ok' | 'name' | 'raw' | 'next'>()
  // @ts-expect-error no such field type
  struct({ id: 'u24' })
  // @ts-expect-error a string is not a number
  array.at(0).id = 'one'
  // @ts-expect-error no such field
  array.at(0).weight = 1
}

export function recordsInMaps(): void {
  const Person = struct({ id: 'u32', name: 'utf8:30' })
  type Fields = { id: number; name: string }
  const people = HeapMap.create({ value: Person })
  expectTypeOf(people).toEqualTypeOf<HeapMap<string, Fields>>()
  expectTypeOf(people.get('ada')).toEqualTypeOf<Fields | undefined>()
  expectTypeOf(HeapMap.open(heap, 8, { value: Person })).toEqualTypeOf(people)
  expectTypeOf(SharedMap.create(heap, { value: Person }).get('ada')).toEqualTypeOf<
    Fields | undefined
  >()
  expectTypeOf(SharedMap.open(heap, 8, { value: Person }).get('ada')).toEqualTypeOf<
    Fields | undefined
  >()
  HeapCache.create({
    value: Person,
    dispose: record => expectTypeOf(record).toEqualTypeOf<Fields>()
  })
  expectTypeOf(HeapMap.create<string, number>({})).toEqualTypeOf<HeapMap<string, number>>()
  const options: MapOptions = { max: 10 }
  HeapMap.create<string, number>(options)
  // @ts-expect-error a field is missing
  people.set('ada', { id: 1 })
  // @ts-expect-error the values are records of another kind
  HeapMap.create<string, { id: string }>({ value: Person })
  // @ts-expect-error not a struct
  HeapMap.create({ value: { size: 16, over: () => 1 } })
}

export function statistics(): void {
  expectTypeOf(heap.stats()).toEqualTypeOf<HeapStats>()
  expectTypeOf<
    HeapStats['used' | 'free' | 'blocks' | 'largestFree' | 'highWater']
  >().toEqualTypeOf<number>()
  for (const block of heap.blocks()) expectTypeOf(block).toEqualTypeOf<BlockInfo>()
  expectTypeOf(heap.check).returns.toEqualTypeOf<void>()
  expectTypeOf(heap.trim()).toEqualTypeOf<number>()
  expectTypeOf(heap.closed).toEqualTypeOf<boolean>()
  expectTypeOf<PlacementName>().toEqualTypeOf<
    'first-fit' | 'segregated-fit' | 'best-fit' | 'next-fit'
  >()
  expectTypeOf(placements[0]).toExtend<PlacementName | undefined>()
  // @ts-expect-error statistics are read-only
  heap.stats().used = 1
}

export function disposal(): void {
  expectTypeOf<Heap>().toExtend<Disposable>()
  expectTypeOf<Region>().toExtend<Disposable>()
  expectTypeOf(region.buffer).toEqualTypeOf<ArrayBuffer>()
  expectTypeOf(region.address).toEqualTypeOf<bigint>()
  region.protect(0, 4096, 'none')
  // @ts-expect-error no such protection
  region.protect(0, 4096, 'execute')
}

export function errors(): void {
  expectTypeOf(error).toExtend<Error>()
  expectTypeOf(error.code).toEqualTypeOf<OffheapErrorCode>()
  expectTypeOf(error.errno).toEqualTypeOf<number | undefined>()
  expectTypeOf<SystemFault>().toEqualTypeOf<{ readonly errno: number; readonly syscall: string }>()
  expectTypeOf<'ERR_OFFHEAP_DOUBLE_FREE'>().toExtend<OffheapErrorCode>()
  // @ts-expect-error no such code
  if (error.code === 'ERR_OFFHEAP_NONE') throw error
}

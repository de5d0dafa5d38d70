/**
 * Heaps and regions with console.log, JSON.stringify, structuredClone, proxies, Object.freeze and
 * `new`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format, inspect, isDeepStrictEqual } from 'node:util'
import { serialize } from 'node:v8'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, placements, Region, struct } from '../../lib/index.js'
import { HeapCache, HeapMap, SharedMap } from '../../lib/map/index.js'
import { errorOf } from './support.js'

const MiB = 2 ** 20

const kinds: [name: string, options: HeapOptions][] = [
  ...placements.map<[string, HeapOptions]>(placement => [placement, { placement }]),
  ['slabs', { slabs: true }],
  ['trimming', { trimThreshold: 4096 }],
  ['hardened', { hardened: true }],
  ['stacks', { hardened: true, trackAllocations: true, onLeaks: () => {} }]
]

/** A heap with used, free and quarantined blocks. */
function heapWith(options: HeapOptions, size = MiB): Heap {
  const heap = Heap.map({ size, ...options })
  const pointers = [100, 200, 300, 5000, 10].map(bytes => heap.malloc(bytes))
  heap.free(pointers[1] ?? 0)
  heap.free(pointers[3] ?? 0)
  return heap
}

/** The statistics of a heap whose slots are all in one chunk, which counts as 4 KiB. */
function summaryOf(heap: Heap): { used: number; blocks: number } {
  const { used, blocks, slabs } = heap.stats()
  if (slabs === 0) return { used, blocks }
  expect(slabs).toBe(4096)
  const others = [...heap.blocks()].filter(block => block.used && block.slab === undefined)
  return {
    used: slabs + others.reduce((sum, { size }) => sum + size, 0),
    blocks: 1 + others.length
  }
}

/** Everything that clones a value. */
const cloners: [name: string, clone: (value: object) => unknown][] = [
  ['structuredClone', value => structuredClone(value)],
  ['structuredClone of an object with it', value => structuredClone({ list: [value] })],
  ['postMessage', value => new MessageChannel().port1.postMessage(value)],
  ['v8.serialize', value => serialize(value)]
]

describe.each(kinds)('a heap: %s', (_, options) => {
  test('is summarized by JSON.stringify, whatever its size', () => {
    for (const size of [MiB, 64 * MiB]) {
      using heap = heapWith(options, size)
      const { size: bytes } = heap.stats()
      const { used, blocks } = summaryOf(heap)
      const { placement } = heap
      expect(JSON.parse(JSON.stringify({ heap }))).toEqual({
        heap: { size: bytes, placement, used, blocks, closed: false }
      })
      expect(heap.stats().blocks).toBe(3)
    }
  })

  test('is summarized by console.log', () => {
    using heap = heapWith(options)
    const { used, blocks } = summaryOf(heap)
    const shown =
      `Heap { size: 1048576, placement: '${heap.placement}', used: ${used}, blocks: ` +
      `${blocks}, closed: false }`
    const wide = { breakLength: 200 }
    expect(inspect(heap, wide)).toBe(shown)
    expect(inspect(heap, { ...wide, showHidden: true, depth: 0 })).toBe(shown)
    expect(inspect({ heap }, wide)).toBe(`{ heap: ${shown} }`)
    expect(inspect({ a: { b: { c: heap } } }, { ...wide, depth: 2 })).toContain('c: [Heap]')
    expect(format('%s, %o', heap, heap).length).toBeLessThan(400)
    expect(`${heap}`).toBe('[object Heap]')
    expect(inspect(heap, { colors: true })).toContain('\x1b[')
  })

  test('is printed even if it is closed or corrupt', () => {
    const heap = heapWith(options)
    heap.u8.fill(0xff, 0, 65536)
    expect(inspect(heap)).toMatch(/^Heap \{/)
    expect(JSON.stringify(heap)).toMatch(/"closed":false/)
    heap.close()
    const closed = { size: 0, placement: heap.placement, used: 0, blocks: 0, closed: true }
    expect(JSON.parse(JSON.stringify(heap))).toEqual(closed)
    expect(inspect(heap, { breakLength: 200 })).toBe(
      `Heap { size: 0, placement: '${heap.placement}', used: 0, blocks: 0, closed: true }`
    )
  })

  test('has no fields that can be seen, set or deleted', () => {
    using heap = heapWith(options)
    expect(Object.entries(heap).filter(([, value]) => typeof value !== 'symbol')).toEqual([])
    for (const name of Object.getOwnPropertyNames(heap)) {
      expect(Reflect.set(heap, name, 1)).toBe(false)
      expect(Reflect.deleteProperty(heap, name)).toBe(false)
    }
    heap.check()
  })

  test('is deeply equal only to itself', () => {
    using heap = heapWith(options)
    using other = heapWith(options)
    expect(isDeepStrictEqual(heap, heap)).toBe(true)
    expect(isDeepStrictEqual(heap, other)).toBe(false)
  })

  test.each(cloners)('tells %s what to do instead', (_, clone) => {
    using heap = heapWith(options)
    const { message } = errorOf(() => clone(heap))
    expect(message).toMatch(/send heap\.buffer instead.*Heap\.attach/)
    expect(message.length).toBeLessThan(200)
    // The way that the message names works.
    const copy = Heap.attach(structuredClone(heap.buffer))
    copy.check()
    expect(copy.stats().blocks).toBe(heap.stats().blocks)
  })

  test('works behind a proxy', () => {
    using heap = heapWith(options)
    const proxy = new Proxy(heap, {})
    const pointer = proxy.malloc(100)
    proxy.u8[pointer] = 7
    expect(heap.u8[pointer]).toBe(7)
    expect(proxy.buffer).toBe(heap.buffer)
    proxy.root = pointer
    const larger = proxy.realloc(pointer, 5000)
    proxy.free(larger)
    proxy.free(proxy.calloc(10, 10))
    proxy.free(proxy.alloc(10))
    proxy.free(proxy.alignedAlloc(64, 10))
    proxy.trim()
    proxy.check()
    expect(proxy.stats()).toEqual(heap.stats())
    expect([...proxy.blocks()]).toEqual([...heap.blocks()])
    expect(inspect(proxy)).toBe(inspect(heap))
    expect(JSON.stringify(proxy)).toBe(JSON.stringify(heap))
    proxy.close()
    expect(heap.closed).toBe(true)
  })

  test.each([Object.freeze, Object.seal, Object.preventExtensions])(
    'works and closes after %o',
    restrict => {
      const heap: Heap = restrict(heapWith(options))
      heap.free(heap.malloc(100))
      heap.trim()
      heap.check()
      heap.reset()
      heap.check()
      const { u8 } = heap
      heap.close()
      expect(u8.length).toBe(0)
      expect(heap.u8.length).toBe(0)
      expect(heap.closed).toBe(true)
      expect(errorOf(() => heap.malloc(1)).code).toBe('ERR_OFFHEAP_CLOSED')
      heap.close()
    }
  )

  test('releases memory that it only borrows', () => {
    if (options.trimThreshold !== undefined) return
    const buffer = new ArrayBuffer(MiB)
    const heap = Heap.format(buffer, options)
    const pointer = heap.malloc(100)
    heap.close()
    const before = new Uint8Array(buffer).slice()
    for (const call of [
      () => heap.malloc(8),
      () => heap.free(pointer),
      () => heap.check(),
      () => heap.realloc(pointer, 9)
    ]) {
      expect(errorOf(call).code).toBe('ERR_OFFHEAP_CLOSED')
    }
    expect(Buffer.compare(new Uint8Array(buffer), before)).toBe(0)
    expect(Heap.attach(buffer).owns(pointer)).toBe(true)
  })
})

describe('a region', () => {
  test('is summarized by JSON.stringify and console.log', () => {
    const region = Region.map(65536)
    expect(JSON.stringify({ region })).toBe('{"region":{"size":65536,"closed":false}}')
    expect(inspect(region)).toBe('Region { size: 65536, closed: false }')
    expect(inspect({ region }, { depth: -1 })).toBe('[Object]')
    expect(`${region}`).toBe('[object Region]')
    region.close()
    expect(JSON.stringify(region)).toBe('{"size":0,"closed":true}')
    expect(inspect(region)).toBe('Region { size: 0, closed: true }')
  })

  test.each(cloners)('tells %s what to do instead', (_, clone) => {
    const region = Region.map(65536)
    expect(errorOf(() => clone(region)).message).toMatch(/send region\.buffer instead/)
    region.close()
  })

  test('works behind a proxy, and so does a heap on it', () => {
    const region = Region.map(65536)
    const proxy = new Proxy(region, {})
    const heap = Heap.format(proxy, { trimThreshold: 4096 })
    heap.free(heap.malloc(10_000))
    heap.trim()
    heap.check()
    expect(proxy.residentBytes()).toBe(region.residentBytes())
    proxy.close()
    expect(region.closed).toBe(true)
    expect(heap.closed).toBe(true)
  })

  test('can be closed after Object.freeze', () => {
    const region = Object.freeze(Region.map(65536))
    region.close()
    expect(region.closed).toBe(true)
    region.close()
    expect(errorOf(() => region.residentBytes()).code).toBe('ERR_OFFHEAP_CLOSED')
  })
})

describe('new', () => {
  const refusals: [name: string, make: () => unknown, instead: RegExp][] = [
    [
      'new Heap(1024)',
      () => Reflect.construct(Heap, [1024]),
      /use Heap\.map\(size\), Heap\.format\(memory\) or Heap\.attach/
    ],
    [
      'new Heap(buffer)',
      () => Reflect.construct(Heap, [new ArrayBuffer(4096)]),
      /Heap\.format\(memory\)/
    ],
    ['new Region(4096)', () => Reflect.construct(Region, [4096]), /use Region\.map\(size\)/],
    ['a class of another name', () => Reflect.construct(Heap, [1024], class {}), /use Heap\.map/]
  ]

  test.each(refusals)('%s names the function to use instead', (_, make, instead) => {
    const error = errorOf(make)
    expect(error).toBeInstanceOf(TypeError)
    expect(error.code).toBe('ERR_ILLEGAL_CONSTRUCTOR')
    expect(error.message).toMatch(instead)
  })

  test('an object that only inherits from a heap or a region is not one', () => {
    for (const prototype of [Heap.prototype, Region.prototype]) {
      expect(inspect(prototype).length).toBeLessThan(100)
      expect(inspect(Object.create(prototype)).length).toBeLessThan(100)
    }
    const fake: Region = Object.create(Region.prototype)
    expect(errorOf(() => Heap.format(fake)).code).toBe('ERR_INVALID_ARG_TYPE')
    expect(errorOf(() => Heap.attach(fake)).code).toBe('ERR_INVALID_ARG_TYPE')
  })
})

describe('everything else that has a class', () => {
  const wide = { breakLength: 200 }
  const maps = {
    HeapMap: () => HeapMap.create<string, object>({ size: MiB }),
    HeapCache: () => HeapCache.create<string, object>({ max: 10, size: MiB }),
    SharedMap: () => SharedMap.create<string, object>(Heap.map({ size: MiB, shared: true }))
  }

  test.each(Object.entries(maps))('%s is summarized without its entries', (name, create) => {
    const map = create()
    for (const key of ['one', 'two']) map.set(key, { secret: key })
    const { heap, pointer } = map
    const summary = { size: 2, pointer, closed: false }
    expect(JSON.parse(JSON.stringify({ map }))).toEqual({ map: summary })
    expect(inspect(map, wide)).toBe(`${name} { size: 2, pointer: ${pointer}, closed: false }`)
    expect(inspect({ a: { b: { map } } })).toContain(`[${name}]`)
    expect(inspect(Object.getPrototypeOf(map)).length).toBeLessThan(200)
    heap.u8.fill(0xff, pointer, pointer + 64)
    expect(inspect(map)).toMatch(/closed: false/)
    map.close()
    expect(map.toJSON()).toEqual({ size: 0, pointer, closed: true })
    heap.close()
  })

  test('roots, mutexes, pins and structs are shown by what they stand for', () => {
    using heap = heapWith({})
    const pointer = heap.calloc(1, 8)
    using pin = heap.pin(pointer)
    const mutex = heap.mutex(pointer)
    expect(inspect(pin)).toBe(`Pin { pointer: ${pointer} }`)
    expect(JSON.parse(JSON.stringify(pin))).toEqual({ pointer })
    expect(inspect(mutex)).toBe(`Mutex { pointer: ${pointer}, held: false }`)
    mutex.run(() => expect(JSON.stringify(mutex)).toBe(`{"pointer":${pointer},"held":true}`))
    const Point = struct({ x: 'f64', name: 'utf8:8' })
    expect(inspect({ Point }, { ...wide, depth: 3 })).toBe(
      '{ Point: Struct { size: 16, offsets: [Object] } }'
    )
    expect(Point.toJSON()).toEqual({ size: 16, offsets: { x: 0, name: 8 } })
    expect([pin, mutex, Point].map(String)).toEqual([
      '[object Pin]',
      '[object Mutex]',
      '[object Struct]'
    ])
  })

  test('the roots of a heap in a file are shown by name, also after it was closed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'offheap-'))
    const heap = Heap.open(join(folder, 'a.heap'), { size: MiB, create: true })
    const { roots } = heap
    const pointer = heap.malloc(8)
    roots.set('first', pointer)
    roots.set('__proto__', 0)
    expect(inspect(roots, wide)).toMatch(/^Roots \{ /)
    expect(JSON.parse(JSON.stringify({ roots })).roots.first).toBe(pointer)
    expect(Object.keys(roots.toJSON()).sort()).toEqual(['__proto__', 'first'])
    expect(String(roots)).toBe('[object Roots]')
    heap.close()
    expect(inspect(roots)).toBe('Roots {}')
    rmSync(folder, { recursive: true })
  })
})

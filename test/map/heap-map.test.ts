/** How HeapMap differs from Map; and its limits. */
import { channel } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Heap, OffheapError, struct } from '../../lib/index.js'
import { HeapCache, HeapMap, type MapKey, type MapOptions, SharedMap } from '../../lib/map/index.js'

/** A map in a heap of its own on ordinary memory. */
function small<V = unknown>(bytes = 2 ** 16, options: MapOptions = {}): HeapMap<MapKey, V> {
  return HeapMap.create<MapKey, V>(Heap.format(new ArrayBuffer(bytes)), options)
}

const outOfMemory = expect.objectContaining({ code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
const invalidType = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' })
const outOfRange = expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' })

/** The error that a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

describe('values', () => {
  const values: readonly [string, unknown][] = [
    ['a string', 'text'],
    ['an empty string', ''],
    ['a string of other characters', 'naïve 漢字 🙂'],
    ['a lone surrogate', 'a\ud800b'],
    ['a long string', 'x'.repeat(100_000)],
    ['a number', 1.5],
    ['NaN', Number.NaN],
    ['minus zero', -0],
    ['Infinity', Number.NEGATIVE_INFINITY],
    ['bytes', new Uint8Array([1, 2, 255])],
    ['no bytes', new Uint8Array(0)],
    ['undefined', undefined],
    ['null', null],
    ['a boolean', false],
    ['an object', { a: [1, 'zwei', null], b: { c: '漢' } }]
  ]
  test.each(values)('%s is returned as it was stored', (_, value) => {
    const map = small(2 ** 18)
    map.set('key', value)
    expect(map.get('key')).toStrictEqual(value)
    expect(map.has('key')).toBe(true)
    map.check()
  })

  test("are copied: changes on either side don't affect the other", () => {
    const map = small<{ list: number[] } | Uint8Array>()
    const object = { list: [1] }
    const bytes = new Uint8Array([1])
    map.set('object', object).set('bytes', bytes)
    object.list.push(2)
    bytes[0] = 9
    expect(map.get('object')).toEqual({ list: [1] })
    expect(map.get('bytes')).toEqual(new Uint8Array([1]))
  })

  test('that JSON cannot represent throw, and leave the entry unchanged', () => {
    const map = small()
    map.set('key', 'before')
    for (const value of [1n, Symbol('s'), () => {}])
      expect(thrown(() => map.set('key', value))).toEqual(invalidType)
    const circular: Record<string, unknown> = {}
    circular.self = circular
    expect(() => map.set('key', circular)).toThrow(TypeError)
    expect(map.get('key')).toBe('before')
    map.check()
  })

  test('from a map can be stored in the same map, although that frees their memory', () => {
    const map = small(2 ** 14, { eviction: 'fifo' })
    const bytes = Uint8Array.from({ length: 3000 }, (_, i) => i)
    for (let i = 0; i < 50; i++) {
      map.set('source', bytes)
      const view = map.getView('source')
      map.set(`copy ${i}`, view)
      expect(map.get(`copy ${i}`)).toEqual(bytes)
    }
  })

  test('with an overridden length are stored correctly', () => {
    const map = small()
    const long = new Uint8Array([1, 2, 3])
    Object.defineProperty(long, 'length', { value: 2 ** 20 })
    Object.defineProperty(long, 'byteLength', { value: 2 ** 20 })
    map.set('key', long)
    expect(map.getBuffer('key')).toEqual(Buffer.from([1, 2, 3]))
    map.check()
    map.heap.check()
  })

  test('with a toJSON that changes the map are stored in the changed map', () => {
    const map = small()
    const value = {
      toJSON: () => {
        for (let i = 0; i < 100; i++) map.set(`inner ${i}`, i)
        return 'outer'
      }
    }
    map.set('key', value)
    expect(map.get('key')).toBe('outer')
    expect(map.size).toBe(101)
    map.check()
  })

  test('can be viewed, copied, and read into an array, as bytes', () => {
    const map = small()
    map.set('text', 'é!').set('json', { a: 1 }).set('number', 1)
    expect(map.getBuffer('text')?.toString()).toBe('é!')
    expect(Buffer.from(map.getView('json') ?? []).toString()).toBe('{"a":1}')
    expect(map.getView('number')?.length).toBe(8)
    const target = new Uint8Array(4)
    expect(map.getInto('text', target)).toBe(3)
    expect([...target]).toEqual([0xc3, 0xa9, 0x21, 0])
    expect(thrown(() => map.getInto('json', target))).toEqual(outOfRange)
    expect([...target]).toEqual([0xc3, 0xa9, 0x21, 0])
    expect([map.getView('x'), map.getBuffer('x'), map.getInto('x', target)]).toEqual([
      undefined,
      undefined,
      undefined
    ])
  })
})

describe('records', () => {
  const Person = struct({ id: 'u32', name: 'utf8:12' })
  const ada = { id: 1, name: 'Ada' }

  test('have the fields that were set, and can be viewed without a copy', () => {
    const map = HeapMap.create(Heap.format(new ArrayBuffer(2 ** 16)), { value: Person })
    map.set('ada', ada)
    expect(map.getOrInsert('grace', { id: 2, name: 'Grace' }).name).toBe('Grace')
    expect(map.getMany(['grace', 'ada', 'none']).map(each => each?.id)).toEqual([2, 1, undefined])
    const view = map.getView('ada')
    expect(view).toHaveLength(Person.size)
    expect(view && Person.over(view).name).toBe('Ada')
    expect(JSON.stringify(map.get('ada'))).toBe('{"id":1,"name":"Ada"}')
    const array = Person.alloc(map.heap, 2)
    Object.assign(array.at(1), { id: 3, name: 'Alan' })
    expect(map.set('alan', array.at(1)).get('alan')?.name).toBe('Alan')
  })

  test('that are replaced, evicted and deleted reach dispose', () => {
    const left: string[] = []
    const cache = HeapCache.create(Heap.format(new ArrayBuffer(2 ** 16)), {
      value: Person,
      max: 1,
      dispose: ({ id, name }, key, reason) => left.push(`${key} ${id} ${name} ${reason}`)
    })
    cache.set('ada', ada)
    cache.set('ada', { id: 3, name: 'A' })
    cache.set('grace', { id: 2, name: 'Grace' })
    cache.delete('grace')
    expect(left).toEqual(['ada 1 Ada set', 'ada 3 A evict', 'grace 2 Grace delete'])
  })

  test('without all fields, or with other values, throw and leave the entry unchanged', () => {
    const map = HeapMap.create(Heap.format(new ArrayBuffer(2 ** 16)), { value: Person })
    map.set('ada', ada)
    const set = (value: unknown) => () => Reflect.apply(map.set, map, ['ada', value])
    const other = struct({ id: 'u32' }).over(new Uint8Array(4))
    for (const value of [undefined, null, 1, 'text', {}, { id: 1 }, new Uint8Array(16), other])
      expect(thrown(set(value))).toEqual(invalidType)
    expect(thrown(set({ id: 1 }))).toMatchObject({ message: expect.stringMatching(/"value.name"/) })
    expect(thrown(set({ id: 1, name: 'more than 12 bytes' }))).toEqual(outOfRange)
    expect(map.get('ada')?.name).toBe('Ada')
    const short = new Uint8Array(Person.size - 1)
    expect(thrown(() => Person.over(short))).toEqual(outOfRange)
    expect(thrown(() => Reflect.apply(Person.over, Person, ['text']))).toEqual(invalidType)
  })

  test.each([HeapMap, HeapCache, SharedMap])('a map of them is an ordinary object: %o', Kind => {
    using heap = Heap.map({ size: 2 ** 20, shared: true, arenas: 1 })
    const map = Kind.create(heap, { value: Person })
    expect([Number(map), Object.is(map.valueOf(), map)]).toEqual([Number.NaN, true])
  })

  test.each([HeapMap, HeapCache, SharedMap])('of another size are not opened, by %o', Kind => {
    using heap = Heap.map({ size: 2 ** 20, shared: true, arenas: 1 })
    const { pointer } = Kind.create(heap, { value: Person })
    const untyped = Kind.create(heap).pointer
    const before = Buffer.from(heap.buffer).toString('latin1')
    const Other = struct({ id: 'u32', name: 'utf8:13' })
    const invalid = (words: RegExp) => ({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringMatching(words)
    })
    const open = (at: number, options = {}) => Reflect.apply(Kind.open, Kind, [heap, at, options])
    expect(thrown(() => open(pointer, { value: Other }))).toMatchObject(
      invalid(/'options.value' is a struct of 20 bytes, but the map stores records of 16 bytes/)
    )
    expect(thrown(() => open(pointer))).toMatchObject(invalid(/is no struct, but .* of 16 bytes/))
    expect(thrown(() => open(untyped, { value: Other }))).toMatchObject(invalid(/of any kind/))
    for (const value of [null, {}, { size: 16, over: () => ada }])
      expect(thrown(() => open(pointer, { value }))).toEqual(invalidType)
    expect(Buffer.from(heap.buffer).toString('latin1')).toBe(before)
    // Another name of a field is the caller's concern.
    expect(open(pointer, { value: struct({ n: 'u32', text: 'utf8:12' }) }).size).toBe(0)
    const { blocks } = heap.stats()
    const wrong = [heap, { value: {} }]
    expect(thrown(() => Reflect.apply(Kind.create, Kind, wrong))).toEqual(invalidType)
    expect(heap.stats().blocks).toBe(blocks)
  })

  test('whose bytes are not a record throw ERR_OFFHEAP_CORRUPT', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 16))
    const map = HeapMap.create(heap, { value: Person })
    map.set('ada', ada)
    const at = heap.u8.indexOf(Person.size, heap.u8.lastIndexOf('A'.charCodeAt(0)) - 28)
    heap.u8[at] = Person.size - 1
    expect(thrown(() => map.get('ada'))).toMatchObject({ code: 'ERR_OFFHEAP_CORRUPT' })
  })
})

describe('keys', () => {
  test('as strings and as bytes are different, and so are all strings that look alike', () => {
    const map = small()
    const keys: MapKey[] = [
      '',
      'a',
      Buffer.from('a'),
      '\ud800',
      '\udc00',
      '\ufffd',
      'é',
      'e\u0301',
      Buffer.alloc(0)
    ]
    for (const [i, key] of keys.entries()) map.set(key, i)
    expect(map.size).toBe(keys.length)
    expect(keys.map(key => map.get(key))).toEqual(keys.map((_, i) => i))
    expect([...map.keys()]).toEqual(
      keys.map(key => (typeof key === 'string' ? key : new Uint8Array(key)))
    )
  })

  test.each([1, 3, 4, 5, 39, 40, 41, 100, 65_535, 65_536])('of %i bytes are found', length => {
    const map = small(2 ** 20)
    const text = 'k'.repeat(length - 1)
    map
      .set(`${text}a`, 'a')
      .set(`${text}b`, 'b')
      .set(Buffer.from(`${text}a`), 'bytes')
    expect([map.get(`${text}a`), map.get(`${text}b`), map.get(`${text}c`)]).toEqual([
      'a',
      'b',
      undefined
    ])
    expect(map.getMany([`${text}b`, `${text}a`, Buffer.from(`${text}a`)])).toEqual([
      'b',
      'a',
      'bytes'
    ])
    map.check()
  })

  test('of more than 65,536 bytes throw, as do keys of other types', () => {
    const map = small(2 ** 20)
    for (const key of [
      'k'.repeat(65_537),
      'é'.repeat(32_769),
      '\ud800'.repeat(32_769),
      new Uint8Array(65_537)
    ]) {
      expect(thrown(() => map.set(key, 1))).toEqual(outOfRange)
      expect(thrown(() => map.get(key))).toEqual(outOfRange)
    }
    for (const key of [1, undefined, null, {}, [], new Uint16Array(1)]) {
      expect(thrown(() => Reflect.apply(map.get, map, [key]))).toEqual(invalidType)
      expect(thrown(() => Reflect.apply(map.getMany, map, [['a', key]]))).toEqual(invalidType)
    }
    expect(map.size).toBe(0)
  })
})

describe('the time to live', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
  afterEach(() => void vi.useRealTimers())

  test('expires an entry for every call', () => {
    const map = small(2 ** 16, { ttl: 100 })
    map.set('default', 1).set('short', 2, { ttl: 10 }).set('forever', 3, { ttl: 0 })
    map.set('also forever', 4, { ttl: Number.POSITIVE_INFINITY })
    expect(map.getRemainingTTL('short')).toBe(10)
    expect(map.getRemainingTTL('forever')).toBe(Number.POSITIVE_INFINITY)
    expect(map.getRemainingTTL('absent')).toBe(0)
    vi.setSystemTime(1_000_010)
    expect(map.get('short')).toBe(2)
    vi.setSystemTime(1_000_011)
    expect([map.has('short'), map.peek('short'), map.getMany(['short'])]).toEqual([
      false,
      undefined,
      [undefined]
    ])
    expect([...map.keys()]).toEqual(['default', 'forever', 'also forever'])
    expect(map.scan(0, 100).keys.toSorted()).toEqual(['also forever', 'default', 'forever'])
    expect(map.size).toBe(4)
    expect(map.get('short')).toBe(undefined)
    expect(map.size).toBe(3)
    vi.setSystemTime(2_000_000)
    expect(map.delete('default')).toBe(false)
    expect([...map]).toEqual([
      ['forever', 3],
      ['also forever', 4]
    ])
    map.check()
  })

  test('is infinite with 0 and Infinity, and never negative or NaN', () => {
    const map = small()
    for (const ttl of [-1, Number.NaN]) {
      expect(thrown(() => map.set('key', 1, { ttl }))).toEqual(outOfRange)
      expect(thrown(() => small(2 ** 16, { ttl }))).toEqual(outOfRange)
    }
    expect(thrown(() => Reflect.apply(map.set, map, ['key', 1, { ttl: '5' }]))).toEqual(invalidType)
    expect(thrown(() => Reflect.apply(map.set, map, ['key', 1, { tll: 5 }]))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE'
    })
    expect(map.size).toBe(0)
  })

  test('is enforced by purgeStale, in parts, and for two entries with each set', () => {
    const map = small(2 ** 16)
    for (let i = 0; i < 100; i++) map.set(`old ${i}`, i, { ttl: 10 })
    vi.setSystemTime(1_000_100)
    expect(map.purgeStale(30)).toBe(30)
    expect(map.size).toBe(70)
    for (let i = 0; i < 30; i++) map.set(`new ${i}`, i)
    expect(map.size).toBeLessThan(70)
    map.purgeStale()
    expect(map.size).toBe(30)
    expect(map.stats().expired).toBe(100)
    map.check()
  })
})

describe('the heap of a map', () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  /** The values of hugePages in the calls of Heap.map that create() makes. */
  function mapped(options: MapOptions): unknown[] {
    const map = vi.spyOn(Heap, 'map').mockClear()
    using made = HeapMap.create<string, string>(options)
    made.set('key', 'value')
    expect(made.get('key')).toBe('value')
    return map.mock.calls.map(([all]) => (typeof all === 'number' ? all : all.hugePages))
  }

  test('has huge pages from 64 MiB on, or as the option says', () => {
    expect(mapped({ size: 2 ** 26 - 2 ** 20 })).toEqual([undefined])
    expect(mapped({ size: 2 ** 26 })).toEqual([true])
    expect(mapped({})).toEqual([true])
    expect(mapped({ size: 2 ** 26, hugePages: false })).toEqual([false])
    expect(mapped({ size: 2 ** 20, hugePages: true })).toEqual([true])
  })

  test('has ordinary pages where the system refuses huge ones that nobody asked for', () => {
    const refused = new OffheapError('ERR_OFFHEAP_SYSTEM', 'no huge pages')
    const { map } = Heap
    vi.spyOn(Heap, 'map').mockImplementation(options => {
      if (typeof options === 'object' && options.hugePages === true) throw refused
      return map(options)
    })
    expect(mapped({ size: 2 ** 26 })).toEqual([true, undefined])
    expect(thrown(() => HeapMap.create({ size: 2 ** 26, hugePages: true }))).toBe(refused)
  })

  test('that was given already has its pages', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 16))
    expect(thrown(() => HeapMap.create(heap, { hugePages: true }))).toEqual(
      expect.objectContaining({
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringContaining(
          "'options.hugePages' must be left out when a heap is given"
        )
      })
    )
    expect(heap.stats().blocks).toBe(0)
  })
})

describe('limits', () => {
  test('on entries: fifo evicts the oldest one, but not the one that is set again', () => {
    const map = small(2 ** 16, { max: 3, eviction: 'fifo' })
    map.set('a', 1).set('b', 2).set('c', 3).set('a', 4).set('d', 5)
    expect([...map]).toEqual([
      ['b', 2],
      ['c', 3],
      ['d', 5]
    ])
    expect(map.stats().evicted).toBe(1)
  })

  test('on entries: lru evicts the least recently used one', () => {
    const map = small(2 ** 16, { max: 3, eviction: 'lru' })
    map.set('a', 1).set('b', 2).set('c', 3)
    map.get('a')
    map.peek('b')
    map.set('d', 4).set('c', 5).set('e', 6)
    expect([...map.keys()]).toEqual(['e', 'c', 'd'])
  })

  test('on entries: the hand of sieve passes used ones', () => {
    const map = small(2 ** 16, { max: 4, eviction: 'sieve' })
    for (const key of ['a', 'b', 'c', 'd']) map.set(key, key)
    map.getMany(['a', 'c'])
    map.set('e', 'e').set('f', 'f')
    expect([...map.keys()]).toEqual(['a', 'c', 'e', 'f'])
    map.set('g', 'g')
    expect([...map.keys()]).toEqual(['a', 'c', 'f', 'g'])
    map.check()
  })

  test('without eviction throw, and leave the map unchanged', () => {
    const map = small(2 ** 16, { max: 2 })
    map.set('a', 1).set('b', 2)
    expect(thrown(() => map.set('c', 3))).toEqual(outOfMemory)
    map.set('a', 'again')
    expect([...map]).toEqual([
      ['a', 'again'],
      ['b', 2]
    ])
  })

  test('on bytes count the bytes of blocks', () => {
    const map = small(2 ** 18, { maxSize: 10_000, eviction: 'sieve' })
    for (let i = 0; i < 500; i++) {
      map.set(`key ${i}`, 'x'.repeat((i * 37) % 900))
      map.check()
      expect(map.stats().bytes).toBeLessThanOrEqual(10_000)
    }
    expect(map.stats().bytes).toBeGreaterThan(8000)
    expect(thrown(() => map.set('large', 'x'.repeat(10_000)))).toEqual(outOfMemory)
    expect(map.has('key 499')).toBe(true)
  })

  test('on the bytes of one entry', () => {
    const map = small(2 ** 16, { maxEntrySize: 100 })
    map.set('key', 'x'.repeat(60))
    expect(thrown(() => map.set('key', 'x'.repeat(100)))).toEqual(outOfMemory)
    expect(map.get('key')).toBe('x'.repeat(60))
  })

  test.each(['fifo', 'lru', 'sieve'] as const)(
    'of the heap: %s makes room, in the index too',
    eviction => {
      for (const bytes of [2 ** 11, 2 ** 13, 2 ** 16]) {
        const map = small(bytes, { eviction })
        for (let i = 0; i < 3000; i++) {
          map.set(`key ${i}`, 'x'.repeat((i * 7) % 120))
          expect(map.peek(`key ${i}`)).toHaveLength((i * 7) % 120)
          if (i % 50 === 0) map.check()
        }
        map.check()
        map.heap.check()
      }
    }
  )

  test('a value larger than the heap evicts nothing', () => {
    const map = small(2 ** 14, { eviction: 'sieve' })
    map.set('a', 1)
    expect(thrown(() => map.set('b', 'x'.repeat(2 ** 20)))).toEqual(outOfMemory)
    expect([...map.keys()]).toEqual(['a'])
  })

  test.each<MapOptions>([
    { max: 0 },
    { max: 1.5 },
    { maxSize: -1 },
    { maxEntrySize: Number.NaN },
    { eviction: 'lfu' as 'lru' },
    { hash: 'md5' as 'mixed' }
  ])('%o is out of range', options => {
    const heap = Heap.format(new ArrayBuffer(2 ** 14))
    expect(thrown(() => HeapMap.create(heap, options))).toEqual(outOfRange)
    expect(heap.stats().blocks).toBe(0)
  })

  test('an unknown option throws, and so does a size for a given heap', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 14))
    const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(thrown(() => Reflect.apply(HeapMap.create, HeapMap, [heap, { maximum: 1 }]))).toEqual(
      invalid
    )
    expect(thrown(() => HeapMap.create(heap, { size: 2 ** 20 }))).toEqual(invalid)
    expect(heap.stats().blocks).toBe(0)
  })
})

describe('memory', () => {
  test('too small for a map throws, and nothing is allocated', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 13))
    heap.malloc(heap.stats().largestFree - 100)
    const { blocks } = heap.stats()
    expect(thrown(() => HeapMap.create(heap))).toEqual(outOfMemory)
    expect(heap.stats().blocks).toBe(blocks)
  })

  test('of its own is mapped, and closed with the map', () => {
    const map = HeapMap.create({ size: 2 ** 20 })
    const { heap } = map
    map.set('a', 1)
    expect(heap.root).toBe(map.pointer)
    map.close()
    map.close()
    expect(heap.closed).toBe(true)
    for (const call of [
      () => map.get('a'),
      () => map.set('a', 1),
      () => map.size,
      () => [...map],
      () => map.clear()
    ]) {
      expect(thrown(call)).toMatchObject({ code: 'ERR_OFFHEAP_CLOSED' })
    }
  })

  test('that was closed under the map throws, even during iteration', () => {
    const heap = Heap.map(2 ** 20)
    const map = HeapMap.create(heap)
    map.set('a', 1).set('b', 2)
    const loop = map.keys()
    loop.next()
    heap.close()
    expect(thrown(() => loop.next())).toMatchObject({ code: 'ERR_OFFHEAP_CLOSED' })
    expect(thrown(() => map.get('a'))).toMatchObject({ code: 'ERR_OFFHEAP_CLOSED' })
  })

  test('can hold several maps, each opened by its pointer', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 16))
    const first = HeapMap.create(heap)
    const second = HeapMap.create(heap, { eviction: 'lru', max: 1 })
    first.set('key', 'first')
    second.set('key', 'second')
    const copy = Heap.attach(heap.buffer.slice(0))
    expect(HeapMap.open(copy, first.pointer).get('key')).toBe('first')
    const opened = HeapMap.open(copy, second.pointer)
    opened.set('another', 1)
    expect([...opened.keys()]).toEqual(['another'])
    expect(second.get('key')).toBe('second')
  })

  test('without a map is not opened as one', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 14))
    const block = heap.calloc(200, 1)
    const notAMap = expect.objectContaining({ code: 'ERR_OFFHEAP_NOT_A_HEAP' })
    for (const pointer of [0, block, block + 8, 2 ** 40]) {
      expect(thrown(() => HeapMap.open(heap, pointer))).toEqual(notAMap)
    }
    expect(thrown(() => HeapMap.open(heap))).toEqual(notAMap)
    expect(thrown(() => Reflect.apply(HeapMap.open, HeapMap, [{}]))).toEqual(invalidType)
  })

  test('is freed by clear, and all of it by destroy', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 20))
    const map = HeapMap.create(heap)
    const empty = heap.stats().used
    for (let i = 0; i < 5000; i++) map.set(`key ${i}`, i)
    map.clear()
    map.check()
    expect(heap.stats().used).toBe(empty)
    map.set('a', 1)
    map.destroy()
    expect(heap.stats().blocks).toBe(0)
  })

  test('is consistent if a subscriber to events uses the same map', () => {
    const heap = Heap.map({ size: 2 ** 22 })
    const map = HeapMap.create(heap, { eviction: 'sieve' })
    let calls = 0
    const subscriber = (): void => {
      if (++calls % 3 === 0) map.delete(`key ${calls}`)
      else map.set(`inner ${calls % 50}`, 'x'.repeat(calls % 500))
    }
    const channels = ['offheap:grow', 'offheap:out-of-memory'].map(name => channel(name))
    for (const each of channels) each.subscribe(subscriber)
    try {
      for (let i = 0; i < 20_000; i++) {
        map.set(`key ${i}`, 'x'.repeat(i % 500))
        if (i % 500 === 0) map.check()
      }
    } finally {
      for (const each of channels) each.unsubscribe(subscriber)
    }
    expect(calls).toBeGreaterThan(3)
    map.check()
    heap.check()
    heap.close()
  })
})

describe('fetch', () => {
  test('loads once for all callers that ask meanwhile, and stores the value', async () => {
    const map = small<number>()
    let loads = 0
    const load = async (): Promise<number> => ++loads
    expect(
      await Promise.all([map.fetch('a', load), map.fetch('a', load), map.fetch('b', load)])
    ).toEqual([1, 1, 2])
    expect(await map.fetch('a', load)).toBe(1)
    expect(map.size).toBe(2)
  })

  test('does not store a failed load, or a value that was set or deleted meanwhile', async () => {
    const map = small<string>()
    await expect(map.fetch('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(map.size).toBe(0)
    let signal: AbortSignal | undefined
    const slow = map.fetch('a', (_, options) => {
      signal = options.signal
      return Promise.resolve('loaded')
    })
    await Promise.resolve()
    map.set('a', 'set')
    expect(await slow).toBe('loaded')
    expect(signal?.aborted).toBe(true)
    expect(map.get('a')).toBe('set')
  })
})

test('getOrInsertComputed computes only missing values', () => {
  const map = small<number>()
  expect(map.getOrInsertComputed('a', key => key.length)).toBe(1)
  expect(map.getOrInsertComputed('a', () => expect.fail('it is there'))).toBe(1)
  expect(map.getOrInsert('b', 2)).toBe(2)
})

test('stats() counts entries, hits and misses', () => {
  const map = small()
  map.set('a', 'x')
  map.get('a')
  map.getMany(['a', 'b'])
  map.get('c')
  expect(map.stats()).toMatchObject({
    entries: 1,
    hits: 2,
    misses: 2,
    evicted: 0,
    expired: 0,
    rebuilds: 0
  })
})

test('abandoned iterators do not affect later changes', () => {
  const map = small<number>()
  for (let i = 0; i < 10; i++) map.set(`${i}`, i)
  for (let i = 0; i < 100; i++) map.keys().next()
  for (const key of map.keys()) map.delete(key)
  expect(map.size).toBe(0)
})

test('`using` closes the map, and its toStringTag is its name', () => {
  let kept: HeapMap | undefined
  {
    using map = HeapMap.create({ size: 2 ** 20 })
    kept = map
  }
  expect(kept.heap.closed).toBe(true)
  expect(String(kept)).toBe('[object HeapMap]')
  expect(() => Reflect.construct(HeapMap, [])).toThrow('HeapMap.create')
})

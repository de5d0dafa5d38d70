/** What lru-cache documents, tested for HeapCache; and where HeapCache differs. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Heap } from '../../lib/index.js'
import { type CacheOptions, HeapCache, type Reason } from '../../lib/map/index.js'

function cacheOf<V = unknown>(
  options: CacheOptions<string, V> = {},
  bytes = 2 ** 18
): HeapCache<string, V> {
  return HeapCache.create<string, V>(Heap.format(new ArrayBuffer(bytes)), options)
}

/** A cache, and the arguments of its `dispose` calls. */
function watched(options: CacheOptions<string, unknown> = {}) {
  const left: [unknown, string, Reason][] = []
  const cache = cacheOf({
    ...options,
    dispose: (value, key, reason) => void left.push([value, key, reason])
  })
  return { cache, left }
}

const lru = { eviction: 'lru' } as const

function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

describe('a program written for lru-cache', () => {
  test('creates it with `new`, in a heap of its own or in a given one', () => {
    using cache = new HeapCache<string, number>({ max: 2, ttl: 3_600_000, eviction: 'lru' })
    cache.set('a', 1).set('b', 2).set('c', 3)
    expect([...cache]).toEqual([
      ['c', 3],
      ['b', 2]
    ])
    const heap = Heap.format(new ArrayBuffer(2 ** 16))
    const given = new HeapCache<string, number>(heap, { maxSize: 5000 })
    given.set('a', 1)
    expect(HeapCache.open<string, number>(heap, given.pointer).get('a')).toBe(1)
    const unknown = [{ sizeCalculation: () => 1 }]
    expect(thrown(() => Reflect.construct(HeapCache, unknown))).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringMatching(/'options.sizeCalculation' is not an option of HeapCache/)
    })
  })

  test('reads its limits, which are 0 for none', () => {
    const limits = (cache: HeapCache) => [cache.max, cache.maxSize, cache.maxEntrySize, cache.ttl]
    const options = { max: 10, maxSize: 5000, maxEntrySize: 500, ttl: 7 }
    const cache = cacheOf(options)
    expect(limits(cache)).toEqual([10, 5000, 500, 7])
    expect(limits(HeapCache.open(cache.heap, cache.pointer))).toEqual([10, 5000, 500, 7])
    expect(limits(cacheOf())).toEqual([0, 0, 0, 0])
    cache.close()
    expect(thrown(() => cache.max)).toMatchObject({ code: 'ERR_OFFHEAP_CLOSED' })
  })

  test('chooses in fetchMethod how the fetched value is stored', async () => {
    const cache = cacheOf<number>({
      ttl: 1e9,
      fetchMethod: async (key, _, { options }) => {
        if (key === 'short') options.ttl = 10
        if (key === 'wrong') options.ttl = -1
        return 1
      }
    })
    expect(await cache.fetch('short')).toBe(1)
    expect(await cache.fetch('long')).toBe(1)
    expect(cache.getRemainingTTL('short')).toBeLessThanOrEqual(10)
    expect(cache.getRemainingTTL('long')).toBeGreaterThan(1e8)
    await expect(cache.fetch('wrong')).rejects.toThrow('options.ttl')
    expect(cache.has('wrong')).toBe(false)
  })
})

describe('the order of use', () => {
  test('decides which entry is evicted, and get renews an entry', () => {
    const cache = cacheOf({ ...lru, max: 5 })
    for (let i = 0; i < 10; i++) cache.set(`${i}`, i)
    expect([...cache.keys()]).toEqual(['9', '8', '7', '6', '5'])
    cache.get('5')
    cache.set('a', 1)
    expect([cache.has('5'), cache.has('6'), cache.size]).toEqual([true, false, 5])
  })

  test('is not changed by peek, has and getRemainingTTL', () => {
    const cache = cacheOf({ ...lru, max: 2 })
    cache.set('a', 1).set('b', 2)
    cache.peek('a')
    cache.has('a')
    cache.getRemainingTTL('a')
    cache.set('c', 3)
    expect([...cache.keys()]).toEqual(['c', 'b'])
  })

  test('is the order of iteration, from the last used on, or from the first with r…', () => {
    const cache = cacheOf({ ...lru, max: 3 })
    cache.set('a', 1).set('b', 2).set('c', 3).get('a')
    expect([...cache]).toEqual([
      ['a', 1],
      ['c', 3],
      ['b', 2]
    ])
    expect([[...cache.rkeys()], [...cache.rvalues()], [...cache.values()]]).toEqual([
      ['b', 'c', 'a'],
      [2, 3, 1],
      [1, 3, 2]
    ])
    expect([...cache.rentries()]).toEqual([...cache.entries()].toReversed())
    const seen: unknown[] = []
    cache.forEach(function (this: unknown, value, key, self) {
      seen.push([value, key, self === cache, this === cache])
    })
    expect(seen).toEqual([
      [1, 'a', true, true],
      [3, 'c', true, true],
      [2, 'b', true, true]
    ])
    expect(cache.find(value => value !== 1)).toBe(3)
    expect(cache.find(() => false)).toBe(undefined)
  })

  test('may change during iteration, which still ends', () => {
    for (const eviction of ['lru', 'sieve', 'fifo'] as const) {
      const cache = cacheOf({ eviction })
      for (let i = 0; i < 20; i++) cache.set(`${i}`, i)
      let turns = 0
      for (const key of cache.keys()) {
        turns++
        cache.get(key)
      }
      for (const key of cache.rkeys()) {
        turns++
        cache.get(key)
        if (turns % 2 === 0) cache.delete(key)
      }
      expect(turns).toBe(40)
      cache.check()
    }
  })

  test('decides which entry pop returns', () => {
    const { cache, left } = watched({ ...lru, max: 3 })
    cache.set('a', 1).set('b', 2)
    cache.get('a')
    expect([cache.pop(), cache.pop(), cache.pop(), cache.size]).toEqual([2, 1, undefined, 0])
    expect(left).toEqual([
      [2, 'b', 'evict'],
      [1, 'a', 'evict']
    ])
    expect(cacheOf(lru).set('a', 'only').pop()).toBe('only')
  })
})

describe('set', () => {
  test('with undefined deletes the entry', () => {
    const { cache, left } = watched()
    cache.set('a', 1).set('a', undefined)
    expect([cache.has('a'), cache.size, left]).toEqual([false, 0, [[1, 'a', 'delete']]])
  })

  test('with a too large value stores nothing, and removes the old entry', () => {
    const { cache, left } = watched({ maxEntrySize: 200 })
    cache.set('a', 'small').set('a', 'x'.repeat(300)).set('b', 'x'.repeat(300))
    expect([cache.size, left]).toEqual([0, [['small', 'a', 'set']]])
  })

  test('with an equal value calls no dispose', () => {
    const { cache, left } = watched()
    cache.set('a', 'same').set('a', 'same').set('a', 'other')
    expect(left).toEqual([['same', 'a', 'set']])
  })

  test('keeps the limit of bytes', () => {
    const cache = cacheOf<string>({ maxSize: 5000 })
    for (let i = 0; i < 200; i++) cache.set(`key ${i}`, 'x'.repeat(i))
    expect(cache.calculatedSize).toBeLessThanOrEqual(5000)
    expect(cache.calculatedSize).toBeGreaterThan(4000)
    expect(cache.get('key 199')).toBe('x'.repeat(199))
    cache.check()
  })

  test('works in a full heap', () => {
    const cache = cacheOf<number[]>({}, 2 ** 14)
    for (let i = 0; i < 2000; i++) cache.set(`key ${i}`, [i, i, i])
    expect(cache.get('key 1999')).toEqual([1999, 1999, 1999])
    expect(cache.stats().evicted).toBeGreaterThan(1000)
    cache.check()
  })
})

describe('dispose', () => {
  test('is called for each reason, after the call', () => {
    const left: unknown[] = []
    const cache = cacheOf<unknown>({
      max: 2,
      eviction: 'fifo',
      dispose: (value, key, reason) => left.push([value, key, reason, [...cache.rkeys()].join('')])
    })
    cache.set('a', { n: 1 }).set('b', 2).set('c', 3).set('c', 4)
    cache.delete('b')
    cache.clear()
    expect(left).toEqual([
      [{ n: 1 }, 'a', 'evict', 'bc'],
      [3, 'c', 'set', 'bc'],
      [2, 'b', 'delete', 'c'],
      [4, 'c', 'delete', '']
    ])
  })

  test('is not called for replaced values with noDisposeOnSet', () => {
    const { cache, left } = watched({ noDisposeOnSet: true, max: 1, eviction: 'fifo' })
    cache.set('a', 1).set('a', 2).set('b', 3)
    expect(left).toEqual([[2, 'a', 'evict']])
    const other = watched()
    other.cache.set('a', 1).set('a', 2, { noDisposeOnSet: true })
    expect(other.left).toEqual([])
  })

  test('may change the cache', () => {
    const cache = cacheOf<number>({
      max: 10,
      eviction: 'fifo',
      dispose: (value, key) => {
        if (value < 3) cache.set(`${key}!`, value + 1)
      }
    })
    for (let i = 0; i < 100; i++) cache.set(`${i}`, 0)
    cache.check()
    expect(cache.size).toBe(10)
  })

  test('is called for the other values if it throws, and the call is complete', () => {
    const seen: string[] = []
    const cache = cacheOf<number>({
      dispose: (_, key) => {
        seen.push(key)
        throw new Error(key)
      }
    })
    cache.set('a', 1).set('b', 2)
    expect(() => cache.clear()).toThrow('a')
    expect([seen, cache.size]).toEqual([['a', 'b'], 0])
    cache.check()
  })
})

describe('the time to live', () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1000, toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  test('ends after exactly that many milliseconds', () => {
    const { cache, left } = watched({ ttl: 10 })
    cache.set('a', 1)
    vi.setSystemTime(1010)
    expect([cache.has('a'), cache.getRemainingTTL('a')]).toEqual([true, 0])
    vi.setSystemTime(1011)
    expect([cache.has('a'), cache.peek('a'), cache.size]).toEqual([false, undefined, 1])
    expect(cache.get('a')).toBe(undefined)
    expect([cache.size, left]).toEqual([0, [[1, 'a', 'expire']]])
  })

  test('allows a stale value to be read once with allowStale', () => {
    const cache = cacheOf({ ttl: 10, allowStale: true })
    cache.set('a', 1)
    vi.setSystemTime(1100)
    expect([cache.peek('a'), [...cache.keys()], cache.has('a')]).toEqual([1, ['a'], false])
    expect([cache.get('a'), cache.get('a')]).toEqual([1, undefined])
    const strict = cacheOf({ ttl: 10 })
    strict.set('a', 1)
    vi.setSystemTime(1200)
    expect(strict.get('a', { allowStale: true, noDeleteOnStaleGet: true })).toBe(1)
    expect([[...strict.keys()], strict.size]).toEqual([[], 1])
    expect(strict.get('a', { allowStale: true })).toBe(1)
    expect(strict.size).toBe(0)
  })

  test('restarts with updateAgeOnGet and updateAgeOnHas, for each entry with its own TTL', () => {
    const cache = cacheOf({ ttl: 10, updateAgeOnGet: true })
    cache.set('a', 1).set('b', 2, { ttl: 50 })
    vi.setSystemTime(1008)
    cache.get('a')
    cache.get('b')
    expect([cache.getRemainingTTL('a'), cache.getRemainingTTL('b')]).toEqual([10, 50])
    vi.setSystemTime(1012)
    cache.has('a')
    expect(cache.getRemainingTTL('a')).toBe(6)
    cache.has('a', { updateAgeOnHas: true })
    expect(cache.getRemainingTTL('a')).toBe(10)
    cache.get('a', { updateAgeOnGet: false })
    vi.setSystemTime(1013)
    expect(cache.getRemainingTTL('a')).toBe(9)
  })

  test('does not restart with noUpdateTTL when an entry is set again', () => {
    const cache = cacheOf({ ttl: 10 })
    cache.set('a', 1)
    vi.setSystemTime(1005)
    cache.set('a', 2, { noUpdateTTL: true })
    expect([cache.get('a'), cache.getRemainingTTL('a')]).toEqual([2, 5])
    cache.set('a', 3)
    expect(cache.getRemainingTTL('a')).toBe(10)
  })

  test('is infinite with 0', () => {
    const cache = cacheOf({ ttl: 10 })
    cache.set('a', 1, { ttl: 0 }).set('b', 2, { ttl: Number.POSITIVE_INFINITY })
    vi.setSystemTime(1e12)
    expect([cache.get('a'), cache.get('b'), cache.getRemainingTTL('a')]).toEqual([
      1,
      2,
      Number.POSITIVE_INFINITY
    ])
  })

  test('is enforced for all entries by purgeStale', () => {
    const { cache, left } = watched({ ttl: 10 })
    cache.set('a', 1).set('b', 2, { ttl: 100 })
    vi.setSystemTime(1050)
    expect([cache.purgeStale(), cache.purgeStale(), [...cache.keys()]]).toEqual([1, 0, ['b']])
    expect(left).toEqual([[1, 'a', 'expire']])
  })

  test('makes an expired entry the first to be evicted', () => {
    const cache = cacheOf({ max: 3 })
    cache.set('a', 1).set('b', 2, { ttl: 10 }).set('c', 3)
    for (const key of ['a', 'b', 'c']) cache.get(key)
    vi.setSystemTime(1050)
    cache.set('d', 4)
    expect([...cache.rkeys()]).toEqual(['a', 'c', 'd'])
    expect(cache.stats()).toMatchObject({ evicted: 0, expired: 1 })
  })

  test('allows fetch to return a stale value while it fetches a new one', async () => {
    let calls = 0
    const cache = cacheOf<string>({
      ttl: 10,
      allowStale: true,
      fetchMethod: async (key, stale) => `${key}${++calls} after ${stale}`
    })
    expect(await cache.fetch('a')).toBe('a1 after undefined')
    vi.setSystemTime(1050)
    expect(await cache.fetch('a')).toBe('a1 after undefined')
    expect(await cache.fetch('a', { allowStale: false })).toBe('a2 after a1 after undefined')
    expect(calls).toBe(2)
  })

  test('when a fetch fails: the stale value is removed, or returned, or both', async () => {
    const failing = { ttl: 10, fetchMethod: () => Promise.reject(new Error('no')) }
    const cache = cacheOf<number>(failing)
    cache.set('a', 1).set('b', 2).set('c', 3)
    vi.setSystemTime(1050)
    await expect(cache.fetch('a')).rejects.toThrow('no')
    await expect(cache.fetch('b', { noDeleteOnFetchRejection: true })).rejects.toThrow('no')
    expect(await cache.fetch('c', { allowStaleOnFetchRejection: true })).toBe(3)
    expect([...cache.rkeys()]).toEqual([])
    expect(cache.size).toBe(2)
  })
})

describe('fetch', () => {
  test('a load that is aborted by delete finds the entry deleted already', async () => {
    const found: unknown[] = []
    const cache = HeapCache.create<string, number>({
      size: 2 ** 20,
      fetchMethod: (key, _stale, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            found.push(cache.has(key), cache.delete(key))
            reject(new Error('aborted'))
          })
        })
    })
    cache.set('a', 1)
    const refreshed = cache.fetch('a', { forceRefresh: true }).catch(error => error.message)
    await Promise.resolve()
    expect(cache.delete('a')).toBe(true)
    expect(found).toEqual([false, false])
    expect(await refreshed).toBe('aborted')
    cache.check()
    cache.heap.check()
    cache.close()
  })

  test('calls fetchMethod once for all callers that ask meanwhile', async () => {
    let calls = 0
    const cache = cacheOf<number>({ fetchMethod: async () => ++calls })
    expect(await Promise.all([cache.fetch('a'), cache.fetch('a'), cache.fetch('b')])).toEqual([
      1, 1, 2
    ])
    expect([
      await cache.fetch('a'),
      await cache.fetch('a', { forceRefresh: true }),
      cache.get('a')
    ]).toEqual([1, 3, 3])
  })

  test('without fetchMethod is get', async () => {
    const cache = cacheOf()
    expect(await cache.fetch('a')).toBe(undefined)
    expect(await cache.set('a', 1).fetch('a')).toBe(1)
  })

  test('stores nothing if it gets undefined, or if the key was set meanwhile', async () => {
    const cache = cacheOf<string>({
      fetchMethod: async (_, __, { context }) => (context === 1 ? 'late' : undefined)
    })
    expect([await cache.fetch('a'), cache.size]).toEqual([undefined, 0])
    const late = cache.fetch('b', { context: 1 })
    cache.set('b', 'early')
    expect([await late, cache.get('b')]).toEqual(['late', 'early'])
  })

  test('rejects with what fetchMethod throws synchronously', async () => {
    const cache = cacheOf({
      fetchMethod: () => {
        throw new Error('at once')
      }
    })
    await expect(cache.fetch('a')).rejects.toThrow('at once')
  })

  test('of a cache that was closed meanwhile resolves, and stores nothing', async () => {
    const cache = cacheOf<number>({ fetchMethod: async () => 1 })
    const late = cache.fetch('a')
    cache.close()
    expect(await late).toBe(1)
  })
})

describe('unlike lru-cache', () => {
  test('the default policy is sieve, which resists scans', () => {
    const cache = cacheOf<number>({ max: 100 })
    const hot = Array.from({ length: 50 }, (_, i) => `hot ${i}`)
    for (const key of hot) cache.set(key, 1)
    for (let i = 0; i < 1000; i++) {
      cache.get(hot[i % 50])
      cache.set(`scan ${i}`, i)
    }
    expect(hot.filter(key => cache.has(key))).toEqual(hot)
  })

  test('a cache can be opened again, with its limits', () => {
    const cache = cacheOf<number>({ max: 2, eviction: 'fifo' })
    cache.set('a', 1).set('b', 2)
    const again = HeapCache.open<string, number>(
      Heap.attach(cache.heap.buffer.slice(0)),
      cache.pointer
    )
    again.set('c', 3)
    expect([...again.rkeys()]).toEqual(['b', 'c'])
  })

  test.each([
    { ttlAutopurge: true },
    { dispose: 'no' },
    { fetchMethod: 1 },
    { allowStale: 'yes' },
    { max: '5' }
  ])('%o throws', options => {
    const heap = Heap.format(new ArrayBuffer(2 ** 14))
    expect(thrown(() => Reflect.apply(HeapCache.create, HeapCache, [heap, options]))).toMatchObject(
      {
        code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/)
      }
    )
    expect(heap.stats().blocks).toBe(0)
  })

  test.each([
    ['get', ['a', { ttl: 1 }]],
    ['set', ['a', 1, { size: 1 }]],
    ['has', ['a', { allowStale: true }]],
    ['peek', ['a', { allowStale: 1 }]],
    ['fetch', ['a', { ttl: 'x' }]]
  ])('an option that %s does not have throws', async (name, args) => {
    const cache = cacheOf()
    const call = async () => Reflect.apply(Reflect.get(cache, name), cache, args)
    await expect(call()).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_INVALID_ARG_(TYPE|VALUE)$/)
    })
  })

  test('lookups of many keys, views and copies count as uses', () => {
    const cache = cacheOf<string>({ ...lru })
    cache.set('a', 'A').set('b', 'B').set('c', 'C')
    expect(cache.getMany(['b', 'x', 'a'])).toEqual(['B', undefined, 'A'])
    expect([...cache.keys()]).toEqual(['a', 'b', 'c'])
    expect(cache.getBuffer('c')?.toString()).toBe('C')
    expect(cache.getView('b')?.length).toBe(1)
    expect(cache.getInto('a', new Uint8Array(1))).toBe(1)
    expect([...cache.keys()]).toEqual(['a', 'b', 'c'])
    expect(cache.stats()).toMatchObject({ hits: 5, misses: 1 })
    cache.setMany([['d', 'D']])
    cache.destroy()
    expect(cache.heap.stats().blocks).toBe(0)
    expect(String(cache)).toBe('[object HeapCache]')
  })
})

/**
 * SharedMap compared with a Map in one thread, and used by several threads and processes, which are
 * terminated and killed while they work.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Heap } from '../../lib/index.js'
import { HeapMap, SharedMap, type SharedMapOptions } from '../../lib/map/index.js'
import { expectError } from '../heap/support.js'
import { type Compiled, compile } from '../memory/compiled.js'
import { scaled } from '../runs.js'

const MiB = 2 ** 20
const SCRIPT = fileURLToPath(new URL('shared-load.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'offheap-shared-map-'))

let compiled: Compiled
beforeAll(() => {
  compiled = compile('map')
})
afterAll(() => {
  compiled.remove()
  rmSync(folder, { recursive: true })
})

function withMap(
  options: SharedMapOptions,
  work: (map: SharedMap<string, unknown>, heap: Heap) => void
): void {
  using heap = Heap.map({ size: 8 * MiB, shared: true, arenas: 2 })
  work(SharedMap.create<string, unknown>(heap, options), heap)
}

describe('a shared map used by one thread', () => {
  test('stores, finds, replaces and removes entries of every kind', () => {
    withMap({ shards: 4 }, map => {
      const values = ['text', 'ünï', '\ud800', 1.5, Number.NaN, { a: [1, null] }, true, undefined]
      for (const [i, value] of values.entries()) map.set(`key ${i}`, value)
      for (const [i, value] of values.entries()) expect(map.get(`key ${i}`)).toEqual(value)
      expect(map.size).toBe(values.length)
      expect(map.get('none')).toBeUndefined()
      expect([map.has('key 7'), map.has('none')]).toEqual([true, false])
      map.set('key 0', Buffer.from([1, 2]))
      expect(map.get('key 0')).toEqual(new Uint8Array([1, 2]))
      expect([map.delete('key 0'), map.delete('key 0')]).toEqual([true, false])
      map.check()
      expect(map.stats()).toMatchObject({ entries: 7, hits: 9, misses: 1 })
    })
  })

  test('agrees with a Map, and loses no block', () => {
    const key = fc.integer({ min: 0, max: 40 }).map(n => `k${n}`)
    const call = fc.oneof(
      fc.tuple(fc.constant('set' as const), key, fc.string({ maxLength: 200 })),
      fc.tuple(fc.constant('delete' as const), key, fc.constant('')),
      fc.tuple(fc.constant('getOrInsert' as const), key, fc.string({ maxLength: 200 })),
      fc.tuple(fc.constant('update' as const), key, fc.string({ maxLength: 20 })),
      fc.tuple(fc.constant('clear' as const), key, fc.constant(''))
    )
    const shards = fc.constantFrom(1, 2, 16)
    fc.assert(
      fc.property(fc.array(call, { maxLength: 300 }), shards, (calls, shards) => {
        using heap = Heap.map({ size: 4 * MiB, shared: true, arenas: 2 })
        const map = SharedMap.create<string, string>(heap, { shards })
        const model = new Map<string, string>()
        for (const [name, key, value] of calls) {
          if (name === 'set') {
            map.set(key, value)
            model.set(key, value)
          } else if (name === 'delete') expect(map.delete(key)).toBe(model.delete(key))
          else if (name === 'getOrInsert') {
            if (!model.has(key)) model.set(key, value)
            expect(map.getOrInsert(key, value)).toBe(model.get(key))
          } else if (name === 'update') {
            model.set(key, (model.get(key) ?? '') + value)
            expect(map.update(key, old => (old ?? '') + value)).toBe(model.get(key))
          } else {
            map.clear()
            model.clear()
          }
          expect(map.get(key)).toBe(model.get(key))
        }
        map.check()
        expect(map.size).toBe(model.size)
        expect(new Map(map)).toEqual(model)
        expect([...map.keys()].sort()).toEqual([...model.keys()].sort())
        map.destroy()
        expect(heap.stats().blocks).toBe(0)
      }),
      { numRuns: scaled(300) }
    )
  })

  test.each(['fifo', 'lru', 'sieve'] as const)('evicts with %s, within its limits', eviction => {
    withMap({ shards: 2, eviction, max: 100 }, map => {
      for (let i = 0; i < 1000; i++) {
        map.set(`${i}`, i)
        map.get('0')
      }
      expect(map.size).toBeLessThanOrEqual(100)
      expect(map.size).toBeGreaterThan(60)
      expect(map.has('0')).toBe(eviction !== 'fifo')
      map.check()
    })
  })

  test('entries expire, and purgeStale removes them', () => {
    vi.useFakeTimers({ now: 1000, toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    withMap({ shards: 2 }, map => {
      map.set('a', 1, { ttl: 5 })
      map.set('b', 2)
      expect(map.get('a')).toBe(1)
      vi.setSystemTime(2000)
      expect(map.get('a')).toBeUndefined()
      expect(map.size).toBe(2)
      expect(map.purgeStale()).toBe(1)
      expect([...map]).toEqual([['b', 2]])
    })
  })

  test('update changes nothing if compute throws or returns undefined', () => {
    withMap({ shards: 1 }, map => {
      map.set('a', 1)
      expect(() =>
        map.update('a', () => {
          throw new Error('on purpose')
        })
      ).toThrow('on purpose')
      expect(map.update('a', () => undefined)).toBe(1)
      expectError(() => map.update('a', () => map.get('a')), 'ERR_INVALID_STATE')
      expect([map.get('a'), map.size]).toEqual([1, 1])
      map.check()
    })
  })

  test('calls of other maps in between, with the same key and others, do not affect it', () => {
    const keys = ['a', 'a longer key, of more than forty characters', 'ünï', '\ud800', '']
    withMap({ shards: 4 }, (map, heap) => {
      const others = (['mixed', 'siphash'] as const).map(hash =>
        HeapMap.create<string | Uint8Array, number>(heap, { hash })
      )
      for (const key of keys) {
        const bytes = Buffer.from(key)
        map.update(key, () => {
          for (const other of others) other.set(key, 1).set(bytes, 2).set('b', 3)
          return 'stored'
        })
        expect(map.get(key)).toBe('stored')
        for (const other of others) {
          expect(map.has(key)).toBe(true)
          expect([other.get(key), other.get(bytes), other.get('b')]).toEqual([1, 2, 3])
          expect(map.has(key)).toBe(true)
          expect(other.getMany([key, 'b', key])).toEqual([1, 3, 1])
        }
      }
      expect(map.size).toBe(keys.length)
      for (const each of [map, ...others]) each.check()
    })
  })

  test('a key of bytes may be changed and used again', () => {
    using heap = Heap.map({ size: MiB, shared: true, arenas: 1 })
    const map = SharedMap.create<Uint8Array, number>(heap, { shards: 2 })
    const key = new Uint8Array(6)
    for (key[0] = 0; key[0] < 100; key[0]++) map.set(key, key[0])
    for (key[0] = 0; key[0] < 100; key[0]++) expect(map.get(key)).toBe(key[0])
    expect([map.get(key), map.size]).toEqual([undefined, 100])
  })

  test('set throws if there is no room, and leaves the entry unchanged', () => {
    using heap = Heap.map({ size: 2 ** 18, shared: true, arenas: 1 })
    const map = SharedMap.create<string, string>(heap, { shards: 1 })
    map.set('a', 'old')
    expectError(() => map.set('a', 'x'.repeat(2 ** 18)), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    expect(map.get('a')).toBe('old')
    map.check()
    expectError(() => {
      for (let i = 0; ; i++) map.set(`${i}`, 'x'.repeat(500))
    }, 'ERR_OFFHEAP_OUT_OF_MEMORY')
    map.check()
    const { blocks } = heap.stats()
    expectError(() => SharedMap.create(heap, { shards: 256 }), 'ERR_OFFHEAP_OUT_OF_MEMORY')
    expect(heap.stats().blocks).toBe(blocks)
  })

  test('wrong arguments and pointers throw', () => {
    withMap({ shards: 1 }, (map, heap) => {
      expectError(() => SharedMap.create(heap, { shards: 3 }), 'ERR_OUT_OF_RANGE')
      expectError(() => Reflect.apply(SharedMap.create, SharedMap, [{}]), 'ERR_INVALID_ARG_TYPE')
      const sized = [heap, { size: 1 }]
      expectError(() => Reflect.apply(SharedMap.create, SharedMap, sized), 'ERR_INVALID_ARG_VALUE')
      expectError(() => SharedMap.open(heap, 8), 'ERR_OFFHEAP_NOT_A_HEAP')
      expectError(
        () => SharedMap.open(heap, HeapMap.create(heap).pointer),
        'ERR_OFFHEAP_NOT_A_HEAP'
      )
      for (const key of [1, undefined, null])
        expectError(() => Reflect.apply(map.get, map, [key]), 'ERR_INVALID_ARG_TYPE')
    })
  })

  test('a map that cannot be created leaves no block behind', () => {
    withMap({ shards: 1 }, (_map, heap) => {
      const { blocks } = heap.stats()
      expectError(() => SharedMap.create(heap, { ttl: -1 }), 'ERR_OUT_OF_RANGE')
      expect(heap.stats().blocks).toBe(blocks)
    })
    using heap = Heap.map({ size: 2 ** 18, shared: true, arenas: 1 })
    const pointers: number[] = []
    // Each time there is less room, so that it ends at every allocation.
    for (let size = 2 ** 11; size >= 64; ) {
      const pointer = heap.malloc(size)
      if (pointer === 0) size /= 2
      else pointers.push(pointer)
    }
    const { blocks } = heap.stats()
    let failures = 0
    for (const pointer of pointers.reverse()) {
      try {
        SharedMap.create(heap, { shards: 64 }).destroy()
      } catch {
        failures++
      }
      expect(heap.stats().blocks).toBe(blocks - pointers.indexOf(pointer))
      heap.free(pointer)
    }
    expect(failures).toBeGreaterThan(10)
    heap.check()
  })

  test('a map whose heap is closed, or whose blocks are gone, throws an error that says so', () => {
    const calls: ((map: SharedMap<string, unknown>) => unknown)[] = [
      map => map.get('a'),
      map => map.set('a', 1),
      map => map.size,
      map => [...map],
      map => map.check()
    ]
    withMap({ shards: 2 }, map => {
      map.close()
      for (const call of calls) expectError(() => call(map), 'ERR_OFFHEAP_CLOSED')
    })
    withMap({ shards: 2 }, (map, heap) => {
      heap.close()
      for (const call of calls) expectError(() => call(map), 'ERR_OFFHEAP_CLOSED')
    })
    withMap({ shards: 2 }, (map, heap) => {
      const { pointer } = map
      const other = SharedMap.open<string, unknown>(heap, pointer)
      map.destroy()
      expect(heap.stats().blocks).toBe(0)
      for (const call of calls) expectError(() => call(other), 'ERR_OFFHEAP_CORRUPT')
      expectError(() => SharedMap.open(heap, pointer), 'ERR_OFFHEAP_NOT_A_HEAP')
    })
  })
})

describe('a shared map used by several threads', () => {
  test('readers see no half-written entry while others write', async () => {
    using heap = Heap.map({ size: 16 * MiB, shared: true, arenas: 4 })
    const map = SharedMap.create<string, string>(heap, { shards: 2, eviction: 'sieve', max: 60 })
    const workers = [0, 1].map(
      seed =>
        new Worker(SCRIPT, {
          workerData: {
            library: compiled.heap,
            maps: compiled.map,
            handle: heap.handle(),
            pointer: map.pointer,
            seed
          }
        })
    )
    await Promise.all(workers.map(worker => once(worker, 'message')))
    let found = 0
    for (let i = 0; i < scaled(200_000); i++) {
      const key = `${i % 100}`
      const value = map.get(key)
      if (value === undefined) continue
      found++
      const [owner = '', length = '', ...rest] = value.split(':')
      const filler = rest.join(':')
      if (owner !== key || filler.length !== Number(length) || new Set(filler).size > 1)
        throw new Error(`half an entry: ${value.slice(0, 100)}`)
    }
    await Promise.all(workers.map(worker => worker.terminate()))
    expect(found).toBeGreaterThan(0)
    map.check()
    heap.check()
  })

  test('the next thread recovers a shard that a terminated thread was changing', async () => {
    using heap = Heap.map({ size: 16 * MiB, shared: true, arenas: 4 })
    const map = SharedMap.create<string, string>(heap, { shards: 2, eviction: 'lru', max: 500 })
    for (let round = 0; round < scaled(60); round++) {
      const worker = new Worker(SCRIPT, {
        workerData: {
          library: compiled.heap,
          maps: compiled.map,
          handle: heap.handle(),
          pointer: map.pointer,
          seed: round
        }
      })
      await once(worker, 'message')
      for (let i = 0; i < round * 50; i++) map.set(`${i % 100}`, `${i % 100}:0:`)
      await worker.terminate()
      map.check()
      map.set('after', `after:${round}:`)
      expect(map.get('after')).toBe(`after:${round}:`)
    }
    heap.check()
  })
})

test.runIf(process.platform === 'linux')(
  'other processes, and the next to open the file, recover a map that a killed one was changing',
  async () => {
    const path = join(folder, 'map.heap')
    const options = { size: 16 * MiB, create: true, shared: true, arenas: 4 }
    let heap = Heap.open(path, options)
    heap.root = SharedMap.create<string, string>(heap, { shards: 2, eviction: 'sieve' }).pointer
    for (let round = 0; round < Math.max(2, scaled(40)); round++) {
      const map = SharedMap.open<string, string>(heap)
      const child = spawn(
        process.execPath,
        [SCRIPT, compiled.heap, compiled.map, path, `${round}`],
        {
          stdio: ['ignore', 'pipe', 'inherit']
        }
      )
      onTestFinished(() => void child.kill('SIGKILL'))
      await once(child.stdout, 'data')
      for (let i = 0; i < round * 100; i++) map.get(`${i % 100}`)
      child.kill('SIGKILL')
      await once(child, 'exit')
      if (round % 2 === 1) {
        heap.close()
        heap = Heap.open(path, { shared: true })
      }
      const again = SharedMap.open<string, string>(heap)
      again.check()
      again.set('after', `${round}`)
      expect(again.get('after')).toBe(`${round}`)
    }
    heap.check()
    heap.close()
  }
)

/**
 * Maps of many segments: splits, the directory, loops and scans while they grow; and maps larger
 * than a Map can be.
 */
import { describe, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { HeapMap, type MapOptions } from '../../lib/map/index.js'

/** Numbers that look random, the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

describe.each<MapOptions>([{}, { hash: 'siphash', crashSafe: true }])('with %o', options => {
  test('twelve thousand entries agree with those of a Map, after random sets and deletes', () => {
    using heap = Heap.map({ size: 2 ** 25, placement: 'segregated-fit' })
    const map = HeapMap.create<string, number>(heap, options)
    const model = new Map<string, number>()
    const random = numbers(1)
    let wrong = 0
    for (let i = 0; i < 24_000; i++) {
      const key = `user:${random(16_000)}`
      if (random(4) === 0) wrong += map.delete(key) === model.delete(key) ? 0 : 1
      else {
        map.set(key, i)
        model.set(key, i)
      }
      if (i % 8000 === 0) map.check()
    }
    map.check()
    expect(map.size).toBe(model.size)
    expect([...map]).toEqual([...model])
    const keys = Array.from({ length: 16_000 }, (_, i) => `user:${i}`)
    expect(map.getMany(keys)).toEqual(keys.map(key => model.get(key)))
    for (const key of keys) wrong += map.delete(key) === model.has(key) ? 0 : 1
    expect(wrong).toBe(0)
    map.check()
    expect(map.size).toBe(0)
    map.destroy()
    expect(heap.stats().blocks).toBe(0)
  })

  test('a scan returns every lasting key, while the map grows and shrinks', () => {
    using map = HeapMap.create<string, number>({ size: 2 ** 25, ...options })
    for (let i = 0; i < 3000; i++) map.set(`stays ${i}`, i)
    const seen = new Map<string, number>()
    let cursor = 0
    let turn = 0
    do {
      const part = map.scan(cursor, 50)
      for (const key of part.keys) seen.set(key, (seen.get(key) ?? 0) + 1)
      for (let i = 0; i < 2000; i++) map.set(`comes ${turn * 2000 + i}`, i)
      for (let i = 0; i < 500; i++) map.delete(`comes ${turn * 1000 + i}`)
      cursor = part.cursor
      turn++
    } while (cursor !== 0 && turn < 500)
    expect(cursor).toBe(0)
    expect(turn).toBeGreaterThan(5)
    for (let i = 0; i < 3000; i++) expect(seen.get(`stays ${i}`)).toBe(1)
    map.check()
  })
})

test('an entry takes about 17 bytes of index, and 20 bytes besides its key and value', () => {
  using map = HeapMap.create<string, string>({ size: 2 ** 26 })
  let bytes = 0
  for (let i = 0; i < 50_000; i++) {
    const key = `user:${i}`
    const value = 'x'.repeat(100 + (i % 10))
    map.set(key, value)
    bytes += key.length + value.length
  }
  const stats = map.stats()
  expect((stats.bytes + stats.indexBytes - bytes) / 50_000).toBeLessThan(46)
})

const MANY = Number(process.env.OFFHEAP_MAP_ENTRIES ?? 0)

test.runIf(MANY > 0)(
  'OFFHEAP_MAP_ENTRIES entries, more than 2 ** 24 to be of use, are all found',
  () => {
    using map = HeapMap.create<string, number>({
      size: Math.min(2 ** 32 - 2 ** 16, MANY * 96 + 2 ** 20)
    })
    for (let i = 0; i < MANY; i++) map.set(`${i}`, i)
    expect(map.size).toBe(MANY)
    let wrong = 0
    for (let i = 0; i < MANY; i++) if (map.get(`${i}`) !== i) wrong++
    expect(wrong).toBe(0)
    let next = 0
    for (const value of map.values()) if (value !== next++) wrong++
    expect([wrong, next]).toEqual([0, MANY])
  }
)

test.runIf(MANY > 0)('a value of 100 MiB comes back as it was', () => {
  using map = HeapMap.create<string, Uint8Array>({ size: 2 ** 29 })
  const bytes = new Uint8Array(100 * 2 ** 20).fill(7)
  bytes[bytes.length - 1] = 8
  map.set('a', bytes).set('b', bytes)
  expect(Buffer.compare(map.get('b') ?? bytes.subarray(1), bytes)).toBe(0)
  map.delete('a')
  map.check()
})

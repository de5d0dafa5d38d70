/**
 * Keys whose hashes were made to collide: the map detects them, switches to another hash, and stays
 * about as fast.
 */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Heap } from '../../lib/index.js'
import { hashOfEntry } from '../../lib/map/directory.js'
import { halfSipHash, MIXED, mixedHash } from '../../lib/map/hash.js'
import { HeapMap } from '../../lib/map/index.js'
import { keys } from '../../lib/map/keys.js'
import { Table } from '../../lib/map/table.js'
import { Value } from '../../lib/map/values.js'

/** A table whose loads of words are counted. */
function counted(): { table: Table; loads: () => number } {
  const heap = Heap.format(new ArrayBuffer(2 ** 23), { placement: 'segregated-fit' })
  const { pointer } = HeapMap.create(heap)
  const table = new Table(heap, pointer)
  let loads = 0
  table.memory.m = new Proxy(heap.i32, {
    get(target, name) {
      loads++
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
    set: (target, name, value) => Reflect.set(target, name, value, target)
  })
  return { table, loads: () => loads }
}

/** The loads per key for setting and finding these keys. */
function cost(list: readonly string[]): { loads: number; rebuilds: number } {
  const { table, loads } = counted()
  for (const key of list) table.put(key, new Value(1), undefined)
  expect(list.filter(key => table.find(key) === 0)).toEqual([])
  const map = HeapMap.open(table.memory.heap, table.memory.at * 4)
  map.check()
  expect(map.size).toBe(list.length)
  expect([...map.keys()]).toEqual(list)
  return { loads: loads() / list.length, rebuilds: map.stats().rebuilds }
}

const ordinary = Array.from({ length: 4000 }, (_, i) => `ordinary ${i}`)

describe('chosen keys take less than ten times as long as others', () => {
  afterEach(() => void vi.restoreAllMocks())

  /** As if the seeds were known, and somebody had found keys with these hashes. */
  function attack(choose: (hash: number) => number): void {
    const pack = keys.pack.bind(keys)
    vi.spyOn(keys, 'pack').mockImplementation((key, hashing, at) => {
      pack(key, hashing, at)
      if (hashing.hashKind === MIXED) keys.hash = choose(keys.hash)
    })
  }

  test('if all hashes are the same', () => {
    const normal = cost(ordinary)
    attack(() => 12_345)
    const attacked = cost(ordinary)
    expect([normal.rebuilds, attacked.rebuilds]).toEqual([0, 1])
    expect(attacked.loads).toBeLessThan(10 * normal.loads)
  })

  test('if all hashes are of one segment', () => {
    const normal = cost(ordinary)
    attack(hash => hash & 0x3ff)
    const attacked = cost(ordinary)
    expect(attacked.rebuilds).toBe(1)
    expect(attacked.loads).toBeLessThan(10 * normal.loads)
  })

  test('in a heap without room for another index: set works, or throws', () => {
    const heap = Heap.format(new ArrayBuffer(40_000))
    const map = HeapMap.create<string, number>(heap)
    attack(() => 7)
    let stored = 0
    expect(() => {
      for (; ; stored++) map.set(`key ${stored}`, stored)
    }).toThrow(expect.objectContaining({ code: 'ERR_OFFHEAP_OUT_OF_MEMORY' }))
    expect(stored).toBeGreaterThan(100)
    for (let i = 0; i < stored; i++) expect(map.get(`key ${i}`)).toBe(i)
  })
})

/** HalfSipHash from its definition, byte by byte, with numbers of any size. */
function slowHalfSipHash(bytes: Uint8Array, key0: number, key1: number): number {
  const word = (value: bigint): bigint => value & 0xffffffffn
  const rotate = (value: bigint, by: bigint): bigint => word(value << by) | (value >> (32n - by))
  const v = [
    word(BigInt(key0)),
    word(BigInt(key1)),
    word(BigInt(key0)) ^ 0x6c796765n,
    word(BigInt(key1)) ^ 0x74656462n
  ]
  const round = (): void => {
    v[0] = word(v[0] + v[1])
    v[1] = rotate(v[1], 5n) ^ v[0]
    v[0] = rotate(v[0], 16n)
    v[2] = word(v[2] + v[3])
    v[3] = rotate(v[3], 8n) ^ v[2]
    v[0] = word(v[0] + v[3])
    v[3] = rotate(v[3], 7n) ^ v[0]
    v[2] = word(v[2] + v[1])
    v[1] = rotate(v[1], 13n) ^ v[2]
    v[2] = rotate(v[2], 16n)
  }
  const padded = [...bytes, ...new Array(3 - (bytes.length % 4)).fill(0), bytes.length & 255]
  for (let i = 0; i < padded.length; i += 4) {
    const m = padded.slice(i, i + 4).reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
    v[3] ^= m
    round()
    v[0] ^= m
  }
  v[2] ^= 0xffn
  for (let i = 0; i < 3; i++) round()
  return Number(BigInt.asIntN(32, v[1] ^ v[3]))
}

describe('hashes', () => {
  const bytes = Uint8Array.from({ length: 80 }, (_, i) => i * 37 + 200)

  test('HalfSipHash-1-3 agrees with its specification', () => {
    for (let length = 0; length < 70; length++) {
      const padded = new Uint8Array(80)
      padded.set(bytes.subarray(0, length))
      const hash = halfSipHash(
        new Int32Array(padded.buffer),
        0,
        length,
        0x03020100 + length,
        0x87060504 | 0
      )
      expect(hash).toBe(
        slowHalfSipHash(bytes.subarray(0, length), 0x03020100 + length, 0x87060504 | 0)
      )
    }
  })

  test('of short keys, long keys and keys in the heap are the same', () => {
    for (const hash of ['mixed', 'siphash'] as const) {
      const heap = Heap.format(new ArrayBuffer(2 ** 16))
      const { pointer } = HeapMap.create(heap, { hash })
      const table = new Table(heap, pointer)
      for (let length = 0; length < 100; length++) {
        const key = 'abcdefghij'.repeat(10).slice(0, length)
        table.put(key, new Value(length), undefined)
        const text = keys.hash
        expect(hashOfEntry(heap.i32, table.find(key), table.segments)).toBe(text)
        keys.pack(Buffer.from(key), table.segments)
        expect(keys.hash).toBe(text)
      }
    }
  })

  test('of the default kind are spread evenly, in the high bits and in the low ones', () => {
    const high = new Uint32Array(256)
    const low = new Uint32Array(256)
    const all = new Set<number>()
    let different = 0
    for (let i = 0; i < 51_200; i++) {
      keys.pack(`user:${i}`, { hashKind: MIXED, seedA: 1, seedB: 2 })
      if (keys.hash !== mixedHash(keys.words, 0, keys.bytes, 1, 2)) different++
      high[keys.hash >>> 24]++
      low[keys.hash & 255]++
      all.add(keys.hash)
    }
    expect(different).toBe(0)
    for (const counts of [high, low]) {
      expect(Math.max(...counts)).toBeLessThan(280)
      expect(Math.min(...counts)).toBeGreaterThan(130)
    }
    // Among random 32-bit numbers, one would expect 0.3 equal pairs.
    expect(all.size).toBeGreaterThan(51_195)
  })
})

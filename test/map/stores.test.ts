/**
 * The order of stores: a map that is interrupted after any single store of any call is consistent
 * after it was opened, with every entry that completed calls had stored. Recovery is interrupted as
 * well, and runs again.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import { segmentsOf } from '../../lib/map/directory.js'
import { SIPHASH } from '../../lib/map/hash.js'
import { type EvictionPolicy, HeapMap } from '../../lib/map/index.js'
import { keys } from '../../lib/map/keys.js'
import { DIRECTORY, LEAST_SLOTS, SEED_A, SEED_B } from '../../lib/map/layout.js'
import { isCut, recover } from '../../lib/map/recover.js'
import { Table } from '../../lib/map/table.js'
import { Value } from '../../lib/map/values.js'
import { visit } from '../../lib/map/visit.js'
import { scaled } from '../runs.js'
import { recorded, redo, type Store } from './recorded.js'

interface Step {
  readonly kind: 'set' | 'set for a time' | 'delete' | 'get' | 'clear' | 'rebuild'
  readonly key: number
  readonly size: number
}

const kind = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom<Step['kind'][]>('set', 'set for a time') },
  { weight: 5, arbitrary: fc.constant<Step['kind']>('delete') },
  { weight: 2, arbitrary: fc.constant<Step['kind']>('get') },
  { weight: 1, arbitrary: fc.constant<Step['kind']>('clear') }
)
const steps = fc.array(fc.record({ kind, key: fc.nat({ max: 30 }), size: fc.nat({ max: 100 }) }), {
  minLength: 1,
  maxLength: 60,
  size: 'max'
})

const variants = fc.record({
  bytes: fc.constantFrom(2 ** 11, 2 ** 13),
  crowded: fc.boolean(),
  seeds: fc.tuple(fc.integer(), fc.integer())
})

/** The entries in order, as lines. */
const entriesOf = (table: Table): string[] =>
  [...visit(table, false, true, Number.POSITIVE_INFINITY)].map(
    each => `${table.keyOf(each)}=${table.read(each)}`
  )

const keyIn = (line: string): string => line.slice(0, line.indexOf('='))

/** The blocks that a map needs. */
function blocksOf(table: Table): number {
  return 2 + [...segmentsOf(table.memory, table.segments.directory)].length + table.count
}

/**
 * Opens the map in a copy of the memory. Recovery is interrupted after some store, and runs again.
 */
function reopen(words: Int32Array<ArrayBuffer>, pointer: number, salt: number): Table {
  const first = Heap.attach(words.slice().buffer)
  const { table, log } = recorded(first, pointer)
  if (isCut(table)) recover(table)
  const copy = words.slice()
  redo(copy, log, log.length === 0 ? 0 : salt % log.length)
  const heap = Heap.attach(copy.buffer)
  const pair = HeapMap.open(heap, pointer)
  pair.check()
  heap.check()
  return new Table(heap, pointer)
}

/** What must hold for the entries after an interrupted call. */
function verify(
  found: readonly string[],
  before: readonly string[],
  after: readonly string[]
): void {
  const either = new Set([...before, ...after])
  expect(found.filter(line => !either.has(line))).toEqual([])
  // Entries that the call did not concern are there, in the same order.
  const inBoth = (line: string): boolean => before.includes(line) && after.includes(line)
  expect([before.filter(inBoth), after.filter(inBoth)]).toContainEqual(found.filter(inBoth))
  const kept = before.map(keyIn).filter(key => after.some(line => keyIn(line) === key))
  const names = new Set(found.map(keyIn))
  expect(kept.filter(key => !names.has(key))).toEqual([])
  expect(names.size).toBe(found.length)
}

function run(table: Table, name: string, { kind, size }: Step, turn: number): void {
  if (kind === 'set' || kind === 'set for a time') {
    const time = kind === 'set' ? undefined : { expiry: 2 ** 50, ttl: 1 }
    try {
      table.put(name, new Value(`${turn}${'x'.repeat(size)}`), time)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
    }
    return
  }
  if (kind === 'clear') {
    table.clear()
    return
  }
  const entry = table.find(name)
  if (entry === 0) return
  if (kind === 'get') table.touch(entry)
  else table.remove(entry, 'delete')
}

const policies: EvictionPolicy[] = ['none', 'sieve', 'lru']

/** Gives an empty map other seeds: those of a test that failed can be used again. */
function reseed(heap: Heap, pointer: number, seedA: number, seedB: number): void {
  const directory = heap.i32[pointer / 4 + DIRECTORY] << 1
  heap.i32[directory + SEED_A] = seedA
  heap.i32[directory + SEED_B] = seedB
}

/**
 * The names of keys. When crowded, the first slot of each is one of the last four of a segment, so
 * that entries lie round its end.
 */
function namesOf({ segments }: Table, crowded: boolean): string[] {
  const names: string[] = []
  for (let i = 0; names.length < 31; i++) {
    keys.pack(`key ${i}`, segments)
    if (!crowded || (keys.hash & (LEAST_SLOTS - 1)) >= LEAST_SLOTS - 4) names.push(`key ${i}`)
  }
  return names
}

test.each(policies)(
  'after every single store of a map with %s, no entry is lost or incomplete',
  eviction => {
    let prefixes = 0
    fc.assert(
      fc.property(steps, fc.nat(), variants, (sequence, salt, { bytes, crowded, seeds }) => {
        const heap = Heap.format(new ArrayBuffer(bytes))
        const { pointer } = HeapMap.create(heap, { eviction, crashSafe: true })
        reseed(heap, pointer, ...seeds)
        const { table, log } = recorded(heap, pointer)
        table.segments.ready()
        const names = namesOf(table, crowded)
        for (const [turn, step] of sequence.entries()) {
          const memory = heap.i32.slice()
          const before = entriesOf(table)
          log.length = 0
          run(table, names[step.key], step, turn)
          const after = entriesOf(table)
          const stores = log.slice()
          for (let count = 0; count <= stores.length; count++) {
            prefixes++
            if (count > 0) memory.set(stores[count - 1].values, stores[count - 1].index)
            const opened = reopen(memory, pointer, salt + count * 7)
            verify(entriesOf(opened), before, after)
            // Only a block that was just allocated may be lost.
            expect(opened.memory.heap.stats().blocks - blocksOf(opened)).toBeLessThanOrEqual(2)
          }
        }
      }),
      { numRuns: scaled(6), endOnFailure: true }
    )
    expect(prefixes).toBeGreaterThan(scaled(6) * 20)
  }
)

/**
 * Makes a call, and opens the map after some of its stores: the first, the last, and a part of
 * those between.
 */
function cutOff(
  table: Table,
  log: readonly Store[],
  words: Int32Array<ArrayBuffer>,
  call: () => void
): void {
  const pointer = table.memory.at * 4
  const memory = words.slice()
  const before = entriesOf(table)
  const from = log.length
  call()
  const after = entriesOf(table)
  const stores = log.slice(from)
  for (let count = 1; count <= stores.length; count++) {
    memory.set(stores[count - 1].values, stores[count - 1].index)
    if (count > 20 && count < stores.length - 30 && count % 97 !== 0) continue
    const opened = reopen(memory, pointer, count * 7)
    verify(entriesOf(opened), before, after)
    expect(opened.memory.heap.stats().blocks - blocksOf(opened)).toBeLessThanOrEqual(2)
  }
}

test('doubling the directory, splitting a segment and rehashing may be interrupted', () => {
  const heap = Heap.format(new ArrayBuffer(2 ** 17))
  const { pointer } = HeapMap.create(heap, { crashSafe: true })
  const plain = new Table(heap, pointer)
  for (let i = 0; i < 832; i++) plain.put(`${i}`, new Value(i), undefined)
  const { table, log } = recorded(heap, pointer)
  expect(table.segments.depth).toBe(0)
  cutOff(table, log, heap.i32, () => table.put('one more', new Value(1), undefined))
  table.segments.ready()
  expect([table.segments.depth, table.count]).toEqual([1, 833])
  cutOff(table, log, heap.i32, () => void table.segments.rehash())
  expect(table.segments.hashKind).toBe(SIPHASH)
  cutOff(table, log, heap.i32, () => table.clear())
  expect(table.count).toBe(0)
})

test('removing an entry may be interrupted where entries lie round the end of a segment', () => {
  for (let victim = 0; victim < 12; victim++) {
    const heap = Heap.format(new ArrayBuffer(2 ** 13))
    const { pointer } = HeapMap.create(heap, { crashSafe: true })
    const { table, log } = recorded(heap, pointer)
    table.segments.ready()
    const names = namesOf(table, true).slice(0, 12)
    for (const name of names) table.put(name, new Value(name), undefined)
    cutOff(table, log, heap.i32, () => table.remove(table.find(names[victim]), 'delete'))
  }
})

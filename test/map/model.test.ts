/**
 * HeapMap compared with a Map: random calls of every kind, all options combined, in heaps that are
 * often full. After each call both have the same entries in the same order, and check() holds.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap, OffheapError, placements, struct } from '../../lib/index.js'
import { HeapCache, HeapMap, type MapKey, type MapOptions, SharedMap } from '../../lib/map/index.js'
import { scaled } from '../runs.js'

/** Bytes are another kind of key than strings; Map would compare them by identity. */
const nameOf = (key: MapKey): string =>
  typeof key === 'string' ? `s${key}` : `b${Buffer.from(key).toString('hex')}`

type Step =
  | { readonly kind: 'set' | 'getOrInsert'; readonly key: MapKey; readonly value: unknown }
  | { readonly kind: 'get' | 'delete' | 'has' | 'peek'; readonly key: MapKey }
  | { readonly kind: 'clear' | 'reopen' | 'scan' | 'forEach' }
  | { readonly kind: 'getMany'; readonly keys: readonly MapKey[] }
  | { readonly kind: 'loop'; readonly at: number; readonly steps: readonly Step[] }

const few = fc.integer({ min: 0, max: 40 }).map(n => `key ${n}`)
const key: fc.Arbitrary<MapKey> = fc.oneof(
  { weight: 8, arbitrary: few },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 2000 }).map(n => `user:${n}`) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '\ud800', '\udc00', '\ufffd', 'é', '\0', 'x'.repeat(300))
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }) }
)
const value: fc.Arbitrary<unknown> = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.double(),
  fc.constantFrom(undefined, null, true, '', '\ud800 alone', Number.NaN, -0, 'x'.repeat(2000)),
  fc.uint8Array({ maxLength: 300 }),
  fc.record({
    id: fc.integer(),
    name: fc.string(),
    tags: fc.array(fc.string({ maxLength: 5 }), { maxLength: 4 })
  })
)
const simple: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('set' as const), key, value }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('getOrInsert' as const), key, value }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('get' as const, 'has' as const, 'peek' as const),
      key
    })
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('reopen' as const, 'scan' as const, 'forEach' as const)
    })
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('getMany' as const),
      keys: fc.array(key, { maxLength: 100 })
    })
  }
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: simple },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'clear' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('loop' as const),
      at: fc.nat({ max: 20 }),
      steps: fc.array(
        fc.oneof(
          { weight: 9, arbitrary: simple },
          { weight: 1, arbitrary: fc.constant<Step>({ kind: 'clear' }) }
        ),
        {
          maxLength: 8
        }
      )
    })
  }
)

/** The entries according to Map, by names of keys. */
class Model {
  readonly entries = new Map<string, { readonly key: MapKey; readonly value: unknown }>()
}

/** The value that get() returns for a stored value. */
const kept = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
    ? JSON.parse(JSON.stringify(value))
    : value

class Pair {
  map: HeapMap<MapKey, unknown>
  readonly model = new Model()
  readonly heap: Heap

  constructor(heap: Heap, options: MapOptions) {
    this.heap = heap
    this.map = HeapMap.create<MapKey, unknown>(heap, options)
    heap.root = this.map.pointer
  }

  /** Stores in both, unless the heap is full: then in neither. */
  set(key: MapKey, value: unknown): void {
    const { map, model } = this
    try {
      map.set(key, value)
    } catch (error) {
      if (!(error instanceof OffheapError && error.code === 'ERR_OFFHEAP_OUT_OF_MEMORY'))
        throw error
      expect(map.peek(key)).toEqual(model.entries.get(nameOf(key))?.value)
      return
    }
    model.entries.set(nameOf(key), { key, value: kept(value) })
  }

  run(step: Step): void {
    const { map, model } = this
    switch (step.kind) {
      case 'set':
        this.set(step.key, step.value)
        return
      case 'getOrInsert': {
        const known = model.entries.get(nameOf(step.key))
        if (known !== undefined) expect(map.getOrInsert(step.key, step.value)).toEqual(known.value)
        else this.set(step.key, step.value)
        return
      }
      case 'get':
      case 'peek':
        expect(map[step.kind](step.key)).toEqual(model.entries.get(nameOf(step.key))?.value)
        return
      case 'has':
        expect(map.has(step.key)).toBe(model.entries.has(nameOf(step.key)))
        return
      case 'delete':
        expect(map.delete(step.key)).toBe(model.entries.delete(nameOf(step.key)))
        return
      case 'clear':
        map.clear()
        model.entries.clear()
        return
      case 'reopen':
        map.close()
        this.map = HeapMap.open<MapKey, unknown>(this.heap)
        return
      case 'scan':
        this.scan()
        return
      case 'forEach': {
        const seen: unknown[] = []
        map.forEach((value, key, self) => {
          seen.push([nameOf(key), value, self === map])
        })
        expect(seen).toEqual([...model.entries].map(([name, { value }]) => [name, value, true]))
        return
      }
      case 'getMany':
        expect(map.getMany(step.keys)).toEqual(
          step.keys.map(each => model.entries.get(nameOf(each))?.value)
        )
        return
      case 'loop':
        this.loop(step.at, step.steps)
        return
    }
  }

  /** Iterates over both at the same time, and changes them meanwhile. */
  private loop(at: number, steps: readonly Step[]): void {
    const ours = this.map.entries()
    const theirs = this.model.entries.values()
    for (let turn = 0; turn < 200; turn++) {
      const next = ours.next()
      const expected = theirs.next()
      expect(next.done).toBe(expected.done)
      if (next.done === true || expected.done === true) return
      expect([nameOf(next.value[0]), next.value[1]]).toEqual([
        nameOf(expected.value.key),
        expected.value.value
      ])
      if (turn === at) for (const step of steps) if (step.kind !== 'reopen') this.run(step)
    }
    ours.return(undefined)
  }

  private scan(): void {
    const seen = new Set<string>()
    let cursor = 0
    do {
      const part = this.map.scan(cursor, 7)
      for (const key of part.keys) seen.add(nameOf(key))
      cursor = part.cursor
    } while (cursor !== 0)
    expect([...seen].sort()).toEqual([...this.model.entries.keys()].sort())
  }

  verify(): void {
    this.map.check()
    expect(this.map.size).toBe(this.model.entries.size)
    const ours = [...this.map].map(([key, value]) => [nameOf(key), value])
    expect(ours).toEqual([...this.model.entries].map(([name, { value }]) => [name, value]))
  }
}

const options = fc.record<MapOptions>({
  hash: fc.constantFrom('mixed', 'siphash'),
  crashSafe: fc.boolean(),
  eviction: fc.constant('none')
})

test('HeapMap agrees with Map, and leaves no block behind', () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 120, size: 'max' }),
      options,
      fc.constantFrom(...placements),
      fc.constantFrom(2 ** 13, 2 ** 15, 2 ** 18),
      (steps, chosen, placement, bytes) => {
        const heap = Heap.format(new ArrayBuffer(bytes), { placement })
        const before = heap.stats().used
        const pair = new Pair(heap, chosen)
        for (const each of steps) {
          pair.run(each)
          pair.verify()
        }
        heap.check()
        pair.map.destroy()
        expect(heap.stats().blocks).toBe(0)
        expect(heap.stats().used).toBe(before)
      }
    ),
    { numRuns: scaled(150) }
  )
})

const Person = struct({
  id: 'u32',
  ok: 'bool',
  weight: 'f64',
  big: 'i64',
  name: 'utf8:24',
  raw: 'bytes:3'
})
type Fields = ReturnType<typeof Person.over>

/** The fields of a record as a plain object. */
const plain = (record: Fields | undefined): Fields | undefined => {
  if (record === undefined) return undefined
  const { id, ok, weight, big, name, raw } = record
  return { id, ok, weight, big, name, raw: raw.slice() }
}

const fields: fc.Arbitrary<Fields> = fc.record(
  {
    id: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    ok: fc.boolean(),
    weight: fc.double(),
    big: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    name: fc.string({ unit: 'grapheme-composite', maxLength: 6 }).filter(fits),
    raw: fc.uint8Array({ minLength: 3, maxLength: 3 })
  },
  { noNullPrototype: true }
)

function fits(text: string): boolean {
  return Buffer.byteLength(text) <= 24 && !text.includes('\0')
}

const change = fc.oneof(
  fc.record({ kind: fc.constantFrom('set' as const, 'copy' as const), key: few, fields }),
  fc.record({ kind: fc.constantFrom('delete' as const, 'reopen' as const), key: few, fields })
)

const size = 2 ** 20
const hasShared = process.platform !== 'win32'
const kinds = [
  ['HeapMap', HeapMap],
  ['HeapCache', HeapCache],
  ['SharedMap', SharedMap]
] as const

test.each(kinds.filter(([name]) => hasShared || name !== 'SharedMap'))(
  'a %s of records agrees with a Map of their fields',
  (_, Kind) => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 100, size: 'max' }), changes => {
        using heap = Heap.map(hasShared ? { size, shared: true, arenas: 1 } : { size })
        heap.root = Kind.create(heap, { value: Person }).pointer
        const open = () => Kind.open(heap, heap.root, { value: Person })
        let map = open()
        const model = new Map<string, Fields | undefined>()
        for (const { kind, key, fields } of changes) {
          if (kind === 'set') {
            map.set(key, fields)
            model.set(key, plain(fields))
          } else if (kind === 'delete') expect(map.delete(key)).toBe(model.delete(key))
          else if (kind === 'reopen') map = open()
          else {
            // Changes a copy, and stores it under another key.
            const record = map.get(key)
            if (record === undefined) continue
            record.id = fields.id
            record.raw[0] = 7
            expect(plain(map.get(key))).toEqual(model.get(key))
            map.set('a copy', record)
            model.set('a copy', plain(record))
          }
          expect(plain(map.get(key))).toEqual(model.get(key))
        }
        map.check()
        expect(new Map([...map].map(([key, record]) => [key, plain(record)]))).toEqual(model)
        map.destroy()
        expect(heap.stats().blocks).toBe(0)
      }),
      { numRuns: scaled(60) }
    )
  }
)

/** Records: the layout of C, independent fields, no access outside the array. */
import { spawnSync } from 'node:child_process'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FieldType, Heap, struct } from '../../lib/index.js'
import { expectError, newHeap } from '../heap/support.js'
import { scaled } from '../runs.js'

/**
 * The size of each field type, which is also its alignment. Written independently of lib/values.
 */
const sizes: Record<string, number> = {
  u8: 1,
  i8: 1,
  bool: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  f64: 8,
  u64: 8,
  i64: 8,
  pointer: 8
}
const sizeOf = (type: string): number => sizes[type] ?? Number(type.split(':')[1])
const alignmentOf = (type: string): number => sizes[type] ?? 1

function layoutOf(types: readonly string[]): { offsets: number[]; size: number } {
  const offsets: number[] = []
  let end = 0
  for (const type of types) {
    while (end % alignmentOf(type) !== 0) end++
    offsets.push(end)
    end += sizeOf(type)
  }
  while (types.some(type => end % alignmentOf(type) !== 0)) end++
  return { offsets, size: end }
}

const fieldTypes = fc.oneof(
  fc.constantFrom<FieldType>(
    'u8',
    'i8',
    'bool',
    'u16',
    'i16',
    'u32',
    'i32',
    'f32',
    'f64',
    'u64',
    'i64',
    'pointer'
  ),
  fc
    .integer({ min: 1, max: 40 })
    .chain(n => fc.constantFrom<FieldType>(`utf8:${n}`, `latin1:${n}`, `bytes:${n}`))
)

const integers: Record<string, [number, number]> = {
  u8: [0, 255],
  i8: [-128, 127],
  u16: [0, 65535],
  i16: [-32768, 32767],
  u32: [0, 2 ** 32 - 1],
  i32: [-(2 ** 31), 2 ** 31 - 1],
  pointer: [0, Number.MAX_SAFE_INTEGER]
}

/** Values that a field of this type stores exactly. */
function keptBy(type: FieldType): fc.Arbitrary<unknown> {
  const range = integers[type]
  if (range !== undefined) return fc.integer({ min: range[0], max: range[1] })
  if (type === 'bool') return fc.boolean()
  if (type === 'f32') return fc.float()
  if (type === 'f64') return fc.double()
  if (type === 'u64') return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  if (type === 'i64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  const length = sizeOf(type)
  if (type.startsWith('bytes')) return fc.uint8Array({ minLength: length, maxLength: length })
  const fits = (text: string): boolean => Buffer.byteLength(text) <= length && !text.includes('\0')
  if (type.startsWith('utf8'))
    return fc.string({ unit: 'grapheme', maxLength: length }).filter(fits)
  return fc.string({ maxLength: length }).filter(text => !text.includes('\0'))
}

const described = fc.array(fieldTypes, { minLength: 1, maxLength: 8 }).chain(types =>
  fc.record({
    types: fc.constant(types),
    writes: fc.array(
      fc
        .record({ field: fc.nat(types.length - 1), index: fc.nat(4) })
        .chain(({ field, index }) =>
          keptBy(types[field] ?? 'u8').map(value => ({ field, index, value }))
        ),
      { maxLength: 30 }
    )
  })
)

describe.each([
  ['an ordinary heap', {}],
  ['a heap with slabs', { placement: 'segregated-fit' }],
  ['a hardened heap', { hardened: true }]
] as const)('in %s', (_, options) => {
  test('fields are laid out as in C, keep their values, and change no other byte', () => {
    const heap = Heap.format(new ArrayBuffer(2 ** 18), options)
    fc.assert(
      fc.property(described, ({ types, writes }) => {
        const fields = Object.fromEntries(types.map((type, i) => [`f${i}`, type]))
        const kind = struct(fields)
        const { offsets, size } = layoutOf(types)
        expect(kind.size).toBe(size)
        expect(types.map((_, i) => kind.offsetOf(`f${i}`))).toEqual(offsets)
        const before = heap.alloc(32).fill(0xee)
        const array = kind.alloc(heap, 5)
        const behind = heap.alloc(32).fill(0xee)
        expect(array.length).toBe(5)
        expect(array.bytes).toHaveLength(5 * size)
        const model = new Map<string, unknown>()
        const reused = array.at(0)
        for (const { field, index, value } of writes) {
          const image = array.bytes.slice()
          const record = index % 2 === 0 ? array.at(index) : array.at(index, reused)
          Reflect.set(record, `f${field}`, value)
          model.set(`${index} ${field}`, value)
          // No byte outside the field has changed.
          const at = index * size + (offsets[field] ?? 0)
          image.set(array.bytes.subarray(at, at + sizeOf(types[field] ?? 'u8')), at)
          expect(Buffer.compare(image, array.bytes)).toBe(0)
        }
        for (const [key, value] of model) {
          const [index = '', field = ''] = key.split(' ')
          expect(Reflect.get(array.at(Number(index)), `f${field}`)).toEqual(value)
        }
        // The pointer alone gives the same records.
        const again = kind.view(heap, array.pointer, 5)
        expect(again.toJSON().map(record => ({ ...JSON.parse(text(record)) }))).toEqual(
          array.toJSON().map(record => ({ ...JSON.parse(text(record)) }))
        )
        expect([...before, ...behind].every(byte => byte === 0xee)).toBe(true)
        for (const view of [before, array.bytes, behind]) heap.free(view)
      }),
      { numRuns: scaled(80) }
    )
    expect(heap.stats().blocks).toBe(0)
    heap.check()
  })
})

const text = (value: unknown): string =>
  JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}n` : inner))

const Person = struct({ id: 'u32', adult: 'bool', weight: 'f64', name: 'utf8:12', raw: 'bytes:3' })

test('an invalid value of a field throws, and changes nothing', () => {
  const heap = newHeap()
  const person = Person.alloc(heap, 1).at(0)
  person.name = 'twelve bytes'
  expect(person.name).toBe('twelve bytes')
  person.raw = Uint8Array.of(1, 2, 3)
  const set = (name: string, value: unknown) => () => Reflect.set(person, name, value)
  expectError(set('name', 'thirteen byte'), 'ERR_OUT_OF_RANGE', /"name".*at most 12 bytes/)
  expectError(set('name', 'ä'.repeat(7)), 'ERR_OUT_OF_RANGE')
  expectError(set('name', 'a\0b'), 'ERR_INVALID_ARG_VALUE', /zero/)
  expectError(set('name', 5), 'ERR_INVALID_ARG_TYPE')
  expectError(set('raw', Uint8Array.of(1, 2)), 'ERR_OUT_OF_RANGE', /exactly 3/)
  expectError(set('raw', [1, 2, 3]), 'ERR_INVALID_ARG_TYPE')
  expect(person.name).toBe('twelve bytes')
  expect([...person.raw]).toEqual([1, 2, 3])
  const link = struct({ next: 'pointer' }).alloc(heap, 1).at(0)
  link.next = 2 ** 33
  for (const value of [-1, 0.5, 2 ** 60])
    expectError(() => {
      link.next = value
    }, 'ERR_OUT_OF_RANGE')
  expectError(() => Reflect.set(link, 'next', '8'), 'ERR_INVALID_ARG_TYPE')
  expect(link.next).toBe(2 ** 33)
  person.id = -1
  expect(person.id).toBe(2 ** 32 - 1)
})

test('access outside an array throws', () => {
  const heap = newHeap()
  const people = Person.alloc(heap, 3)
  for (const index of [-1, 3, 0.5, Number.NaN, 2 ** 40])
    expectError(() => people.at(index), 'ERR_OUT_OF_RANGE', /"index"/)
  const other = struct({ id: 'u32' }).alloc(heap, 1).at(0)
  expectError(
    () => Reflect.apply(people.at, people, [0, other]),
    'ERR_INVALID_ARG_TYPE',
    /"reused"/
  )
  expectError(() => Reflect.apply(people.at, people, [0, {}]), 'ERR_INVALID_ARG_TYPE', /"reused"/)
  expect([...people]).toHaveLength(3)
  expect(Person.alloc(heap, 0)).toHaveLength(0)
  for (const length of [-1, 0.5, Number.NaN, 2 ** 60])
    expectError(() => Person.alloc(heap, length), 'ERR_OUT_OF_RANGE')
  expectError(() => Reflect.apply(Person.alloc, Person, [heap, '1']), 'ERR_INVALID_ARG_TYPE')
  expectError(() => Person.alloc(heap, 100_000), 'ERR_OFFHEAP_OUT_OF_MEMORY')
  expectError(() => Person.view(heap, people.pointer, 4), 'ERR_OUT_OF_RANGE')
  expectError(() => Person.view(heap, people.pointer + 8), 'ERR_OFFHEAP_INVALID_POINTER')
  expect(Person.view(heap, people.pointer)).toHaveLength(3)
  expect(Person.view(heap, people.bytes, 2)).toHaveLength(2)
})

test('struct() rejects invalid fields', () => {
  const make = (fields: unknown) => () => Reflect.apply(struct, undefined, [fields])
  for (const fields of [undefined, null, 'u8', 5])
    expectError(make(fields), 'ERR_INVALID_ARG_TYPE', /"fields"/)
  for (const type of [
    'u7',
    'utf8',
    'utf8:0',
    'utf8:-1',
    'utf8:1.5',
    'bytes:9999999999',
    '',
    'U8'
  ]) {
    expectError(make({ a: type }), 'ERR_OUT_OF_RANGE', /"fields.a"/)
  }
  expectError(make({ a: 8 }), 'ERR_INVALID_ARG_TYPE', /"fields.a"/)
  for (const name of ['toJSON', 'constructor', 'toString'])
    expectError(make({ [name]: 'u8' }), 'ERR_INVALID_ARG_VALUE')
  expectError(make({}), 'ERR_INVALID_ARG_VALUE', /no field/)
  expectError(() => Reflect.apply(Person.offsetOf, Person, ['no']), 'ERR_OUT_OF_RANGE', /id, adult/)
})

test('console.log and JSON.stringify show the fields of records, and the size of arrays', () => {
  const heap = newHeap()
  const people = Person.alloc(heap, 2)
  Object.assign(people.at(1), { id: 7, adult: true, weight: 1.5, name: 'Ada' })
  expect(people.at(1).toString()).toBe('[object Object]')
  expect(inspect(people.at(1))).toMatch(
    /^Record \{\s+id: 7,\s+adult: true,\s+weight: 1.5,\s+name: 'Ada',\s+raw: /
  )
  expect(JSON.parse(JSON.stringify(people))[1]).toMatchObject({
    id: 7,
    adult: true,
    weight: 1.5,
    name: 'Ada'
  })
  expect(inspect(people)).toBe(`StructArray { length: 2, size: 32, pointer: ${people.pointer} }`)
  expect([String(people), String(Person)]).toEqual(['[object StructArray]', '[object Struct]'])
})

test('arrays are freed with their scope, and cannot be used after their heap is closed', () => {
  const heap = Heap.map(65536)
  {
    using scope = heap.scope()
    Person.alloc(scope, 10).at(9).id = 1
    expect(heap.stats().blocks).toBe(1)
  }
  expect(heap.stats().blocks).toBe(0)
  const person = Person.alloc(heap, 1).at(0)
  heap.close()
  expect(() => person.id).toThrow(TypeError)
  expect(() => {
    person.id = 1
  }).toThrow(TypeError)
  expect(() => person.name).toThrow()
  expectError(() => Person.alloc(heap, 1), 'ERR_OFFHEAP_CLOSED')
  expectError(() => Person.view(heap, 8), 'ERR_OFFHEAP_CLOSED')
})

test('structs work under --disallow-code-generation-from-strings', () => {
  const { href } = new URL('../../dist/index.js', import.meta.url)
  const script = `
    const { Heap, struct } = await import(${JSON.stringify(href)})
    const pair = struct({ a: 'u8', b: 'f64' }).alloc(Heap.format(new ArrayBuffer(4096)), 1).at(0)
    pair.b = 0.5
    let refused = false
    try { new Function('return 1') } catch { refused = true }
    console.log(pair.b, refused)`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', script],
    { encoding: 'utf8' }
  )
  expect([stdout, stderr]).toEqual(['0.5 true\n', ''])
})

/**
 * Arbitrary arguments for all public functions: a call returns a value or throws an error with a
 * code, and leaves the heap consistent. An error thrown by an argument's own code is passed on.
 */
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Heap, type HeapOptions, OffheapError, placements, Region } from '../../lib/index.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { readTrace } from '../../lib/trace/read.js'
import { startWatchdog, type Watchdog } from '../hang.js'
import { scaled } from '../runs.js'
import { codeOf } from './outcome.js'

/** The error that hostile objects throw; it must be passed on unchanged, or not at all. */
class Thrown extends Error {}

function throws(): never {
  throw new Thrown('by an argument')
}

const trap = new Proxy({}, { get: () => throws })

/** Objects with code of their own in every place where a library might run it. */
const hostile: (() => unknown)[] = [
  () => ({ valueOf: throws, toString: throws, [Symbol.toPrimitive]: throws }),
  () => ({ valueOf: () => 16, toString: () => '16' }),
  () => Object.defineProperty({}, 'size', { get: throws, enumerable: true }),
  () => Object.defineProperty({}, 'byteOffset', { get: throws }),
  () => Object.defineProperty({ size: 65536 }, 'placement', { get: throws, enumerable: true }),
  () => Object.defineProperty({ size: 65536 }, 'lock', { get: throws, enumerable: true }),
  () => new Proxy({}, { get: throws, has: throws, ownKeys: throws, getPrototypeOf: throws }),
  () => new Proxy({ size: 65536 }, trap),
  () => new Proxy(() => 1, { get: throws, apply: throws, construct: throws }),
  () => Object.create(null),
  () => Object.freeze({ size: 65536, slabs: true }),
  () => Object.create({ size: 65536, placement: 'best-fit' }),
  () => ({ buffer: new ArrayBuffer(64), byteOffset: 0, byteLength: 64 }),
  () => new Number(16),
  () => new String('16'),
  () => [],
  () => [16],
  () => throws,
  () => class {},
  () => Uint8Array,
  () => BigInt64Array,
  () => DataView,
  () => new Date(0),
  () => /x/g,
  () => new Map(),
  () => Promise.resolve(1),
  () => globalThis
]

/** Memory and views in every state. */
const memories: (() => unknown)[] = [
  () => new ArrayBuffer(0),
  () => new ArrayBuffer(7),
  () => new ArrayBuffer(4096),
  () => new ArrayBuffer(64, { maxByteLength: 128 }),
  () => new SharedArrayBuffer(4096),
  () => detached(new ArrayBuffer(4096)),
  () => new Uint8Array(64),
  () => new Uint8Array(0),
  () => new Float64Array(8),
  () => new DataView(new ArrayBuffer(64)),
  () => Buffer.alloc(64),
  () => new Uint8Array(new SharedArrayBuffer(64)),
  () => detachedView(),
  () => new (class extends ArrayBuffer {})(4096),
  () => runInNewContext('new ArrayBuffer(4096)'),
  () => runInNewContext('new Uint8Array(64)'),
  // Objects that look like those of a class, but are not.
  () => new Proxy(new ArrayBuffer(4096), {}),
  () => new Proxy(new Uint8Array(64), {}),
  () => new Proxy(Region.map(4096), {}),
  () => Object.create(ArrayBuffer.prototype),
  () => Object.create(Uint8Array.prototype),
  () => Object.create(Region.prototype),
  () => Object.create(Heap.prototype),
  () => revoked(),
  () => new (class extends Uint8Array {})(64)
]

const numbers = [
  0,
  -0,
  1,
  -1,
  7,
  8,
  15,
  16,
  0.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY
]
const large = [
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 33,
  2 ** 33 + 8,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 60,
  -(2 ** 31),
  1e308
]

function detached(buffer: ArrayBuffer): ArrayBuffer {
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function detachedView(): Uint8Array {
  const view = new Uint8Array(64)
  detached(view.buffer)
  return view
}

/** A maker of values: hostile ones must be new each time. */
const value: fc.Arbitrary<() => unknown> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...hostile) },
  { weight: 3, arbitrary: fc.constantFrom(...memories) },
  { weight: 3, arbitrary: fc.constantFrom(...numbers, ...large).map(number => () => number) },
  { weight: 2, arbitrary: fc.nat(5000).map(number => () => number) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...placements, 'none', 'read', '').map(text => () => text)
  },
  { weight: 1, arbitrary: fc.bigInt().map(number => () => number) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<unknown>(undefined, null, true, Symbol('s'), Symbol.iterator)
      .map(it => () => it)
  },
  {
    weight: 3,
    arbitrary: fc
      .anything({
        withBigInt: true,
        withDate: true,
        withMap: true,
        withNullPrototype: true,
        withObjectString: true,
        withSet: true,
        withSparseArray: true,
        withTypedArray: true,
        withBoxedValues: true
      })
      .map(it => () => it)
  }
)

/** Options of which some are valid, so that later checks are reached too. */
const options: fc.Arbitrary<() => unknown> = fc
  .record(
    {
      size: fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(4096, 65536).map(size => () => size) },
        value
      ),
      placement: fc.oneof(
        fc.constantFrom(...placements).map(name => () => name),
        value
      ),
      slabs: fc.oneof(
        fc.boolean().map(it => () => it),
        value
      ),
      trimThreshold: fc.oneof(
        fc.nat(100_000).map(it => () => it),
        value
      ),
      hugePages: fc.oneof(
        fc.boolean().map(it => () => it),
        value
      ),
      populate: fc.oneof(
        fc.constant(() => false),
        value
      ),
      lock: fc.oneof(
        fc.constant(() => false),
        value
      ),
      guard: fc.oneof(
        fc.boolean().map(it => () => it),
        value
      )
    },
    { requiredKeys: [] }
  )
  .map(
    makers => () => Object.fromEntries(Object.entries(makers).map(([key, make]) => [key, make()]))
  )

/** Sizes that would commit gigabytes are only requested where no page is touched. */
function harmless(argument: unknown): boolean {
  if (typeof argument !== 'object' || argument === null) return true
  const read = (key: string): unknown => {
    try {
      return Reflect.get(argument, key)
    } catch {
      return undefined
    }
  }
  const size = read('size')
  return (
    typeof size !== 'number' ||
    size <= 2 ** 20 ||
    (read('populate') !== true && read('lock') !== true)
  )
}

/** Reading a revoked proxy, or private members of one, is an error of the language. */
const OF_PROXIES = /proxy that has been revoked|Cannot read private member/

/** Whether an argument threw this. */
function isOwn(error: unknown): boolean {
  return error instanceof Thrown || (error instanceof TypeError && OF_PROXIES.test(error.message))
}

/**
 * Expects a value, an error with a code, or the error that an argument threw. Returns the value, if
 * there is one.
 */
function expectSound(name: string, call: () => unknown): unknown {
  watchdog.beat()
  try {
    return call()
  } catch (error) {
    if (codeOf(error) === undefined && !isOwn(error)) {
      throw new Error(`${name} ended with ${String(error)}`, { cause: error })
    }
    return undefined
  }
}

/** Calls a method that may not be there, with arguments of any type. */
function invoke(target: object, name: string, args: readonly unknown[]): unknown {
  const method: unknown = Reflect.get(target, name)
  if (typeof method !== 'function') throw new Error(`${name} is no method`)
  const result: unknown = Reflect.apply(method, target, [...args])
  // A generator runs only when its first value is read.
  return isIterable(result) ? Array.from(result) : result
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.iterator in value &&
    !ArrayBuffer.isView(value)
  )
}

/** The names of the properties of a class that are computed. */
function propertiesOf(prototype: object): string[] {
  const names: string[] = []
  for (let level = prototype; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    const own = Object.entries(Object.getOwnPropertyDescriptors(level))
    names.push(...own.filter(([, { get }]) => get !== undefined).map(([name]) => name))
  }
  return names
}

let watchdog: Watchdog
beforeAll(() => {
  watchdog = startWatchdog()
})
afterAll(() => watchdog.stop())

const args = fc.array(value, { maxLength: 3 })

describe('a heap', () => {
  const callable = [
    'alignedAlloc',
    'alloc',
    'allocArray',
    'allocBuffer',
    'allocZeroed',
    'blocks',
    'calloc',
    'check',
    'free',
    'freeBlocks',
    'leaks',
    'malloc',
    'owns',
    'realloc',
    'reset',
    'stats',
    'trim',
    'usableSize',
    'view'
  ]

  const kinds: HeapOptions[] = [{ slabs: false }, { slabs: true }, { hardened: true }]
  test.each(kinds)('with %j accepts or rejects any arguments', kind => {
    for (const placement of placements) {
      const heap = Heap.format(new ArrayBuffer(2 ** 17), { placement, ...kind })
      // After a reset, old bytes may look like a block, and a number like its pointer: a documented
      // limit, except for hardened heaps.
      const clear = () => {
        heap.reset()
        if (!kind.hardened) heap.u8.fill(0, heap.stats().metadata)
      }
      const own: (() => unknown)[] = [
        () => heap.malloc(40),
        () => heap.alloc(100),
        () => heap.u8,
        () => heap.buffer
      ]
      const some = fc.array(fc.oneof({ weight: 3, arbitrary: value }, fc.constantFrom(...own)), {
        maxLength: 3
      })
      fc.assert(
        fc.property(fc.constantFrom(...callable), some, (name, makers) => {
          const given = makers.map(make => make())
          expectSound(name, () => invoke(heap, name, given))
          heap.check()
          if (name === 'reset' || heap.stats().largestFree < 20_000) clear()
        }),
        { numRuns: scaled(1500) }
      )
    }
  })

  test('has properties that accept or reject any value', () => {
    const heap = Heap.format(new ArrayBuffer(65536))
    const before = heap.u8
    const properties = propertiesOf(Heap.prototype)
    expect(properties).toEqual(expect.arrayContaining(['root', 'closed', 'u8', 'u64', 'dataView']))
    fc.assert(
      fc.property(fc.constantFrom(...properties), value, (name, make) => {
        const argument = make()
        try {
          expectSound(`${name} =`, () => Reflect.set(heap, name, argument))
        } finally {
          expect(heap.u8).toBe(before)
        }
        heap.check()
      }),
      { numRuns: scaled(500) }
    )
  })

  test('is created with any arguments, or they are rejected', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('map', 'format', 'attach'),
        fc.oneof(options, value),
        fc.oneof(options, value),
        (name, first, second) => {
          const one = first()
          if (!harmless(one)) return
          const result = expectSound(`Heap.${name}`, () =>
            invoke(Heap, name, name === 'format' ? [one, second()] : [one])
          )
          if (result instanceof Heap) {
            result.free(result.malloc(16))
            result.check()
            result.close()
          }
        }
      ),
      { numRuns: scaled(2000) }
    )
  })

  test('of a region or a buffer accepts or rejects any options', () => {
    using region = Region.map(65536)
    const buffer = new ArrayBuffer(65536)
    fc.assert(
      fc.property(fc.constantFrom(region, buffer), fc.oneof(options, value), (memory, make) => {
        const result = expectSound('Heap.format', () => invoke(Heap, 'format', [memory, make()]))
        if (result instanceof Heap) {
          result.free(result.malloc(16))
          result.check()
        }
      }),
      { numRuns: scaled(1000) }
    )
  })

  test('that is closed, or lost its memory, throws a named error for every call', () => {
    const closed = Heap.format(new ArrayBuffer(4096))
    closed.close()
    const lost = Heap.format(new ArrayBuffer(4096), { slabs: true })
    detached(lost.buffer)
    fc.assert(
      fc.property(
        fc.constantFrom(closed, lost),
        fc.constantFrom(...callable),
        args,
        (heap, name, makers) => {
          const given = makers.map(make => make())
          expectSound(name, () => invoke(heap, name, given))
          expect(heap.closed).toBe(true)
        }
      ),
      { numRuns: scaled(1000) }
    )
  })
})

describe('a region', () => {
  const callable = ['decommit', 'faults', 'protect', 'residentBytes']

  test('accepts or rejects any arguments', () => {
    const region = Region.map(65536)
    const pages = fc.nat(20).map(count => () => count * region.pageSize)
    const mode = fc.constantFrom('none', 'read', 'readwrite').map(text => () => text)
    fc.assert(
      fc.property(
        fc.constantFrom(...callable),
        fc.array(fc.oneof(value, pages, mode), { maxLength: 4 }),
        (name, makers) => {
          const given = makers.map(make => make())
          expectSound(name, () => invoke(region, name, given))
          expect(region.byteLength).toBe(65536)
        }
      ),
      { numRuns: scaled(1500) }
    )
    region.protect(0, 65536, 'readwrite')
    new Uint8Array(region.buffer).fill(1)
    region.close()
    fc.assert(
      fc.property(fc.constantFrom(...callable), args, (name, makers) => {
        const given = makers.map(make => make())
        expectSound(name, () => invoke(region, name, given))
        expect(region.closed).toBe(true)
      }),
      { numRuns: scaled(250) }
    )
  })

  test('is mapped with any arguments, or they are rejected', () => {
    fc.assert(
      fc.property(fc.oneof(options, value), make => {
        const argument = make()
        if (!harmless(argument)) return
        const result = expectSound('Region.map', () => invoke(Region, 'map', [argument]))
        if (result instanceof Region) result.close()
      }),
      { numRuns: scaled(1000) }
    )
  })
})

describe('an OffheapError', () => {
  test('is created with strings and faults of any kind', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer(), (message, errno) => {
        const error = new OffheapError('ERR_OFFHEAP_SYSTEM', message, { errno, syscall: message })
        expect(error).toMatchObject({ code: 'ERR_OFFHEAP_SYSTEM', errno, syscall: message })
        expect(error.message.startsWith(message.slice(0, 1))).toBe(true)
      })
    )
  })
})

describe('a trace', () => {
  test('of any text is valid, or the error names the wrong line', () => {
    const word = fc.constantFrom(
      'a',
      'c',
      'm',
      'r',
      'f',
      '-1',
      '0',
      '1',
      '16',
      '4096',
      '9007199254740991',
      '#',
      '\n',
      ' ',
      '\r'
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(word, { maxLength: 80 }).map(words => words.join(' ').replaceAll(' \n ', '\n'))
    )
    fc.assert(
      fc.property(text, content => {
        expectSound('parseTrace', () => parseTrace(content))
      }),
      { numRuns: scaled(2500) }
    )
  })

  test('at a path without a file throws a named error', async () => {
    for (const path of [
      '',
      '.',
      '/',
      '/dev/null',
      '\0',
      'a\0b',
      'x'.repeat(5000),
      '\ud800',
      '/proc/self/mem'
    ]) {
      await expect(readTrace(path), JSON.stringify(path)).rejects.toSatisfy(
        error => codeOf(error) !== undefined
      )
    }
  })
})

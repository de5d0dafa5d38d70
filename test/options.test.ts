/** Options objects: unknown names throw, and each option is read once, before anything happens. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, test } from 'vitest'
import { Heap, Region } from '../lib/index.js'
import { measure } from '../lib/trace/measure.js'
import { parseTrace } from '../lib/trace/parse.js'
import { record } from '../lib/trace/record.js'
import { errorOf } from './heap/support.js'

/**
 * A public function, called with options of any type; options that it takes, and the name of one
 * that it does not.
 */
const functions: [
  name: string,
  call: (options: unknown) => unknown,
  fine: Record<string, unknown>,
  other: string
][] = [
  [
    'Heap.map',
    options => Reflect.apply(Heap.map, Heap, [options]),
    { size: 65536, placement: 'best-fit', guard: false },
    'hardened'
  ],
  [
    'Heap.format',
    options => Reflect.apply(Heap.format, Heap, [new ArrayBuffer(65536), options]),
    { slabs: true },
    'placement'
  ],
  [
    'Region.map',
    options => Reflect.apply(Region.map, Region, [options]),
    { size: 65536, populate: true },
    'lock'
  ],
  [
    'measure',
    options => Reflect.apply(measure, undefined, [parseTrace('a 0 8\n'), options]),
    { timed: false },
    'verify'
  ]
]

describe.each(functions)('%s', (name, call, fine, other) => {
  test('rejects an unknown option, and lists the known ones', () => {
    for (const unknown of [
      'placment',
      'Placement',
      'sizes',
      'quicklists',
      '',
      '0',
      '__proto__',
      'constructor'
    ]) {
      const options = Object.defineProperty({ ...fine }, unknown, {
        value: 'best-fit',
        enumerable: true
      })
      const error = errorOf(() => call(options))
      expect(error).toBeInstanceOf(TypeError)
      expect(error.code).toBe('ERR_INVALID_ARG_VALUE')
      expect(error.message).toMatch(`'options.${unknown}' is not an option of ${name}`)
      expect(error.message).toMatch(/Its options are (\w+, )*\w+\. Received 'best-fit'$/)
      for (const known of Object.keys(fine)) expect(error.message).toContain(known)
    }
  })

  test('accepts its options, including undefined and inherited ones', () => {
    expect(() => call({ ...fine, [other]: undefined })).not.toThrow()
    expect(() => call(Object.create(fine))).not.toThrow()
    expect(() => call(Object.freeze({ ...fine }))).not.toThrow()
  })

  test('reads each option once', () => {
    const reads: string[] = []
    const options = {}
    for (const [key, value] of Object.entries(fine)) {
      const get = (): unknown => {
        reads.push(key)
        // Reading it again would return another value.
        return reads.filter(read => read === key).length === 1 ? value : Symbol('changed')
      }
      Object.defineProperty(options, key, { get, enumerable: true })
    }
    call(options)
    expect(reads.toSorted()).toEqual(Object.keys(fine).toSorted())
  })

  test('rejects anything but an object', () => {
    for (const options of [null, 'first-fit', true, Symbol('options'), 8n, () => 8]) {
      expect(errorOf(() => call(options)).code).toBe('ERR_INVALID_ARG_TYPE')
    }
  })
})

test('record rejects an unknown option', async () => {
  const options = { program: 'true', output: '/nowhere/trace', argz: ['1'] }
  await expect(record(options)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
  await expect(Reflect.apply(record, undefined, [null])).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE'
  })
})

describe('a getter among the options', () => {
  test('runs before anything is mapped', () => {
    const mapped: unknown[] = []
    const listener = (message: unknown): void => void mapped.push(message)
    subscribe('offheap:map', listener)
    try {
      for (const name of ['size', 'placement', 'lock', 'onLeaks']) {
        const options = { size: 65536, hardened: true, trackAllocations: true }
        const own = new Error('a getter of the caller')
        Object.defineProperty(options, name, {
          enumerable: true,
          get() {
            throw own
          }
        })
        expect(errorOf(() => Heap.map(options))).toBe(own)
      }
      expect(mapped).toEqual([])
    } finally {
      unsubscribe('offheap:map', listener)
    }
  })

  test('runs before anything is written, even if it uses or closes the memory', () => {
    const region = Region.map(65536)
    const first = Heap.format(region)
    const pointer = first.malloc(100)
    const options = Object.defineProperty({}, 'placement', { get: () => region.close() })
    expect(errorOf(() => Heap.format(region, options)).code).toBe('ERR_OFFHEAP_CLOSED')
    expect(first.closed).toBe(true)
    expect(pointer).toBeGreaterThan(0)
    const buffer = new ArrayBuffer(65536)
    const heap = Heap.format(
      buffer,
      Object.defineProperty({}, 'slabs', {
        get() {
          const other = Heap.format(buffer)
          other.u8.fill(0xff, other.malloc(1000))
          return true
        }
      })
    )
    heap.check()
    const zeros = heap.calloc(5000, 1)
    expect(heap.u8.subarray(zeros, zeros + 5000).every(byte => byte === 0)).toBe(true)
  })
})

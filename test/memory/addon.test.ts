import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { addon, load } from '../../lib/memory/addon.js'

const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build')
const native = addon()
const { pageSize } = native
const wrongType = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
const wrongRange = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })

describe('loading', () => {
  test('where nothing was built, says what was looked for and the command that builds it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
    const message = new RegExp(
      `${process.platform}-${process.arch}.*${folder}.*No native build.*"npm rebuild offheap".*"npm run build:native"`
    )
    expect(() => load(`${folder}/`, nodeGypBuild)).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_NO_ADDON', message: expect.stringMatching(message) })
    )
    rmSync(folder, { recursive: true })
  })

  test('of a file that is not this addon is refused', () => {
    for (const found of [{}, null, 'offheap', { map: 1, faults: 2 }]) {
      expect(() => load('/', () => found)).toThrow(expect.objectContaining({ code: 'ERR_OFFHEAP_NO_ADDON' }))
    }
  })

  test.each(['win32', 'freebsd', 'aix'])('on %s says that it is not supported', platform => {
    expect(() => load('/', nodeGypBuild, platform)).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_UNSUPPORTED', message: expect.stringContaining(platform) })
    )
  })

  test('happens once', () => {
    expect(addon()).toBe(native)
  })
})

describe('the addon by itself', () => {
  const mapped = native.map(2 * pageSize, true, false, false, false)
  const other = native.map(pageSize, false, false, false, false)

  afterEach(() => {
    // Whatever was tried, the memory is there.
    new Uint8Array(mapped.buffer).fill(1)
    expect(native.residentBytes(mapped.handle, mapped.buffer)).toBe(2 * pageSize)
  })

  function call(name: keyof typeof native, ...values: unknown[]): () => unknown {
    const method: unknown = native[name]
    if (typeof method !== 'function') throw new Error(`${name} is not a function`)
    return () => Reflect.apply(method, native, values)
  }

  const methods = ['close', 'decommit', 'protect', 'faults', 'residentBytes'] as const

  test.each(methods)('%s takes no handle but its own', name => {
    const wrong = [undefined, null, 1, 'handle', {}, [], () => 1, Symbol('handle'), native, mapped.buffer]
    for (const handle of wrong) expect(call(name, handle, mapped.buffer, 0, pageSize, 0)).toThrow(wrongType)
    expect(call(name, new Proxy(mapped.handle, {}), mapped.buffer, 0, pageSize, 0)).toThrow(wrongType)
    expect(call(name, Object.create(mapped.handle), mapped.buffer, 0, pageSize, 0)).toThrow(wrongType)
    expect(call(name)).toThrow(wrongType)
  })

  test.each(methods)('%s takes no buffer but that of its handle', name => {
    const wrong = [
      undefined,
      null,
      1,
      {},
      new Uint8Array(mapped.buffer),
      new ArrayBuffer(2 * pageSize),
      new SharedArrayBuffer(8),
      other.buffer
    ]
    for (const buffer of wrong) expect(call(name, mapped.handle, buffer, 0, pageSize, 0)).toThrow(wrongType)
  })

  test.each(['decommit', 'protect'] as const)('%s checks offset and length', name => {
    const { handle, buffer } = mapped
    for (const value of [undefined, null, '0', 0n, {}]) {
      expect(call(name, handle, buffer, value, pageSize, 2)).toThrow(wrongType)
      expect(call(name, handle, buffer, 0, value, 2)).toThrow(wrongType)
    }
    const wrong = [
      [-1, 0],
      [1, 0],
      [0, 1],
      [0, 3 * pageSize],
      [pageSize, 2 * pageSize],
      [3 * pageSize, 0],
      [0, Number.NaN],
      [2 ** 63, 0],
      [0, 2 ** 64],
      [0.5, 0]
    ]
    for (const [offset, length] of wrong) expect(call(name, handle, buffer, offset, length, 2)).toThrow(wrongRange)
  })

  test('protect checks the access', () => {
    const { handle, buffer } = mapped
    for (const access of [3, -1, 1.5, Number.NaN]) {
      expect(call('protect', handle, buffer, 0, pageSize, access)).toThrow(wrongRange)
    }
    for (const access of ['none', undefined])
      expect(call('protect', handle, buffer, 0, pageSize, access)).toThrow(wrongType)
  })

  test('map checks its arguments', () => {
    for (const size of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 64]) {
      expect(call('map', size, true, false, false, false)).toThrow(wrongRange)
    }
    for (const size of [undefined, '1', 1n]) expect(call('map', size, true, false, false, false)).toThrow(wrongType)
    expect(call('map', 1)).toThrow(wrongType)
    expect(call('map', 1, true, 0, false, false)).toThrow(wrongType)
  })

  test('a closed handle stays closed', () => {
    const { handle, buffer } = native.map(1, true, false, false, false)
    native.close(handle, buffer)
    native.close(handle, buffer)
    const closed = expect.objectContaining({ code: 'ERR_OFFHEAP_CLOSED' })
    expect(() => native.residentBytes(handle, buffer)).toThrow(closed)
    expect(() => native.residentBytes(handle, mapped.buffer)).toThrow(closed)
  })
})

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addon, load, recorderPath } from '../../lib/memory/addon.js'
import type { Location } from '../../lib/memory/location.js'

const native = addon()
const { pageSize } = native
const wrongType = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
const wrongRange = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })

describe('loading', () => {
  const { platform, arch } = process
  const prebuilt = (name: string) => join('prebuilds', `${platform}-${arch}`, name)
  const libc = platform === 'linux' ? 'glibc' : ''
  const plain = prebuilt(platform === 'linux' ? 'offheap.glibc.node' : 'offheap.node')
  const local = join('build', 'Release', 'offheap.node')
  let folder: string
  let home: Location

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
    home = { bundled: false, folders: [folder] }
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  /** Puts empty files in the folder. */
  function put(...paths: string[]): void {
    for (const path of paths) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), '')
    }
  }

  /**
   * Loads with a loader that accepts these files, and throws for others. Returns whether the result
   * is that of the loader, and the paths that were tried, in order.
   */
  function loadFrom(working: readonly string[], on = libc) {
    const paths: string[] = []
    const found = { ...native }
    const loader = (path: string) => {
      paths.push(relative(folder, path))
      if (!working.includes(relative(folder, path))) throw new Error('wrong ELF class\nsecond line')
      return found
    }
    return { isOurs: load(home, loader, platform, on) === found, paths }
  }

  test('prefers the build of this machine to the prebuilt one', () => {
    put(local, plain)
    expect(loadFrom([local, plain])).toEqual({ isOurs: true, paths: [local] })
  })

  test('takes the prebuilt one if there is no local build', () => {
    put(plain)
    expect(loadFrom([plain])).toEqual({ isOurs: true, paths: [plain] })
  })

  test('takes the prebuilt one if the local build cannot be loaded', () => {
    put(local, plain)
    expect(loadFrom([plain])).toEqual({ isOurs: true, paths: [local, plain] })
  })

  test.runIf(platform === 'linux')('never tries the binary for the other C library', () => {
    const musl = prebuilt('offheap.musl.node')
    put(plain, musl)
    expect(loadFrom([plain, musl], 'musl').paths).toEqual([musl])
    expect(loadFrom([plain, musl], 'glibc').paths).toEqual([plain])
  })

  test('without a build, throws an error with the paths tried and the command to build', () => {
    const parts = [
      `${platform}-${arch}`,
      `Node ${process.version}`,
      `${join(folder, local)} (no such file); ${join(folder, plain)} (no such file)`,
      `npm --prefix "${folder}" run build:native`,
      '"allowScripts"'
    ]
    for (const message of parts.map(part => expect.stringContaining(part)))
      expect(() => loadFrom([])).toThrow(
        expect.objectContaining({ code: 'ERR_OFFHEAP_NO_ADDON', message })
      )
  })

  test('in a bundle, searches its folder and the parent, and names the folder to copy', () => {
    const bundle: Location = { bundled: true, folders: [join(folder, 'chunks'), folder] }
    const find = () => load(bundle, () => native, platform, libc)
    expect(find).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_NO_ADDON',
        message: expect.stringContaining(
          `Copy the folder "prebuilds" of the package offheap to ${join(folder, 'chunks')}, where`
        )
      })
    )
    expect(find).not.toThrow(/allowScripts/)
    put(plain)
    expect(find()).toBe(native)
  })

  test('reports the first line of the reason why a file cannot be loaded', () => {
    put(plain)
    const reason = expect.stringContaining(`${join(folder, plain)} (wrong ELF class). `)
    expect(() => loadFrom([])).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_NO_ADDON', message: reason })
    )
  })

  test('rejects a file that is not this addon', () => {
    put(plain)
    for (const found of [{}, null, 'offheap', { map: 1, faults: 2 }]) {
      const reason = expect.stringContaining(
        `${join(folder, plain)} (not the addon of this version)`
      )
      expect(() => load(home, () => found, platform, libc)).toThrow(
        expect.objectContaining({ code: 'ERR_OFFHEAP_NO_ADDON', message: reason })
      )
    }
  })

  test.each(['freebsd', 'aix'])('on %s throws an error that names the system', system => {
    expect(() => load(home, () => native, system)).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_UNSUPPORTED',
        message: expect.stringContaining(system)
      })
    )
  })

  test('happens once for each thread', () => {
    expect(addon()).toBe(native)
  })

  test('finds the recorder beside the addon, for the same C library', () => {
    const linux = (name: string) => join('prebuilds', `linux-${arch}`, name)
    put(linux('recorder.glibc.so'), linux('recorder.musl.so'))
    expect(recorderPath(home, 'musl')).toBe(join(folder, linux('recorder.musl.so')))
    expect(recorderPath(home, 'glibc')).toBe(join(folder, linux('recorder.glibc.so')))
    put('build/Release/recorder.so')
    expect(recorderPath(home, 'musl')).toBe(join(folder, 'build/Release/recorder.so'))
  })

  test('without a recorder, returns the path where a build would put it', () => {
    expect(recorderPath(home, 'glibc')).toBe(join(folder, 'build/Release/recorder.so'))
  })
})

describe('the native addon, called directly,', () => {
  const mapped = native.map(2 * pageSize, true, false, false, false)
  const other = native.map(pageSize, false, false, false, false)

  afterEach(() => {
    // No test may have unmapped the memory.
    new Uint8Array(mapped.buffer).fill(1)
    expect(native.residentBytes(mapped.handle, mapped.buffer)).toBe(2 * pageSize)
  })

  function call(name: keyof typeof native, ...values: unknown[]): () => unknown {
    const method: unknown = native[name]
    if (typeof method !== 'function') throw new Error(`${name} is not a function`)
    return () => Reflect.apply(method, native, values)
  }

  const methods = ['close', 'decommit', 'protect', 'faults', 'residentBytes'] as const

  test.each(methods)('%s rejects anything but a handle', name => {
    const wrong = [
      undefined,
      null,
      1,
      'handle',
      {},
      [],
      () => 1,
      Symbol('handle'),
      native,
      mapped.buffer
    ]
    for (const handle of wrong)
      expect(call(name, handle, mapped.buffer, 0, pageSize, 0)).toThrow(wrongType)
    expect(call(name, new Proxy(mapped.handle, {}), mapped.buffer, 0, pageSize, 0)).toThrow(
      wrongType
    )
    expect(call(name, Object.create(mapped.handle), mapped.buffer, 0, pageSize, 0)).toThrow(
      wrongType
    )
    expect(call(name)).toThrow(wrongType)
  })

  test.each(methods)('%s rejects any buffer but that of its handle', name => {
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
    for (const buffer of wrong)
      expect(call(name, mapped.handle, buffer, 0, pageSize, 0)).toThrow(wrongType)
  })

  test.each(['decommit', 'protect'] as const)('%s validates offset and length', name => {
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
    for (const [offset, length] of wrong)
      expect(call(name, handle, buffer, offset, length, 2)).toThrow(wrongRange)
  })

  test('protect validates the access', () => {
    const { handle, buffer } = mapped
    for (const access of [3, -1, 1.5, Number.NaN]) {
      expect(call('protect', handle, buffer, 0, pageSize, access)).toThrow(wrongRange)
    }
    for (const access of ['none', undefined])
      expect(call('protect', handle, buffer, 0, pageSize, access)).toThrow(wrongType)
  })

  test('map validates its arguments', () => {
    for (const size of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 64]) {
      expect(call('map', size, true, false, false, false)).toThrow(wrongRange)
    }
    for (const size of [undefined, '1', 1n])
      expect(call('map', size, true, false, false, false)).toThrow(wrongType)
    expect(call('map', 1)).toThrow(wrongType)
    expect(call('map', 1, true, 0, false, false)).toThrow(wrongType)
  })

  test('rejects a closed handle, with its own buffer or another', () => {
    const { handle, buffer } = native.map(1, true, false, false, false)
    native.close(handle, buffer)
    native.close(handle, buffer)
    const closed = expect.objectContaining({ code: 'ERR_OFFHEAP_CLOSED' })
    expect(() => native.residentBytes(handle, buffer)).toThrow(closed)
    expect(() => native.residentBytes(handle, mapped.buffer)).toThrow(closed)
  })
})

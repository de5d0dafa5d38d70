import { constants } from 'node:buffer'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { constants as os } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { Region, type RegionOptions } from '../../lib/memory/region.js'
import { flagsAt, onLinux, underAsan } from './maps.js'

const MiB = 2 ** 20
const GiB = 2 ** 30
const { errno } = os

const open: Region[] = []

function map(options: number | RegionOptions): Region {
  const region = Region.map(options)
  open.push(region)
  return region
}

afterEach(() => {
  for (const region of open.splice(0)) region.close()
})

/** Calls Region.map with an argument that the types don't allow. */
function mapAnything(value: unknown): unknown {
  return Reflect.apply(Region.map, Region, [value])
}

describe('Region.map', () => {
  test('maps zeroed memory that can be written to its last byte', () => {
    const region = map(3 * MiB)
    const bytes = new Uint8Array(region.buffer)
    expect(region.byteLength).toBe(3 * MiB)
    expect(bytes.every(byte => byte === 0)).toBe(true)
    bytes[0] = 1
    bytes[bytes.length - 1] = 2
    expect([bytes[0], bytes[bytes.length - 1]]).toEqual([1, 2])
  })

  test('rounds the size up to whole pages', () => {
    const { pageSize } = map(1)
    expect(map(1).byteLength).toBe(pageSize)
    expect(map(pageSize).byteLength).toBe(pageSize)
    expect(map(pageSize + 1).byteLength).toBe(2 * pageSize)
    expect(map({ size: 3 * pageSize - 1 }).byteLength).toBe(3 * pageSize)
  })

  test('maps at a multiple of the page size', () => {
    const region = map(1)
    expect(region.address % BigInt(region.pageSize)).toBe(0n)
  })

  test('maps separate memory for each region', () => {
    const [one, two] = [new Uint8Array(map(100).buffer), new Uint8Array(map(100).buffer)]
    one.fill(1)
    expect(two.every(byte => byte === 0)).toBe(true)
  })

  test.each([
    0,
    -0,
    -1,
    -4096,
    0.5,
    4096.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY
  ])('rejects a size of %d', size => {
    const expected = expect.objectContaining({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
    expect(() => Region.map(size)).toThrow(expected)
    expect(() => Region.map({ size })).toThrow(expected)
  })

  test.each([
    ['a string', '4096'],
    ['a bigint', 4096n],
    ['null', null],
    ['undefined', undefined],
    ['a boolean', true],
    ['a symbol', Symbol('4096')],
    ['a function', () => 1]
  ])('rejects %s', (_, value) => {
    const expected = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    expect(() => mapAnything(value)).toThrow(expected)
    expect(() => mapAnything({ size: value })).toThrow(expected)
  })

  test.each(['hugePages', 'populate', 'lock', 'guard'])(
    'rejects %s that is not a boolean',
    name => {
      for (const value of ['yes', 1, null, {}]) {
        const expected = expect.objectContaining({
          code: 'ERR_INVALID_ARG_TYPE',
          message: expect.stringContaining(`"options.${name}"`)
        })
        expect(() => mapAnything({ size: 4096, [name]: value })).toThrow(expected)
      }
    }
  )

  test('maps 4 GiB, and rejects more than buffer.constants.MAX_LENGTH', () => {
    const region = map(4 * GiB)
    const bytes = new Uint8Array(region.buffer)
    bytes[4 * GiB - 1] = 9
    expect(bytes[4 * GiB - 1]).toBe(9)
    expect(() => Region.map(constants.MAX_LENGTH + 1)).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_RANGE',
        message: expect.stringContaining(String(constants.MAX_LENGTH))
      })
    )
  })

  test.skipIf(constants.MAX_LENGTH < 2 ** 47)(
    'throws an error with the size if the system has not enough memory',
    () => {
      expect(() => Region.map(2 ** 47)).toThrow(
        expect.objectContaining({
          code: 'ERR_OFFHEAP_SYSTEM',
          errno: errno.ENOMEM,
          syscall: expect.stringMatching(/^(mmap|VirtualAlloc)$/),
          message: expect.stringMatching(/128 TiB \(\w+: ENOMEM\)/)
        })
      )
    }
  )

  test('commits no page before its first access', () => {
    const before = process.memoryUsage.rss()
    const region = map(4 * GiB)
    expect(region.residentBytes()).toBe(0)
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * MiB)
  })

  test('populate commits every page', () => {
    expect(map({ size: 8 * MiB, populate: true }).residentBytes()).toBe(8 * MiB)
    expect(
      new Uint8Array(map({ size: MiB, populate: true }).buffer).every(byte => byte === 0)
    ).toBe(true)
  })

  test('lock commits every page and keeps it in memory', ({ skip }) => {
    if (underAsan) skip(underAsan)
    const region = map({ size: 4096, lock: true })
    expect(region.residentBytes()).toBe(region.byteLength)
    if (onLinux) expect(flagsAt(region.address)).toContain('lo')
    expect(() => region.decommit(0, region.pageSize)).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_SYSTEM',
        errno: errno.EINVAL,
        message: expect.stringContaining('mapped with lock')
      })
    )
  })

  test.runIf(onLinux)('hugePages requests huge pages, and aligns the region', ({ skip }) => {
    try {
      readFileSync('/sys/kernel/mm/transparent_hugepage/enabled')
    } catch {
      skip('this kernel has no transparent huge pages')
    }
    for (const guard of [true, false]) {
      const region = map({ size: 5 * MiB, hugePages: true, guard })
      expect(region.address % BigInt(2 * MiB)).toBe(0n)
      expect(region.byteLength).toBe(5 * MiB)
      expect(flagsAt(region.address)).toContain('hg')
    }
    expect(flagsAt(map(5 * MiB).address)).not.toContain('hg')
    expect(map({ size: 4096, hugePages: true }).byteLength).toBe(4096)
  })

  test.runIf(!onLinux)('hugePages throws on systems without huge pages', () => {
    expect(() => Region.map({ size: 5 * MiB, hugePages: true })).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_UNSUPPORTED' })
    )
  })
})

describe('commit', () => {
  test('returns true, and changes no page', () => {
    const region = map(16 * MiB)
    const bytes = new Uint8Array(region.buffer)
    bytes[region.pageSize] = 7
    expect(region.commit(0, 16 * MiB)).toBe(true)
    expect(region.commit(16 * MiB, 0)).toBe(true)
    expect(region.residentBytes()).toBe(region.pageSize)
    expect([bytes[region.pageSize], bytes[0]]).toEqual([7, 0])
  })

  test('leaves protections unchanged', () => {
    const region = map(MiB)
    region.protect(0, region.pageSize, 'read')
    expect(region.commit(0, MiB)).toBe(true)
    new Uint8Array(region.buffer)[8] = 1
    expect(region.faults()).toEqual([8])
  })

  test('makes pages writable for a system call', () => {
    const region = map(MiB)
    region.commit(0, region.pageSize)
    const file = openSync(fileURLToPath(import.meta.url), 'r')
    expect(readSync(file, new Uint8Array(region.buffer), 0, 100, 0)).toBe(100)
    closeSync(file)
  })

  test('requires whole pages of an open region', () => {
    const region = map(MiB)
    expect(() => region.commit(1, region.pageSize)).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' })
    )
    expect(() => region.commit(0, 2 * MiB)).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' })
    )
    region.close()
    expect(() => region.commit(0, 0)).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_CLOSED' })
    )
  })
})

describe('decommit and residentBytes', () => {
  test('count the pages that were accessed, and return them', () => {
    const region = map(16 * MiB)
    const { pageSize } = region
    const bytes = new Uint8Array(region.buffer)
    for (const page of [0, 1, 5]) bytes[page * pageSize] = 7
    expect(region.residentBytes()).toBe(3 * pageSize)
    region.decommit(pageSize, 8 * pageSize)
    expect(region.residentBytes()).toBe(pageSize)
    expect([bytes[0], bytes[pageSize], bytes[5 * pageSize]]).toEqual([7, 0, 0])
    bytes.fill(1)
    expect(region.residentBytes()).toBe(16 * MiB)
    region.decommit(0, 16 * MiB)
    expect(region.residentBytes()).toBe(0)
    expect(bytes.every(byte => byte === 0)).toBe(true)
  })

  test('count pages of a region of 1 GiB', () => {
    const region = map(GiB)
    const bytes = new Uint8Array(region.buffer)
    for (let offset = 0; offset < GiB; offset += GiB / 8) bytes[offset] = 1
    bytes[GiB - 1] = 1
    expect(region.residentBytes()).toBe(9 * region.pageSize)
  })

  test.runIf(onLinux)('count a page that was only read', () => {
    const region = map(MiB)
    expect(new Uint8Array(region.buffer)[3 * region.pageSize]).toBe(0)
    expect(region.residentBytes()).toBe(region.pageSize)
  })

  test('return no pages for a length of 0', () => {
    const region = map(MiB)
    new Uint8Array(region.buffer).fill(1)
    region.decommit(0, 0)
    region.decommit(MiB, 0)
    expect(region.residentBytes()).toBe(MiB)
  })

  test('reject anything but whole pages of the region, and change nothing', () => {
    const region = map(MiB)
    const { pageSize } = region
    new Uint8Array(region.buffer).fill(1)
    const wrong = [
      [1, pageSize],
      [0, 1],
      [pageSize / 2, pageSize],
      [-pageSize, pageSize],
      [0, -pageSize],
      [0, MiB + pageSize],
      [pageSize, MiB],
      [MiB, pageSize],
      [2 ** 53, pageSize],
      [0, Number.NaN],
      [0.5, pageSize]
    ] as const
    for (const [offset, length] of wrong) {
      const expected = expect.objectContaining({
        code: 'ERR_OUT_OF_RANGE',
        message: expect.stringContaining(`${pageSize} bytes`)
      })
      expect(() => region.decommit(offset, length)).toThrow(expected)
      expect(() => region.protect(offset, length, 'read')).toThrow(expected)
    }
    for (const value of ['0', 0n, null, undefined, {}]) {
      const expected = expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' })
      expect(() => Reflect.apply(region.decommit, region, [value, pageSize])).toThrow(expected)
      expect(() => Reflect.apply(region.decommit, region, [0, value])).toThrow(expected)
      expect(() => Reflect.apply(region.protect, region, [value, pageSize, 'none'])).toThrow(
        expected
      )
    }
    expect(region.residentBytes()).toBe(MiB)
    new Uint8Array(region.buffer).fill(2)
    expect(region.faults()).toEqual([])
  })
})

import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { deflate, inflateSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Region } from '../../lib/memory/region.js'
import {
  accessAt,
  collectUntil,
  hasTransfer,
  mappedBytes,
  mappings,
  onLinux,
  onWindows,
  transfer
} from './maps.js'

const PAGES = 300
let region: Region
let bytes: Uint8Array<ArrayBuffer>
let page: number

beforeEach(() => {
  region = Region.map(1)
  page = region.pageSize
  region.close()
  region = Region.map(PAGES * page)
  bytes = new Uint8Array(region.buffer).fill(1)
})

afterEach(() => region.close())

describe('protect', () => {
  test.runIf(onLinux)('sets the access of pages in /proc/self/maps', () => {
    const at = (index: number) => accessAt(region.address + BigInt(index * page))
    region.protect(page, 2 * page, 'none')
    region.protect(3 * page, page, 'read')
    expect([0, 1, 2, 3, 4].map(at)).toEqual(['rw-p', '---p', '---p', 'r--p', 'rw-p'])
    region.protect(page, page, 'readwrite')
    expect([0, 1, 2, 3, 4].map(at)).toEqual(['rw-p', 'rw-p', '---p', 'r--p', 'rw-p'])
    region.protect(0, 0, 'none')
    expect(at(0)).toBe('rw-p')
  })

  test('lets a write to a read-only page succeed, and reports it', () => {
    region.protect(0, 3 * page, 'read')
    expect(bytes[10]).toBe(1)
    expect(region.faults()).toEqual([])
    bytes[page + 7] = 42
    expect(bytes[page + 7]).toBe(42)
    expect(region.faults()).toEqual([page + 7])
    expect(region.faults()).toEqual([])
  })

  test('lets a read of an inaccessible page succeed, and reports it', () => {
    bytes[2 * page + 5] = 33
    region.protect(2 * page, page, 'none')
    expect(bytes[2 * page + 5]).toBe(33)
    expect(region.faults()).toEqual([2 * page + 5])
  })

  test('reports one fault for a page, whose protection alone is lifted', () => {
    region.protect(0, 3 * page, 'none')
    bytes[page] = 2
    bytes[page + 1] = 3
    expect(region.faults()).toEqual([page])
    bytes[0] = 2
    bytes[2 * page] = 2
    expect(region.faults()).toEqual([0, 2 * page])
  })

  test('can protect a page again', () => {
    for (let round = 0; round < 3; round++) {
      region.protect(0, page, 'read')
      bytes[round] = 9
      expect(region.faults()).toEqual([round])
    }
  })

  test('keeps the first 256 faults', () => {
    region.protect(0, PAGES * page, 'none')
    for (let index = PAGES - 1; index >= 0; index--) bytes[index * page] = 5
    const faults = region.faults()
    expect(faults).toEqual(Array.from({ length: 256 }, (_, index) => (PAGES - 1 - index) * page))
    expect(region.faults()).toEqual([])
  })

  test('keeps up to 256 faults again after each call of faults()', () => {
    for (const count of [200, 100, 256, 1]) {
      region.protect(0, PAGES * page, 'none')
      const offsets = Array.from({ length: count }, (_, index) => index * page + index)
      for (const offset of offsets) bytes[offset] = 5
      expect(region.faults()).toEqual(offsets)
    }
  })

  test.each([
    ['fill', () => bytes.fill(6)],
    ['set', () => bytes.set(new Uint8Array(PAGES * page).fill(6))],
    ['copyWithin', () => bytes.fill(6, 0, page).copyWithin(page, 0)],
    ['Float64Array', () => new Float64Array(region.buffer).fill(1)],
    ['Buffer', () => Buffer.from(region.buffer).write('x'.repeat(PAGES * page))],
    ['Atomics', () => Atomics.add(new Int32Array(region.buffer), page / 4, 1)],
    ['DataView', () => new DataView(region.buffer).setBigUint64(page, 1n)],
    ['slice', () => region.buffer.slice(0)],
    ['structuredClone', () => structuredClone(bytes)]
  ])('lets %s access a protected page', (_, access) => {
    region.protect(page, 5 * page, 'none')
    access()
    expect(region.faults().length).toBeGreaterThan(0)
    expect(region.closed).toBe(false)
  })

  test('makes a system call fail, and leaves the page protected', () => {
    const source = openSync(fileURLToPath(import.meta.url), 'r')
    region.protect(0, page, 'read')
    // On Windows, ERROR_NOACCESS has another code in Node 20, and the error of a write has none.
    const fault = (windows: string) =>
      expect.objectContaining({ code: onWindows ? windows : 'EFAULT' })
    const isOld = process.versions.node.startsWith('20.')
    expect(() => readSync(source, bytes, 0, 100, null)).toThrow(fault(isOld ? 'EACCES' : 'EFAULT'))
    closeSync(source)
    const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
    const file = openSync(join(folder, 'out'), 'w')
    region.protect(page, page, 'none')
    expect(() => writeSync(file, bytes, page, 100)).toThrow(fault('UNKNOWN'))
    closeSync(file)
    rmSync(folder, { recursive: true })
    expect(region.faults()).toEqual([])
    bytes[3] = 1
    expect(region.faults()).toEqual([3])
  })

  test('lets a library on the thread pool access protected pages', async () => {
    region.protect(0, PAGES * page, 'none')
    const packed = await promisify(deflate)(bytes)
    expect(inflateSync(packed).equals(Buffer.alloc(PAGES * page, 1))).toBe(true)
    expect(region.faults().length).toBe(256)
  })

  test('is undone by decommit, which returns zeroed writable pages', () => {
    region.protect(0, 2 * page, 'none')
    region.protect(2 * page, page, 'read')
    region.decommit(0, 3 * page)
    bytes[0] = 1
    bytes[2 * page] = 1
    expect([bytes[1], bytes[2 * page + 1]]).toEqual([0, 0])
    expect(region.faults()).toEqual([])
  })

  test('does not change residentBytes(), except for inaccessible pages on Windows', () => {
    region.protect(0, 10 * page, 'none')
    region.protect(10 * page, 10 * page, 'read')
    expect(region.residentBytes()).toBe((onWindows ? PAGES - 10 : PAGES) * page)
    region.protect(0, 10 * page, 'readwrite')
    expect(region.residentBytes()).toBe(PAGES * page)
  })

  test('rejects any other mode', () => {
    for (const mode of ['', 'write', 'NONE', 'toString', '__proto__']) {
      expect(() => Reflect.apply(region.protect, region, [0, page, mode])).toThrow(
        expect.objectContaining({
          code: 'ERR_OUT_OF_RANGE',
          message: expect.stringContaining("'readwrite'")
        })
      )
    }
    for (const mode of [undefined, null, 0, {}]) {
      expect(() => Reflect.apply(region.protect, region, [0, page, mode])).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' })
      )
    }
    bytes.fill(2)
    expect(region.faults()).toEqual([])
  })

  test.runIf(hasTransfer && onLinux)(
    'still handles faults after buffer.transfer() (Node 22 and later)',
    async () => {
      region.protect(0, page, 'none')
      const readMoved = () => {
        const moved = new Uint8Array(transfer(region.buffer))
        moved[0] = 2
        return [moved[0], moved[1]]
      }
      expect(readMoved()).toEqual([2, 1])
      const { address } = region
      region = Region.map(page)
      bytes = new Uint8Array(region.buffer)
      expect(await collectUntil(() => mappedBytes(address, PAGES * page) === 0)).toBe(true)
    }
  )

  test('reports faults to the region in which they occurred', () => {
    const other = Region.map(page)
    other.protect(0, page, 'none')
    region.protect(0, page, 'none')
    new Uint8Array(other.buffer)[4] = 1
    expect([region.faults(), other.faults()]).toEqual([[], [4]])
    other.close()
    bytes[5] = 1
    expect(region.faults()).toEqual([5])
  })

  test('does not report faults of a closed region to the next one in its place', () => {
    region.protect(0, PAGES * page, 'none')
    bytes.fill(1) // more faults than are kept, and faults() is not called
    region.close()
    region = Region.map(PAGES * page)
    const again = new Uint8Array(region.buffer).fill(1)
    expect(region.faults()).toEqual([])
    region.protect(0, page, 'none')
    again[3] = 1
    expect(region.faults()).toEqual([3])
  })

  test.runIf(onWindows)('works for more than 1,024 regions on Windows', () => {
    const regions = Array.from({ length: 1025 }, () => Region.map(page))
    for (const each of regions) each.protect(0, page, 'read')
    for (const each of regions) new Uint8Array(each.buffer)[8] = 1
    expect(regions.filter(each => each.faults()[0] === 8)).toHaveLength(1025)
    for (const each of regions) each.close()
  })

  test.skipIf(onWindows)(
    'works for 1,024 regions, and throws for one more, without a change',
    () => {
      const regions = Array.from({ length: 1024 }, () => Region.map(page))
      const last = Region.map(page)
      try {
        for (const each of regions) each.protect(0, page, 'read')
        expect(() => last.protect(0, page, 'read')).toThrow(
          expect.objectContaining({
            code: 'ERR_OFFHEAP_UNSUPPORTED',
            message: expect.stringContaining('1024')
          })
        )
        new Uint8Array(last.buffer)[0] = 1
        expect(last.faults()).toEqual([])
        regions.pop()?.close()
        last.protect(0, page, 'read')
        new Uint8Array(last.buffer)[8] = 1
        expect(last.faults()).toEqual([8])
      } finally {
        for (const each of [...regions, last]) each.close()
      }
    }
  )

  describe.runIf(onLinux)('at the limit of mappings of a process', () => {
    const limit = onLinux ? Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8')) : 0
    const refused = (syscall: unknown) =>
      expect.objectContaining({ code: 'ERR_OFFHEAP_SYSTEM', syscall })

    /** Protects every other page, so that each page becomes one mapping. */
    function split(many: Region, mappings: number): void {
      for (let index = 0; index < mappings; index += 2) many.protect(index * page, page, 'none')
    }

    test('throws, and the process survives', ({ skip }) => {
      if (limit > 200_000) skip('vm.max_map_count is too high to be reached here')
      const many = Region.map(2 * limit * page)
      expect(() => split(many, 2 * limit)).toThrow(refused('mprotect'))
      const view = new Uint8Array(many.buffer)
      for (let index = 0; index < 100; index++) view[index * page] = 1
      expect(many.faults().length).toBe(50)
      many.close()
    })

    test('a fault lifts the protection of its page and of all pages after it', ({ skip }) => {
      if (limit > 200_000) skip('vm.max_map_count is too high to be reached here')
      const view = new Uint8Array(region.buffer)
      const many = Region.map(2 * limit * page)
      split(many, limit - mappings().length - 2000)
      region.protect(0, PAGES * page, 'none')
      const fillers: Region[] = []
      const fill = () => {
        for (;;) fillers.push(Region.map(page))
      }
      let values: unknown[] = []
      let error: unknown
      globalThis.gc?.()
      try {
        fill()
      } catch (thrown) {
        error = thrown
        values = [
          view[10 * page],
          view[20 * page + 1],
          view[30 * page],
          view[5 * page],
          view[7 * page]
        ]
      }
      for (const each of [...fillers, many]) each.close()
      expect(error).toEqual(refused(expect.stringMatching(/^(mmap|mprotect)$/)))
      expect(values).toEqual([1, 1, 1, 1, 1])
      expect(region.faults().slice(0, 2)).toEqual([10 * page, 5 * page])
    })
  })
})

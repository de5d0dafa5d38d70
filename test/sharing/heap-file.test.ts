/** Heaps in files: their content survives, and can be used after the file is opened again. */
import {
  closeSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Heap, type HeapFileOptions, placements } from '../../lib/index.js'
import { BOOT_ID_WORD, CLOSED, OPEN, STATE_WORD, SYNCED } from '../../lib/sharing/superblock.js'
import { expectError } from '../heap/support.js'
import { newFolder } from './support.js'

const folder = newFolder()
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const newPath = (): string => join(folder, `${files++}.heap`)
const MIB = 2 ** 20

function create(path: string, options: HeapFileOptions = {}): Heap {
  return Heap.open(path, { size: 4 * MIB, create: true, ...options })
}

const wordsOf = (path: string): Int32Array<ArrayBuffer> =>
  new Int32Array(new Uint8Array(readFileSync(path)).buffer)

/** The state word of the file, whether the heap is open or not. */
const stateOf = (path: string): number => wordsOf(path)[STATE_WORD]

/** Changes words of a file that is not open. */
function change(path: string, by: (words: Int32Array) => void): void {
  const words = wordsOf(path)
  by(words)
  writeFileSync(path, words)
}

describe.each(placements.flatMap(placement => [true, false].map(slabs => ({ placement, slabs }))))(
  'a heap file, %j',
  options => {
    test('keeps blocks, contents, root and statistics until it is opened again', () => {
      const path = newPath()
      const heap = create(path, options)
      const pointers = Array.from({ length: 200 }, (_, i) => heap.malloc(i * 3))
      for (const [i, pointer] of pointers.entries()) heap.view(pointer).fill(i)
      for (const [i, pointer] of pointers.entries()) if (i % 3 === 0) heap.free(pointer)
      heap.root = pointers[1]
      const [before, blocks] = [heap.stats(), [...heap.blocks()]]
      heap.close()
      const again = Heap.open(path)
      expect(again.recovered).toBeUndefined()
      expect(again.root).toBe(pointers[1])
      expect({ ...again.stats(), residentBytes: 0 }).toEqual({ ...before, residentBytes: 0 })
      expect([...again.blocks()]).toEqual(blocks)
      for (const [i, pointer] of pointers.entries()) {
        if (i % 3 !== 0) expect(new Set(again.view(pointer))).toEqual(new Set([i]))
      }
      again.check()
      again.close()
    })

    test('that was not closed is recovered when a copy of the file is opened', () => {
      const path = newPath()
      const copy = newPath()
      using heap = create(path, options)
      const pointers = Array.from({ length: 200 }, (_, i) => heap.malloc(i * 3))
      for (const [i, pointer] of pointers.entries()) if (i % 3 === 0) heap.free(pointer)
      copyFileSync(path, copy)
      expect(stateOf(copy)).toBe(OPEN)
      expectError(
        () => Heap.open(copy, { recover: false }),
        'ERR_OFFHEAP_UNCLEAN',
        /was not closed/
      )
      using again = Heap.open(copy)
      const { blocks } = heap.stats()
      expect(again.recovered).toEqual({
        blocks,
        undone: 0,
        milliseconds: expect.any(Number),
        rebooted: false
      })
      again.check()
      expect(again.stats().blocks).toBe(blocks)
    })
  }
)

describe('the state of a heap file', () => {
  test('is OPEN while the heap is open, and SYNCED after close()', () => {
    const path = newPath()
    const heap = create(path)
    expect(stateOf(path)).toBe(OPEN)
    expect(heap.sync()).toBe(1)
    expect(heap.sync()).toBe(2)
    heap.close()
    heap.close()
    expect(stateOf(path)).toBe(SYNCED)
    using again = Heap.open(path)
    expect(stateOf(path)).toBe(OPEN)
    expect(again.sync()).toBe(4)
  })

  test('CLOSED during an earlier boot causes a recovery', () => {
    const path = newPath()
    const heap = create(path)
    const pointer = heap.malloc(100)
    heap.close()
    change(path, words => {
      words[STATE_WORD] = CLOSED
    })
    Heap.open(path).close()
    change(path, words => {
      words[STATE_WORD] = CLOSED
      words[BOOT_ID_WORD] ^= 1
    })
    using again = Heap.open(path)
    expect(again.recovered).toMatchObject({ blocks: 1, undone: 0, rebooted: true })
    expect(again.owns(pointer)).toBe(true)
  })

  test('SYNCED during an earlier boot causes no recovery', () => {
    const path = newPath()
    create(path).close()
    change(path, words => {
      words[BOOT_ID_WORD] ^= 1
    })
    using again = Heap.open(path)
    expect(again.recovered).toBeUndefined()
  })
})

describe('the options of Heap.open', () => {
  test('a missing file is created only with create: true', () => {
    const path = newPath()
    expectError(() => Heap.open(path), 'ERR_OFFHEAP_SYSTEM', /open: ENOENT.*create: true/)
    expectError(() => Heap.open(path, { create: true }), 'ERR_INVALID_ARG_TYPE', /options.size/)
    create(path).close()
    create(path).close()
    expect(statSync(path).size).toBe(4 * MIB)
  })

  test('the size is rounded up to a multiple of 64 KiB, and must match an existing file', () => {
    const path = newPath()
    Heap.open(path, { size: 200_000, create: true }).close()
    expect(statSync(path).size).toBe(262_144)
    Heap.open(path, { size: 262_144 }).close()
    expectError(
      () => Heap.open(path, { size: 300_000 }),
      'ERR_OUT_OF_RANGE',
      /262144 bytes, the size of/
    )
    for (const size of [0, -1, 65536, 1.5, 2 ** 33 + 1, Number.NaN]) {
      expectError(
        () => Heap.open(newPath(), { size, create: true }),
        'ERR_OUT_OF_RANGE',
        /options.size/
      )
    }
  })

  test('an option that contradicts the file is rejected, and the file stays unchanged', () => {
    const path = newPath()
    create(path, { placement: 'best-fit', slabs: true }).close()
    const before = readFileSync(path)
    expectError(
      () => Heap.open(path, { placement: 'first-fit' }),
      'ERR_OUT_OF_RANGE',
      /'best-fit', as in the file/
    )
    expectError(() => Heap.open(path, { slabs: false }), 'ERR_OUT_OF_RANGE', /true, as in the file/)
    expect(readFileSync(path).equals(before)).toBe(true)
    using heap = Heap.open(path, { placement: 'best-fit', slabs: true })
    expect(heap.placement).toBe('best-fit')
  })

  test.each<[name: string, args: unknown[], code: string]>([
    ['no path', [], 'ERR_INVALID_ARG_TYPE'],
    ['an empty path', [''], 'ERR_INVALID_ARG_VALUE'],
    ['a path with a zero byte', ['a\0b'], 'ERR_INVALID_ARG_VALUE'],
    ['an unknown option', ['a', { hardened: true }], 'ERR_INVALID_ARG_VALUE'],
    ['create that is not a boolean', ['a', { create: 1, size: MIB }], 'ERR_INVALID_ARG_TYPE'],
    ['recover that is not a boolean', ['a', { recover: 'no' }], 'ERR_INVALID_ARG_TYPE'],
    ['a size that is not a number', ['a', { size: '1' }], 'ERR_INVALID_ARG_TYPE'],
    ['an unknown placement', ['a', { placement: 'worst-fit' }], 'ERR_OUT_OF_RANGE'],
    ['a folder', [folder], 'ERR_OFFHEAP_SYSTEM'],
    ['a device', ['/dev/null', { create: true, size: MIB }], 'ERR_OFFHEAP_SYSTEM']
  ])('%s is rejected', (_, args, code) => {
    expectError(() => Reflect.apply(Heap.open, Heap, args), code)
  })
})

test('heap.path is the path of the file until the heap is closed', () => {
  const path = newPath()
  const heap = create(path)
  expect(heap.path).toBe(path)
  heap.close()
  expectError(() => heap.path, 'ERR_OFFHEAP_CLOSED')
  using other = Heap.map(MIB)
  expect(other.path).toBeUndefined()
})

describe('named roots', () => {
  test('are found by name after the file is opened again', () => {
    const path = newPath()
    const heap = create(path)
    const [a, b] = [heap.malloc(8), heap.malloc(8)]
    heap.roots.set('index', a)
    heap.roots.set('naïve 🌳', b)
    heap.roots.set('none', 0)
    heap.roots.set('index', b)
    expect(heap.roots.delete('no such')).toBe(false)
    heap.close()
    using again = Heap.open(path)
    expect(again.roots.keys()).toEqual(['index', 'naïve 🌳', 'none'])
    expect(again.roots.get('index')).toBe(b)
    expect(again.roots.get('none')).toBe(0)
    expect(again.roots.get('other')).toBeUndefined()
    expect(again.roots.delete('index')).toBe(true)
    expect(again.roots.get('index')).toBeUndefined()
    again.reset()
    expect(again.roots.keys()).toEqual([])
  })

  test('are limited to 64, with names of 1 to 64 bytes', () => {
    using heap = create(newPath())
    for (let i = 0; i < 64; i++) heap.roots.set(`${i}`.padEnd(64, '.'), 0)
    expectError(
      () => heap.roots.set('one more', 0),
      'ERR_OFFHEAP_OUT_OF_MEMORY',
      /All 64 named roots/
    )
    heap.roots.delete('7'.padEnd(64, '.'))
    heap.roots.set('one more', 0)
    expect(heap.roots.keys()).toHaveLength(64)
    for (const name of ['', 'x'.repeat(65), 'é'.repeat(33), '\ud800']) {
      expectError(() => heap.roots.set(name, 0), 'ERR_INVALID_ARG_VALUE', /1 to 64 bytes/)
    }
    expectError(() => Reflect.apply(heap.roots.get, heap.roots, [1]), 'ERR_INVALID_ARG_TYPE')
  })

  test('must point to a used block', () => {
    using heap = create(newPath())
    const pointer = heap.malloc(100)
    expectError(() => heap.roots.set('a', pointer + 8), 'ERR_OFFHEAP_INVALID_POINTER', /roots.set/)
    heap.free(pointer)
    expectError(() => heap.roots.set('a', pointer), 'ERR_OFFHEAP_DOUBLE_FREE')
    expect(heap.roots.keys()).toEqual([])
  })

  test('are not supported outside files', () => {
    using heap = Heap.map(MIB)
    expectError(() => heap.roots.keys(), 'ERR_OFFHEAP_UNSUPPORTED', /not in a file/)
    expectError(() => heap.sync(), 'ERR_OFFHEAP_UNSUPPORTED', /not in a file/)
    expect(heap.recovered).toBeUndefined()
  })
})

describe('pages and disk space', () => {
  /** The bytes of disk space of a file. */
  const diskBytes = (path: string): number => statSync(path).blocks * 512

  test('disk space is reserved as the heap grows, and trim() releases it', () => {
    const path = newPath()
    using heap = Heap.open(path, { size: 64 * MIB, create: true })
    expect(statSync(path).size).toBe(64 * MIB)
    expect(diskBytes(path)).toBeLessThan(4 * MIB)
    const pointers = Array.from({ length: 32 }, () => heap.malloc(MIB))
    expect(diskBytes(path)).toBeGreaterThan(32 * MIB)
    for (const pointer of pointers) heap.u8.fill(1, pointer, pointer + MIB)
    for (const pointer of pointers.slice(1)) heap.free(pointer)
    expect(heap.trim()).toBeGreaterThan(30 * MIB)
    expect(diskBytes(path)).toBeLessThan(6 * MIB)
    const again = heap.calloc(16 * MIB, 1)
    expect(diskBytes(path)).toBeGreaterThan(17 * MIB)
    expect(heap.u8.subarray(again, again + 16 * MIB).every(byte => byte === 0)).toBe(true)
    heap.check()
  })

  test('trim() releases the pages of free blocks, which can be allocated again', () => {
    const path = newPath()
    using heap = Heap.open(path, { size: 16 * MIB, create: true })
    const [a] = [heap.malloc(8 * MIB), heap.malloc(100)]
    heap.u8.fill(1, a, a + 8 * MIB)
    heap.free(a)
    heap.trim()
    heap.check()
    expect(heap.malloc(8 * MIB)).toBe(a)
    heap.u8.fill(2, a, a + 8 * MIB)
    heap.check()
  })

  test('bytes that were never allocated can be read and written', () => {
    using heap = create(newPath())
    expect(heap.u8.at(-1)).toBe(0)
    heap.u8.fill(9, heap.u8.length - 100)
    expect(new Uint8Array(heap.buffer.slice(0)).at(-1)).toBe(9)
    heap.check()
  })
})

describe('a file that is truncated while it is open', () => {
  test.each([0, 4096, 65536, 100_000, 3 * MIB])(
    'to %i bytes: every later call throws, and nothing is written to the file',
    bytes => {
      const path = newPath()
      const heap = create(path, { slabs: true })
      const small = heap.malloc(40)
      const large = heap.malloc(3 * MIB)
      heap.u8.fill(7, large, large + 3 * MIB)
      truncateSync(path, bytes)
      const left = readFileSync(path)
      // A plain load reads zero.
      expect(heap.u8[large + 3 * MIB - 1]).toBe(0)
      heap.u8.fill(8, large, large + 3 * MIB)
      const calls: (() => unknown)[] = [
        () => heap.malloc(8),
        () => heap.malloc(8000),
        () => heap.calloc(8, 8),
        () => heap.alignedAlloc(64, 8),
        () => heap.realloc(large, 10),
        () => heap.realloc(small, 1000),
        () => heap.free(small),
        () => heap.free(large),
        () => heap.alloc(8),
        () => heap.view(large),
        () => heap.usableSize(large),
        () => heap.owns(large),
        () => heap.root,
        () => (heap.root = 0),
        () => heap.roots.get('a'),
        () => heap.roots.set('a', 0),
        () => heap.stats(),
        () => [...heap.blocks()],
        () => [...heap.freeBlocks()],
        () => heap.check(),
        () => heap.trim(),
        () => heap.reset(),
        () => heap.sync()
      ]
      for (const call of [...calls, ...calls])
        expectError(call, 'ERR_OFFHEAP_TRUNCATED', /truncated/)
      expect(heap.closed).toBe(true)
      heap.close()
      expect(readFileSync(path).equals(left)).toBe(true)
      expectError(() => heap.malloc(8), 'ERR_OFFHEAP_CLOSED')
    }
  )

  test('is detected before disk space is reserved, and before a sync', () => {
    for (const call of [(heap: Heap) => heap.sync(), (heap: Heap) => heap.malloc(3 * MIB)]) {
      const path = newPath()
      const heap = create(path)
      heap.malloc(8)
      truncateSync(path, 2 * MIB)
      expectError(() => call(heap), 'ERR_OFFHEAP_TRUNCATED')
      expectError(() => heap.malloc(8), 'ERR_OFFHEAP_TRUNCATED')
      heap.close()
      expect(statSync(path).size).toBe(2 * MIB)
    }
  })

  test('does not harm other heap files', () => {
    const [path, other] = [newPath(), newPath()]
    const heap = create(path)
    using second = create(other)
    const pointer = second.malloc(100)
    truncateSync(path, 0)
    expect(heap.u8[1000]).toBe(0)
    expectError(() => heap.malloc(8), 'ERR_OFFHEAP_TRUNCATED')
    second.free(pointer)
    second.check()
    heap.close()
  })
})

describe('the lock of a heap file', () => {
  test('makes a second open throw, with the id of the process that holds it', () => {
    const path = newPath()
    const heap = create(path)
    expectError(
      () => Heap.open(path),
      'ERR_OFFHEAP_LOCKED',
      new RegExp(`in use by process ${process.pid}`)
    )
    // Reading and closing the file elsewhere in the process does not release the lock.
    readFileSync(path)
    expectError(() => create(path), 'ERR_OFFHEAP_LOCKED')
    heap.close()
    Heap.open(path).close()
  })

  test('and other resources are released: a file can be opened any number of times', () => {
    const path = newPath()
    Heap.open(path, { size: 2 ** 17, create: true }).close()
    for (let i = 0; i < 1100; i++) Heap.open(path).close()
  })

  test('is released when opening the heap fails', () => {
    const path = newPath()
    create(path).close()
    expectError(() => Heap.open(path, { placement: 'best-fit' }), 'ERR_OUT_OF_RANGE')
    Heap.open(path).close()
  })

  test.runIf(process.platform === 'linux')(
    'no data is lost when other code closes the descriptor of the file',
    () => {
      const path = newPath()
      const heap = Heap.open(path, { size: 64 * MIB, create: true })
      const pointer = heap.malloc(100)
      for (const number of readdirSync('/proc/self/fd').map(Number)) {
        if (linkOf(number) === path) closeSync(number)
      }
      expectError(() => heap.malloc(32 * MIB), 'ERR_OFFHEAP_SYSTEM', /EBADF/)
      heap.view(pointer).fill(3)
      expectError(() => heap.close(), 'ERR_OFFHEAP_SYSTEM', /EBADF/)
      using again = Heap.open(path)
      expect(again.view(pointer)[0]).toBe(3)
    }
  )
})

function linkOf(number: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${number}`)
  } catch {
    return ''
  }
}

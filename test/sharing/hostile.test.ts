/**
 * Files without a heap, or with a damaged one: opening each throws an error that says what to do,
 * and leaves the file unchanged.
 */
import { readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Heap } from '../../lib/index.js'
import {
  FIRST_WORD,
  HARDENED,
  OPTIONS_WORD,
  PLACEMENT_WORD,
  ROOT_WORD as ROOT_IN_ARENA,
  SIZE_WORD,
  TOP_WORD
} from '../../lib/layout/header.js'
import {
  ARENA_UNITS_WORD,
  ARENAS_WORD,
  BYTE_ORDER_WORD,
  CONTROL_WORD,
  FORMATTING,
  headBytes,
  MAGIC_WORD,
  OPEN,
  ROOT_WORD,
  STATE_WORD,
  SUPERBLOCK_BYTES,
  VERSION_WORD
} from '../../lib/sharing/superblock.js'
import { expectError } from '../heap/support.js'
import { newFolder } from './support.js'

const folder = newFolder()
const path = join(folder, 'hostile.heap')
afterAll(() => rmSync(folder, { recursive: true }))

const ARENA = headBytes(0) / 4
const ROOTS = SUPERBLOCK_BYTES / 4

let sound: Int32Array
let first = 0
beforeAll(() => {
  const heap = Heap.open(path, { size: 4 * 65536, create: true })
  const pointers = Array.from({ length: 100 }, (_, i) => heap.malloc(i * 10))
  for (const pointer of pointers.filter((_, i) => i % 2 === 0)) heap.free(pointer)
  first = pointers[1]
  heap.roots.set('a', pointers[1])
  heap.close()
  sound = new Int32Array(new Uint8Array(readFileSync(path)).buffer)
})

/** Writes a file, and expects that opening it throws and leaves it unchanged. */
function refuse(bytes: Uint8Array, code: string, message: RegExp): void {
  writeFileSync(path, bytes)
  expectError(() => Heap.open(path), code, message)
  expect(readFileSync(path).equals(bytes)).toBe(true)
}

const bytesOf = (words: Int32Array): Uint8Array => new Uint8Array(words.buffer)

test.each<[what: string, change: (words: Int32Array) => void, code: string, message: RegExp]>([
  [
    'of another program',
    w => w.fill(0x2a2a2a2a, 0, 1024),
    'NOT_A_HEAP',
    /hostile.heap: it does not begin with/
  ],
  [
    'of the other byte order',
    w => void w.set([0x6f666653], MAGIC_WORD),
    'NOT_A_HEAP',
    /other byte order/
  ],
  ['of another version', w => void w.set([9], VERSION_WORD), 'NOT_A_HEAP', /version is 9/],
  [
    'with an invalid byte order',
    w => void w.set([7], BYTE_ORDER_WORD),
    'NOT_A_HEAP',
    /byte order is unknown/
  ],
  [
    'whose creation was interrupted',
    w => void w.set([FORMATTING], STATE_WORD),
    'NOT_A_HEAP',
    /create: true and a size/
  ],
  ['in an unknown state', w => void w.set([77], STATE_WORD), 'NOT_A_HEAP', /state is 77/],
  [
    'with a smaller arena',
    w => void w.set([2], ARENA_UNITS_WORD),
    'NOT_A_HEAP',
    /has 196608 bytes/
  ],
  [
    'with several arenas',
    w => void w.set([1, 3], ARENA_UNITS_WORD),
    'NOT_A_HEAP',
    /a control area of 0 bytes for 3 arenas/
  ],
  ['with a control area', w => void w.set([8], CONTROL_WORD), 'NOT_A_HEAP', /control area of 1024/],
  ['that is shared', w => void w.set([11], CONTROL_WORD), 'UNSUPPORTED', /with shared: true/],
  [
    'with a huge arena',
    w => void w.set([100_000], ARENA_UNITS_WORD),
    'TRUNCATED',
    /needs 6553665536/
  ],
  [
    'with arenas beyond the range of pointers',
    w => void w.set([2 ** 30], ARENAS_WORD),
    'NOT_A_HEAP',
    /arenas of/
  ],
  [
    'with a root outside the heap',
    w => void w.set([2 ** 25], ROOT_WORD),
    'CORRUPT',
    /root pointer/
  ],
  [
    'with a name of 65 bytes',
    w => void w.set([65], ROOTS),
    'CORRUPT',
    /named root 0 has a name of 65 bytes/
  ],
  ['with a name of negative length', w => void w.set([-1], ROOTS), 'CORRUPT', /named root 0/],
  ['with a name that is not text', w => void w.set([0xff], ROOTS + 16), 'CORRUPT', /not UTF-8/],
  [
    'with a named root outside the heap',
    w => void w.set([-8], ROOTS + 1),
    'CORRUPT',
    /outside the heap/
  ],
  [
    'with two roots of the same name',
    w => w.copyWithin(ROOTS + 32, ROOTS, ROOTS + 32),
    'CORRUPT',
    /two named roots/
  ],
  [
    'without an arena',
    w => w.fill(0, ARENA, ARENA + 32),
    'NOT_A_HEAP',
    /hostile.heap: it does not begin with/
  ],
  [
    'with an arena of another size',
    w => void w.set([1024], ARENA + SIZE_WORD),
    'CORRUPT|NOT_A_HEAP',
    /./
  ],
  [
    'with an unknown placement',
    w => void w.set([99], ARENA + PLACEMENT_WORD),
    'NOT_A_HEAP',
    /placement policy/
  ],
  [
    'that is hardened',
    w => void w.set([HARDENED], ARENA + OPTIONS_WORD),
    'NOT_A_HEAP|CORRUPT',
    /./
  ],
  [
    'with a first block at another place',
    w => void w.set([3], ARENA + FIRST_WORD),
    'NOT_A_HEAP',
    /first block/
  ],
  [
    'with a top outside its blocks',
    w => void w.set([-7], ARENA + TOP_WORD),
    'NOT_A_HEAP',
    /outside its blocks/
  ],
  [
    'with an arena whose root is outside it',
    w => void w.set([-2], ARENA + ROOT_IN_ARENA),
    'NOT_A_HEAP',
    /root pointer/
  ]
])('a file %s is rejected, and left unchanged', (_, change, code, message) => {
  const words = sound.slice()
  change(words)
  refuse(bytesOf(words), `ERR_OFFHEAP_(?:${code})`, message)
})

test.each([0, 1, 100, 4095, 4096, 65536, 100_000, 4 * 65536 - 1])(
  'a file that is too short, with %i bytes, is rejected, and left unchanged',
  bytes => {
    const code = bytes < 4096 ? 'ERR_OFFHEAP_NOT_A_HEAP' : 'ERR_OFFHEAP_TRUNCATED'
    refuse(bytesOf(sound).slice(0, bytes), code, bytes === 0 ? /no heap in .* yet/ : /./)
  }
)

test('create: true formats an empty file, and one whose creation was interrupted', () => {
  const half = sound.slice()
  half[STATE_WORD] = FORMATTING
  for (const bytes of [new Uint8Array(0), bytesOf(half), bytesOf(half).slice(0, 4096)]) {
    writeFileSync(path, bytes)
    using heap = Heap.open(path, { size: 4 * 65536, create: true })
    expect(heap.stats().blocks).toBe(0)
    expect(heap.roots.keys()).toEqual([])
    heap.check()
  }
})

test('create: true does not overwrite a file of another program', () => {
  const bytes = Buffer.from('something else'.repeat(1000))
  writeFileSync(path, bytes)
  expectError(() => Heap.open(path, { size: 4 * 65536, create: true }), 'ERR_OFFHEAP_NOT_A_HEAP')
  expect(readFileSync(path).equals(bytes)).toBe(true)
})

test('bytes after the end of a heap are not changed', () => {
  writeFileSync(path, Buffer.concat([bytesOf(sound), Buffer.from('more')]))
  Heap.open(path).close()
  expect(readFileSync(path).subarray(-4).toString()).toBe('more')
})

test('a heap whose blocks cannot be walked is not recovered, and they stay unchanged', () => {
  const words = sound.slice()
  words[STATE_WORD] = OPEN
  words.fill(-1, ARENA + first / 4 + 40, ARENA + first / 4 + 400)
  writeFileSync(path, bytesOf(words))
  expectError(
    () => Heap.open(path),
    'ERR_OFFHEAP_CORRUPT',
    /The heap in .*hostile.heap is corrupt.* recovery can't continue there/
  )
  const after = new Int32Array(new Uint8Array(readFileSync(path)).buffer)
  expect(after.subarray(ARENA + 64)).toEqual(words.subarray(ARENA + 64))
  expect(after[STATE_WORD]).toBe(OPEN)
})

test('a heap file can be opened through a symbolic link', () => {
  writeFileSync(path, bytesOf(sound))
  const link = join(folder, 'link')
  symlinkSync(path, link)
  using heap = Heap.open(link)
  expectError(() => Heap.open(path), 'ERR_OFFHEAP_LOCKED')
  heap.check()
})

/**
 * Arbitrary bytes as damage to a heap file.
 *
 *     ┌──────────┬────────────┬───────────────────────────────┐
 *     │ kind     │ length     │ patches of 6 bytes:           │
 *     │ (1 byte) │ (2 bytes)  │ place (2 bytes), word         │
 *     └──────────┴────────────┴───────────────────────────────┘
 *
 * kind: bits 0 and 1 the placement, 2 slabs, 3 not closed, 4 patches of the head alone, 5 the file
 * is cut off at `length` units of 4 bytes, 6 the file is for several processes.
 *
 * Whatever the bytes are, opening ends with a heap or a named error, and so does every call on that
 * heap.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Heap, placements } from '../../lib/index.js'
import { OPEN, STATE_WORD } from '../../lib/sharing/superblock.js'
import { newFolder } from '../sharing/support.js'
import { attempt } from './outcome.js'

export const PATCH_BYTES = 6
export const HEADER_BYTES = 3
const SLABS = 4
const UNCLEAN = 8
const HEAD_ONLY = 16
const CUT = 32
const SHARED = process.platform === 'linux' ? 64 : 0

const HEAD = 65536
/** A file that is shared has two arenas. */
const sizeOf = (kind: number): number => ((kind & SHARED) === 0 ? 2 : 3) * HEAD
/** Patches of the head go to the superblock, the control area and the first named roots. */
const headWordsOf = (kind: number): number => ((kind & SHARED) === 0 ? 1200 : 1800)

const folder = newFolder()
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const path = join(folder, 'fuzzed.heap')

const templates = new Map<number, Uint8Array>()

/** A heap file in use, without damage. */
function templateOf(kind: number): Uint8Array {
  const known = templates.get(kind)
  if (known !== undefined) return known
  const own = join(mkdtempSync(join(tmpdir(), 'offheap-fuzz-')), 'template.heap')
  const placement = placements[kind & 3]
  const heap = Heap.open(own, {
    size: sizeOf(kind),
    create: true,
    slabs: (kind & SLABS) !== 0,
    placement,
    ...((kind & SHARED) === 0 ? {} : { shared: true, arenas: 2 })
  })
  const pointers = Array.from({ length: 120 }, (_, i) => heap.malloc((i * 37) % 400))
  for (const [i, pointer] of pointers.entries()) if (i % 3 === 0) heap.free(pointer)
  heap.root = pointers[1]
  heap.roots.set('one', pointers[2])
  heap.roots.set('two', pointers[4])
  if ((kind & SHARED) !== 0) useOther(own, pointers)
  heap.close()
  const bytes = new Uint8Array(readFileSync(own))
  rmSync(own)
  templates.set(kind, bytes)
  return bytes
}

/** Another thread uses the other arena, and frees blocks of the first. */
function useOther(own: string, pointers: readonly number[]): void {
  const other = Heap.open(own, { shared: true })
  for (let i = 0; i < 120; i++) {
    const pointer = other.malloc((i * 41) % 400)
    if (i % 3 === 0) other.free(pointer)
  }
  for (const [i, pointer] of pointers.entries()) if (i % 3 === 2) other.free(pointer)
  other.close()
}

/**
 * Opens the file that `data` describes, and uses it. Returns what each call ended in. Throws a
 * finding.
 */
export function fuzzFile(data: Uint8Array): string[] {
  const kind = data[0] ?? 0
  const size = sizeOf(kind)
  const image = templateOf(kind & (7 | SHARED)).slice()
  const view = new DataView(image.buffer)
  if ((kind & UNCLEAN) !== 0) view.setInt32(STATE_WORD * 4, OPEN, true)
  const patches = new DataView(data.buffer, data.byteOffset, data.length)
  let damaged = false
  for (let at = HEADER_BYTES; at + PATCH_BYTES <= data.length; at += PATCH_BYTES) {
    const place = patches.getUint16(at, true)
    const word =
      (kind & HEAD_ONLY) !== 0 ? place % headWordsOf(kind) : (HEAD / 4 + place) % (size / 4)
    view.setUint32(word * 4, patches.getUint32(at + 2, true), true)
    damaged = true
  }
  const length = (kind & CUT) !== 0 ? ((data[1] ?? 0) + 256 * (data[2] ?? 0)) * 4 : size
  writeFileSync(path, image.subarray(0, Math.min(length, size)))
  const options = (kind & SHARED) === 0 ? {} : { shared: true, busyTimeout: 1 }
  const opened = attempt('open', () => Heap.open(path, options))
  if (!(opened.value instanceof Heap)) {
    if (!damaged && length >= size)
      throw new Error('an undamaged file was refused', { cause: opened.error })
    return [`open ${opened.code}`]
  }
  const heap = opened.value
  const outcomes = ['open ok']
  const call = (name: string, run: () => unknown): unknown => {
    const { value, code } = attempt(name, run)
    outcomes.push(`${name} ${code ?? 'ok'}`)
    return value
  }
  try {
    call('roots', () => heap.roots.keys().map(name => heap.roots.get(name)))
    call('root', () => heap.root)
    call('blocks', () => [...heap.blocks()].length)
    const pointers = [40, 900, 0, 70_000].map(size => call('malloc', () => heap.malloc(size)))
    for (const pointer of [...pointers, 8000, 9000, 20_000]) {
      if (typeof pointer === 'number') call('realloc', () => heap.realloc(pointer, 100))
      if (typeof pointer === 'number') call('free', () => heap.free(pointer))
    }
    call('stats', () => heap.stats())
    call('trim', () => heap.trim())
    call('sync', () => heap.sync())
    call('check', () => heap.check())
    call('reset', () => heap.reset())
    heap.check()
  } finally {
    heap.close()
  }
  return outcomes
}

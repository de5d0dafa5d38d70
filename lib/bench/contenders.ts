/** The contenders of `offheap bench`: their names, and how to open each. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PlacementName } from '../placement/placement.js'
import type { Allocator, Work } from './work.js'

/** In the order of the table. Heaps are named by their placement. */
export const CONTENDERS = [
  'segregated-fit',
  'first-fit',
  'Buffer.allocUnsafe',
  'Buffer.alloc',
  'new Uint8Array',
  '@thi.ng/malloc'
] as const

export type ContenderName = (typeof CONTENDERS)[number]

/** The contender that others are compared with: the one that most programs use. */
export const BASE: ContenderName = 'Buffer.alloc'

type Options = Omit<Work, 'size' | 'live'>

/** The calls of each contender, as a program would write them. */
export function labelOf(name: ContenderName, { as, cleared }: Options): string {
  switch (name) {
    case 'first-fit':
    case 'segregated-fit': {
      const calls = {
        pointer: cleared ? 'calloc' : 'malloc',
        buffer: cleared ? 'calloc, Buffer.from' : 'allocBuffer',
        array: cleared ? 'allocZeroed' : 'alloc'
      }
      return `offheap ${name}: ${calls[as]}`
    }
    case 'Buffer.allocUnsafe':
      return cleared ? 'Buffer.allocUnsafe, fill(0)' : name
    case '@thi.ng/malloc':
      return `${name}: ${cleared ? 'calloc' : 'malloc'}${as === 'pointer' ? '' : 'As'}`
    default:
      return cleared ? name : `${name} (cleared)`
  }
}

/**
 * The part of @thi.ng/malloc that is used. The package is optional, so its types may not be
 * available.
 */
interface Pool {
  malloc(size: number): number
  calloc(size: number): number
  mallocAs(type: 'u8', length: number): Uint8Array | undefined
  callocAs(type: 'u8', length: number): Uint8Array | undefined
  free(block: number | Uint8Array): boolean
}

interface PoolModule {
  readonly MemPool: new (options: { buf: ArrayBuffer }) => Pool
}

/**
 * The file of @thi.ng/malloc, as installed beside the program in `folder` or beside this package.
 */
function poolFile(folder = process.cwd()): string | undefined {
  for (const from of [join(folder, 'bench.js'), import.meta.url]) {
    try {
      return createRequire(from).resolve('@thi.ng/malloc')
    } catch {
      // Not installed here.
    }
  }
  return undefined
}

/** The contenders that are available on this machine. */
export function present(): ContenderName[] {
  return CONTENDERS.filter(name => name !== '@thi.ng/malloc' || poolFile() !== undefined)
}

/** Memory for the live blocks, their overhead, and some room. */
function roomFor({ size, live }: Work): number {
  return Math.ceil(live * (size + 64) * 1.25) + 2 ** 22
}

async function openHeap(placement: PlacementName, work: Work): Promise<Allocator> {
  const { Heap } = await import('../heap/heap.js')
  const heap = Heap.map({ placement, size: roomFor(work) })
  const { as, cleared } = work
  if (as === 'pointer') {
    const allocate = (size: number) => (cleared ? heap.calloc(1, size) : heap.malloc(size))
    return { kind: 'pointer', allocate, release: block => heap.free(block), memory: heap.u8 }
  }
  const release = (block: Uint8Array) => heap.free(block)
  if (as === 'array') {
    return cleared
      ? { kind: 'view', allocate: size => heap.allocZeroed(size), release }
      : { kind: 'view', allocate: size => heap.alloc(size), release }
  }
  return cleared
    ? {
        kind: 'view',
        allocate: size => Buffer.from(heap.buffer, heap.calloc(1, size), size),
        release
      }
    : { kind: 'view', allocate: size => heap.allocBuffer(size), release }
}

async function openPool(work: Work): Promise<Allocator> {
  const file = poolFile()
  if (file === undefined) throw new Error('@thi.ng/malloc is not installed')
  const { MemPool }: PoolModule = await import(pathToFileURL(file).href)
  const buf = new ArrayBuffer(roomFor(work))
  const pool = new MemPool({ buf })
  const { as, cleared } = work
  if (as === 'pointer') {
    const allocate = (size: number) => (cleared ? pool.calloc(size) : pool.malloc(size))
    return {
      kind: 'pointer',
      allocate,
      release: block => pool.free(block),
      memory: new Uint8Array(buf)
    }
  }
  const allocate = (size: number) => {
    const block = cleared ? pool.callocAs('u8', size) : pool.mallocAs('u8', size)
    if (block === undefined) throw new Error(`no memory for ${size} bytes`)
    return block
  }
  return { kind: 'view', allocate, release: block => pool.free(block) }
}

/** An allocator whose blocks the garbage collector frees. */
function collected(allocate: (size: number) => Uint8Array): Allocator {
  return { kind: 'view', allocate, release() {} }
}

/** Opens a contender, in a process that measures no other, so that its calls have one target. */
export async function openContender(name: ContenderName, work: Work): Promise<Allocator> {
  switch (name) {
    case 'first-fit':
    case 'segregated-fit':
      return openHeap(name, work)
    case '@thi.ng/malloc':
      return openPool(work)
    case 'Buffer.alloc':
      return collected(size => Buffer.alloc(size))
    case 'new Uint8Array':
      return collected(size => new Uint8Array(size))
    case 'Buffer.allocUnsafe':
      return work.cleared
        ? collected(size => Buffer.allocUnsafe(size).fill(0))
        : collected(size => Buffer.allocUnsafe(size))
  }
}

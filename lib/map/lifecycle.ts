/**
 * How a map begins and ends: made in a heap of its own or in one that is given, opened, closed,
 * destroyed.
 */
import { invalidType, invalidValue, OffheapError, outOfRange } from '../errors.js'
import { Heap } from '../heap/heap.js'
import { freeDirectory } from './directory.js'
import { policies } from './eviction.js'
import { MIXED, SIPHASH } from './hash.js'
import { keys } from './keys.js'
import {
  CRASH_SAFE,
  FORMAT_WORD,
  HEADER_BYTES,
  LAYOUT_VERSION,
  MAGIC,
  MAGIC_WORD,
  MAX_BYTES_F64,
  MAX_ENTRIES_F64,
  MAX_ENTRY_BYTES_F64,
  POLICY_SHIFT,
  TTL_F64
} from './layout.js'
import { MapMemory } from './memory.js'
import { flagOf, limitOf, type MapOptions, policyOf, ttlOf } from './options.js'
import { isCut, recover } from './recover.js'
import { outOfMemory } from './room.js'
import { randomSeeds, Segments } from './segments.js'
import { Table } from './table.js'

/** The heap of a map that has none: pages that nothing was written to take no memory. */
const DEFAULT_HEAP_BYTES = 2 ** 30

/** A table, and whether its heap ends with it. */
export interface Opened {
  readonly table: Table
  readonly pointer: number
  readonly ownsHeap: boolean
}

/** Makes a map. `heap` is undefined when it is to have one of its own. */
export function create(heap: Heap | undefined, options: MapOptions): Opened {
  const { eviction = 'none', hash = 'mixed', size = DEFAULT_HEAP_BYTES } = options
  const format = LAYOUT_VERSION | (policies.indexOf(policyOf(eviction)) << POLICY_SHIFT)
  const flags = flagOf('options.crashSafe', options.crashSafe) ? CRASH_SAFE : 0
  const max = limitOf('options.max', options.max)
  const maxSize = limitOf('options.maxSize', options.maxSize)
  const maxEntrySize = limitOf('options.maxEntrySize', options.maxEntrySize)
  const ttl = ttlOf('options.ttl', options.ttl)
  if (hash !== 'mixed' && hash !== 'siphash')
    throw outOfRange('options.hash', "'mixed' or 'siphash'", hash)
  if (heap !== undefined && options.size !== undefined) {
    throw invalidValue('options.size', 'is for maps with a heap of their own', options.size)
  }
  const ownsHeap = heap === undefined
  const home = heap ?? Heap.map({ size, placement: 'segregated-fit', slabs: false })
  try {
    const pointer = home.calloc(HEADER_BYTES, 1)
    if (pointer === 0) throw outOfMemory(HEADER_BYTES)
    const memory = new MapMemory(home, pointer)
    const { m, f64, at } = memory
    if (
      !Segments.make(memory, { hashKind: hash === 'siphash' ? SIPHASH : MIXED, ...randomSeeds() })
    ) {
      home.free(pointer)
      throw outOfMemory(HEADER_BYTES)
    }
    f64[at / 2 + MAX_ENTRIES_F64] = max
    f64[at / 2 + MAX_BYTES_F64] = maxSize
    f64[at / 2 + MAX_ENTRY_BYTES_F64] = maxEntrySize
    f64[at / 2 + TTL_F64] = ttl
    m[at + FORMAT_WORD] = format | flags
    m[at + MAGIC_WORD] = MAGIC
    if (ownsHeap) home.root = pointer
    return { table: new Table(home, pointer), pointer, ownsHeap }
  } catch (error) {
    if (ownsHeap) home.close()
    throw error
  }
}

/** Opens the map whose header is at `pointer`, and makes it whole if it was cut off. */
export function open(heap: Heap, pointer: number): Opened {
  if (!(heap instanceof Heap)) throw invalidType('heap', 'a Heap', heap)
  if (!heap.owns(pointer)) throw notAMap(`no block of the heap begins at byte ${pointer}`)
  const { i32 } = heap
  if (heap.usableSize(pointer) < HEADER_BYTES || i32[pointer / 4 + MAGIC_WORD] !== MAGIC) {
    throw notAMap(`the block at byte ${pointer} is something else`)
  }
  const version = i32[pointer / 4 + FORMAT_WORD] & 0xff
  if (version !== LAYOUT_VERSION)
    throw notAMap(`it has the layout version ${version}, and not ${LAYOUT_VERSION}`)
  const table = new Table(heap, pointer)
  if (isCut(table)) recover(table)
  return { table, pointer, ownsHeap: false }
}

function notAMap(why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_NOT_A_HEAP', `There is no map here: ${why}`)
}

/** Lets go of the memory; a heap of the map's own ends. */
export function close({ table, ownsHeap }: Opened): void {
  const { heap } = table.memory
  table.memory.close()
  table.segments.forget()
  if (ownsHeap) heap.close()
}

/** Frees every block of a map. */
export function destroy(opened: Opened): void {
  const { table, pointer, ownsHeap } = opened
  const { memory, segments } = table
  if (ownsHeap) {
    close(opened)
    return
  }
  segments.ready()
  keys.serial++
  const { heap, m, at } = memory
  const { directory } = segments
  m[at + MAGIC_WORD] = 0
  if (heap.root === pointer) heap.root = 0
  table.freeEntries(directory)
  freeDirectory(memory, directory)
  close(opened)
  heap.free(pointer)
}

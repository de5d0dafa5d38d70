/** Creates, opens, closes and destroys maps, in a given heap or in a heap of their own. */
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
  RECORD_BYTES_F64,
  TTL_F64
} from './layout.js'
import { MapMemory } from './memory.js'
import {
  flagOf,
  limitOf,
  type MapOptions,
  policyOf,
  type RecordKind,
  recordKindOf,
  ttlOf
} from './options.js'
import { isCut, recover } from './recover.js'
import { outOfMemory } from './room.js'
import { randomSeeds, Segments } from './segments.js'
import { Table } from './table.js'

/** The size of a map's own heap. Pages that were never written take no memory. */
const DEFAULT_HEAP_BYTES = 2 ** 30
/** From this size on, it has huge pages: random accesses to a large map miss the TLB less often. */
const HUGE_FROM_BYTES = 2 ** 26

/** An open map. `ownsHeap` says whether closing the map closes the heap. */
export interface Opened {
  readonly table: Table
  readonly pointer: number
  readonly ownsHeap: boolean
}

/** Creates a map. If `heap` is undefined, also creates a heap for it. */
export function create(heap: Heap | undefined, options: MapOptions<unknown>): Opened {
  const { eviction = 'none', hash = 'mixed', size = DEFAULT_HEAP_BYTES } = options
  const format = LAYOUT_VERSION | (policies.indexOf(policyOf(eviction)) << POLICY_SHIFT)
  const crashSafe = options.crashSafe ?? heap?.path !== undefined
  const flags = flagOf('options.crashSafe', crashSafe) ? CRASH_SAFE : 0
  const max = limitOf('options.max', options.max)
  const maxSize = limitOf('options.maxSize', options.maxSize)
  const maxEntrySize = limitOf('options.maxEntrySize', options.maxEntrySize)
  const ttl = ttlOf('options.ttl', options.ttl)
  const records = recordKindOf(options.value)
  if (hash !== 'mixed' && hash !== 'siphash')
    throw outOfRange('options.hash', "'mixed' or 'siphash'", hash)
  for (const name of ['size', 'hugePages'] as const) {
    const value = options[name]
    if (heap !== undefined && value !== undefined)
      throw invalidValue(`options.${name}`, 'must be left out when a heap is given', value)
  }
  const ownsHeap = heap === undefined
  const home = heap ?? mapHeap(size, options.hugePages)
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
    f64[at / 2 + RECORD_BYTES_F64] = records?.size ?? 0
    m[at + FORMAT_WORD] = format | flags
    m[at + MAGIC_WORD] = MAGIC
    if (ownsHeap) home.root = pointer
    return { table: new Table(home, pointer, records), pointer, ownsHeap }
  } catch (error) {
    if (ownsHeap) home.close()
    throw error
  }
}

/** Maps a heap for one map. */
function mapHeap(size: number, hugePages: boolean | undefined): Heap {
  const settings = { size, placement: 'segregated-fit', slabs: false } as const
  if (hugePages !== undefined) return Heap.map({ ...settings, hugePages })
  if (!(size >= HUGE_FROM_BYTES)) return Heap.map(settings)
  try {
    return Heap.map({ ...settings, hugePages: true })
  } catch (error) {
    // This system has no huge pages, or refuses the memory with them.
    if (!(error instanceof OffheapError)) throw error
    return Heap.map(settings)
  }
}

/**
 * Opens the map whose header is at `pointer`, and recovers it if a call was interrupted. Throws
 * ERR_INVALID_ARG_VALUE if it stores other records.
 */
export function open(heap: Heap, pointer: number, value: RecordKind | undefined): Opened {
  const table = tableAt(heap, pointer, recordKindOf(value))
  checkRecords(table)
  if (isCut(table)) recover(table)
  return { table, pointer, ownsHeap: false }
}

/** The map whose header is at `pointer`, without recovery. Throws ERR_OFFHEAP_NOT_A_HEAP. */
export function tableAt(heap: Heap, pointer: number, records?: RecordKind): Table {
  if (!(heap instanceof Heap)) throw invalidType('heap', 'a Heap', heap)
  if (!heap.owns(pointer)) throw notAMap(`no block of the heap begins at byte ${pointer}`)
  const { i32 } = heap
  if (heap.usableSize(pointer) < HEADER_BYTES || i32[pointer / 4 + MAGIC_WORD] !== MAGIC) {
    throw notAMap(`the block at byte ${pointer} does not hold the header of a map`)
  }
  const version = i32[pointer / 4 + FORMAT_WORD] & 0xff
  if (version !== LAYOUT_VERSION)
    throw notAMap(
      `its layout version is ${version}, but this offheap reads version ${LAYOUT_VERSION}`
    )
  return new Table(heap, pointer, records)
}

/** Throws ERR_INVALID_ARG_VALUE unless the map stores records of the size that its kind has. */
export function checkRecords({ memory, records }: Table): void {
  const stored = memory.f64[memory.at / 2 + RECORD_BYTES_F64]
  if (stored === (records?.size ?? 0)) return
  const given = records === undefined ? 'no struct' : `a struct of ${records.size} bytes`
  const needed =
    stored === 0
      ? 'but the map stores values of any kind: leave it out'
      : `but the map stores records of ${stored} bytes: pass the struct it was created with`
  throw invalidValue('options.value', `is ${given}, ${needed}`, records)
}

/** The error for a pointer at which there is no map. */
export function notAMap(why: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_NOT_A_HEAP', `There is no map here: ${why}`)
}

/** Closes a map, and its own heap if it has one. */
export function close({ table, ownsHeap }: Opened): void {
  const { heap } = table.memory
  table.memory.close()
  table.segments.forget()
  if (ownsHeap) heap.close()
}

/** Frees all blocks of a map, and closes it. */
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

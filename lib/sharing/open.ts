/** Creates a heap that threads share, and attaches a thread to one. */
import { constants } from 'node:buffer'
import { randomFillSync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { openAllocator } from '../engine/allocator.js'
import { type Engine, type Host, QUIET } from '../engine/engine.js'
import {
  checkRoom,
  type Header,
  ordinaryLayout,
  readHeader,
  verifyHeader,
  writeHeader
} from '../engine/format.js'
import { corrupt, invalidValue, OffheapError, outOfRange } from '../errors.js'
import { WITH_SLABS } from '../layout/header.js'
import { chunkGranules } from '../layout/slab.js'
import type { RegionOptions } from '../memory/region.js'
import { barrier, SharedMemory, sleep } from '../memory/shared-memory.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { Access, type System } from './access.js'
import { controlBytesFor, LIVES, LIVES_AT, recordOf } from './control.js'
import { type Arena, SharedEngine, type Storage } from './engine.js'
import { Outboxes } from './outbox.js'
import {
  type Geometry,
  headBytes,
  OPEN,
  PATIENCE_WORD,
  readSuperblock,
  STATE_WORD,
  UNIT_BYTES,
  writeSuperblock
} from './superblock.js'

/**
 * Identifies a shared heap in a message to another thread of the process. Plain data, so it can be
 * cloned and posted.
 */
export interface HeapHandle {
  readonly offheap: 'shared'
  /** Opaque. Identifies the memory within this process. */
  readonly id: string
}

/** How a shared heap is to be created. */
export interface SharedPlan {
  readonly policy: PlacementPolicy
  readonly slabs: boolean
  /** The number of arenas. Default: one for each processor, from 2 to 16. */
  readonly arenas: number | undefined
  /** How long a call waits for another thread, in milliseconds. Default: 10,000. */
  readonly busyTimeout: number | undefined
}

/** A shared heap, as one thread has it open. */
export interface SharedParts {
  readonly words: Int32Array<ArrayBuffer>
  open(host: Host): Engine
  readonly backing: Pick<
    SharedMemory,
    'closed' | 'pageSize' | 'decommit' | 'residentBytes' | 'close'
  >
  readonly handle: HeapHandle
}

/**
 * The maximum size of a heap: words have int32 indexes, and a view has 4 GiB at most on Node 20.
 */
const MOST_BYTES = Math.min(2 ** 33, constants.MAX_LENGTH) - UNIT_BYTES
export const DEFAULT_TIMEOUT = 10_000
/** The bounds of the default number of arenas, one for each processor. */
const [FEWEST, MOST] = [2, 16]

/**
 * Maps a new heap. Throws ERR_OUT_OF_RANGE, ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_SYSTEM,
 * ERR_OFFHEAP_UNSUPPORTED.
 */
export function mapShared(plan: SharedPlan, options: RegionOptions): SharedParts {
  const geometry = geometryOf(options.size, plan.arenas)
  const { arenas, arenaBytes, controlBytes } = geometry
  const { policy } = plan
  const slabs = hasSlabs(plan, geometry)
  checkRoom(arenaBytes, policy.name, words => ordinaryLayout(words, policy, slabs))
  const memory = SharedMemory.map(headBytes(controlBytes), arenas * arenaBytes, options)
  const head = new Int32Array(memory.head)
  const words = new Int32Array(memory.buffer)
  writeShared(head, words, geometry, policy, slabs)
  head[PATIENCE_WORD] = plan.busyTimeout ?? DEFAULT_TIMEOUT
  head[STATE_WORD] = OPEN
  return partsOf(memory, head, words, geometry)
}

/** Whether the arenas of a new heap have slabs. Small arenas have none. */
export function hasSlabs({ slabs }: { slabs: boolean }, { arenaBytes }: Geometry): boolean {
  return slabs && chunkGranules(arenaBytes / 4) > 0
}

/** Writes the superblock and empty arenas into a head and a body that are zero. */
export function writeShared(
  head: Int32Array,
  words: Int32Array,
  geometry: Geometry,
  policy: PlacementPolicy,
  slabs: boolean
): void {
  const [a, b, c, d] = randomFillSync(new Int32Array(4))
  writeSuperblock(head, geometry, [a, b, c, d])
  const length = geometry.arenaBytes / 4
  const header: Header = { policy, options: slabs ? WITH_SLABS : 0, length }
  for (let index = 0; index < geometry.arenas; index++) {
    const arena = words.subarray(index * length, (index + 1) * length)
    writeHeader(arena, header, ordinaryLayout(length, policy, slabs), 0, true)
    openAllocator(arena, header, QUIET).reset()
  }
}

/**
 * Attaches this thread to the heap of a handle. Throws ERR_OFFHEAP_CLOSED,
 * ERR_OFFHEAP_BUSY, ERR_INVALID_ARG_VALUE.
 */
export function attachShared(handle: HeapHandle): SharedParts {
  const { id } = handle
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) {
    throw invalidValue('handle.id', 'is not that of a handle from heap.handle()', id)
  }
  const memory = SharedMemory.attach(id)
  if (memory === undefined) {
    throw new OffheapError(
      'ERR_OFFHEAP_CLOSED',
      'No thread of this process has the heap of this handle open: all have closed it or ' +
        'ended, or it belongs to another process. ' +
        'Keep it open in the thread that sends the handle until the other one has attached'
    )
  }
  try {
    const head = new Int32Array(memory.head)
    const geometry = readSuperblock(head)
    return partsOf(memory, head, new Int32Array(memory.buffer), geometry)
  } catch (error) {
    memory.close()
    throw error
  }
}

/** Returns whether a value is the handle of a shared heap. */
export function isHandle(value: unknown): value is HeapHandle {
  return (
    typeof value === 'object' &&
    value !== null &&
    'offheap' in value &&
    value.offheap === 'shared' &&
    'id' in value
  )
}

function partsOf(
  memory: SharedMemory,
  head: Int32Array,
  words: Int32Array<ArrayBuffer>,
  geometry: Geometry
): SharedParts {
  let engine: SharedEngine | undefined
  return {
    words,
    handle: { offheap: 'shared', id: memory.id },
    open: host => {
      engine = openShared(memory, head, words, geometry, host)
      return engine
    },
    backing: {
      pageSize: memory.pageSize,
      get closed() {
        return memory.closed
      },
      decommit: (offset, length) => memory.decommit(offset, length),
      residentBytes: () => memory.residentBytes(),
      close: () => {
        engine?.leave()
        memory.close()
      }
    }
  }
}

function openShared(
  memory: SharedMemory,
  head: Int32Array,
  words: Int32Array,
  geometry: Geometry,
  host: Host
): SharedEngine {
  const me = memory.claim(LIVES_AT * 4, LIVES)
  if (me === 0) {
    memory.close()
    throw noLives()
  }
  return engineOn(head, words, geometry, me, systemHere(), host)
}

/** The error for a thread when all lives are taken. */
export function noLives(): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_BUSY',
    `${LIVES} threads have this heap open, and no more can; close it in one of them first`
  )
}

/**
 * The engine of the thread with the token `me`. Throws ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_BUSY.
 */
export function engineOn(
  head: Int32Array,
  words: Int32Array,
  { arenas, arenaBytes }: Geometry,
  me: number,
  system: System,
  host: Host,
  patience = head[PATIENCE_WORD],
  storage?: Storage
): SharedEngine {
  const length = arenaBytes / 4
  const openArena = (index: number, inner: Host): Arena => {
    const arena = words.subarray(index * length, (index + 1) * length)
    const allocator = openAllocator(arena, headerOf(arena), inner)
    const [base, record] = [index * arenaBytes, recordOf(index)]
    return { index, base, record, words: arena, allocator, trims: -1 }
  }
  const access = new Access(head, me, system, patience)
  return new SharedEngine(
    head,
    words,
    openArena,
    arenas,
    access,
    new Outboxes(head, arenas),
    system.fenced,
    host,
    storage
  )
}

/**
 * Reads and verifies the header of an arena. Throws ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_CORRUPT.
 */
export function headerOf(arena: Int32Array): Header {
  const header = readHeader(arena)
  const { length, policy, options } = header
  if (length !== arena.length) {
    throw corrupt(`the header of an arena of ${arena.length * 4} bytes says ${length * 4} bytes`)
  }
  if (options !== 0 && options !== WITH_SLABS)
    throw corrupt('an arena is marked as hardened, but no shared heap is hardened')
  verifyHeader(arena, ordinaryLayout(length, policy, options === WITH_SLABS))
  return header
}

/** Whether this processor reorders stores with stores, or loads with loads. */
export const reorders = process.arch !== 'x64' && process.arch !== 'ia32'

function systemHere(): System {
  return { fenced: !barrier(), reorders, barrier: () => void barrier(), sleep }
}

/** Divides a heap whose arenas have `size` bytes in total. Throws ERR_OUT_OF_RANGE. */
function geometryOf(size: number, wanted: number | undefined): Geometry {
  if (!(Number.isInteger(size) && size >= 1 && size <= MOST_BYTES)) {
    throw outOfRange(
      'options.size',
      `an integer from 1 to ${MOST_BYTES} bytes in a shared heap`,
      size
    )
  }
  return divided(size, wanted ?? arenasFor(size))
}

/** Divides a file of `size` bytes, which include the head. Throws ERR_OUT_OF_RANGE. */
export function geometryOfFile(size: number, wanted: number | undefined): Geometry {
  const arenas = wanted ?? arenasFor(size)
  const head = headBytes(controlBytesFor(arenas))
  const most = MOST_BYTES + head
  if (!(Number.isInteger(size) && size > head && size <= most)) {
    const range = `an integer from ${head + 1} to ${most} bytes in a file of ${arenas} arenas`
    throw outOfRange('options.size', range, size)
  }
  return divided(size - head, arenas)
}

/** The default number of arenas: one for each processor, as far as they fit. */
function arenasFor(size: number): number {
  const fit = Math.max(1, Math.floor(size / UNIT_BYTES))
  return Math.min(Math.max(availableParallelism(), FEWEST), MOST, fit)
}

function divided(bytes: number, arenas: number): Geometry {
  // Whole units, within the maximum size of a view.
  const units = Math.min(
    Math.ceil(bytes / arenas / UNIT_BYTES),
    Math.floor(MOST_BYTES / arenas / UNIT_BYTES)
  )
  return { arenas, arenaBytes: units * UNIT_BYTES, controlBytes: controlBytesFor(arenas) }
}

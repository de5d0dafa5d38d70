/**
 * Opens a heap in a file: checks the options, formats a new file, recovers a heap that was not
 * closed.
 */
import type { Engine, Host } from '../engine/engine.js'
import { corrupt, invalidType, invalidValue, OffheapError, outOfRange } from '../errors.js'
import {
  CUT,
  FIRST_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  OPTIONS_WORD,
  PENDING_WORD,
  TOP_WORD,
  WITH_SLABS
} from '../layout/header.js'
import { type OptionNames, readOptions } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { about, HeapFile, type Recovery } from '../sharing/heap-file.js'
import { DEFAULT_TIMEOUT, geometryOfFile, hasSlabs } from '../sharing/open.js'
import { SharedFile } from '../sharing/shared-file.js'
import { type Geometry, headBytes, totalBytes, UNIT_BYTES } from '../sharing/superblock.js'
import { humanBytes } from '../sizes.js'
import { checkSize, heapIn, metadataBytes, openEngine, type Plan, writeHeap } from './kinds.js'
import { checkSharing, planOf, type SharingOptions } from './options.js'

/** The options of Heap.open. */
export interface HeapFileOptions {
  /**
   * The size of the file in bytes, rounded up to a multiple of 64 KiB. A heap file never grows.
   * Required to create a file. For an existing file it may be left out; otherwise, it must be the
   * file's size.
   */
  readonly size?: number
  /** Whether to create the file if it does not exist. Default: false. */
  readonly create?: boolean
  /** Which free block a request gets, in a new file. Default: `first-fit`. */
  readonly placement?: PlacementName
  /** Whether a new file has slabs. Default: true for `segregated-fit`, false for the others. */
  readonly slabs?: boolean
  /**
   * Whether to recover a heap that was not closed because its process was killed. If false, such a
   * heap throws ERR_OFFHEAP_UNCLEAN, and the file is not changed. Default: true.
   */
  readonly recover?: boolean
  /**
   * Whether other processes, and other threads of this one, can have the file open at the same
   * time: see docs/sharing.md. A file is made for that or for one process at a time, and is opened
   * as it was made. Needs Linux. Default: false.
   */
  readonly shared?: boolean
  /**
   * The number of arenas of a new file that is shared, from 1 to 32. `size` is divided among them,
   * and no block is larger than an arena. Each thread of each process has an arena of its own, as
   * long as there are enough. Default: the number of processors, from 2 to 16. For a file that is
   * there it may be left out, and must be its number if it is not.
   */
  readonly arenas?: number
  /**
   * Of a file that is shared: how many milliseconds a call of this thread waits for another thread
   * or process before it throws ERR_OFFHEAP_BUSY. Default: 10,000.
   */
  readonly busyTimeout?: number
}

const fileOptions: OptionNames<HeapFileOptions> = {
  size: true,
  create: true,
  placement: true,
  slabs: true,
  recover: true,
  shared: true,
  arenas: true,
  busyTimeout: true
}

/** An open heap file, and the parts of its heap. */
export interface OpenedFile {
  readonly file: HeapFile | SharedFile
  readonly words: Int32Array<ArrayBuffer>
  readonly commit: ((bytes: number) => boolean) | undefined
  readonly open: (host: Host) => Engine
  /** Initializes or recovers the heap, once its engine is open. */
  readonly finish: (engine: Engine) => Recovery | undefined
}

/**
 * Opens the file. Throws what Heap.open throws. So may `finish`; the caller must then release the
 * file.
 */
export function openFile(path: string, options: HeapFileOptions): OpenedFile {
  if (typeof path !== 'string') throw invalidType('path', 'of type string', path)
  if (path === '' || path.includes('\0'))
    throw invalidValue('path', 'must be the path of a file', path)
  const {
    size,
    create = false,
    recover = true,
    placement,
    slabs,
    ...sharing
  } = readOptions('Heap.open', options, fileOptions)
  checkBoolean('create', create)
  checkBoolean('recover', recover)
  const plan = planOf({
    ...(placement === undefined ? {} : { placement }),
    ...(slabs === undefined ? {} : { slabs })
  })
  checkSharing(sharing, plan)
  if (sharing.shared)
    return openShared(path, { ...sharing, size, create, recover, placement, slabs }, plan)
  const arenaBytes = size === undefined ? undefined : arenaBytesOf(size, plan)
  if (create && arenaBytes === undefined)
    throw invalidType('options.size', 'of type number (bytes) to create a file', size)
  const file = HeapFile.open(path, create ? arenaBytes : undefined)
  try {
    if (file.isNew) return createIn(file, plan)
    if (arenaBytes !== undefined && arenaBytes !== file.body.byteLength) {
      const has = file.body.byteLength + headBytes(0)
      throw outOfRange('options.size', `${has} bytes, the size of ${path}, or left out`, size)
    }
    if (file.unclean && !recover) throw unclean(path)
    return openIn(file, placement, slabs)
  } catch (error) {
    file.release()
    throw about(path, error)
  }
}

function unclean(path: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_UNCLEAN',
    `The heap in ${path} was not closed. Open it with recover: true, or use "offheap recover"`
  )
}

function checkPlacement(wanted: PlacementName | undefined, found: PlacementName): void {
  if (wanted === undefined || wanted === found) return
  throw outOfRange('options.placement', `'${found}', as in the file, or left out`, wanted)
}

function checkSlabs(wanted: boolean | undefined, found: boolean): void {
  if (wanted === undefined || wanted === found) return
  throw outOfRange('options.slabs', `${found}, as in the file, or left out`, wanted)
}

function checkBoolean(name: string, value: unknown): void {
  if (typeof value !== 'boolean') throw invalidType(`options.${name}`, 'of type boolean', value)
}

/**
 * The number of bytes of the arena in a file of `size` bytes. Throws ERR_INVALID_ARG_TYPE,
 * ERR_OUT_OF_RANGE.
 */
function arenaBytesOf(size: number, plan: Plan): number {
  if (typeof size !== 'number') throw invalidType('options.size', 'of type number (bytes)', size)
  const head = headBytes(0)
  const most = 2 ** 33
  if (!(Number.isInteger(size) && size > head && size <= most)) {
    throw outOfRange(
      'options.size',
      `an integer from ${head + 1} to ${most} bytes (${humanBytes(most)})`,
      size
    )
  }
  const arenaBytes = Math.ceil((size - head) / UNIT_BYTES) * UNIT_BYTES
  checkSize(arenaBytes, plan)
  return arenaBytes
}

/** Formats the arena of a new file. */
function createIn(file: HeapFile, plan: Plan): OpenedFile {
  const metadata = metadataBytes(plan, file.body.byteLength)
  if (!file.commit(metadata)) throw file.takeRefusal() ?? corrupt('its index has no disk space')
  const words = writeHeap(file.body, plan, true)
  return {
    file,
    words,
    commit: bytes => file.commit(bytes),
    open: host => openEngine(words, host, false),
    finish: engine => {
      engine.reset()
      file.begin()
      return undefined
    }
  }
}

/** Opens the arena of an existing file. */
function openIn(
  file: HeapFile,
  placement: PlacementName | undefined,
  slabs: boolean | undefined
): OpenedFile {
  const words = heapIn(file.body)
  const hasSlabs = words[OPTIONS_WORD] === WITH_SLABS
  if (words.byteLength !== file.body.byteLength) {
    throw corrupt(
      `its header says ${words.byteLength} bytes, and its file has ${file.body.byteLength} for it`
    )
  }
  if (words[OPTIONS_WORD] !== 0 && !hasSlabs)
    throw corrupt('its header says that it is hardened, which no heap file is')
  checkSlabs(slabs, hasSlabs)
  // A copy of the file may have holes: make sure that all blocks in use have disk space.
  if (!file.commit(Math.max(words[TOP_WORD], words[FIRST_WORD]) * 4))
    throw file.takeRefusal() ?? corrupt('it has holes')
  const from = words[MOVE_FROM_WORD] * 4
  const isMoving = from !== 0 && words[MOVE_TO_WORD] !== 0
  return {
    file,
    words,
    commit: bytes => file.commit(bytes),
    open: host => {
      const engine = openEngine(words, host, false)
      checkPlacement(placement, engine.placement)
      return engine
    },
    finish: engine => {
      const start = performance.now()
      const { unclean, rebooted } = file
      if (!unclean) {
        file.begin()
        return undefined
      }
      words[PENDING_WORD] = CUT
      const { blocks } = engine.stats(0)
      // Pages that were never written to the disk may be older than others.
      if (rebooted) engine.check()
      file.begin()
      const undone = isMoving && engine.usableSize(from) >= 0 ? 1 : 0
      return { blocks, undone, milliseconds: performance.now() - start, rebooted }
    }
  }
}

/** The options of a file that is shared, each read once before. */
interface SharedOptions extends SharingOptions {
  readonly size: number | undefined
  readonly create: boolean
  readonly recover: boolean
  readonly placement: PlacementName | undefined
  readonly slabs: boolean | undefined
}

/** Opens a file that other processes can have open as well. */
function openShared(path: string, options: SharedOptions, plan: Plan): OpenedFile {
  const { size, arenas, create, recover, placement, slabs, busyTimeout } = options
  if ((size !== undefined && typeof size !== 'number') || (create && size === undefined))
    throw invalidType('options.size', 'of type number (bytes) to create a file', size)
  const wanted = create && size !== undefined ? sharedGeometry(size, arenas, plan) : undefined
  const file = SharedFile.open(path, wanted, busyTimeout ?? DEFAULT_TIMEOUT)
  try {
    if (file.isNew) file.format(plan.policy, hasSlabs(plan, file.geometry))
    else {
      const { policy, options: found } = file.header()
      checkGeometry(path, size, arenas, file.geometry)
      checkPlacement(placement, policy.name)
      checkSlabs(slabs, found === WITH_SLABS)
      if (file.unclean && !recover) throw unclean(path)
    }
    const { words } = file
    const open = (host: Host): Engine => file.attach(host)
    return { file, words, commit: undefined, open, finish: () => file.begin() }
  } catch (error) {
    file.release()
    throw about(path, error)
  }
}

/** How a new file of `size` bytes is divided. Throws ERR_OUT_OF_RANGE. */
function sharedGeometry(size: number, arenas: number | undefined, plan: Plan): Geometry {
  const geometry = geometryOfFile(size, arenas)
  checkSize(geometry.arenaBytes, plan)
  return geometry
}

/** Verifies that a file is as the options say. Throws ERR_OUT_OF_RANGE. */
function checkGeometry(
  path: string,
  size: number | undefined,
  arenas: number | undefined,
  found: Geometry
): void {
  if (arenas !== undefined && arenas !== found.arenas)
    throw outOfRange('options.arenas', `${found.arenas}, as in the file, or left out`, arenas)
  if (size === undefined) return
  if (geometryOfFile(size, found.arenas).arenaBytes === found.arenaBytes) return
  const has = totalBytes(found)
  throw outOfRange('options.size', `${has} bytes, the size of ${path}, or left out`, size)
}

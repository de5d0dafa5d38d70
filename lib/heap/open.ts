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
import { bytes } from '../memory/refusal.js'
import { type OptionNames, readOptions } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { about, HeapFile } from '../sharing/heap-file.js'
import { headBytes, UNIT_BYTES } from '../sharing/superblock.js'
import { checkSize, heapIn, metadataBytes, openEngine, type Plan, writeHeap } from './kinds.js'
import { planOf } from './options.js'

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
}

const fileOptions: OptionNames<HeapFileOptions> = {
  size: true,
  create: true,
  placement: true,
  slabs: true,
  recover: true
}

/** The result of a recovery. */
export interface Recovery {
  /** The number of used blocks and slots. */
  readonly blocks: number
  /**
   * The number of interrupted operations that were undone: 1 if a realloc had not finished its
   * copy, otherwise 0.
   */
  readonly undone: number
  /** The time that recovery took. */
  readonly milliseconds: number
  /**
   * Whether the machine was restarted since the heap was last opened. If so, pages that were not
   * synced may hold older data than others.
   */
  readonly rebooted: boolean
}

/** An open heap file, and the parts of its heap. */
export interface OpenedFile {
  readonly file: HeapFile
  readonly words: Int32Array<ArrayBuffer>
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
    slabs
  } = readOptions('Heap.open', options, fileOptions)
  checkBoolean('create', create)
  checkBoolean('recover', recover)
  const plan = planOf({
    ...(placement === undefined ? {} : { placement }),
    ...(slabs === undefined ? {} : { slabs })
  })
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
    if (file.unclean && !recover) {
      throw new OffheapError(
        'ERR_OFFHEAP_UNCLEAN',
        `The heap in ${path} was not closed. Open it with recover: true, or use "offheap recover"`
      )
    }
    return openIn(file, placement, slabs)
  } catch (error) {
    file.release()
    throw about(path, error)
  }
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
      `an integer from ${head + 1} to ${most} bytes (${bytes(most)})`,
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
  if (slabs !== undefined && slabs !== hasSlabs)
    throw outOfRange('options.slabs', `${hasSlabs}, as in the file, or left out`, slabs)
  // A copy of the file may have holes: make sure that all blocks in use have disk space.
  if (!file.commit(Math.max(words[TOP_WORD], words[FIRST_WORD]) * 4))
    throw file.takeRefusal() ?? corrupt('it has holes')
  const from = words[MOVE_FROM_WORD] * 4
  const isMoving = from !== 0 && words[MOVE_TO_WORD] !== 0
  return {
    file,
    words,
    open: host => {
      const engine = openEngine(words, host, false)
      if (placement !== undefined && placement !== engine.placement) {
        throw outOfRange(
          'options.placement',
          `'${engine.placement}', as in the file, or left out`,
          placement
        )
      }
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

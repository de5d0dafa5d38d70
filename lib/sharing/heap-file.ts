/**
 * A heap file: a superblock and arenas, mapped into memory. This module opens the file, detects the
 * state in which it was left, and moves it from one state to the next. lib/heap/open.ts makes a
 * heap of its arena. A file that several processes share has several arenas: see shared-file.ts.
 *
 *     created ──▶ FORMATTING ──▶ OPEN ──▶ SYNCED   close(), with everything on the disk
 *                                 ▲  └──▶ CLOSED   close(), after a write error of the disk
 *                                 └──────── either, opened again
 *
 * A killed process leaves OPEN. The next process that opens the file recovers the heap. It does the
 * same after CLOSED, if the machine stopped meanwhile.
 *
 * How the process survives changes to the file:
 * - The file has its full length from the beginning, as a hole. Disk space is reserved ahead of the
 *   heap's growth, so a full disk causes an error instead of a fault.
 * - If the file is truncated, the addon replaces its pages by private ones (native/files.h). The
 *   head is then zero, and the header of the arena is marked as interrupted. So the next call takes
 *   the slow path, which asks this module for the reason.
 */
import { randomFillSync } from 'node:crypto'
import { constants } from 'node:os'
import { OffheapError } from '../errors.js'
import { CUT, PENDING_WORD, TOP_WORD } from '../layout/header.js'
import { bootId, FileMapping } from '../memory/file-mapping.js'
import { controlBytesFor, MOST_ARENAS } from './control.js'
import { RootTable } from './roots.js'
import {
  BOOT_ID_WORD,
  CLOSED,
  FORMATTING,
  GENERATION_WORD,
  type Geometry,
  HOLDER_WORD,
  headBytes,
  idAt,
  MAGIC,
  MAGIC_WORD,
  OPEN,
  ROOT_BYTES,
  ROOT_WORD,
  ROOTS,
  readSuperblock,
  rootsAt,
  STATE_WORD,
  SUPERBLOCK_BYTES,
  type Superblock,
  SYNCED,
  sameId,
  totalBytes,
  UNIT_BYTES,
  writeSuperblock
} from './superblock.js'

const { errno } = constants

/** The byte that each opener of the file locks: shared, or exclusive for one process alone. */
export const USE_BYTE = 0

/** The result of a recovery. */
export interface Recovery {
  /** The number of used blocks and slots. */
  readonly blocks: number
  /**
   * The number of interrupted operations that were undone: 1 if a realloc had not finished its
   * copy, otherwise 0. In a shared file, 1 for each arena.
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

export class HeapFile {
  readonly path: string
  /** Whether several processes may open it at the same time. */
  readonly isShared: boolean
  readonly geometry: Geometry
  /** The arenas: the part of the file that a heap can access. */
  readonly body: ArrayBuffer
  /** Whether the file is new, and its arenas are not written yet. */
  readonly isNew: boolean
  /** Whether it was in use when its last user, or the machine, stopped. */
  readonly unclean: boolean
  /** Whether the machine was restarted since the file was last opened. */
  readonly rebooted: boolean
  readonly roots: RootTable
  readonly head: Int32Array
  private readonly mapping: FileMapping
  private readonly words: Int32Array
  /** The offset of the first arena in the file, in bytes. */
  readonly headBytes: number
  private readonly length: number
  /** For each arena: how many bytes from its beginning have disk space. */
  private readonly reserved: number[]
  /** The last error of `commit`, until `takeRefusal` returns it. */
  private refused: OffheapError | undefined
  private isClosed = false

  /**
   * Opens the file, and locks it for this process alone. Creates a missing file if `size`, the size
   * of the arena in bytes, is given. Throws ERR_OFFHEAP_LOCKED.
   */
  static open(path: string, size: number | undefined): HeapFile {
    const mapping = FileMapping.open(path, size === undefined ? 'write' : 'create')
    try {
      if (!mapping.lock(USE_BYTE, 'exclusive')) throw inUse(path)
      const geometry = size && { arenas: 1, arenaBytes: size, controlBytes: 0 }
      return new HeapFile(mapping, geometry || undefined, false)
    } catch (error) {
      mapping.close()
      throw error
    }
  }

  /**
   * Opens the file for inspection, whether it is in use or not. Takes no lock, and maps the pages
   * privately, so that nothing is written to the file. While another process is using the file,
   * its bytes may be inconsistent.
   */
  static look(path: string): {
    readonly file: HeapFile
    readonly block: Superblock
    readonly inUse: boolean
  } {
    const mapping = FileMapping.open(path, 'read')
    try {
      const block = readSuperblockOf(mapping)
      if (block.state === FORMATTING) throw notFinished(path)
      const file = new HeapFile(mapping, undefined, block.controlBytes > 0)
      return { file, block, inUse: mapping.isLocked(USE_BYTE) }
    } catch (error) {
      mapping.close()
      throw error
    }
  }

  /** Maps a locked file. Formats a new one with `geometry`. */
  constructor(mapping: FileMapping, geometry: Geometry | undefined, isShared: boolean) {
    this.mapping = mapping
    this.path = mapping.path
    this.isShared = isShared
    const found = superblockIn(mapping)
    this.isNew = found === undefined || found.state === FORMATTING
    if (this.isNew) {
      if (geometry === undefined) throw notFinished(mapping.path)
      create(mapping, geometry)
    }
    const block = found === undefined || this.isNew ? readSuperblockOf(mapping) : found
    verifyKind(mapping.path, block, isShared)
    this.geometry = block
    this.length = totalBytes(block)
    this.headBytes = headBytes(block.controlBytes)
    if (mapping.byteLength < this.length)
      throw tooShort(mapping.path, mapping.byteLength, this.length)
    const boot = bootId()
    this.rebooted = !this.isNew && !sameId(block.bootId, idAt(boot, 0))
    this.unclean = block.state === OPEN || (block.state === CLOSED && this.rebooted)
    const { arenas, arenaBytes } = block
    const marks = { offset: PENDING_WORD * 4, stride: arenaBytes, count: arenas, value: CUT }
    const bodyBytes = arenas * arenaBytes
    // Without disk space, a store into the head would cause a fault.
    if (mapping.mode !== 'read') mapping.reserve(0, this.headBytes + UNIT_BYTES)
    const { head, body } = mapping.map(this.headBytes, bodyBytes, marks)
    this.head = new Int32Array(head)
    this.body = body
    this.words = new Int32Array(body)
    this.reserved = new Array<number>(arenas).fill(0)
    const roots = rootsAt(block.controlBytes) / 4
    this.roots = new RootTable(this.head.subarray(roots, roots + (ROOTS * ROOT_BYTES) / 4))
    if (!this.isNew) this.verifyRoots(bodyBytes)
  }

  /** Throws ERR_OFFHEAP_CORRUPT. */
  private verifyRoots(bodyBytes: number): void {
    this.roots.check(bodyBytes)
    if (!(this.root < bodyBytes)) {
      throw new OffheapError(
        'ERR_OFFHEAP_CORRUPT',
        `The heap in ${this.path} is corrupt: its root pointer is ${this.root}, which ` +
          'lies outside the heap'
      )
    }
  }

  /** Returns whether another open file holds a lock on the byte. */
  isLocked(byte: number): boolean {
    return this.mapping.isLocked(byte)
  }

  /** Marks the heap as in use. Until close(), the next process to open the file must recover it. */
  begin(): void {
    const { head } = this
    head[HOLDER_WORD] = process.pid
    head[STATE_WORD] = OPEN
    head.set(bootId(), BOOT_ID_WORD)
  }

  /** True after close(). */
  get closed(): boolean {
    return this.isClosed
  }

  // ---- the root pointer -------------------------------------------------------------------------

  /** The root pointer, in bytes of the arena; 0 is NULL. */
  get root(): number {
    return (Atomics.load(this.head, ROOT_WORD) >>> 0) * 8
  }

  set root(pointer: number) {
    Atomics.store(this.head, ROOT_WORD, pointer / 8)
  }

  // ---- a truncated file, a full disk ------------------------------------------------------------

  /** Why the pages no longer belong to the file; undefined while they do. */
  lost(): OffheapError | undefined {
    return this.isClosed || this.head[MAGIC_WORD] === MAGIC ? undefined : truncated(this.path)
  }

  /** If the file has become shorter, unmaps it and throws ERR_OFFHEAP_TRUNCATED. */
  private verifyLength(): void {
    const lost = this.lost()
    if (lost !== undefined) throw lost
    if (this.mapping.byteLength >= this.length) return
    this.mapping.lose()
    throw truncated(this.path)
  }

  /**
   * Reserves disk space for the first `bytes` bytes of an arena. Returns false when the system
   * refuses; `takeRefusal` then returns the error. Throws ERR_OFFHEAP_TRUNCATED.
   */
  commit(bytes: number, arena = 0): boolean {
    const { pageSize, geometry } = this
    const begin = this.reserved[arena]
    if (bytes <= begin) return true
    this.verifyLength()
    const end = Math.min(Math.ceil(bytes / pageSize) * pageSize, geometry.arenaBytes)
    try {
      this.mapping.reserve(this.headBytes + arena * geometry.arenaBytes + begin, end - begin)
    } catch (error) {
      if (!(error instanceof OffheapError)) throw error
      this.refused = error
      return false
    }
    this.reserved[arena] = end
    this.refused = undefined
    return true
  }

  /** From now on, assumes disk space only up to the top of the arena. */
  forget(arena: number): void {
    this.reserved[arena] = Math.floor(this.topOf(arena) / this.pageSize) * this.pageSize
  }

  /** The top of an arena, in bytes from its beginning. */
  private topOf(arena: number): number {
    return this.words[(arena * this.geometry.arenaBytes) / 4 + TOP_WORD] * 4
  }

  /** Returns the error of the last `commit` that failed, once. */
  takeRefusal(): OffheapError | undefined {
    const { refused } = this
    this.refused = undefined
    return refused
  }

  // ---- pages ------------------------------------------------------------------------------------

  get pageSize(): number {
    return this.mapping.pageSize
  }

  residentBytes(): number {
    return this.mapping.residentBytes()
  }

  /**
   * Returns whole pages of an arena to the system; they read as zero afterwards. Also releases the
   * disk space of its wilderness. The disk space of free blocks stays reserved, so that allocating
   * them again can't fail.
   */
  decommit(offset: number, length: number): void {
    this.verifyLength()
    const { arenaBytes } = this.geometry
    const arena = Math.floor(offset / arenaBytes)
    const within = offset - arena * arenaBytes
    const keep = within < this.topOf(arena)
    try {
      this.mapping.clear(this.headBytes + offset, length, keep)
    } catch (error) {
      // Not every file system can zero a range and keep its disk space. Free blocks then stay as
      // they are.
      if (keep && error instanceof OffheapError && error.errno === errno.EOPNOTSUPP) return
      throw error
    }
    if (!keep) this.reserved[arena] = Math.min(this.reserved[arena], within)
  }

  // ---- the disk ---------------------------------------------------------------------------------

  /**
   * Writes everything to the disk, then increments the generation, and returns it. Throws
   * ERR_OFFHEAP_SYSTEM after a write error, and leaves the generation unchanged. Throws
   * ERR_OFFHEAP_TRUNCATED.
   */
  sync(): number {
    this.verifyLength()
    this.mapping.sync(0, this.length)
    this.mapping.flush()
    const generation = Atomics.add(this.head, GENERATION_WORD, 1) + 1
    this.syncHead()
    return generation >>> 0
  }

  private syncHead(): void {
    this.mapping.sync(0, SUPERBLOCK_BYTES)
    this.mapping.flush()
  }

  /**
   * Writes everything to the disk, sets the state to SYNCED, and closes the file. After a write
   * error, sets the state to CLOSED, closes the file, and throws the error. A file that was
   * truncated is left unchanged.
   */
  close(): void {
    if (this.isClosed) return
    let failure: unknown
    if (this.lost() === undefined) {
      try {
        this.sync()
        this.head[STATE_WORD] = SYNCED
        this.syncHead()
      } catch (error) {
        failure = error
        if (this.lost() === undefined) this.head[STATE_WORD] = CLOSED
      }
    }
    this.release()
    if (failure !== undefined && !isTruncation(failure)) throw failure
  }

  /** Closes the file, and leaves its state unchanged. */
  release(): void {
    this.isClosed = true
    this.mapping.close()
  }
}

/** The superblock of a file; undefined if the file is empty. Throws ERR_OFFHEAP_NOT_A_HEAP. */
function superblockIn(mapping: FileMapping): Superblock | undefined {
  return mapping.byteLength === 0 ? undefined : readSuperblockOf(mapping)
}

function readSuperblockOf(mapping: FileMapping): Superblock {
  const bytes = mapping.read(0, SUPERBLOCK_BYTES)
  try {
    return readSuperblock(new Int32Array(bytes.buffer, 0, Math.floor(bytes.length / 4)))
  } catch (error) {
    throw about(mapping.path, error)
  }
}

/** Adds the path of the file to an error about its content. */
export function about(path: string, error: unknown): unknown {
  if (!(error instanceof OffheapError)) return error
  const { code, message } = error
  if (code === 'ERR_OFFHEAP_NOT_A_HEAP')
    return new OffheapError(code, message.replace('in this memory', `in ${path}`))
  if (code !== 'ERR_OFFHEAP_CORRUPT') return error
  return new OffheapError(
    code,
    message.replace('The heap is corrupt', `The heap in ${path} is corrupt`)
  )
}

/**
 * Verifies that a file was created for several processes if `isShared`, else for one. Throws
 * ERR_OFFHEAP_UNSUPPORTED, ERR_OFFHEAP_NOT_A_HEAP.
 */
function verifyKind(path: string, block: Superblock, isShared: boolean): void {
  const { arenas, controlBytes } = block
  if (controlBytes === 0 && arenas === 1) {
    if (!isShared) return
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `The heap in ${path} was created for one process at a time: open it without "shared"`
    )
  }
  if (arenas > MOST_ARENAS || controlBytes !== controlBytesFor(arenas)) {
    throw new OffheapError(
      'ERR_OFFHEAP_NOT_A_HEAP',
      `There is no usable heap in ${path}: its superblock has a control area of ` +
        `${controlBytes} bytes for ${arenas} arenas`
    )
  }
  if (isShared) return
  throw new OffheapError(
    'ERR_OFFHEAP_UNSUPPORTED',
    `The heap in ${path} was created for several processes: open it with shared: true`
  )
}

/**
 * Writes the superblock of a new file, and sets the length of the file. The superblock comes first,
 * in one write, so every file that is not empty has the state FORMATTING until it is complete.
 */
function create(mapping: FileMapping, geometry: Geometry): void {
  mapping.resize(0)
  const words = new Int32Array(SUPERBLOCK_BYTES / 4)
  const [a, b, c, d] = randomFillSync(new Int32Array(4))
  writeSuperblock(words, geometry, [a, b, c, d])
  mapping.write(0, new Uint8Array(words.buffer))
  mapping.resize(totalBytes(geometry))
}

/** The error for a file that another process has open, which excludes this one. */
export function inUse(path: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_LOCKED', `The heap in ${path} is in use${holderOf(path)}`)
}

/** The end of that message: the process that holds the lock, if known, and what to do. */
function holderOf(path: string): string {
  const advice = '. Close it there first'
  try {
    const mapping = FileMapping.open(path, 'read')
    try {
      const { holder, state, controlBytes } = readSuperblockOf(mapping)
      const who = state === OPEN && holder > 0 ? ` by process ${holder}` : ''
      if (controlBytes === 0) return who + advice
      return `${who}, and shared by all processes that open it with shared: true${advice}`
    } finally {
      mapping.close()
    }
  } catch {
    return advice
  }
}

function notFinished(path: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_NOT_A_HEAP',
    `There is no heap in ${path} yet: the file is empty, or the process that was creating it ` +
      'has ended. Open it with create: true and a size, or delete it'
  )
}

function tooShort(path: string, bytes: number, expected: number): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_TRUNCATED',
    `${path} has ${bytes} bytes, but its heap needs ${expected}: the end of the file is ` +
      'missing. Restore it from a copy'
  )
}

function truncated(path: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_TRUNCATED',
    `The heap in ${path} is gone: the file was truncated while it was open, or the disk was ` +
      'full when a page without reserved space was written. Nothing is written to the file any ' +
      'more; close the heap, and open a copy of the file'
  )
}

function isTruncation(error: unknown): boolean {
  return error instanceof OffheapError && error.code === 'ERR_OFFHEAP_TRUNCATED'
}

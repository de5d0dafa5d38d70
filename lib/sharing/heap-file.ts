/**
 * A heap file: the superblock and the arenas, mapped. This file opens it, tells in what state it was
 * left, and takes it from one state to the next; lib/heap/open.ts makes a heap of its arena. One
 * that several processes have open at a time has several arenas: see shared-file.ts.
 *
 *     created ──▶ FORMATTING ──▶ OPEN ──▶ SYNCED   close(), with everything on the disk
 *                                 ▲  └──▶ CLOSED   close(), when the disk refused
 *                                 └──────── either, opened again
 *
 * A process that is killed leaves OPEN. Then the heap is recovered by whoever opens it next, and so
 * it is after CLOSED when the machine stopped meanwhile.
 *
 * What keeps the process alive when the file is not what it was:
 * - The file has its full length from the beginning, without disk space. That is reserved ahead, as
 *   the heap grows: a full disk is an error then, and not a fault.
 * - When somebody truncates the file, the addon cuts the pages off it (native/files.h). The head is
 *   zero then, and the header of the arena says that a call was cut off, so that the next call
 *   looks here for the reason.
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

/** The byte that is locked by whoever has the file open: shared, or for one alone. */
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
  /** Whether it is for several processes at a time. */
  readonly isShared: boolean
  readonly geometry: Geometry
  /** The arenas: all that a heap sees of the file. */
  readonly body: ArrayBuffer
  /** Is this a new file, whose arena is not written yet? */
  readonly isNew: boolean
  /** Was it in use when its last user, or the machine, stopped? */
  readonly unclean: boolean
  /** Did the machine stop since? */
  readonly rebooted: boolean
  readonly roots: RootTable
  readonly head: Int32Array
  private readonly mapping: FileMapping
  private readonly words: Int32Array
  /** Where the first arena begins in the file, in bytes. */
  readonly headBytes: number
  private readonly length: number
  /** Up to where disk space is reserved for each arena, in bytes of the arena. */
  private readonly reserved: number[]
  /** Why disk space was refused, until somebody asks. */
  private refused: OffheapError | undefined
  private isClosed = false

  /**
   * Opens and locks the file for this process alone, and makes it when `size`, the bytes of the
   * arena, is given and there is none. Throws ERR_OFFHEAP_LOCKED.
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
   * Opens the file to look at it, in use or not: without a lock, and with pages of its own, so that
   * nothing reaches the file. While somebody else works on it, its bytes may contradict each other.
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

  /** Of a file that is locked. A new one is given `geometry`. */
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
    // Without disk space for it, a store into the head would be a fault.
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

  /** Has another open file a lock on the byte? */
  isLocked(byte: number): boolean {
    return this.mapping.isLocked(byte)
  }

  /** The heap is in use from now on: until close(), whoever finds the file has to recover it. */
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

  // ---- what may go wrong ------------------------------------------------------------------------

  /** Why the pages are not the file's any more; undefined as long as they are. */
  lost(): OffheapError | undefined {
    return this.isClosed || this.head[MAGIC_WORD] === MAGIC ? undefined : truncated(this.path)
  }

  /** Throws ERR_OFFHEAP_TRUNCATED when the file is shorter than it was, and lets go of it. */
  private verifyLength(): void {
    const lost = this.lost()
    if (lost !== undefined) throw lost
    if (this.mapping.byteLength >= this.length) return
    this.mapping.lose()
    throw truncated(this.path)
  }

  /**
   * Reserves disk space for the first `bytes` bytes of an arena. False when the system refuses:
   * `takeRefusal` has the error. Throws ERR_OFFHEAP_TRUNCATED.
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

  /** Only up to the top of the arena there is disk space for certain. */
  forget(arena: number): void {
    this.reserved[arena] = Math.floor(this.topOf(arena) / this.pageSize) * this.pageSize
  }

  /** The top of an arena, in bytes of the arena. */
  private topOf(arena: number): number {
    return this.words[(arena * this.geometry.arenaBytes) / 4 + TOP_WORD] * 4
  }

  /** Why `commit` said no, if it did since this was asked last. */
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
   * Takes whole pages of an arena out of memory; they are zero afterwards. The disk space of its
   * wilderness is given back. That of free blocks stays reserved, so that they can always be used
   * again.
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
      // Not every file system can keep disk space for zeros. Then free blocks stay in memory.
      if (keep && error instanceof OffheapError && error.errno === errno.EOPNOTSUPP) return
      throw error
    }
    if (!keep) this.reserved[arena] = Math.min(this.reserved[arena], within)
  }

  // ---- the disk ---------------------------------------------------------------------------------

  /**
   * Writes everything to the disk, and then counts it as another generation. Returns that. Throws
   * ERR_OFFHEAP_SYSTEM when the disk refuses, with the generation unchanged; ERR_OFFHEAP_TRUNCATED.
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
   * Writes everything to the disk, says so in the file, and lets go of it. When the disk refuses,
   * the file says only that it was closed, and the error is thrown when the file is closed. A file
   * that was lost is left as it is.
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

  /** Lets go of the file without a change. */
  release(): void {
    this.isClosed = true
    this.mapping.close()
  }
}

/** What the file begins with; undefined for an empty file. Throws ERR_OFFHEAP_NOT_A_HEAP. */
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

/** Says which file an error about its bytes is about. */
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
 * Verifies that a file is for several processes at a time, or for one, as it is to be opened.
 * Throws ERR_OFFHEAP_UNSUPPORTED, ERR_OFFHEAP_NOT_A_HEAP.
 */
function verifyKind(path: string, block: Superblock, isShared: boolean): void {
  const { arenas, controlBytes } = block
  if (controlBytes === 0 && arenas === 1) {
    if (!isShared) return
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `The heap in ${path} was made for one process at a time: open it without "shared"`
    )
  }
  if (arenas > MOST_ARENAS || controlBytes !== controlBytesFor(arenas)) {
    throw new OffheapError(
      'ERR_OFFHEAP_NOT_A_HEAP',
      `There is no usable heap in ${path}: it says that ${arenas} arenas have a control area of ` +
        `${controlBytes} bytes`
    )
  }
  if (isShared) return
  throw new OffheapError(
    'ERR_OFFHEAP_UNSUPPORTED',
    `The heap in ${path} was made for several processes at a time: open it with shared: true`
  )
}

/**
 * Writes the superblock of a new file, and gives the file its length. The superblock comes first,
 * in one piece: a file that is not empty says from then on that it is being written.
 */
function create(mapping: FileMapping, geometry: Geometry): void {
  mapping.resize(0)
  const words = new Int32Array(SUPERBLOCK_BYTES / 4)
  const [a, b, c, d] = randomFillSync(new Int32Array(4))
  writeSuperblock(words, geometry, [a, b, c, d])
  mapping.write(0, new Uint8Array(words.buffer))
  mapping.resize(totalBytes(geometry))
}

/** The error for a file that others have open, and that can't be opened by this process, too. */
export function inUse(path: string): OffheapError {
  return new OffheapError('ERR_OFFHEAP_LOCKED', `The heap in ${path} is in use${holderOf(path)}`)
}

/** Who has the lock, as far as the file says it, and what to do about it. */
function holderOf(path: string): string {
  const advice = '. Close it there first'
  try {
    const mapping = FileMapping.open(path, 'read')
    try {
      const { holder, state, controlBytes } = readSuperblockOf(mapping)
      const who = state === OPEN && holder > 0 ? ` by process ${holder}` : ''
      if (controlBytes === 0) return who + advice
      return `${who}, and shared by all that open it with shared: true${advice}`
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
    `There is no heap in ${path} yet: the file is empty, or was being created when that ` +
      'process ended. ' +
      'Open it with create: true and a size, or delete it'
  )
}

function tooShort(path: string, bytes: number, expected: number): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_TRUNCATED',
    `${path} has ${bytes} bytes, and its heap needs ${expected}: the end of the file is ` +
      'missing. Restore it from a copy'
  )
}

function truncated(path: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_TRUNCATED',
    `The heap in ${path} is gone: somebody truncated the file while it was open, or the ` +
      'disk was too full for a page ' +
      'that the heap had not handed out. Nothing is written any more; close the heap, and ' +
      'open a copy of the file'
  )
}

function isTruncation(error: unknown): boolean {
  return error instanceof OffheapError && error.code === 'ERR_OFFHEAP_TRUNCATED'
}

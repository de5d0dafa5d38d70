/**
 * A heap file: the superblock and one arena, mapped. This file opens it, tells in what state it was
 * left, and takes it from one state to the next; lib/heap/open.ts makes a heap of its arena.
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
import { CUT, HEADER_WORDS, PENDING_WORD, TOP_WORD } from '../layout/header.js'
import { bootId, FileMapping } from '../memory/file-mapping.js'
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

export class HeapFile {
  readonly path: string
  /** The arena: all that a heap sees of the file. */
  readonly body: ArrayBuffer
  /** Is this a new file, whose arena is not written yet? */
  readonly isNew: boolean
  /** Was it in use when its last user, or the machine, stopped? */
  readonly unclean: boolean
  /** Did the machine stop since? */
  readonly rebooted: boolean
  readonly roots: RootTable
  private readonly mapping: FileMapping
  private readonly head: Int32Array
  /** The header of the arena. */
  private readonly header: Int32Array
  /** Where the arena begins in the file, in bytes. */
  readonly headBytes: number
  private readonly length: number
  /** Disk space is reserved for the body up to here. */
  private reserved = 0
  /** Why disk space was refused, until somebody asks. */
  private refused: OffheapError | undefined
  private isClosed = false

  /**
   * Opens and locks the file, and makes it when `size`, the bytes of the arena, is given and there
   * is none.
   */
  static open(path: string, size: number | undefined): HeapFile {
    const mapping = FileMapping.open(path, size === undefined ? 'write' : 'create', () =>
      holderOf(path)
    )
    try {
      return new HeapFile(mapping, size)
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
    const mapping = FileMapping.open(path, 'read', () => '')
    try {
      const block = readSuperblockOf(mapping)
      if (block.state === FORMATTING) throw notFinished(path)
      return { file: new HeapFile(mapping, undefined), block, inUse: mapping.isLocked() }
    } catch (error) {
      mapping.close()
      throw error
    }
  }

  private constructor(mapping: FileMapping, size: number | undefined) {
    this.mapping = mapping
    this.path = mapping.path
    const found = superblockIn(mapping)
    this.isNew = found === undefined || found.state === FORMATTING
    if (this.isNew) {
      if (size === undefined) throw notFinished(mapping.path)
      create(mapping, { arenas: 1, arenaBytes: size, controlBytes: 0 })
    }
    const block = found === undefined || this.isNew ? readSuperblockOf(mapping) : found
    if (block.arenas !== 1 || block.controlBytes !== 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_UNSUPPORTED',
        `The heap in ${mapping.path} was made for several threads at a time, and can't be ` +
          'opened by one alone'
      )
    }
    this.length = totalBytes(block)
    this.headBytes = headBytes(block.controlBytes)
    if (mapping.byteLength < this.length)
      throw tooShort(mapping.path, mapping.byteLength, this.length)
    const boot = bootId()
    this.rebooted = !this.isNew && !sameId(block.bootId, idAt(boot, 0))
    this.unclean = block.state === OPEN || (block.state === CLOSED && this.rebooted)
    const marks = { offset: PENDING_WORD * 4, stride: 0, count: 1, value: CUT }
    // Without disk space for it, a store into the head would be a fault.
    if (mapping.mode !== 'read') mapping.reserve(0, this.headBytes + UNIT_BYTES)
    const { head, body } = mapping.map(this.headBytes, block.arenaBytes, marks)
    this.head = new Int32Array(head)
    this.body = body
    this.header = new Int32Array(body, 0, HEADER_WORDS)
    const roots = rootsAt(block.controlBytes) / 4
    this.roots = new RootTable(this.head.subarray(roots, roots + (ROOTS * ROOT_BYTES) / 4))
    if (this.isNew) return
    this.roots.check(block.arenaBytes)
    if (!(this.root < block.arenaBytes)) {
      throw new OffheapError(
        'ERR_OFFHEAP_CORRUPT',
        `The heap in ${mapping.path} is corrupt: its root pointer is ${this.root}, which ` +
          'lies outside the heap'
      )
    }
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
    return (this.head[ROOT_WORD] >>> 0) * 8
  }

  set root(pointer: number) {
    this.head[ROOT_WORD] = pointer / 8
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
   * Reserves disk space for the first `bytes` bytes of the arena. False when the system refuses:
   * `takeRefusal` has the error. Throws ERR_OFFHEAP_TRUNCATED.
   */
  commit(bytes: number): boolean {
    if (bytes <= this.reserved) return true
    this.verifyLength()
    const end = Math.min(Math.ceil(bytes / this.pageSize) * this.pageSize, this.body.byteLength)
    try {
      this.mapping.reserve(this.headBytes + this.reserved, end - this.reserved)
    } catch (error) {
      if (!(error instanceof OffheapError)) throw error
      this.refused = error
      return false
    }
    this.reserved = end
    this.refused = undefined
    return true
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
   * Takes whole pages of the arena out of memory; they are zero afterwards. The disk space of the
   * wilderness is given back. That of free blocks stays reserved, so that they can always be used
   * again.
   */
  decommit(offset: number, length: number): void {
    this.verifyLength()
    const keep = offset < this.header[TOP_WORD] * 4
    try {
      this.mapping.clear(this.headBytes + offset, length, keep)
    } catch (error) {
      // Not every file system can keep disk space for zeros. Then free blocks stay in memory.
      if (keep && error instanceof OffheapError && error.errno === errno.EOPNOTSUPP) return
      throw error
    }
    if (!keep) this.reserved = Math.min(this.reserved, offset)
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
    this.head[GENERATION_WORD] = (this.head[GENERATION_WORD] + 1) | 0
    this.syncHead()
    return this.head[GENERATION_WORD] >>> 0
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

/** Who has the lock, as far as the file says it. */
function holderOf(path: string): string {
  try {
    const mapping = FileMapping.open(path, 'read', () => '')
    try {
      const { holder, state } = readSuperblockOf(mapping)
      return state === OPEN && holder > 0 ? ` by process ${holder}` : ''
    } finally {
      mapping.close()
    }
  } catch {
    return ''
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

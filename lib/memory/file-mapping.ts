/**
 * A file mapped into memory, shared with every process that maps it: a store into its pages is a
 * write to the file. This module wraps the system calls and explains their errors. It does not know
 * what the bytes mean.
 */
import { constants } from 'node:os'
import { invalidValue, OffheapError, type SystemFault } from '../errors.js'
import { addon, type FileAddon, type Handle } from './addon.js'
import { missingOf, systemFault } from './refusal.js'
import { guardZlib } from './zlib.js'

const { errno } = constants

/**
 * `read`: read only, with private pages. `write`: read and write. `create`: read and write, and
 * create a missing file.
 */
export type FileMode = 'read' | 'write' | 'create'

/** The lock of an open file on a byte. Several open files can hold a `shared` lock. */
export type FileLock = 'none' | 'shared' | 'exclusive'

const LOCKS = { none: 0, shared: 1, exclusive: 2 } as const

/** The prefix of the path of a named region in memory. */
const REGION = 'shm:'
/** The prefix of the files behind named regions, on the memory file system of Linux. */
const REGIONS = '/dev/shm/offheap-'

/**
 * Words of the body that are set when the file is lost: the offset of the first and the distance
 * between two, in bytes; their number; the value to set.
 */
export interface Marks {
  readonly offset: number
  readonly stride: number
  readonly count: number
  readonly value: number
}

/** The pages of a file: the head, and the body that follows it. */
export interface MappedPages {
  readonly head: ArrayBuffer
  readonly body: ArrayBuffer
}

export class FileMapping {
  readonly path: string
  readonly mode: FileMode
  private readonly native: FileAddon
  private readonly handle: Handle
  private pages: MappedPages | undefined

  private constructor(native: FileAddon, handle: Handle, path: string, mode: FileMode) {
    this.mode = mode
    this.native = native
    this.handle = handle
    this.path = path
  }

  /**
   * Opens a file, or the named region of a path `shm:name`, without a lock. Throws
   * ERR_OFFHEAP_SYSTEM, ERR_OFFHEAP_UNSUPPORTED, ERR_INVALID_ARG_VALUE.
   */
  static open(path: string, mode: FileMode): FileMapping {
    const native = addon()
    const isRegion = path.startsWith(REGION)
    const place = isRegion ? placeOf(path) : path
    try {
      const handle = native.openFile(place, mode !== 'read', mode === 'create', isRegion)
      return new FileMapping(native, handle, path, mode)
    } catch (error) {
      throw refusalOf(error, path, 'open')
    }
  }

  /** The page size of this system, in bytes. */
  get pageSize(): number {
    return this.native.pageSize
  }

  /** The current length of the file, in bytes. */
  get byteLength(): number {
    return this.ask('look at', () => this.native.fileLength(this.handle))
  }

  /**
   * Sets the lock of this open file on a byte, which may be beyond the end of the file. Returns
   * false, and changes nothing, when the lock of another open file excludes that. A lock is
   * released when the file is closed, and when the process ends, however it ends.
   */
  lock(byte: number, lock: FileLock): boolean {
    return this.ask('lock', () => this.native.lockFile(this.handle, byte, LOCKS[lock]))
  }

  /** Returns whether another open file holds a lock on the byte. */
  isLocked(byte: number): boolean {
    return this.ask('look at', () => this.native.isFileLocked(this.handle, byte))
  }

  /**
   * Claims a life for this thread: one of `count` words, the first at byte `offset` of the head,
   * becomes odd until the file is closed or the thread ends. Also locks the byte of that life;
   * `byte` is that of the first one. If the process is killed, the word stays odd, but the lock is
   * released. Returns a token of the life, or 0 when all are taken.
   */
  claim(offset: number, count: number, byte: number): number {
    return this.ask('lock', () => this.native.claimFile(this.handle, offset, count, byte))
  }

  /** Reads up to `length` bytes from an offset. Returns fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length)
    const count = this.ask('read', () => this.native.readFile(this.handle, bytes, offset))
    return bytes.slice(0, count)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.ask('write', () => this.native.writeFile(this.handle, bytes, offset))
  }

  /** Sets the length of the file. Added bytes are zero, and have no disk space. */
  resize(length: number): void {
    this.ask('resize', () => this.native.resizeFile(this.handle, length))
  }

  /** Reserves disk space. Throws ERR_OFFHEAP_SYSTEM, with ENOSPC when the disk is full. */
  reserve(offset: number, length: number): void {
    this.ask('reserve disk space for', () => this.native.reserveFile(this.handle, offset, length))
  }

  /**
   * Sets whole pages to zero, and returns their memory to the system. With `keep`, their disk space
   * stays reserved.
   */
  clear(offset: number, length: number, keep: boolean): void {
    this.ask('release pages of', () => this.native.clearFile(this.handle, offset, length, keep))
  }

  /** Maps the beginning of the file. Both sizes are multiples of the page size. */
  map(headBytes: number, bodyBytes: number, marks: Marks): MappedPages {
    const { offset, stride, count, value } = marks
    this.pages = this.ask('map', () =>
      this.native.mapFile(this.handle, headBytes, bodyBytes, offset, stride, count, value)
    )
    return this.pages
  }

  /** Writes mapped pages to the disk, and waits until that is done. */
  sync(offset: number, length: number): void {
    this.ask('write to the disk', () => this.native.syncFile(this.handle, offset, length))
  }

  /** Flushes the write cache of the disk, and waits until that is done. */
  flush(): void {
    this.ask('write to the disk', () => this.native.flushFile(this.handle))
  }

  /** Detaches the pages from the file: from now on they are zero, except for the marks. */
  lose(): void {
    this.ask('unmap', () => this.native.loseFile(this.handle))
  }

  /** The bytes of the body that are in physical memory. */
  residentBytes(): number {
    return this.ask('count the pages of', () => this.native.residentFileBytes(this.handle))
  }

  /**
   * Detaches both buffers, and closes the file. The system writes the pages to the disk, now or
   * later.
   */
  close(): void {
    guardZlib()
    this.ask('unmap', () => this.native.closeFile(this.handle, this.pages?.head, this.pages?.body))
  }

  private ask<Result>(verb: string, call: () => Result): Result {
    try {
      return call()
    } catch (error) {
      throw refusalOf(error, this.path, verb)
    }
  }
}

/** The id of the current boot of the machine: four words. */
export function bootId(): Int32Array {
  try {
    return addon().bootId()
  } catch (error) {
    throw refusalOf(error, 'the machine', 'identify the boot of')
  }
}

/** The file of a named region. Throws ERR_INVALID_ARG_VALUE, ERR_OFFHEAP_UNSUPPORTED. */
function placeOf(path: string): string {
  const name = path.slice(REGION.length)
  if (!/^[\w.-]{1,200}$/.test(name)) {
    const rule = "must be 'shm:' and a name of 1 to 200 letters, digits, '.', '-' and '_'"
    throw invalidValue('path', rule, path)
  }
  if (process.platform === 'linux') return REGIONS + name
  throw new OffheapError(
    'ERR_OFFHEAP_UNSUPPORTED',
    `${path}: named regions in memory need Linux. Use a file instead`
  )
}

function refusalOf(error: unknown, path: string, verb: string): unknown {
  const fault = systemFault(error)
  if (fault === undefined) {
    const unsupported =
      error instanceof Error && 'code' in error && error.code === 'ERR_OFFHEAP_UNSUPPORTED'
    return unsupported ? new OffheapError('ERR_OFFHEAP_UNSUPPORTED', error.message) : error
  }
  const name =
    Object.entries(errno).find(([, number]) => number === fault.errno)?.[0] ??
    `error ${fault.errno}`
  const what = `The system refused to ${verb} ${path} (${fault.syscall}: ${name})`
  const missing = missingOf(fault)
  if (missing !== undefined)
    return new OffheapError('ERR_OFFHEAP_UNSUPPORTED', `${what}: ${missing}`, fault)
  return new OffheapError('ERR_OFFHEAP_SYSTEM', `${what}: ${meaning(fault, path)}`, fault)
}

function meaning({ errno: number, syscall }: SystemFault, path: string): string {
  switch (number) {
    case errno.ENOENT:
      return 'there is no such file, or no such folder. create: true creates the file'
    case errno.EACCES:
    case errno.EPERM:
    case errno.EROFS:
      return path.startsWith(REGION) && number === errno.EPERM
        ? 'it belongs to another user. Choose another name, or use a file'
        : 'this process needs permission to read and write it'
    case errno.EISDIR:
    case errno.EINVAL:
      return syscall === 'open'
        ? 'a heap needs a regular file'
        : 'the file system does not support it'
    case errno.ENOSPC:
    case errno.EDQUOT:
      return 'the disk is full, or the quota is exceeded. Free some space, and try again'
    case errno.EFBIG:
      return 'the file would be larger than the file system, or "ulimit -f", allows'
    case errno.EIO:
      return 'the disk failed, and data that was not written may be lost'
    case errno.EOPNOTSUPP:
      return 'the file system does not support it'
    case errno.EBADF:
      return 'other code in this process closed its file descriptor'
    case errno.EMFILE:
    case errno.ENFILE:
    case errno.ENOMEM:
      return 'this process or the machine has reached its limit of open files or memory'
    default:
      return 'it gave no further reason'
  }
}

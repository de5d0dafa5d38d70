/**
 * A file that is mapped into memory and shared with whoever maps it as well: what is stored in its
 * pages is in the file. It knows the system calls and what their errors mean; what the bytes mean
 * is no matter here.
 */
import { constants } from 'node:os'
import { invalidValue, OffheapError, type SystemFault } from '../errors.js'
import { addon, type FileAddon, type Handle } from './addon.js'
import { missingOf, systemFault } from './refusal.js'
import { guardZlib } from './zlib.js'

const { errno } = constants

/**
 * `read`: to look at, and mapped with pages of its own. `write`: to read and write. `create`: the
 * same, and a file that is not there is made.
 */
export type FileMode = 'read' | 'write' | 'create'

/** What an open file can hold of a byte. Others can hold a `shared` lock at the same time. */
export type FileLock = 'none' | 'shared' | 'exclusive'

const LOCKS = { none: 0, shared: 1, exclusive: 2 } as const

/** What the path of a named region in memory begins with. */
const REGION = 'shm:'
/** Where Linux has files in memory, and what the names of ours begin with there. */
const REGIONS = '/dev/shm/offheap-'

/**
 * Words of the body that are set when the file is lost: the first, how far apart in bytes, how
 * many, and their value.
 */
export interface Marks {
  readonly offset: number
  readonly stride: number
  readonly count: number
  readonly value: number
}

/** The pages of a file: its first bytes, and the rest. */
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
   * Opens a file, or the region in memory that `shm:name` names, without a lock. Throws
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

  /** Bytes of a page of this system. */
  get pageSize(): number {
    return this.native.pageSize
  }

  /** The length of the file now, in bytes. */
  get byteLength(): number {
    return this.ask('look at', () => this.native.fileLength(this.handle))
  }

  /**
   * Sets the lock of this open file on a byte, which need not exist. False, with nothing changed,
   * when another open file has a lock that excludes it. Locks end when the file is closed, and when
   * the process ends, however it ends.
   */
  lock(byte: number, lock: FileLock): boolean {
    return this.ask('lock', () => this.native.lockFile(this.handle, byte, LOCKS[lock]))
  }

  /** Has another open file a lock on the byte? */
  isLocked(byte: number): boolean {
    return this.ask('look at', () => this.native.isFileLocked(this.handle, byte))
  }

  /**
   * Makes this thread one of those that live: one of `count` words from byte `offset` of the head
   * on is odd from now on, until the file is closed or the thread ends. If its process is killed
   * the word stays odd, but the lock of its byte, one of those from `byte` on, ends. Returns a
   * token of that life, or 0 when all are taken.
   */
  claim(offset: number, count: number, byte: number): number {
    return this.ask('lock', () => this.native.claimFile(this.handle, offset, count, byte))
  }

  /** Reads up to `length` bytes from an offset on, as many as the file has. */
  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length)
    const count = this.ask('read', () => this.native.readFile(this.handle, bytes, offset))
    return bytes.slice(0, count)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.ask('write', () => this.native.writeFile(this.handle, bytes, offset))
  }

  /** Sets the length of the file. What is new is zero, and has no disk space. */
  resize(length: number): void {
    this.ask('resize', () => this.native.resizeFile(this.handle, length))
  }

  /** Reserves disk space. Throws ERR_OFFHEAP_SYSTEM, with ENOSPC when the disk is full. */
  reserve(offset: number, length: number): void {
    this.ask('reserve disk space for', () => this.native.reserveFile(this.handle, offset, length))
  }

  /**
   * Makes whole pages zero, and takes them out of memory; their disk space stays reserved if
   * `keep`.
   */
  clear(offset: number, length: number, keep: boolean): void {
    this.ask('give back pages of', () => this.native.clearFile(this.handle, offset, length, keep))
  }

  /** Maps the first bytes of the file, all in whole pages. */
  map(headBytes: number, bodyBytes: number, marks: Marks): MappedPages {
    const { offset, stride, count, value } = marks
    this.pages = this.ask('map', () =>
      this.native.mapFile(this.handle, headBytes, bodyBytes, offset, stride, count, value)
    )
    return this.pages
  }

  /** Writes mapped pages to the disk, and waits for it. */
  sync(offset: number, length: number): void {
    this.ask('write to the disk', () => this.native.syncFile(this.handle, offset, length))
  }

  /** Has the disk write what it holds in memory of its own, and waits for it. */
  flush(): void {
    this.ask('write to the disk', () => this.native.flushFile(this.handle))
  }

  /** Cuts the pages off the file: they are zero from now on, but for the marks. */
  lose(): void {
    this.ask('unmap', () => this.native.loseFile(this.handle))
  }

  /** The bytes of the body that are in physical memory. */
  residentBytes(): number {
    return this.ask('count the pages of', () => this.native.residentFileBytes(this.handle))
  }

  /**
   * Detaches both buffers, and closes the file. What is in its pages reaches the file, now or
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

/** The boot of the machine that goes on now: four words. */
export function bootId(): Int32Array {
  try {
    return addon().bootId()
  } catch (error) {
    throw refusalOf(error, 'the machine', 'identify the boot of')
  }
}

/** The file behind a named region in memory. Throws ERR_INVALID_ARG_VALUE, ERR_OFFHEAP_UNSUPPORTED. */
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
      return 'there is no such file, or no such folder. With create: true the file is made'
    case errno.EACCES:
    case errno.EPERM:
    case errno.EROFS:
      return path.startsWith(REGION) && number === errno.EPERM
        ? 'it belongs to another user. Choose another name, or use a file'
        : 'this process must be allowed to read and to write it'
    case errno.EISDIR:
    case errno.EINVAL:
      return syscall === 'open'
        ? 'a heap needs an ordinary file'
        : 'the file system can not do that'
    case errno.ENOSPC:
    case errno.EDQUOT:
      return 'the disk is full, or the quota is used up. Make room, and try again'
    case errno.EFBIG:
      return 'the file would be larger than the file system, or "ulimit -f", allows'
    case errno.EIO:
      return 'the disk failed, and what was not written may be lost'
    case errno.EOPNOTSUPP:
      return 'the file system can not do that'
    case errno.EBADF:
      return 'some other code of this process closed its file descriptor'
    case errno.EMFILE:
    case errno.ENFILE:
    case errno.ENOMEM:
      return 'a limit of this process or of the machine is reached: open files, or memory'
    default:
      return 'it gave no further reason'
  }
}

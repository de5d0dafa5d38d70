/**
 * Memory mapped by the operating system, as an `ArrayBuffer` that can be closed explicitly. Region
 * manages pages; it knows nothing of blocks.
 */
import { constants } from 'node:buffer'
import { type InspectOptionsStylized, inspect } from 'node:util'
import { invalidType, OffheapError, outOfRange } from '../errors.js'
import { publish } from '../events.js'
import { INSIDE, illegalConstructor, inspectAs, isSealed, seal } from '../inspect.js'
import { type OptionNames, readOptions } from '../options.js'
import { type Access, type Addon, addon, type Mapped } from './addon.js'
import { refusal } from './refusal.js'
import { guardZlib } from './zlib.js'

export interface RegionOptions {
  /**
   * The size in bytes, an integer from 1; rounded up to whole pages. A page takes no memory before
   * its first access.
   */
  readonly size: number
  /**
   * Requests transparent huge pages (2 MiB), which cause fewer TLB misses. A region of 2 MiB or
   * more then begins at a multiple of 2 MiB. Linux only; throws ERR_OFFHEAP_UNSUPPORTED elsewhere.
   * Default: false.
   */
  readonly hugePages?: boolean
  /** Commits every page now instead of at its first access. Default: false. */
  readonly populate?: boolean
  /**
   * Commits every page and locks it in RAM, so it is never swapped out. `RLIMIT_MEMLOCK`, or the
   * working set on Windows, limits the size. Default: false.
   */
  readonly lock?: boolean
  /**
   * Puts an inaccessible page before and after the region, so that native code that overruns it
   * causes a fault. Default: true.
   */
  readonly guard?: boolean
}

export const regionOptions: OptionNames<RegionOptions> = {
  size: true,
  hugePages: true,
  populate: true,
  lock: true,
  guard: true
}

/** The allowed accesses to a page. */
export type Protection = 'none' | 'read' | 'readwrite'

const ACCESS: Readonly<Record<Protection, Access>> = { none: 0, read: 1, readwrite: 2 }

interface Settings {
  readonly size: number
  readonly guard: boolean
  readonly hugePages: boolean
  readonly populate: boolean
  readonly lock: boolean
}

/**
 * A region of mapped memory.
 *
 * `close()` unmaps it. Otherwise it is unmapped when neither the region nor its buffer is reachable
 * any more. `buffer.transfer()` moves the memory to the new buffer: the region is then closed, and
 * the memory lives as long as the new buffer.
 */
export class Region {
  private readonly addon: Addon
  private readonly mapped: Mapped
  private readonly locked: boolean
  private readonly state = { closed: false }

  private constructor(inside: typeof INSIDE, native: Addon, mapped: Mapped, locked: boolean) {
    if (inside !== INSIDE) throw illegalConstructor('Region.map(size)')
    this.addon = native
    this.mapped = mapped
    this.locked = locked
    seal(this, 'This region; send region.buffer instead, whose bytes are copied')
  }

  /**
   * Maps private zeroed memory.
   * @param options a size in bytes, or an object with a size and options. The size is an integer
   *   from 1 to the maximum of this version of Node (`buffer.constants.MAX_LENGTH`: 4 GiB on Node
   *   20), and is rounded up to whole pages
   * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for an unknown option;
   *   RangeError `ERR_OUT_OF_RANGE`; OffheapError `ERR_OFFHEAP_SYSTEM` if the system refuses,
   *   `ERR_OFFHEAP_UNSUPPORTED` if this platform or version of Node does not support it,
   *   `ERR_OFFHEAP_NO_ADDON`
   */
  static map(options: number | RegionOptions): Region {
    const settings = settingsOf(options)
    const { size, guard, hugePages, populate, lock } = settings
    const native = addon()
    let mapped: Mapped
    try {
      mapped = native.map(size, guard, hugePages, populate, lock)
    } catch (error) {
      const verb = lock ? 'map and lock' : 'map'
      throw refusal(error, { verb, size, locked: lock, lockLimit: native.lockLimit() })
    }
    const region = new Region(INSIDE, native, mapped, lock)
    publish('offheap:map', () => ({ region, size: region.byteLength }))
    return region
  }

  /** The memory. Detached (of length 0) once the region is closed. */
  get buffer(): ArrayBuffer {
    return this.mapped.buffer
  }

  /** The size in bytes, a multiple of `pageSize`; 0 once the region is closed. */
  get byteLength(): number {
    return this.mapped.buffer.byteLength
  }

  /** The address of the first byte, also after `close()`. */
  get address(): bigint {
    return this.mapped.address
  }

  /** The page size of this system, in bytes. */
  get pageSize(): number {
    return this.addon.pageSize
  }

  /** True after `close()`, and when the buffer was transferred away. */
  get closed(): boolean {
    // A region has at least one page, so only a detached buffer is empty.
    return this.state.closed || this.mapped.buffer.byteLength === 0
  }

  /**
   * Commits whole pages, and returns whether the system has memory for them. Only Windows needs
   * this: there, a system call that writes to an uncommitted page (`fs.readSync`) fails with
   * `EFAULT`, or `EACCES` in Node 20. An access from JavaScript commits the page, and ends the
   * process if the system has no memory left; this method returns false instead. On Linux and macOS
   * it does nothing and returns true. A heap calls it as it grows.
   * @param offset the first byte, a multiple of `pageSize`
   * @param length the number of bytes, a multiple of `pageSize`; 0 does nothing
   * @throws RangeError `ERR_OUT_OF_RANGE`; OffheapError `ERR_OFFHEAP_CLOSED`
   */
  commit(offset: number, length: number): boolean {
    this.assertPages(offset, length)
    if (!this.addon.chargesCommit) return true
    try {
      this.ask('commit', length, ({ handle, buffer }) =>
        this.addon.commit(handle, buffer, offset, length)
      )
      return true
    } catch (error) {
      if (error instanceof OffheapError && error.code === 'ERR_OFFHEAP_SYSTEM') return false
      throw error
    }
  }

  /**
   * Returns whole pages to the system. They take no memory until the next access. They are then
   * zero, readable and writable, even if they were protected.
   * @param offset the first byte, a multiple of `pageSize`
   * @param length the number of bytes, a multiple of `pageSize`; 0 does nothing
   * @throws RangeError `ERR_OUT_OF_RANGE`; OffheapError `ERR_OFFHEAP_CLOSED`, or
   *   `ERR_OFFHEAP_SYSTEM` for a locked region
   */
  decommit(offset: number, length: number): void {
    this.assertPages(offset, length)
    this.ask('release', length, ({ handle, buffer }) =>
      this.addon.decommit(handle, buffer, offset, length)
    )
  }

  /**
   * Returns the size of the pages that are in memory now, in bytes: a multiple of `pageSize`.
   * Protected pages count. A page that was only read counts too, although the system may map its
   * shared page of zeros there (with `hugePages`, 2 MiB at a time). A page that is swapped out does
   * not count, nor does, on Windows, a page that allows no access.
   * @throws OffheapError `ERR_OFFHEAP_CLOSED`, `ERR_OFFHEAP_SYSTEM`
   */
  residentBytes(): number {
    return this.ask('count the pages of', this.byteLength, ({ handle, buffer }) =>
      this.addon.residentBytes(handle, buffer)
    )
  }

  /**
   * Sets the allowed accesses to whole pages.
   *
   * A forbidden access does not end the process. Instead, the page becomes readable and writable
   * again, `faults()` reports the offset of the access, and the access is repeated. A system call
   * that accesses such a page (`fs.readSync`) fails with `EFAULT`, and the page stays protected. On
   * Windows, `fs.writeSync` fails with `UNKNOWN`, and in Node 20 `fs.readSync` with `EACCES`.
   *
   * Protecting every other page costs one mapping for each page, and Linux limits the mappings of a
   * process (`vm.max_map_count`). At that limit, a forbidden access lifts the protection of its
   * page and of all pages after it. A process at its limit of writable memory (`RLIMIT_DATA`,
   * "ulimit -d") survives 512 forbidden accesses. If the system refuses in the middle of many
   * pages, the first of them may have the new mode.
   *
   * The first protection in a process installs a handler for SIGSEGV (on macOS also for SIGBUS; on
   * Windows, the first region adds a vectored exception handler, and `process.on('SIGSEGV')` has no
   * effect). The handler passes every other fault on to the one that was installed before. A later
   * `process.on('SIGSEGV')` replaces it: a forbidden access then makes the process hang, as does
   * any fault with such a listener. After the listener is removed, the next protection installs the
   * handler again.
   * @param offset the first byte, a multiple of `pageSize`
   * @param length the number of bytes, a multiple of `pageSize`; 0 does nothing
   * @param mode `'none'`: no access; `'read'`: no writing; `'readwrite'`: as mapped
   * @throws TypeError `ERR_INVALID_ARG_TYPE`; RangeError `ERR_OUT_OF_RANGE`; OffheapError
   *   `ERR_OFFHEAP_CLOSED`, `ERR_OFFHEAP_SYSTEM`, or `ERR_OFFHEAP_UNSUPPORTED` if 1,024 other open
   *   regions have used protection; Windows has no such limit
   */
  protect(offset: number, length: number, mode: Protection): void {
    if (typeof mode !== 'string') throw invalidType('mode', 'of type string', mode)
    if (!Object.hasOwn(ACCESS, mode))
      throw outOfRange('mode', "'none', 'read' or 'readwrite'", mode)
    this.assertPages(offset, length)
    this.ask('protect', length, ({ handle, buffer }) =>
      this.addon.protect(handle, buffer, offset, length, ACCESS[mode])
    )
  }

  /**
   * Returns the byte offsets of forbidden accesses since the last call, in order. Each page is
   * reported once, since the first access lifts its protection. At most the first 256 are kept.
   * @throws OffheapError `ERR_OFFHEAP_CLOSED`
   */
  faults(): number[] {
    return this.ask('read the faults of', this.byteLength, ({ handle, buffer }) =>
      this.addon.faults(handle, buffer)
    )
  }

  /**
   * Detaches the buffer, so that every view of it has length 0, and returns the memory to the
   * system at once. A second call does nothing. Memory that was transferred stays with its new
   * buffer.
   *
   * Asynchronous operations that still use a view (`fs.read`, `crypto`, a socket) do no harm: they
   * read zeros, and what they write is discarded. The addresses stay reserved until the buffer and
   * its views are collected. zlib fails with `ERR_OFFHEAP_CLOSED` if it has more input to read.
   * @throws OffheapError `ERR_OFFHEAP_SYSTEM` if the system refuses; the region then stays open and
   *   unchanged
   */
  close(): void {
    if (this.closed) {
      this.state.closed = true
      return
    }
    const size = this.byteLength
    guardZlib()
    this.ask('release', size, ({ handle, buffer }) => this.addon.close(handle, buffer))
    this.state.closed = true
    publish('offheap:close', () => ({ region: this, size }))
  }

  /** Closes the region at the end of a `using` block; see `close()`. */
  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'Region'
  }

  /** The properties shown by JSON.stringify and console.log. */
  toJSON(): { size: number; closed: boolean } {
    return { size: this.byteLength, closed: this.closed }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Region', isSealed(this) ? this.toJSON() : {}, depth, options)
  }

  private assertOpen(): void {
    if (!this.closed) return
    const reason = this.state.closed
      ? 'The region is closed'
      : 'The buffer of the region was transferred'
    throw new OffheapError('ERR_OFFHEAP_CLOSED', `${reason}; map another with Region.map(size).`)
  }

  private assertPages(offset: number, length: number): void {
    this.assertOpen()
    assertPageMultiple('offset', offset, this.byteLength, this.pageSize)
    assertPageMultiple('length', length, this.byteLength - offset, this.pageSize)
  }

  private ask<Result>(verb: string, size: number, call: (mapped: Mapped) => Result): Result {
    this.assertOpen()
    try {
      return call(this.mapped)
    } catch (error) {
      throw refusal(error, { verb, size, locked: this.locked, lockLimit: this.addon.lockLimit() })
    }
  }
}

/** Returns whether a value is a region, or a proxy for one. */
export function isRegion(value: unknown): value is Region {
  return value instanceof Region && isSealed(value)
}

function assertPageMultiple(name: string, value: number, most: number, pageSize: number): void {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value)
  if (Number.isInteger(value) && value >= 0 && value <= most && value % pageSize === 0) return
  throw outOfRange(
    name,
    `a multiple of the page size (${pageSize} bytes), from 0 to ${most}`,
    value
  )
}

/** Validates the options of a region. */
export function settingsOf(options: number | RegionOptions): Settings {
  if (typeof options === 'number') {
    return {
      size: checkedSize('size', options),
      guard: true,
      hugePages: false,
      populate: false,
      lock: false
    }
  }
  if (typeof options !== 'object' || options === null) {
    throw invalidType('options', 'a number of bytes or an object with a size', options)
  }
  const { size, guard, hugePages, populate, lock } = readOptions(
    'Region.map',
    options,
    regionOptions
  )
  return {
    size: checkedSize('options.size', size),
    guard: flag('options.guard', guard, true),
    hugePages: flag('options.hugePages', hugePages, false),
    populate: flag('options.populate', populate, false),
    lock: flag('options.lock', lock, false)
  }
}

function checkedSize(name: string, size: unknown): number {
  if (typeof size !== 'number') throw invalidType(name, 'of type number (bytes)', size)
  if (Number.isInteger(size) && size >= 1 && size <= constants.MAX_LENGTH) return size
  const { MAX_LENGTH } = constants
  const limit = `an integer from 1 to ${MAX_LENGTH} bytes, the maximum of this version of Node`
  throw outOfRange(name, limit, size)
}

function flag(name: string, value: unknown, standard: boolean): boolean {
  if (value === undefined) return standard
  if (typeof value === 'boolean') return value
  throw invalidType(name, 'of type boolean', value)
}

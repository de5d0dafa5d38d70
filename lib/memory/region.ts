/**
 * Memory that the operating system mapped, as an `ArrayBuffer` with an explicit end. A region knows
 * pages; what is allocated in them is no concern of its.
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
   * Bytes, an integer from 1; rounded up to whole pages. Nothing is committed before it is touched.
   */
  readonly size: number
  /**
   * Advises transparent huge pages (2 MiB), which cost fewer misses of the TLB. From 2 MiB on, the
   * region then begins at a multiple of 2 MiB. Linux only; elsewhere it throws
   * ERR_OFFHEAP_UNSUPPORTED. Default false.
   */
  readonly hugePages?: boolean
  /** Commits every page now instead of at its first touch. Default false. */
  readonly populate?: boolean
  /**
   * Commits every page and keeps it in RAM, never swapped; `RLIMIT_MEMLOCK`, or the working set on
   * Windows, limits how much. Default false.
   */
  readonly lock?: boolean
  /**
   * Puts an inaccessible page before and one behind, which native code that overruns the region
   * hits. Default true.
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

/** What code may do with a page. */
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
 * A mapped region.
 *
 * It ends with `close()`, or when neither it nor its buffer is reachable any more. A buffer that
 * `buffer.transfer()` moved elsewhere takes the memory along: the region is closed then, and the
 * memory lives as long as the new buffer.
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
   * @param options a size in bytes, or a size with options. The size is an integer from 1 to the
   * most that this Node can
   *   wrap (`buffer.constants.MAX_LENGTH`: 4 GiB on Node 20), and is rounded up to whole pages.
   * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` for an option that there
   * isn't, RangeError
   *   `ERR_OUT_OF_RANGE`; OffheapError `ERR_OFFHEAP_SYSTEM` when the system refuses, `ERR_OFFHEAP_UNSUPPORTED` when this platform or this Node can't, `ERR_OFFHEAP_NO_ADDON`.
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

  /** Bytes, a multiple of `pageSize`; 0 once the region is closed. */
  get byteLength(): number {
    return this.mapped.buffer.byteLength
  }

  /** Where the first byte lies, or lay, in the address space of the process. */
  get address(): bigint {
    return this.mapped.address
  }

  /** Bytes of a page of this system. */
  get pageSize(): number {
    return this.addon.pageSize
  }

  /** True after `close()`, and when the buffer was transferred away. */
  get closed(): boolean {
    // A region has at least one page, so only a detached buffer is empty.
    return this.state.closed || this.mapped.buffer.byteLength === 0
  }

  /**
   * Makes sure that the system has memory for whole pages, and returns whether it has. Windows
   * charges memory when it is committed: a page that was never touched has none there, so that a
   * system call which is to fill it (`fs.readSync`) fails with `EFAULT`. A first access from
   * JavaScript commits a page by itself, and ends the process when the system has no memory left;
   * this returns false instead. On Linux and macOS it does nothing and returns true. A heap calls
   * it as it grows.
   * @param offset byte offset, a multiple of `pageSize`
   * @param length bytes, a multiple of `pageSize`; 0 does nothing
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
   * Gives whole pages back to the system. They take no memory until touched, and are then new:
   * zero, readable and writable, whatever `protect` had said about them.
   * @param offset byte offset, a multiple of `pageSize`
   * @param length bytes, a multiple of `pageSize`; 0 does nothing
   * @throws RangeError `ERR_OUT_OF_RANGE`; OffheapError `ERR_OFFHEAP_CLOSED`, or
   * `ERR_OFFHEAP_SYSTEM` for a locked region
   */
  decommit(offset: number, length: number): void {
    this.assertPages(offset, length)
    this.ask('give back', length, ({ handle, buffer }) =>
      this.addon.decommit(handle, buffer, offset, length)
    )
  }

  /**
   * Bytes of the pages that are in memory now, a multiple of `pageSize`. Protected pages count. A
   * page that was only read counts too, although the system may back it with its one shared page of
   * zeros (with `hugePages`, 2 MiB at a time). A page that is swapped out does not count, and on
   * Windows neither does one that allows no access.
   * @throws OffheapError `ERR_OFFHEAP_CLOSED`, `ERR_OFFHEAP_SYSTEM`
   */
  residentBytes(): number {
    return this.ask('count the pages of', this.byteLength, ({ handle, buffer }) =>
      this.addon.residentBytes(handle, buffer)
    )
  }

  /**
   * Sets what may be done with whole pages.
   *
   * An access that a page forbids does not end the process: the page becomes readable and writable
   * again, `faults()` tells the offset of the access, and the access goes on. When a system call
   * meets such a page it fails with `EFAULT` instead (as in `fs.readSync`), and the page stays
   * protected.
   *
   * Protecting every other page costs the process one mapping for each page, and Linux limits those
   * (`vm.max_map_count`). At that limit a forbidden access lifts the protection of its page and of
   * all behind it. A process at its limit of writable memory (`RLIMIT_DATA`, "ulimit -d") survives
   * 512 forbidden accesses. When the system refuses in the middle of many pages, the first of them
   * may have the new mode.
   *
   * The first protection in a process installs a handler for SIGSEGV (on macOS also SIGBUS; on
   * Windows, the first region adds a vectored exception handler, and `process.on('SIGSEGV')` means
   * nothing). It passes every other fault on to the handler that was there before.
   * `process.on('SIGSEGV')` after that replaces it: a forbidden access then makes the process hang,
   * as every access does that such a listener is called for. Once the listener is gone, the next
   * protection installs the handler again.
   * @param offset byte offset, a multiple of `pageSize`
   * @param length bytes, a multiple of `pageSize`; 0 does nothing
   * @param mode `'none'`: no access, `'read'`: no writing, `'readwrite'`: as mapped
   * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`; OffheapError
   * `ERR_OFFHEAP_CLOSED`,
   *   `ERR_OFFHEAP_SYSTEM`, or `ERR_OFFHEAP_UNSUPPORTED` when 1,024 other open regions have used protection
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
   * Byte offsets of the accesses that hit a protected page since the last call, in the order in
   * which they happened. One access is told for a page, since the first lifts the protection. At
   * most the first 256 are kept.
   * @throws OffheapError `ERR_OFFHEAP_CLOSED`
   */
  faults(): number[] {
    return this.ask('read the faults of', this.byteLength, ({ handle, buffer }) =>
      this.addon.faults(handle, buffer)
    )
  }

  /**
   * Detaches the buffer, which empties every view of it, and gives the memory back at once. A
   * second call does nothing. Memory that was transferred away is left to its new buffer.
   *
   * Asynchronous work that still uses a view (`fs.read`, `crypto`, a socket) does no harm: it reads
   * zeros, and what it writes is lost. So the addresses stay reserved until the buffer and its
   * views are collected. zlib fails with `ERR_OFFHEAP_CLOSED` when it has more to read.
   * @throws OffheapError `ERR_OFFHEAP_SYSTEM` when the system refuses; then the region is open, and
   * as it was
   */
  close(): void {
    if (this.closed) {
      this.state.closed = true
      return
    }
    const size = this.byteLength
    guardZlib()
    this.ask('give back', size, ({ handle, buffer }) => this.addon.close(handle, buffer))
    this.state.closed = true
    publish('offheap:close', () => ({ region: this, size }))
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'Region'
  }

  /** What JSON.stringify and console.log show of a region. */
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
      : 'The buffer of the region was transferred away'
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

/** Is this a region, or a proxy for one? */
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

/** The options of a region, verified. */
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
  const limit = `an integer from 1 to ${constants.MAX_LENGTH} bytes, the most that this Node can wrap`
  throw outOfRange(name, limit, size)
}

function flag(name: string, value: unknown, standard: boolean): boolean {
  if (value === undefined) return standard
  if (typeof value === 'boolean') return value
  throw invalidType(name, 'of type boolean', value)
}

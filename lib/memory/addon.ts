/**
 * Finds and loads the native addon. No other module does. It is loaded when memory is first mapped:
 * a heap over an ordinary `ArrayBuffer` needs no addon. A build in build/Release (in a checkout)
 * has priority over the one for this platform in prebuilds/ (in the npm package). The file names
 * are those of node-gyp-build. Unlike node-gyp-build, this module detects musl on every Linux,
 * tries the next file if one can't be loaded, and works in a bundle.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { OffheapError } from '../errors.js'
import { type Attempt, adviceFor } from './advice.js'
import { type Location, location } from './location.js'

/** A mapping of the addon. Opaque; the addon verifies it in every call. */
export type Handle = object

export interface Mapped {
  readonly handle: Handle
  readonly buffer: ArrayBuffer
  /** The address of the first byte of `buffer`. */
  readonly address: bigint
}

/** Memory that several threads share, as mapped by one of them. */
export interface Shared {
  readonly handle: Handle
  /** The part that only the library accesses. */
  readonly head: ArrayBuffer
  readonly buffer: ArrayBuffer
}

/** The allowed accesses to a page: 0 none, 1 reading, 2 reading and writing. */
export type Access = 0 | 1 | 2

/** What `native/files.cc` exports: heap files. Sizes, offsets and lengths are in bytes. */
export interface FileAddon {
  readonly pageSize: number
  openFile(path: string, write: boolean, create: boolean, own: boolean): Handle
  /**
   * Locks a byte of the file: 0 unlocks it, 1 takes a shared lock, 2 an exclusive one. Returns
   * false, and changes nothing, when the lock of another open file excludes that.
   */
  lockFile(handle: Handle, byte: number, lock: 0 | 1 | 2): boolean
  /** Returns whether another open file holds any lock on the byte. */
  isFileLocked(handle: Handle, byte: number): boolean
  /**
   * Claims a life for this thread, as `shareClaim` does, until it closes the file. Also locks the
   * byte of that life; `byte` is that of the first one.
   */
  claimFile(handle: Handle, offset: number, count: number, byte: number): number
  fileLength(handle: Handle): number
  readFile(handle: Handle, bytes: Uint8Array, offset: number): number
  writeFile(handle: Handle, bytes: Uint8Array, offset: number): void
  resizeFile(handle: Handle, length: number): void
  reserveFile(handle: Handle, offset: number, length: number): void
  clearFile(handle: Handle, offset: number, length: number, keep: boolean): void
  mapFile(
    handle: Handle,
    headBytes: number,
    bodyBytes: number,
    markOffset: number,
    markStride: number,
    markCount: number,
    markValue: number
  ): { readonly head: ArrayBuffer; readonly body: ArrayBuffer }
  syncFile(handle: Handle, offset: number, length: number): void
  flushFile(handle: Handle): void
  loseFile(handle: Handle): void
  residentFileBytes(handle: Handle): number
  closeFile(handle: Handle, head: ArrayBuffer | undefined, body: ArrayBuffer | undefined): void
  bootId(): Int32Array
}

/** What `native/addon.cc` exports. Sizes, offsets and lengths are in bytes. */
export interface Addon extends FileAddon {
  /**
   * Whether the system reserves memory when it is committed. Elsewhere, `commit` does nothing.
   */
  readonly chargesCommit: boolean
  map(size: number, guard: boolean, hugePages: boolean, populate: boolean, lock: boolean): Mapped
  close(handle: Handle, buffer: ArrayBuffer): void
  commit(handle: Handle, buffer: ArrayBuffer, offset: number, length: number): void
  decommit(handle: Handle, buffer: ArrayBuffer, offset: number, length: number): void
  protect(handle: Handle, buffer: ArrayBuffer, offset: number, length: number, access: Access): void
  faults(handle: Handle, buffer: ArrayBuffer): number[]
  residentBytes(handle: Handle, buffer: ArrayBuffer): number
  /** `RLIMIT_MEMLOCK` of this process; Infinity for no limit. */
  lockLimit(): number
  readonly lab: LabCalls
  /** Maps memory that other threads attach to by its `id`: 32 characters that can't be guessed. */
  shareMap(
    id: string,
    headBytes: number,
    bodyBytes: number,
    guard: boolean,
    hugePages: boolean,
    populate: boolean,
    lock: boolean
  ): Shared
  /** Returns undefined when no thread of this process has that memory open. */
  shareAttach(id: string): Shared | undefined
  /** Detaches the buffers, and unmaps the memory when no other thread has it open. */
  shareClose(handle: Handle, head: ArrayBuffer, buffer: ArrayBuffer): void
  /**
   * Claims a life for this thread: one of `count` words, the first at byte `offset` of the head.
   * Returns its token, or 0 when all are taken.
   */
  shareClaim(handle: Handle, offset: number, count: number): number
  shareDecommit(handle: Handle, offset: number, length: number): void
  shareResidentBytes(handle: Handle): number
  /**
   * Makes all running threads of the process execute a memory barrier; with `across`, the threads
   * of all processes that have called it with `across` before. Returns false on systems without
   * such a barrier.
   */
  barrier(across: boolean): boolean
  /** Sleeps for up to 10,000 microseconds. */
  sleep(microseconds: number): void
}

/** What the lab needs to run untrusted code; see native/lab.h. */
export interface LabCalls {
  /**
   * Maps `length` bytes of an open file from `offset`, shared with all who map it. Unmapped when
   * the buffer is collected.
   */
  share(file: number, offset: number, length: number): ArrayBuffer
  /**
   * Waits until a word is not `value`, or until time is up, and returns its value. Polls `spins`
   * times before it sleeps.
   */
  wait(
    buffer: ArrayBuffer,
    word: number,
    value: number,
    spins: number,
    milliseconds: number
  ): number
  /** Stores a word, and wakes the threads that wait for it. */
  post(buffer: ArrayBuffer, word: number, value: number): void
  /**
   * Removes all rights of this process except to compute. Returns which of the limits are in force.
   */
  confine(bytes: number, seconds: number): number
}

/** The systems that native/ supports, as named by `process.platform`. */
const SYSTEMS: readonly string[] = ['linux', 'darwin', 'win32']

let loaded: Addon | undefined

/**
 * Returns the addon. It is loaded once for each thread.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` on a system other than Linux, macOS and Windows;
 *   `ERR_OFFHEAP_NO_ADDON` if no build for this platform can be loaded
 */
export function addon(): Addon {
  loaded ??= load(location(), open)
  return loaded
}

/**
 * Loads a native module. `require` can't be used: bundlers replace it, and a single executable does
 * not have it.
 */
function open(path: string): unknown {
  const module = { exports: {} }
  process.dlopen(module, path)
  return module.exports
}

/**
 * Loads the addon from the first usable file. Separate from `addon()` so that its errors can be
 * tested.
 */
export function load(
  where: Location,
  loader: (path: string) => unknown,
  platform: string = process.platform,
  libc: string = libcOf(platform)
): Addon {
  if (!SYSTEMS.includes(platform)) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `offheap maps memory on Linux, macOS and Windows; it does not support ${platform}. ` +
        'A heap over an ordinary ArrayBuffer works everywhere: Heap.format(new ArrayBuffer(size)).'
    )
  }
  const tried: Attempt[] = []
  for (const path of pathsOf(where, platform, libc)) {
    try {
      const built = mayExist(path) ? loader(path) : undefined
      if (isAddon(built)) return built
      const reason = built === undefined ? 'no such file' : 'not the addon of this version'
      tried.push({ path, reason, code: undefined })
    } catch (error) {
      const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      tried.push({ path, reason, code })
    }
  }
  const target = [platform, process.arch, libc === 'unknown' ? '' : libc].filter(Boolean).join('-')
  throw notLoaded(where, platform, target, tried)
}

/**
 * Returns the path of the library that `offheap record` preloads. It is beside the addon, and built
 * for the same C library. If there is none, returns the path where a build would put it.
 */
export function recorderPath(where: Location = location(), libc: string = libcOf('linux')): string {
  const [built = '', ...others] = pathsOf(where, 'linux', libc).map(path =>
    join(dirname(path), basename(path).replace(/^offheap(.*)\.node$/, 'recorder$1.so'))
  )
  return [built, ...others].find(existsSync) ?? built
}

/** The possible paths of the addon, in order of search. */
function pathsOf({ folders }: Location, platform: string, libc: string): string[] {
  const kinds = libc === 'unknown' ? ['glibc', 'musl'] : [libc]
  const names = kinds.map(kind => (kind === '' ? 'offheap.node' : `offheap.${kind}.node`))
  return folders.flatMap(folder => [
    join(folder, 'build', 'Release', 'offheap.node'),
    ...names.map(name => join(folder, 'prebuilds', `${platform}-${process.arch}`, name))
  ])
}

/**
 * The C library of this process; '' on systems with only one. The list of mapped files shows which
 * it is, if it can be read.
 */
function libcOf(platform: string): '' | 'glibc' | 'musl' | 'unknown' {
  if (platform !== 'linux') return ''
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'glibc'
  } catch {
    return 'unknown'
  }
}

/**
 * Returns false if there is no such file. If permissions don't allow the test, the addon may still
 * be loadable.
 */
function mayExist(path: string): boolean {
  try {
    return existsSync(path)
  } catch {
    return true
  }
}

function isAddon(value: unknown): value is Addon {
  return (
    typeof value === 'object' &&
    value !== null &&
    'map' in value &&
    'faults' in value &&
    'claimFile' in value &&
    typeof value.map === 'function'
  )
}

function notLoaded(
  where: Location,
  platform: string,
  target: string,
  tried: readonly Attempt[]
): OffheapError {
  const list = tried.map(({ path, reason }) => `${path} (${reason})`).join('; ')
  return new OffheapError(
    'ERR_OFFHEAP_NO_ADDON',
    `No native addon of offheap for ${target} could be loaded by Node ${process.version}. ` +
      `Tried: ${list}. ` +
      adviceFor(where, tried, platform)
  )
}

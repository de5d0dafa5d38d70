/**
 * Finds and loads the native addon. This is the only file that does, and only when memory is first
 * mapped: a heap over an ordinary `ArrayBuffer` needs no addon. A build in build/Release, which a
 * checkout has, comes before the one for this platform in prebuilds/, which the npm package has.
 * The names are those that node-gyp-build looks for; unlike it, this knows musl on every Linux,
 * tries the next file when one can't be loaded, and works in a bundle.
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { OffheapError } from '../errors.js'
import { type Attempt, adviceFor } from './advice.js'
import { type Location, location } from './location.js'

/** One mapping as the addon knows it. Opaque, and checked by the addon wherever it comes back. */
export type Handle = object

export interface Mapped {
  readonly handle: Handle
  readonly buffer: ArrayBuffer
  /** Where the first byte of `buffer` lies. */
  readonly address: bigint
}

/** Memory that several threads share, as one of them sees it. */
export interface Shared {
  readonly handle: Handle
  /** What only the library sees. */
  readonly head: ArrayBuffer
  readonly buffer: ArrayBuffer
}

/** Which accesses a page allows: 0 none, 1 reading, 2 reading and writing. */
export type Access = 0 | 1 | 2

/** What `native/files.cc` exports: heap files. Sizes, offsets and lengths are in bytes. */
export interface FileAddon {
  readonly pageSize: number
  openFile(path: string, write: boolean, create: boolean, own: boolean): Handle
  /**
   * Locks a byte of the file: 0 for not at all, 1 for a lock that others can share, 2 for an
   * exclusive one. False, with nothing changed, when the lock of another open file excludes it.
   */
  lockFile(handle: Handle, byte: number, lock: 0 | 1 | 2): boolean
  /** Has another open file any lock on the byte? */
  isFileLocked(handle: Handle, byte: number): boolean
  /**
   * Makes this thread one of those that live, as `shareClaim` does, for as long as it has the file
   * open. The lives have bytes to lock, the first of which is `byte`.
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
   * Whether the system charges memory when it is committed: only there does `commit` do something.
   */
  readonly chargesCommit: boolean
  map(size: number, guard: boolean, hugePages: boolean, populate: boolean, lock: boolean): Mapped
  close(handle: Handle, buffer: ArrayBuffer): void
  commit(handle: Handle, buffer: ArrayBuffer, offset: number, length: number): void
  decommit(handle: Handle, buffer: ArrayBuffer, offset: number, length: number): void
  protect(handle: Handle, buffer: ArrayBuffer, offset: number, length: number, access: Access): void
  faults(handle: Handle, buffer: ArrayBuffer): number[]
  residentBytes(handle: Handle, buffer: ArrayBuffer): number
  /** `RLIMIT_MEMLOCK` of this process; Infinity when there is none. */
  lockLimit(): number
  readonly lab: LabCalls
  /** Maps memory that other threads attach to by its `id`, 32 characters that nobody can guess. */
  shareMap(
    id: string,
    headBytes: number,
    bodyBytes: number,
    guard: boolean,
    hugePages: boolean,
    populate: boolean,
    lock: boolean
  ): Shared
  /** Undefined when no thread of this process has such memory open. */
  shareAttach(id: string): Shared | undefined
  /** Detaches the buffers, and unmaps the memory when no other thread has it open. */
  shareClose(handle: Handle, head: ArrayBuffer, buffer: ArrayBuffer): void
  /**
   * Makes this thread one of those that live: returns its token, or 0 when all `count` words from
   * byte `offset` of the head on are taken.
   */
  shareClaim(handle: Handle, offset: number, count: number): number
  shareDecommit(handle: Handle, offset: number, length: number): void
  shareResidentBytes(handle: Handle): number
  /**
   * Makes all running threads of the process execute a memory barrier; `across`, those of all
   * processes that have called this with it before. False on systems that can't.
   */
  barrier(across: boolean): boolean
  /** Sleeps for up to 10,000 microseconds. */
  sleep(microseconds: number): void
}

/** What a lab needs, to run code that it doesn't trust; see native/lab.h. */
export interface LabCalls {
  /**
   * Maps `length` bytes of an open file from `offset`, shared with everyone who maps it. Unmapped
   * when collected.
   */
  share(file: number, offset: number, length: number): ArrayBuffer
  /**
   * The word's value, once it is not `value`, or after some milliseconds. Looks `spins` times
   * before it sleeps.
   */
  wait(
    buffer: ArrayBuffer,
    word: number,
    value: number,
    spins: number,
    milliseconds: number
  ): number
  /** Stores a word, and wakes whoever waits at it. */
  post(buffer: ArrayBuffer, word: number, value: number): void
  /**
   * Takes from this process all rights but to compute. Returns which of the limits are in force.
   */
  confine(bytes: number, seconds: number): number
}

/** The systems that native/ has code for, as `process.platform` names them. */
const SYSTEMS: readonly string[] = ['linux', 'darwin', 'win32']

let loaded: Addon | undefined

/**
 * The addon, loaded once for each thread.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` on a system other than Linux, macOS and Windows,
 * `ERR_OFFHEAP_NO_ADDON`
 *   when no build of the addon for this platform can be loaded.
 */
export function addon(): Addon {
  loaded ??= load(location(), open)
  return loaded
}

/**
 * Loads a native module as `require` would, which bundlers replace and which a single executable
 * has not.
 */
function open(path: string): unknown {
  const module = { exports: {} }
  process.dlopen(module, path)
  return module.exports
}

/**
 * Loads the addon from where it may be; apart from `addon()` so that its failures can be tested.
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
 * Path of the library that `offheap record` preloads: it lies beside the addon and is for the same
 * C library. When there is none, the path at which a build would put it.
 */
export function recorderPath(where: Location = location(), libc: string = libcOf('linux')): string {
  const [built = '', ...others] = pathsOf(where, 'linux', libc).map(path =>
    join(dirname(path), basename(path).replace(/^offheap(.*)\.node$/, 'recorder$1.so'))
  )
  return [built, ...others].find(existsSync) ?? built
}

/** Where the addon may lie, in the order in which to try. */
function pathsOf({ folders }: Location, platform: string, libc: string): string[] {
  const kinds = libc === 'unknown' ? ['glibc', 'musl'] : [libc]
  const names = kinds.map(kind => (kind === '' ? 'offheap.node' : `offheap.${kind}.node`))
  return folders.flatMap(folder => [
    join(folder, 'build', 'Release', 'offheap.node'),
    ...names.map(name => join(folder, 'prebuilds', `${platform}-${process.arch}`, name))
  ])
}

/**
 * The C library of this process: '' where there is no choice. What is loaded already tells it for
 * certain, if it may be read.
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
 * False when there is no such file. Where permissions keep that a secret, addons may be loaded all
 * the same.
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

/**
 * Loads the native addon. This is the only file that does, and only when memory is first mapped: a heap over
 * an ordinary `ArrayBuffer` needs no addon.
 */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { OffheapError } from '../errors.js'

/** One mapping as the addon knows it. Opaque, and checked by the addon wherever it comes back. */
export type Handle = object

export interface Mapped {
  readonly handle: Handle
  readonly buffer: ArrayBuffer
  /** Where the first byte of `buffer` lies. */
  readonly address: bigint
}

/** Which accesses a page allows: 0 none, 1 reading, 2 reading and writing. */
export type Access = 0 | 1 | 2

/** What `native/addon.cc` exports. Sizes, offsets and lengths are in bytes. */
export interface Addon {
  readonly pageSize: number
  map(size: number, guard: boolean, hugePages: boolean, populate: boolean, lock: boolean): Mapped
  close(handle: Handle, buffer: ArrayBuffer): void
  decommit(handle: Handle, buffer: ArrayBuffer, offset: number, length: number): void
  protect(handle: Handle, buffer: ArrayBuffer, offset: number, length: number, access: Access): void
  faults(handle: Handle, buffer: ArrayBuffer): number[]
  residentBytes(handle: Handle, buffer: ArrayBuffer): number
  /** `RLIMIT_MEMLOCK` of this process; Infinity when there is none. */
  lockLimit(): number
}

type Loader = (folder: string) => unknown

const root = fileURLToPath(new URL('../../', import.meta.url))
const require = createRequire(import.meta.url)

let loaded: Addon | undefined

/**
 * The addon, loaded once for each thread.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` on a system other than Linux and macOS, `ERR_OFFHEAP_NO_ADDON` when
 *   no build of the addon for this platform can be loaded.
 */
export function addon(): Addon {
  loaded ??= load(root, require('node-gyp-build'))
  return loaded
}

/** Loads the addon of the package in `folder`; apart from `addon()` so that its failures can be tested. */
export function load(folder: string, loader: Loader, platform: string = process.platform): Addon {
  if (platform !== 'linux' && platform !== 'darwin') {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `offheap maps memory with the mmap of Linux and macOS; it does not support ${platform}. ` +
        'A heap over an ordinary ArrayBuffer works everywhere: Heap.format(new ArrayBuffer(size)).'
    )
  }
  let built: unknown
  try {
    built = loader(folder)
  } catch (error) {
    throw notLoaded(folder, error instanceof Error ? error.message : String(error))
  }
  if (!isAddon(built)) throw notLoaded(folder, 'the file that was found is not the addon of this version')
  return built
}

function isAddon(value: unknown): value is Addon {
  return (
    typeof value === 'object' &&
    value !== null &&
    'map' in value &&
    'faults' in value &&
    typeof value.map === 'function'
  )
}

function notLoaded(folder: string, reason: string): OffheapError {
  const target = `${process.platform}-${process.arch}`
  const [cause = ''] = reason.split('\n')
  return new OffheapError(
    'ERR_OFFHEAP_NO_ADDON',
    `The native addon of offheap could not be loaded for ${target} (Node ${process.version}): looked for a .node file in ` +
      `${folder}build/Release and ${folder}prebuilds/${target}. The reason: ${cause}. ` +
      'Build it with "npm rebuild offheap", or in a checkout of offheap with "npm run build:native".'
  )
}

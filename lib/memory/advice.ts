/**
 * Advice for when no build of the addon can be loaded. If a flag or a mount option blocks addons,
 * compiling another build would not help, so the advice names that obstacle.
 */
import type { Location } from './location.js'

/** A file that could not be loaded, and why. */
export interface Attempt {
  readonly path: string
  /** The `code` of the error, if any. */
  readonly code: unknown
  readonly reason: string
}

const NO_ADDON_NEEDED =
  'A heap over an ordinary ArrayBuffer needs no addon: Heap.format(new ArrayBuffer(size)).'

/**
 * Returns the advice, in sentences, for code in the given location.
 * @param platform the system to build on
 * @param restricted whether the process runs under Node's permission model
 */
export function adviceFor(
  where: Location,
  attempts: readonly Attempt[],
  platform: string = process.platform,
  restricted = isRestricted()
): string {
  const barrier = barrierOf(attempts, restricted)
  if (barrier !== undefined) return `${barrier} ${NO_ADDON_NEEDED}`
  return where.bundled ? forBundle(where) : forPackage(where, platform)
}

/** By system: the tools that a build needs. */
const TOOLS: Readonly<Record<string, string>> = {
  darwin: 'the Xcode Command Line Tools (xcode-select --install) and python3',
  win32: 'the Visual Studio Build Tools (the workload "Desktop development with C++") and Python 3'
}

function forPackage({ folders: [root] }: Location, platform: string): string {
  return (
    `Build it, with ${TOOLS[platform] ?? 'a C++ compiler, make and python3'}: npm --prefix ` +
    `"${root}" run build:native. ` +
    '(npm 12 needs no "allowScripts" for offheap, which has no install script.)'
  )
}

function forBundle({ folders: [folder] }: Location): string {
  return (
    `Copy the folder "prebuilds" of the package offheap to ${folder}, where the bundle is, ` +
    'or mark offheap as external. ' +
    'If the package has no binary for the platform, build one with ' +
    '"npm --prefix node_modules/offheap run build:native", and copy its folder "build" too.'
  )
}

/** What blocks all addons in this process, and how to allow them; undefined if nothing does. */
function barrierOf(attempts: readonly Attempt[], restricted: boolean): string | undefined {
  const refused = (code: string): boolean => attempts.some(attempt => attempt.code === code)
  const says = (pattern: RegExp): Attempt | undefined =>
    attempts.find(({ reason }) => pattern.test(reason))
  if (refused('ERR_DLOPEN_DISABLED')) {
    return restricted
      ? "Node's permission model blocks addons in this process: start Node with " +
          '--allow-addons as well.'
      : 'The flag --no-addons blocks addons in this process: start Node, or this worker, ' +
          'without it.'
  }
  if (refused('ERR_ACCESS_DENIED')) {
    const paths = attempts.map(({ path }) => `--allow-fs-read=${path}`).join(' or ')
    return (
      `Node's permission model blocks reading the addon: start Node with ` +
      `--allow-addons and ${paths} as well.`
    )
  }
  if (says(/--allow-(read|ffi)/)) {
    return 'Deno blocks addons in this process: run it with --allow-read and --allow-ffi.'
  }
  const unmappable = says(/failed to map segment/)
  if (unmappable !== undefined) {
    return (
      `${unmappable.path} is on a file system that is mounted noexec: install offheap on ` +
      'another one.'
    )
  }
  return undefined
}

function isRestricted(): boolean {
  return Reflect.get(process, 'permission') !== undefined
}

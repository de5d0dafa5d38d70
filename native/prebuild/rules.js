/**
 * The rules for a prebuilt binary on each system: its maximum size, the oldest system that it must
 * support, and the libraries that it may need.
 */
import { inspectBinary } from './inspect.js'

/** The maximum size of an addon, in bytes. */
export const MOST_BYTES = 150_000

/** The functions that Node looks up in an addon. */
export const ADDON_EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1']

/**
 * Exports of zig's unwinder on Windows. They do no harm: imports on Windows name their library.
 */
const UNWINDER = /^(_Unwind_|_GCC_specific_handler$|__?unw_|unw_)/

/** The libraries that a binary may need, and the newest version of the system that it may need. */
const RULES = {
  glibc: { needs: /^(libc|libm|libdl|libpthread|ld-linux-.*)\.so\.\d+$/, most: '2.28' },
  musl: { needs: /^libc\.so$/, most: undefined },
  darwin: { needs: /^\/usr\/lib\/libSystem\.B\.dylib$/, most: '11.0' },
  win32: { needs: /^(KERNEL32\.dll|ntdll\.dll|msvcrt\.dll|api-ms-win-crt-.*\.dll)$/i, most: '6.0' }
}

const isNewer = (one, other) => one.localeCompare(other, 'en', { numeric: true }) > 0

/** The problems of a target's addon, as messages. Empty if there are none. */
export function faultsOf(target, bytes) {
  const { arch, needs, exported, minimum, signed } = inspectBinary(bytes)
  const rule = RULES[target.libc ?? target.platform]
  const problems = []
  if (arch !== target.arch) problems.push(`it is for ${arch}`)
  if (bytes.length > MOST_BYTES)
    problems.push(`it has ${bytes.length} bytes, more than ${MOST_BYTES}`)
  const strangers = needs.filter(name => !rule.needs.test(name))
  if (strangers.length > 0) problems.push(`it needs ${strangers.join(', ')}`)
  const isAllowed = name =>
    ADDON_EXPORTS.includes(name) || (target.platform === 'win32' && UNWINDER.test(name))
  const surplus = exported.filter(name => !isAllowed(name))
  if (surplus.length > 0)
    problems.push(`it exports ${surplus.slice(0, 5).join(', ')} (${surplus.length})`)
  if (!exported.includes(ADDON_EXPORTS[0])) problems.push(`it does not export ${ADDON_EXPORTS[0]}`)
  if (
    rule.most === undefined
      ? minimum !== undefined
      : minimum === undefined || isNewer(minimum, rule.most)
  ) {
    problems.push(`it needs version ${minimum} of the system, not ${rule.most} or earlier`)
  }
  // macOS on arm64 requires signed code; an ad hoc signature is enough.
  if (target.name === 'darwin-arm64' && !signed) problems.push('it is not signed')
  return problems
}

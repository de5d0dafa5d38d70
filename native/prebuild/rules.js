/**
 * What a prebuilt binary must be, for each system: so small, for these systems, and asking for
 * nothing that a user may not have.
 */
import { inspectBinary } from './inspect.js'

/** The most bytes of one addon. */
export const MOST_BYTES = 150_000

/** What Node asks an addon for. */
export const ADDON_EXPORTS = ['napi_register_module_v1', 'node_api_module_get_api_version_v1']

/**
 * What zig's unwinder exports on Windows. Nobody meets it: imports name the library that they are
 * from.
 */
const UNWINDER = /^(_Unwind_|_GCC_specific_handler$|__?unw_|unw_)/

/** The libraries that a binary may ask for, and the oldest system that it may want. */
const RULES = {
  glibc: { needs: /^(libc|libm|libdl|libpthread|ld-linux-.*)\.so\.\d+$/, most: '2.28' },
  musl: { needs: /^libc\.so$/, most: undefined },
  darwin: { needs: /^\/usr\/lib\/libSystem\.B\.dylib$/, most: '11.0' },
  win32: { needs: /^(KERNEL32\.dll|ntdll\.dll|msvcrt\.dll|api-ms-win-crt-.*\.dll)$/i, most: '6.0' }
}

const isNewer = (one, other) => one.localeCompare(other, 'en', { numeric: true }) > 0

/** What is wrong with the addon of a target, in words; empty when nothing is. */
export function faultsOf(target, bytes) {
  const { arch, needs, exported, minimum, signed } = inspectBinary(bytes)
  const rule = RULES[target.libc ?? target.platform]
  const problems = []
  if (arch !== target.arch) problems.push(`it is for ${arch}`)
  if (bytes.length > MOST_BYTES)
    problems.push(`it has ${bytes.length} bytes, more than ${MOST_BYTES}`)
  const strangers = needs.filter(name => !rule.needs.test(name))
  if (strangers.length > 0) problems.push(`it asks for ${strangers.join(', ')}`)
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
    problems.push(`it wants ${minimum}, not at most ${rule.most}`)
  }
  // macOS on arm64 runs no code that is not signed; ad hoc will do.
  if (target.name === 'darwin-arm64' && !signed) problems.push('it is not signed')
  return problems
}

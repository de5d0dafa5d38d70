/**
 * Explains errors of system calls. The addon reports an error number and the name of a call. This
 * module adds what they mean for memory, and what the caller can do.
 */
import { constants } from 'node:os'
import { OffheapError, type SystemFault } from '../errors.js'
import { humanBytes } from '../sizes.js'

const { errno } = constants

/** By call: what the system does not support, and what to do instead. */
const MISSING: Readonly<Record<string, string>> = {
  madvise: 'it has no transparent huge pages. Omit hugePages',
  VirtualAlloc:
    'large pages on Windows need a privilege, and cannot be released in part. Omit hugePages',
  CreateFileMapping:
    'Windows can neither truncate a mapped file nor release a part of it, so heaps in files ' +
    'work on Linux and macOS only. ' +
    'Write heap.buffer to a file instead, and open it with Heap.attach'
}

/** The operation that failed. */
export interface Attempt {
  /** A verb with the size as its object: "map", as in "refused to map 4 GiB". */
  readonly verb: string
  /** The size in bytes. */
  readonly size: number
  /** Whether the region is locked in memory. */
  readonly locked: boolean
  /** `RLIMIT_MEMLOCK` in bytes; Infinity for no limit. */
  readonly lockLimit: number
}

/** Converts an error of the addon to the one to throw. */
export function refusal(error: unknown, attempt: Attempt): unknown {
  const fault = systemFault(error)
  if (fault === undefined) return ownRefusal(error)
  const name =
    Object.entries(errno).find(([, number]) => number === fault.errno)?.[0] ??
    `error ${fault.errno}`
  const size = humanBytes(attempt.size)
  const what = `The system refused to ${attempt.verb} ${size} (${fault.syscall}: ${name})`
  const missing = missingOf(fault)
  if (missing !== undefined)
    return new OffheapError('ERR_OFFHEAP_UNSUPPORTED', `${what}: ${missing}.`, fault)
  return new OffheapError('ERR_OFFHEAP_SYSTEM', `${what}: ${meaning(fault, attempt)}`, fault)
}

/** If the system does not support the call: what it lacks, and what to do instead. */
export function missingOf(fault: SystemFault): string | undefined {
  return fault.errno === errno.ENOTSUP ? MISSING[fault.syscall] : undefined
}

/** The names of Windows calls are capitalized. */
const WINDOWS_CALL = /^[A-Z]/

function meaning({ errno: number, syscall }: SystemFault, { locked, lockLimit }: Attempt): string {
  // EAGAIN is not about the limit: the pages could not be loaded into memory.
  if (syscall === 'mlock' && number !== errno.EAGAIN) {
    const limit = lockLimit === Number.POSITIVE_INFINITY ? 'unlimited' : humanBytes(lockLimit)
    return (
      `locked memory is limited by RLIMIT_MEMLOCK, which is ${limit} for this process. ` +
      'Raise it ("ulimit -l", LimitMEMLOCK= of systemd), map a smaller region, or omit lock.'
    )
  }
  if (syscall === 'VirtualLock') {
    return (
      'locked memory is limited by the working set of the process. ' +
      'Map a smaller region, or omit lock.'
    )
  }
  if (locked && number === errno.EINVAL) {
    return 'pages of a region that was mapped with lock cannot be released while it is open.'
  }
  if (number === errno.EPERM || number === errno.EACCES || number === errno.ENOSYS) {
    return 'a security policy of this process or its container, such as seccomp, forbids the call.'
  }
  if (WINDOWS_CALL.test(syscall) && number === errno.ENOMEM) {
    return (
      'there is not enough free address space, or the system cannot commit that much memory: ' +
      'its limit is RAM plus page file. Map less, or close regions that are no longer used.'
    )
  }
  if (number === errno.ENOMEM || number === errno.EAGAIN) {
    return (
      'there is not enough free address space or memory, a limit of this process ' +
      '("ulimit -v", "ulimit -d") or of its cgroup is lower, or the process has too many ' +
      'mappings (vm.max_map_count on Linux). Map less, or close regions that are no longer used.'
    )
  }
  return 'it gave no further reason.'
}

/**
 * Converts an error that the addon itself detected: to an `OffheapError` if it has such a code.
 * Returns any other error unchanged.
 */
function ownRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const { code } = error
  if (code === 'ERR_OFFHEAP_CLOSED' || code === 'ERR_OFFHEAP_UNSUPPORTED')
    return new OffheapError(code, error.message)
  return error
}

/** The system call and error number of an error of the addon; undefined for any other error. */
export function systemFault(error: unknown): SystemFault | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('syscall' in error)) return undefined
  const { errno: number, syscall } = error
  return typeof number === 'number' && typeof syscall === 'string'
    ? { errno: number, syscall }
    : undefined
}

/**
 * Says in plain words what the operating system refused. The addon reports an error number and a
 * call; what they mean for memory, and what a caller can do about it, is known here.
 */
import { constants } from 'node:os'
import { OffheapError, type SystemFault } from '../errors.js'

const { errno } = constants
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** What a system can't do, and what to do instead, by the call that would have asked for it. */
const MISSING: Readonly<Record<string, string>> = {
  madvise: 'it has no transparent huge pages. Leave out hugePages',
  VirtualAlloc:
    'the large pages of Windows need a privilege, and can not be given back in part. Leave ' +
    'out hugePages',
  CreateFileMapping:
    'Windows can neither cut off a file that is mapped nor give back a part of it, so ' +
    'heaps in files are for Linux and macOS. ' +
    'Write heap.buffer to a file instead, and open it with Heap.attach'
}

/** What was being done when the system refused. */
export interface Attempt {
  /** As in "could not map 4 GiB". */
  readonly verb: string
  /** Bytes. */
  readonly size: number
  /** Whether the region is locked in memory. */
  readonly locked: boolean
  /** `RLIMIT_MEMLOCK` in bytes, Infinity when there is none. */
  readonly lockLimit: number
}

/** A size in the largest unit that keeps it at 1 or more: `4 GiB`, `1.5 MiB`, `100 bytes`. */
export function bytes(size: number): string {
  if (size === 1) return '1 byte'
  const unit = size < 1 ? 0 : Math.min(Math.floor(Math.log2(size) / 10), UNITS.length - 1)
  const value = size / 2 ** (10 * unit)
  return `${Number(value.toFixed(1))} ${UNITS[unit]}`
}

/** The error to throw for one that the addon threw. */
export function refusal(error: unknown, attempt: Attempt): unknown {
  const fault = systemFault(error)
  if (fault === undefined) return ownRefusal(error)
  const name =
    Object.entries(errno).find(([, number]) => number === fault.errno)?.[0] ??
    `error ${fault.errno}`
  const what = `The system refused to ${attempt.verb} ${bytes(attempt.size)} (${fault.syscall}: ${name})`
  const missing = missingOf(fault)
  if (missing !== undefined)
    return new OffheapError('ERR_OFFHEAP_UNSUPPORTED', `${what}: ${missing}.`, fault)
  return new OffheapError('ERR_OFFHEAP_SYSTEM', `${what}: ${meaning(fault, attempt)}`, fault)
}

/** What the system can't do at all, if that is why it refused, and what to do instead. */
export function missingOf(fault: SystemFault): string | undefined {
  return fault.errno === errno.ENOTSUP ? MISSING[fault.syscall] : undefined
}

/** Calls of Windows are capitalized. */
const WINDOWS_CALL = /^[A-Z]/

function meaning({ errno: number, syscall }: SystemFault, { locked, lockLimit }: Attempt): string {
  // EAGAIN is not about the limit: the pages could not be brought into memory.
  if (syscall === 'mlock' && number !== errno.EAGAIN) {
    const limit = lockLimit === Number.POSITIVE_INFINITY ? 'unlimited' : bytes(lockLimit)
    return (
      `memory that stays in RAM is limited by RLIMIT_MEMLOCK, which is ${limit} for this ` +
      'process. ' +
      'Raise it ("ulimit -l", LimitMEMLOCK= of systemd), ask for a smaller region, or ' +
      'leave out lock.'
    )
  }
  if (syscall === 'VirtualLock') {
    return (
      'memory that stays in RAM is limited by the working set of the process. Ask for a ' +
      'smaller region, or leave out lock.'
    )
  }
  if (locked && number === errno.EINVAL) {
    return 'the pages of a region that was mapped with lock can not be given back while it is open.'
  }
  if (number === errno.EPERM || number === errno.EACCES || number === errno.ENOSYS) {
    return 'a security policy of this process or its container, such as seccomp, forbids the call.'
  }
  if (WINDOWS_CALL.test(syscall) && number === errno.ENOMEM) {
    return (
      'there is not that much free address space, or the system can not commit that much ' +
      'memory: its limit is RAM and page ' +
      'file together. Ask for less, or close regions that are no longer used.'
    )
  }
  if (number === errno.ENOMEM || number === errno.EAGAIN) {
    return (
      'there is not that much free address space or memory, a limit of this process ' +
      '("ulimit -v", "ulimit -d") or of its cgroup ' +
      'is lower, or the process has too many mappings (vm.max_map_count on Linux). Ask for ' +
      'less, or close regions that are no longer used.'
    )
  }
  return 'it gave no further reason.'
}

/**
 * An error of the addon without a system call behind it: either an `OffheapError` in the making, or
 * a `TypeError`.
 */
function ownRefusal(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const { code } = error
  if (code === 'ERR_OFFHEAP_CLOSED' || code === 'ERR_OFFHEAP_UNSUPPORTED')
    return new OffheapError(code, error.message)
  return error
}

/** What the addon says that the system refused; undefined for any other error. */
export function systemFault(error: unknown): SystemFault | undefined {
  if (!(error instanceof Error) || !('errno' in error) || !('syscall' in error)) return undefined
  const { errno: number, syscall } = error
  return typeof number === 'number' && typeof syscall === 'string'
    ? { errno: number, syscall }
    : undefined
}

/**
 * The errors that offheap throws. Wrong arguments throw as in Node (`TypeError` with
 * `ERR_INVALID_ARG_TYPE`, `RangeError` with `ERR_OUT_OF_RANGE`); everything else is an
 * `OffheapError`, identified by its `code`.
 */

export type OffheapErrorCode =
  /** No free block and no wilderness is large enough. */
  | 'ERR_OFFHEAP_OUT_OF_MEMORY'
  /** The heap or region was closed, or its buffer was transferred. */
  | 'ERR_OFFHEAP_CLOSED'
  /**
   * Not a pointer that this heap returned: misaligned, outside the heap, inside a block, or in the
   * wilderness.
   */
  | 'ERR_OFFHEAP_INVALID_POINTER'
  /** The block at this pointer is already free. */
  | 'ERR_OFFHEAP_DOUBLE_FREE'
  /** A pinned block can't be freed or resized, and its heap can't be reset or closed. */
  | 'ERR_OFFHEAP_PINNED'
  /** The view shows another buffer. */
  | 'ERR_OFFHEAP_FOREIGN_VIEW'
  /** The bytes of the heap contradict each other: something wrote outside its block. */
  | 'ERR_OFFHEAP_CORRUPT'
  /** The memory does not hold a heap of this layout version. */
  | 'ERR_OFFHEAP_NOT_A_HEAP'
  /** The heap in this file is open elsewhere. */
  | 'ERR_OFFHEAP_LOCKED'
  /** The heap in this file was not closed, and `recover: false` was given. */
  | 'ERR_OFFHEAP_UNCLEAN'
  /** The file of the heap was truncated. */
  | 'ERR_OFFHEAP_TRUNCATED'
  /** Another thread or process did not leave the heap in time, or too many have it open. */
  | 'ERR_OFFHEAP_BUSY'
  /** A system call failed: see `errno` and `syscall`. */
  | 'ERR_OFFHEAP_SYSTEM'
  /** Not supported on this platform, or by this version of Node. */
  | 'ERR_OFFHEAP_UNSUPPORTED'
  /** The native addon is not built for this platform. */
  | 'ERR_OFFHEAP_NO_ADDON'
  /** A trace that can't be read or contradicts itself; the message names the line. */
  | 'ERR_OFFHEAP_TRACE'

/** Why a system call failed. */
export interface SystemFault {
  /** The error number, positive, as in `os.constants.errno`. */
  readonly errno: number
  /** The call that failed, such as `mmap`. */
  readonly syscall: string
}

/** The block that an error of a hardened heap is about. */
export interface FaultyBlock {
  /** The pointer that malloc returned. */
  readonly pointer: number
  /** The requested size in bytes; the size of the block if it is free memory. */
  readonly size: number
  /** The stack of its allocation, with `trackAllocations`. */
  readonly allocated?: string
  /** The stack where it was freed, with `trackAllocations`. */
  readonly freed?: string
}

/** Explains each code; part of the package. */
const HELP = 'offheap/docs/troubleshooting.md'
const LINKS = new RegExp(` \\(see ${HELP}#\\w+\\)`, 'g')

/** The link at the end of the message of an error with this code. */
export function linkOf(code: OffheapErrorCode): string {
  return ` (see ${HELP}#${code.toLowerCase()})`
}

/**
 * An error of offheap. `code` identifies it, and the message ends with a link to its explanation.
 */
export class OffheapError extends Error {
  override readonly name = 'OffheapError'
  readonly code: OffheapErrorCode
  readonly errno?: number
  readonly syscall?: string
  /** The block that the error is about. Hardened heaps only. */
  readonly block?: FaultyBlock

  constructor(code: OffheapErrorCode, message: string, system?: SystemFault, block?: FaultyBlock) {
    // A message that quotes another error's has its link already: keep only one.
    super(message.replace(LINKS, '') + linkOf(code))
    this.code = code
    if (system !== undefined) {
      this.errno = system.errno
      this.syscall = system.syscall
    }
    if (block !== undefined) this.block = block
  }
}

/** Names a value in a message, briefly and without running any of its code. */
export function inspect(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `'${value.slice(0, 40)}…'` : `'${value}'`
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'an array' : 'an object'
  return String(value)
}

/** Node's `TypeError` for an argument of the wrong type. */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const error = new TypeError(
    `The "${name}" argument must be ${expected}. Received ${inspect(value)} (${typeof value})`
  )
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' })
}

/** Node's `RangeError` for an argument out of range. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const error = new RangeError(
    `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`
  )
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' })
}

/**
 * Node's `TypeError` for an invalid value. `name` is the name of a property, such as
 * `options.size`.
 */
export function invalidValue(name: string, reason: string, value: unknown): TypeError {
  const error = new TypeError(`The property '${name}' ${reason}. Received ${inspect(value)}`)
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' })
}

/** Node's `Error` for an operation that the current state does not allow. */
export function invalidState(what: string): Error {
  return Object.assign(new Error(`Invalid state: ${what}`), { code: 'ERR_INVALID_STATE' })
}

/** The bytes of a heap contradict each other. `what` says where and how. */
export function corrupt(what: string): OffheapError {
  return new OffheapError(
    'ERR_OFFHEAP_CORRUPT',
    `The heap is corrupt: ${what}. Something wrote outside its block; don't use this heap any more`
  )
}

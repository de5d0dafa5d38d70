/**
 * Every error that offheap throws by itself. Wrong arguments throw as Node does (`TypeError` with
 * `ERR_INVALID_ARG_TYPE`, `RangeError` with `ERR_OUT_OF_RANGE`); everything else is an
 * `OffheapError`, told apart by its `code`.
 */

export type OffheapErrorCode =
  /** No free block and no wilderness is large enough. */
  | 'ERR_OFFHEAP_OUT_OF_MEMORY'
  /** The heap or region was closed, or its buffer was transferred away. */
  | 'ERR_OFFHEAP_CLOSED'
  /**
   * Not a pointer that this heap handed out: misaligned, outside, inside a block, in the
   * wilderness.
   */
  | 'ERR_OFFHEAP_INVALID_POINTER'
  /** The block at this pointer is already free. */
  | 'ERR_OFFHEAP_DOUBLE_FREE'
  /** A block that is pinned can't be freed or resized, nor its heap reset or closed. */
  | 'ERR_OFFHEAP_PINNED'
  /** A view of another buffer. */
  | 'ERR_OFFHEAP_FOREIGN_VIEW'
  /** The bytes of the heap contradict each other: something wrote where it should not. */
  | 'ERR_OFFHEAP_CORRUPT'
  /** The buffer to attach to does not hold a heap of this layout version. */
  | 'ERR_OFFHEAP_NOT_A_HEAP'
  /** The heap in this file is open elsewhere. */
  | 'ERR_OFFHEAP_LOCKED'
  /** The heap in this file was not closed, and `recover: false` was given. */
  | 'ERR_OFFHEAP_UNCLEAN'
  /** The file of the heap is shorter than it was: somebody truncated it. */
  | 'ERR_OFFHEAP_TRUNCATED'
  /**
   * Another thread or process is in the heap, and did not leave it in time; or too many have it
   * open.
   */
  | 'ERR_OFFHEAP_BUSY'
  /** The operating system refused; `errno` and `syscall` say what. */
  | 'ERR_OFFHEAP_SYSTEM'
  /** This platform, or this build of Node, can't do what was asked. */
  | 'ERR_OFFHEAP_UNSUPPORTED'
  /** The native addon is not built for this platform. */
  | 'ERR_OFFHEAP_NO_ADDON'
  /** A trace that can't be read, or does not make sense; the message names the line. */
  | 'ERR_OFFHEAP_TRACE'

/** What the system said when it refused. */
export interface SystemFault {
  /** The error number, positive, as in `os.constants.errno`. */
  readonly errno: number
  /** The call that failed, such as `mmap`. */
  readonly syscall: string
}

/** The block that a fault is about, as a hardened heap tells it. */
export interface FaultyBlock {
  /** What malloc returned for it. */
  readonly pointer: number
  /** The bytes that were asked for; of free memory, the bytes of the block. */
  readonly size: number
  /** Where it was allocated: a stack, in a heap with `trackAllocations`. */
  readonly allocated?: string
  /** Where it was given back, the same way. */
  readonly freed?: string
}

/** Where each code has its paragraph: a file of the package. */
const HELP = 'offheap/docs/troubleshooting.md'
const LINKS = new RegExp(` \\(see ${HELP}#\\w+\\)`, 'g')

/** The link at the end of the message of an error with this code. */
export function linkOf(code: OffheapErrorCode): string {
  return ` (see ${HELP}#${code.toLowerCase()})`
}

/**
 * An error of offheap's own; `code` tells which, and the message ends with a link to what can be
 * done about it.
 */
export class OffheapError extends Error {
  override readonly name = 'OffheapError'
  readonly code: OffheapErrorCode
  readonly errno?: number
  readonly syscall?: string
  /** In a hardened heap, the block that the fault is about. */
  readonly block?: FaultyBlock

  constructor(code: OffheapErrorCode, message: string, system?: SystemFault, block?: FaultyBlock) {
    // A message that quotes another error's brings its link along; one is enough.
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

/** Node's own `TypeError` for an argument of the wrong type. */
export function invalidType(name: string, expected: string, value: unknown): TypeError {
  const error = new TypeError(
    `The "${name}" argument must be ${expected}. Received ${inspect(value)} (${typeof value})`
  )
  return Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' })
}

/** Node's own `RangeError` for an argument out of its range. */
export function outOfRange(name: string, range: string, value: unknown): RangeError {
  const error = new RangeError(
    `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`
  )
  return Object.assign(error, { code: 'ERR_OUT_OF_RANGE' })
}

/**
 * Node's own `TypeError` for a value that makes no sense there. `name` is that of a property, such
 * as `options.size`.
 */
export function invalidValue(name: string, reason: string, value: unknown): TypeError {
  const error = new TypeError(`The property '${name}' ${reason}. Received ${inspect(value)}`)
  return Object.assign(error, { code: 'ERR_INVALID_ARG_VALUE' })
}

/** Node's own `Error` for what can't go on after what happened meanwhile. */
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

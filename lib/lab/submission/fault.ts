/**
 * What can be wrong with a submission, as data: the worker finds it, the reports put it into words
 * and pictures.
 */

export const FAULT_KINDS = [
  /** The file can't be compiled, loaded, or has no `create`. */
  'load',
  /** The allocator threw. */
  'exception',
  /** It returned something that is no pointer. */
  'not-a-pointer',
  'misaligned',
  /** A block that reaches below `low` or beyond `high`. */
  'outside',
  'overlap',
  /** The allocator wrote into a payload. */
  'payload',
  /** A realloc did not keep what the block held, or read beyond it. */
  'realloc',
  /** A calloc that did not clear, or is missing where it is asked for. */
  'calloc',
  /** Memory was touched that `sbrk` never handed out, or with an index that is none. */
  'access',
  /** NULL although memory is left, or all memory used up. */
  'out-of-memory',
  /** The allocator's own `check()` failed. */
  'check',
  /** An operation that never returns. */
  'endless',
  /** The trace as a whole takes longer than its limit. */
  'slow',
  /** JavaScript objects and buffers beyond the limit. */
  'runaway',
  /** Two allocators at a time disturb each other. */
  'shared-state',
  /** Bookkeeping in JavaScript objects instead of the mapped memory. */
  'state-outside',
  /** Parts of the language were replaced. */
  'tampering',
  /** A timed replay did something else than the verified one. */
  'unlike',
  /** The process ended by itself. */
  'exit'
] as const

export type FaultKind = (typeof FAULT_KINDS)[number]

/** A place in the student's source. Lines and columns count from 1. */
export interface CodePlace {
  readonly file: string
  readonly line: number
  readonly column: number
  /** The function's name; empty at top level. */
  readonly function: string
}

export interface Fault {
  readonly kind: FaultKind
  /** The id of the block whose payload changed; -1 for other faults. */
  readonly block: number
  /** Index of the operation, from 0; -1 when it is none in particular. */
  readonly operation: number
  /**
   * Where in the trace, for people: `operation 12 (line 16), free of id 3`. Empty when it is
   * nowhere in particular.
   */
  readonly where: string
  /** One sentence: what went wrong. */
  readonly what: string
  /** More facts, a sentence each. */
  readonly details: readonly string[]
  /** The neighbourhood in memory, as lines of text. */
  readonly picture: readonly string[]
  /**
   * Where in the student's source it happened, the innermost call first; empty when that isn't
   * known.
   */
  readonly stack: readonly CodePlace[]
  /**
   * What is wrong with the allocator, as far as the history of its heap tells; empty if it
   * doesn't.
   */
  readonly cause: string
  /** What usually causes this; empty when nothing is known. */
  readonly hint: string
}

/** Among the details of a fault that no trace of a file shows. */
export const OF_VARIANT =
  'This was in a variant of the trace, with a few more blocks here and there; operations are ' +
  'counted in it.'

/** Thrown by whoever finds a fault, to leave the replay. */
export class FaultFound extends Error {
  override readonly name = 'FaultFound'
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.what)
    this.fault = fault
  }
}

/** What a fault has beside its kind and its sentence. */
export type FaultParts = Partial<Omit<Fault, 'kind' | 'what'>>

export function faultOf(kind: FaultKind, what: string, more: FaultParts = {}): Fault {
  return {
    kind,
    block: -1,
    operation: -1,
    where: '',
    what,
    details: [],
    picture: [],
    stack: [],
    cause: '',
    hint: '',
    ...more
  }
}

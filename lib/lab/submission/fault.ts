/** The defects of a submission, as data: the judge finds them, and the reports describe them. */

export const FAULT_KINDS = [
  /** The file can't be compiled, loaded, or has no `create`. */
  'load',
  /** The allocator threw. */
  'exception',
  /** It returned something that is not a pointer. */
  'not-a-pointer',
  'misaligned',
  /** A block that reaches below `low` or beyond `high`. */
  'outside',
  'overlap',
  /** The allocator wrote into a payload. */
  'payload',
  /** A realloc lost contents of the block, or read beyond it. */
  'realloc',
  /** A calloc did not clear, or is missing although it is required. */
  'calloc',
  /** An access to memory that `sbrk` never handed out, or with an invalid index. */
  'access',
  /** NULL although there is memory left, or no memory left. */
  'out-of-memory',
  /** The allocator's own `check()` failed. */
  'check',
  /** An operation that never returns. */
  'endless',
  /** The trace as a whole takes longer than its limit. */
  'slow',
  /** JavaScript objects and buffers exceed the limit. */
  'runaway',
  /** Two heaps of the submission disturb each other. */
  'shared-state',
  /** State in JavaScript objects instead of the mapped memory. */
  'state-outside',
  /** Parts of the language were replaced. */
  'tampering',
  /** A timed replay differs from the verified one. */
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
  /** The index of the operation, from 0; -1 for none in particular. */
  readonly operation: number
  /**
   * The operation in readable form: `operation 12 (line 16), free of id 3`. Empty for none in
   * particular.
   */
  readonly where: string
  /** What went wrong, in one sentence. */
  readonly what: string
  /** More facts, one sentence each. */
  readonly details: readonly string[]
  /** The neighbourhood in memory, as lines of text. */
  readonly picture: readonly string[]
  /** The place in the student's source, the innermost call first; empty if not known. */
  readonly stack: readonly CodePlace[]
  /** The mistake behind the defect, from the history of the heap; empty if not known. */
  readonly cause: string
  /** What usually causes such a defect; empty if nothing is known. */
  readonly hint: string
}

/** A detail of a fault that was found in a variant of the trace, which is in no file. */
export const OF_VARIANT =
  'This was in a variant of the trace, with a few more blocks here and there; operations are ' +
  'counted in it.'

/** Thrown when a fault is found, to end the replay. */
export class FaultFound extends Error {
  override readonly name = 'FaultFound'
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.what)
    this.fault = fault
  }
}

/** The optional parts of a fault. */
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

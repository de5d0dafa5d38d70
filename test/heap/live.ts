/**
 * What drive.ts and audit.ts share: the blocks of a driven heap, and the comparison that says what
 * differs.
 */

/** A block that was not freed yet. */
export interface Live {
  readonly pointer: number
  /** The bytes that were asked for, and those that it can hold. */
  readonly size: number
  readonly usable: number
  /** What is written in it: see tape.ts. */
  readonly seed: number
  readonly name: string
}

/** Throws when two things differ that must not. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected)
    throw new Error(`${what} is ${String(actual)}, and should be ${String(expected)}`)
}

/**
 * Shared by drive.ts and audit.ts: the blocks of a driven heap, and a comparison that reports the
 * difference.
 */

/** A block that was not freed yet. */
export interface Live {
  readonly pointer: number
  /** The requested bytes, and those that it can hold. */
  readonly size: number
  readonly usable: number
  /** What is written in it: see tape.ts. */
  readonly seed: number
  readonly name: string
}

/** Throws if two values differ that must not. */
export function same(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected)
    throw new Error(`${what} is ${String(actual)}, and should be ${String(expected)}`)
}

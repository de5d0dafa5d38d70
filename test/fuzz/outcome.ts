/** The permitted outcomes of a call: a value, or a named error. Anything else is a finding. */
import { OffheapError } from '../../lib/errors.js'

/** Node's own codes for wrong arguments. */
const ARGUMENT = new Set<unknown>([
  'ERR_INVALID_ARG_TYPE',
  'ERR_OUT_OF_RANGE',
  'ERR_INVALID_ARG_VALUE'
])

/** The code of an error, if callers can distinguish it; undefined for any other. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof OffheapError) return error.code
  if (
    (error instanceof TypeError || error instanceof RangeError) &&
    'code' in error &&
    ARGUMENT.has(error.code)
  ) {
    return String(error.code)
  }
  return undefined
}

/** Runs a call. Returns its value, or its error if that has a code; throws a finding. */
export function attempt(
  name: string,
  call: () => unknown
): { value?: unknown; code?: string; error?: unknown } {
  try {
    return { value: call() }
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw new Error(`${name} ended with ${String(error)}`, { cause: error })
    return { code, error }
  }
}

/** Converts the beginning of a trace to calls of a program. */

import { ALIGNED, CALLOC, FREE, MALLOC, NULL_ID, type Trace } from '../trace/trace.js'
import type { Call, Reference } from './calls.js'

/**
 * Returns the first `count` operations as calls. An id that is reused after its free gets a new
 * variable.
 */
export function callsOfTrace(trace: Trace, count: number): Call[] {
  const variables = new Map<number, number>()
  let made = 0
  const calls: Call[] = []
  for (let i = 0; i < Math.min(count, trace.length); i++) {
    const id = trace.idOf[i]
    const size = trace.sizes[i]
    const kind = trace.kinds[i]
    const known = variables.get(id)
    const of: Reference =
      id === NULL_ID || known === undefined ? { pointer: 0 } : { variable: known }
    if (kind === FREE) {
      calls.push({ kind: 'free', of })
      variables.delete(id)
    } else if (kind === MALLOC || kind === CALLOC || kind === ALIGNED || 'pointer' in of) {
      variables.set(id, made++)
      if (kind === CALLOC) calls.push({ kind: 'calloc', count: trace.extras[i], size })
      else if (kind === ALIGNED) calls.push({ kind: 'aligned', alignment: trace.extras[i], size })
      else calls.push({ kind: 'malloc', size })
    } else {
      calls.push({ kind: 'realloc', of, size })
      if (size === 0) variables.delete(id)
    }
  }
  return calls
}

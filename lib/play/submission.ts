/**
 * Opens a lab's allocator for the page: calls its `create(memory)` with memory that records, and
 * with `sbrk` as in the lab.
 */

import type { Player } from './player.js'
import { Recorder } from './recorder.js'

/** The byte offset of the heap: the page size of most systems. */
export const LOW = 4096
/** The most elements that a call may read and write. */
const MOST_ACCESSES = 1_000_000

/**
 * Opens a new heap of at most `bytes` bytes for the allocator that `module` exports. Throws an
 * `Error` that says what is missing.
 */
export function openSubmission(module: unknown, bytes: number): Player {
  const create = functionOf(module, ['create', 'default'])
  if (create === undefined)
    throw new Error('The file exports no function "create": export function create(memory) { … }')
  const limit = Math.ceil(bytes / 8) * 8
  let high = LOW
  const recorder = new Recorder(new ArrayBuffer(LOW + limit), MOST_ACCESSES, () => high)
  const memory = Object.freeze({
    ...recorder.views(),
    low: LOW,
    pageSize: LOW,
    get high() {
      return high
    },
    sbrk: (more: unknown) => {
      if (typeof more !== 'number' || !Number.isInteger(more) || more < 0) {
        throw new RangeError(`sbrk takes an integer of 0 or more. Received ${String(more)}`)
      }
      if (high + more > LOW + limit) return -1
      const before = high
      high += more
      recorder.noteBreak(before, high)
      return before
    }
  })
  const allocator = create(memory)
  const malloc = functionOf(allocator, ['malloc'])
  const free = functionOf(allocator, ['free'])
  const realloc = functionOf(allocator, ['realloc'])
  if (malloc === undefined || free === undefined || realloc === undefined) {
    throw new Error(
      'create(memory) must return an object with the functions malloc, free and realloc'
    )
  }
  const calloc = functionOf(allocator, ['calloc'])
  const describe = functionOf(allocator, ['describe'])
  return {
    recorder,
    malloc,
    free,
    realloc,
    calloc: calloc ?? missing('This allocator has no calloc (calloc is optional in the lab)'),
    alignedAlloc: missing("A lab's allocator has no alignedAlloc"),
    get high() {
      return high
    },
    describe: describe ?? (() => undefined)
  }
}

function missing(what: string): () => never {
  return () => {
    throw new Error(what)
  }
}

/** Returns the first of these properties that is a function, bound to `value`. */
function functionOf(
  value: unknown,
  names: readonly string[]
): ((...args: readonly unknown[]) => unknown) | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const name of names) {
    const found: unknown = Reflect.get(value, name)
    if (typeof found === 'function') return (...args) => Reflect.apply(found, value, args)
  }
  return undefined
}

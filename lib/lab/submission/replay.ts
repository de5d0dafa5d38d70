/**
 * The loop that calls a submission. It is the same for verification and timing, so that a
 * submission can't tell them apart. It writes a stamp, the number of the operation, into the first
 * word of each payload. It reads the stamp before free and after realloc, and the judge compares
 * it.
 */

import { types } from 'node:util'
import { Script } from 'node:vm'
import { BY_REALLOC, CALLOC, FREE, NULL_ID, REALLOC } from '../../trace/trace.js'
import { type Channel, OPERATION } from './channel.js'
import type { Allocator } from './memory.js'

/** Smaller payloads, in bytes, get no stamp. */
export const STAMPED = 4

/**
 * Performs operations `from` to `until - 1`. Returns a description of the first result that is not
 * a pointer; undefined if there is none.
 */
export type Replay = (
  channel: Channel,
  allocator: Allocator,
  heap: Int32Array,
  pointers: Int32Array,
  from: number,
  until: number
) => string | undefined

const constants = { BY_REALLOC, CALLOC, FREE, NULL_ID, REALLOC, OPERATION, STAMPED, described }

/** Compiles the loop again from its source text, so that V8 has no feedback about it. */
export function makeReplay(): Replay {
  const make: unknown = new Script(`'use strict';(${replayWith})`, {
    filename: 'replay.js'
  }).runInThisContext()
  if (typeof make !== 'function') throw new TypeError('expected a function')
  const replay: unknown = Reflect.apply(make, undefined, [constants])
  if (typeof replay !== 'function') throw new TypeError('expected a function')
  return (...args) => {
    const odd: unknown = Reflect.apply(replay, undefined, args)
    return typeof odd === 'string' ? odd : undefined
  }
}

/**
 * Creates the loop. Refers to nothing outside itself, because it is compiled from its source text.
 */
function replayWith({
  BY_REALLOC,
  CALLOC,
  FREE,
  NULL_ID,
  REALLOC,
  OPERATION,
  STAMPED,
  described
}: typeof constants): Replay {
  return ({ words, results, stamps, kinds, ids, payloads, counts }, allocator, ...rest) => {
    const [heap, pointers, from, until] = rest
    for (let i = from; i < until; i++) {
      words[OPERATION] = i
      const id = ids[i]
      const kind = kinds[i]
      if (kind === FREE) {
        results[i] = 0
        if (id === NULL_ID) allocator.free(0)
        else {
          const pointer = pointers[id]
          stamps[i] = heap[pointer >> 2]
          pointers[id] = 0
          const left: unknown = counts[i] === BY_REALLOC ? allocator.realloc(pointer, 0) : pointer
          if (typeof left !== 'number') return described(left)
          if (left !== 0) allocator.free(left)
        }
        continue
      }
      const bytes = payloads[i]
      const old = kind === REALLOC ? pointers[id] : 0
      const isCleared = kind === CALLOC && allocator.calloc !== undefined
      const count = counts[i]
      const pointer: unknown = isCleared
        ? allocator.calloc?.(count, bytes / Math.max(1, count))
        : kind === REALLOC || (kind !== CALLOC && count === BY_REALLOC)
          ? allocator.realloc(old, bytes)
          : allocator.malloc(bytes)
      if (typeof pointer !== 'number' || (pointer | 0) !== pointer || pointer < 0)
        return described(pointer)
      results[i] = pointer
      pointers[id] = pointer
      if (old !== 0) stamps[i] = heap[pointer >> 2]
      else if (bytes >= STAMPED && pointer !== 0) {
        // Keep the zeros of a calloc, and report its first and last word instead of a stamp.
        if (isCleared) stamps[i] = heap[pointer >> 2] | heap[(pointer + bytes - STAMPED) >> 2]
        else heap[pointer >> 2] = i
      }
    }
    return undefined
  }
}

/**
 * Describes a value. Reads no property of objects, because getters would run the submission's
 * code.
 */
function described(value: unknown): string {
  if (types.isPromise(value)) return 'a Promise'
  if (typeof value === 'object' && value !== null) return 'an object'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  return typeof value === 'bigint' ? `${value}n` : String(value)
}

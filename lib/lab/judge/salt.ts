/**
 * Variants of a trace, with a few additional short-lived blocks. A submission sees each variant
 * only once, so remembered or precomputed pointers are of no use while it is timed.
 */

import { ALIGNED, CALLOC, FREE, MALLOC, payloadOf, type Trace } from '../../trace/trace.js'
import { countsOf, type Replayed } from '../submission/channel.js'

/** The average number of operations between two additional blocks. */
const EVERY = 64
/** The longest lifetime of an additional block, in operations, and its most bytes. */
const LIFE = 48
const BYTES = 256

export interface Variant extends Replayed {
  /** The operation of the trace for each one of the variant; -1 for additional ones. */
  readonly origins: Int32Array
}

/** Returns the most operations of a variant of a trace with this many. */
export function saltedLength(operations: number): number {
  return operations + 2 * addedTo(operations)
}

function addedTo(operations: number): number {
  return Math.ceil(operations / EVERY)
}

/** Returns the unchanged trace as a variant. */
export function plain(trace: Trace): Variant {
  const { length, ids, kinds, idOf } = trace
  const payloads = Int32Array.from({ length }, (_, i) => payloadOf(trace, i))
  const counts = countsOf(trace)
  return {
    length,
    ids,
    kinds,
    idOf,
    payloads,
    counts,
    origins: Int32Array.from({ length }, (_, i) => i)
  }
}

/** Returns the variant of a trace for a seed. */
export function salted(trace: Variant, seed: number): Variant {
  const random = generator(seed)
  const most = saltedLength(trace.length)
  const kinds = new Uint8Array(most)
  const idOf = new Int32Array(most)
  const payloads = new Int32Array(most)
  const counts = new Int32Array(most)
  const origins = new Int32Array(most)
  /** For each operation of the trace, the additional blocks that are freed before it. */
  const due = new Map<number, number[]>()
  let length = 0
  let ids = trace.ids
  const add = (kind: number, id: number, bytes: number, origin: number) => {
    kinds[length] = kind
    idOf[length] = id
    payloads[length] = bytes
    counts[length] = origin === -1 ? 0 : trace.counts[origin]
    origins[length++] = origin
  }
  const end = trace.ids + addedTo(trace.length)
  for (let i = 0; i < trace.length; i++) {
    for (const id of due.get(i) ?? []) add(FREE, id, 0, -1)
    if (ids < end && random() < 1 / EVERY) {
      add(MALLOC, ids, 1 + Math.floor(random() * BYTES), -1)
      const at = i + 1 + Math.floor(random() * LIFE)
      due.set(at, [...(due.get(at) ?? []), ids++])
    }
    add(trace.kinds[i], trace.idOf[i], trace.payloads[i], i)
  }
  return {
    length,
    ids,
    kinds: kinds.subarray(0, length),
    idOf: idOf.subarray(0, length),
    payloads: payloads.subarray(0, length),
    counts: counts.subarray(0, length),
    origins: origins.subarray(0, length)
  }
}

/** Returns a variant as a trace, without lines of a file. */
export function traceOf({ length, ids, kinds, idOf, payloads, counts }: Variant): Trace {
  return {
    name: 'variant',
    length,
    ids,
    kinds: kinds.map(kind => (kind === ALIGNED ? MALLOC : kind)),
    idOf,
    sizes: Float64Array.from(payloads, (bytes, i) =>
      kinds[i] === CALLOC ? bytes / Math.max(1, counts[i]) : bytes
    ),
    extras: Float64Array.from(counts),
    lines: new Uint32Array(length)
  }
}

/** Mulberry32, by Tommy Ettinger. Returns numbers from 0 to 1 that depend on the seed only. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * Variants of a trace: here and there a block more, which lives for a moment. A submission meets
 * each variant once, so that pointers it remembers, or that its author wrote down, are of no use to
 * it while it is timed.
 */

import { ALIGNED, CALLOC, FREE, MALLOC, payloadOf, type Trace } from '../../trace/trace.js'
import { countsOf, type Replayed } from '../submission/channel.js'

/** One in so many operations is a block that is put in, on average. */
const EVERY = 64
/** The most operations that such a block lives for, and its most bytes. */
const LIFE = 48
const BYTES = 256

export interface Variant extends Replayed {
  /** The trace's own operation behind each; -1 for one that was put in. */
  readonly origins: Int32Array
}

/** The most operations of a variant of a trace with so many. */
export function saltedLength(operations: number): number {
  return operations + 2 * addedTo(operations)
}

function addedTo(operations: number): number {
  return Math.ceil(operations / EVERY)
}

/** The trace as it is. */
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

/** The variant of a plain trace with this seed; each seed makes another one. */
export function salted(trace: Variant, seed: number): Variant {
  const random = generator(seed)
  const most = saltedLength(trace.length)
  const kinds = new Uint8Array(most)
  const idOf = new Int32Array(most)
  const payloads = new Int32Array(most)
  const counts = new Int32Array(most)
  const origins = new Int32Array(most)
  /** For each of the trace's operations, the blocks that are freed before it. */
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

/** A variant as a trace, whose operations stand in no file. */
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

/** Mulberry32, by Tommy Ettinger: numbers from 0 to 1, the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/**
 * The shared memory for the communication between the judge and the process of a submission. One
 * word says whose turn it is; others hold the command and its outcome; columns hold the operations
 * and their results. The heaps are elsewhere: no view that a submission gets covers the channel.
 *
 *     ├─ words ─┬─ text ─┬─ results ─┬─ stamps ─┬─ kinds ─┬─ ids ─┬─ payloads ─┬─ …
 *     0         256      256 + TEXT_BYTES         one element for each operation
 *
 * A submission that finds a way to it could overwrite everything here. So the judge uses only what
 * it checks afterwards, or what can harm only the submission itself.
 */

import { addon } from '../../memory/addon.js'
import { ALIGNED, payloadOf, type Trace } from '../../trace/trace.js'

/** The number of the command that the judge has given. The process waits on this word. */
export const TURN = 0
/** The number of the last completed command. The judge waits on this word. */
export const DONE = 1
export const COMMAND = 2
/** The index of the heap. */
export const INSTANCE = 3
/** The range of operations: the first, and the end, exclusive. */
export const FROM = 4
export const UNTIL = 5
/** The status of the last command: one of those below. */
export const STATUS = 6
/** The current operation, or LOADING or CREATING. */
export const OPERATION = 7
/** The number of accesses of a watched allocator, modulo 2 ** 32. */
export const ACCESSES = 8
/** The length of the text of the last command, in bytes. */
export const TEXT_LENGTH = 9
/** How often the process polls TURN before it sleeps. */
export const SPINS = 10
/** The protections that `confine` could enable. */
export const CONFINED = 11
/** The mode of views: one of those below. */
export const MODE = 12
/** Settings of DIAGNOSE and COUNT. */
export const MOST = 13
export const WATCH = 14
export const INTERVAL = 15
export const ALIGNMENT = 16
/** Whether DIAGNOSE records who wrote each word. */
export const WRITERS = 17
/** The numbers of operations and ids of the trace in the columns. */
export const LENGTH = 18
export const IDS = 19
/** The number of words that a counted allocator has read and written, as a double. */
export const COUNTED = 20
/** Whether the last created allocator has a calloc. */
export const CALLOCS = 22
/** Whether an allocator must have a calloc. */
export const NEEDS_CALLOC = 23
/** For each heap: its end, the bytes of the last failed sbrk, the bytes that sbrk may hand out. */
export const HEAPS = 24
export const HEAP_WORDS = 4
export const HIGH = 0
export const REFUSED = 1
export const LIMIT = 2

/** A command that does nothing. */
export const NOTHING = 0
export const CREATE = 1
export const RUN = 2
export const CHECK = 3
export const DIAGNOSE = 4
export const GROWTH = 5
export const CHANGED = 6
/** Discards everything that the submission loaded or created. */
export const AFRESH = 7

export const FINE = 0
/** The submission threw; the text describes what. */
export const THREW = 1
/** It returned something that is not a pointer; the text describes what. */
export const NO_POINTER = 2
/** The text is a `Fault`, as JSON. */
export const FAULT = 3

/**
 * Values of OPERATION before the first operation: while the file is loaded, and while `create`
 * runs.
 */
export const LOADING = -2
export const CREATING = -1

export const PLAIN = 0
/** With views that count the words read and written. */
export const COUNTING = 1

export const INSTANCES = 2

const WORD_BYTES = 256
const TEXT_BYTES = 2 ** 18
/** The bytes of one operation in all columns. */
const OPERATION_BYTES = 7 * 4 + 2 * 8

/** The functions of native/lab.h. */
export const shared = () => addon().lab

/** The columns of a trace that a replay needs. */
export interface Replayed {
  readonly length: number
  readonly ids: number
  readonly kinds: Uint8Array
  readonly idOf: Int32Array
  readonly payloads: Int32Array
  /**
   * The number of elements of a calloc; for other operations, 1 if `realloc` is called instead.
   */
  readonly counts: Int32Array
}

export class Channel {
  readonly buffer: ArrayBuffer
  readonly words: Int32Array
  readonly counted: Float64Array
  readonly results: Int32Array
  readonly stamps: Int32Array
  readonly kinds: Int32Array
  readonly ids: Int32Array
  readonly payloads: Int32Array
  readonly counts: Int32Array
  readonly #text: Buffer
  readonly #lines: Int32Array
  readonly #sizes: Float64Array
  readonly #extras: Float64Array

  /** Returns the size in bytes of a channel for traces of up to this many operations. */
  static bytesFor(operations: number): number {
    return WORD_BYTES + TEXT_BYTES + Channel.#capacityFor(operations) * OPERATION_BYTES
  }

  /** @param buffer of `bytesFor(operations)` bytes */
  constructor(buffer: ArrayBuffer, operations: number) {
    const capacity = Channel.#capacityFor(operations)
    this.buffer = buffer
    this.words = new Int32Array(buffer, 0, WORD_BYTES / 4)
    this.counted = new Float64Array(buffer, COUNTED * 4, 1)
    this.#text = Buffer.from(buffer, WORD_BYTES, TEXT_BYTES)
    let at = WORD_BYTES + TEXT_BYTES
    const column = () => {
      const begin = at
      at += capacity * 4
      return new Int32Array(buffer, begin, capacity)
    }
    this.results = column()
    this.stamps = column()
    this.kinds = column()
    this.ids = column()
    this.payloads = column()
    this.counts = column()
    this.#lines = column()
    this.#sizes = new Float64Array(buffer, at, capacity)
    this.#extras = new Float64Array(buffer, at + capacity * 8, capacity)
  }

  /** Returns an even number, so that the doubles after the words are aligned. */
  static #capacityFor(operations: number): number {
    return operations + (operations % 2)
  }

  get text(): string {
    const length = Math.min(Math.max(0, this.words[TEXT_LENGTH]), TEXT_BYTES)
    return this.#text.toString('utf8', 0, length)
  }

  set text(text: string) {
    this.words[TEXT_LENGTH] = this.#text.write(text, 'utf8')
  }

  /** Stores a trace in the columns. */
  lay(trace: Trace): void {
    const { words, kinds, ids, payloads, counts } = this
    words[LENGTH] = trace.length
    words[IDS] = trace.ids
    kinds.set(trace.kinds)
    ids.set(trace.idOf)
    for (let i = 0; i < trace.length; i++) payloads[i] = payloadOf(trace, i)
    counts.set(countsOf(trace))
    this.#lines.set(trace.lines)
    this.#sizes.set(trace.sizes)
    this.#extras.set(trace.extras)
  }

  /** Stores the columns that a replay needs. */
  put({ length, ids, kinds, idOf, payloads, counts }: Replayed): void {
    this.words[LENGTH] = length
    this.words[IDS] = ids
    this.kinds.set(kinds)
    this.ids.set(idOf)
    this.payloads.set(payloads)
    this.counts.set(counts)
  }

  /** Returns a copy of the trace in the columns. */
  trace(): Trace {
    const { words, kinds, ids } = this
    const length = words[LENGTH]
    return {
      name: '',
      length,
      ids: words[IDS],
      kinds: Uint8Array.from(kinds.subarray(0, length)),
      idOf: ids.slice(0, length),
      sizes: this.#sizes.slice(0, length),
      extras: this.#extras.slice(0, length),
      lines: Uint32Array.from(this.#lines.subarray(0, length))
    }
  }
}

/**
 * Returns the number of elements of each calloc, 1 for each malloc or free by realloc, and 0 for
 * the others.
 */
export function countsOf({ length, kinds, extras }: Trace): Int32Array {
  const counts = new Int32Array(length)
  for (let i = 0; i < length; i++) counts[i] = kinds[i] === ALIGNED ? 0 : extras[i]
  return counts
}

/**
 * Returns the bytes that each heap takes in the file of the heaps, for heaps of up to `limit`
 * bytes.
 */
export function heapRoom(limit: number): number {
  // There are guards after the memory that sbrk hands out, and pages have up to LARGEST_PAGE bytes.
  return Math.ceil(limit / LARGEST_PAGE) * LARGEST_PAGE + 2 * LARGEST_PAGE
}

/** The largest page size of all systems that Node runs on, in bytes. */
const LARGEST_PAGE = 65536

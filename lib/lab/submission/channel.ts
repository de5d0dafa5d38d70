/**
 * The memory over which the judge and the process of a submission speak: one word says whose turn
 * it is, others say what to do and how it went, columns hold the operations and what came of each.
 * The heaps lie elsewhere: no view that a submission is given reaches this.
 *
 *     ├─ words ─┬─ text ─┬─ results ─┬─ stamps ─┬─ kinds ─┬─ ids ─┬─ payloads ─┬─ …
 *     0         256      256 + TEXT_BYTES         one element for each operation
 *
 * Everything here may be overwritten by a submission that finds a way to it. The judge takes from
 * it what it then checks, or what can only harm the submission itself.
 */

import { addon } from '../../memory/addon.js'
import { ALIGNED, payloadOf, type Trace } from '../../trace/trace.js'

/** Number of the command that the judge has given; the process waits here. */
export const TURN = 0
/** Number of the last command that is done; the judge waits here. */
export const DONE = 1
export const COMMAND = 2
/** Which of the two heaps. */
export const INSTANCE = 3
/** Operations, the first and the one behind the last. */
export const FROM = 4
export const UNTIL = 5
/** How the last command ended: one of the statuses below. */
export const STATUS = 6
/** The operation under way, or one of the two below. */
export const OPERATION = 7
/** How often a watched allocator has touched the memory, modulo 2 ** 32. */
export const ACCESSES = 8
/** Bytes of text that the last command left. */
export const TEXT_LENGTH = 9
/** Looks at TURN before the process sleeps. */
export const SPINS = 10
/** What `confine` could put in force. */
export const CONFINED = 11
/** How views are made: one of the modes below. */
export const MODE = 12
/** Settings of DIAGNOSE and COUNT. */
export const MOST = 13
export const WATCH = 14
export const INTERVAL = 15
export const ALIGNMENT = 16
/** Whether DIAGNOSE remembers who wrote each word. */
export const WRITERS = 17
/** Operations and ids of the trace that lies in the columns. */
export const LENGTH = 18
export const IDS = 19
/** Words that a counted allocator has read and written; a double. */
export const COUNTED = 20
/** Whether the allocator that was created last has a calloc. */
export const CALLOCS = 22
/** Whether an allocator without calloc is wrong. */
export const NEEDS_CALLOC = 23
/**
 * For each heap: its end, the bytes of the last sbrk that was refused, the bytes that sbrk may hand
 * out.
 */
export const HEAPS = 24
export const HEAP_WORDS = 4
export const HIGH = 0
export const REFUSED = 1
export const LIMIT = 2

/** A command that is done at once. */
export const NOTHING = 0
export const CREATE = 1
export const RUN = 2
export const CHECK = 3
export const DIAGNOSE = 4
export const GROWTH = 5
export const CHANGED = 6

export const FINE = 0
/** The submission threw; the text says what. */
export const THREW = 1
/** It returned something that is no pointer; the text says what. */
export const NO_POINTER = 2
/** The text is a `Fault`, as JSON. */
export const FAULT = 3

/** Values of OPERATION before the first: the file is being loaded, `create` is called. */
export const LOADING = -2
export const CREATING = -1

export const PLAIN = 0
/** Views that count the words that are read and written. */
export const COUNTING = 1

export const INSTANCES = 2

const WORD_BYTES = 256
const TEXT_BYTES = 2 ** 18
/** Bytes of each operation's share of the columns. */
const OPERATION_BYTES = 7 * 4 + 2 * 8

/** What `addon().lab` is; see native/lab.h. */
export const shared = () => addon().lab

/** What a replay needs of a trace. */
export interface Replayed {
  readonly length: number
  readonly ids: number
  readonly kinds: Uint8Array
  readonly idOf: Int32Array
  readonly payloads: Int32Array
  /** Of a calloc, how many elements; of others, 1 where it is `realloc` that is called. */
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

  /** Bytes of a channel for traces of up to so many operations. */
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

  /** Even, so that doubles behind words are aligned. */
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

  /** Puts a trace into the columns. */
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

  /** Puts what a replay needs of a trace into the columns. */
  put({ length, ids, kinds, idOf, payloads, counts }: Replayed): void {
    this.words[LENGTH] = length
    this.words[IDS] = ids
    this.kinds.set(kinds)
    this.ids.set(idOf)
    this.payloads.set(payloads)
    this.counts.set(counts)
  }

  /** A copy of the trace in the columns. */
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

/** How many elements each calloc asks for, and which malloc or free is a realloc (1); else 0. */
export function countsOf({ length, kinds, extras }: Trace): Int32Array {
  return Int32Array.from({ length }, (_, i) => (kinds[i] === ALIGNED ? 0 : extras[i]))
}

/**
 * Bytes of the file that holds both heaps, and where each begins. Every heap may have `limit`
 * bytes.
 */
export function heapRoom(limit: number): number {
  // Behind what sbrk hands out lie guards, and the pages of the systems with the largest.
  return Math.ceil(limit / LARGEST_PAGE) * LARGEST_PAGE + 2 * LARGEST_PAGE
}

/** No system that Node runs on has larger pages, in bytes. */
const LARGEST_PAGE = 65536

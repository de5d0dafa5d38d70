/**
 * What a trace is in memory: the calls that a program made to its allocator, as columns. One typed array for each
 * field costs 25 bytes an operation and next to nothing to walk, so that a replay measures the allocator, not the trace.
 */

export const MALLOC = 0
export const CALLOC = 1
export const REALLOC = 2
export const ALIGNED = 3
export const FREE = 4

/** Which call an operation is: `MALLOC`, `CALLOC`, `REALLOC`, `ALIGNED` or `FREE`. */
export type Kind = typeof MALLOC | typeof CALLOC | typeof REALLOC | typeof ALIGNED | typeof FREE

/** The id that stands for NULL, in `free(NULL)`. */
export const NULL_ID = -1

export interface Trace {
  /** What people call it: the file's name without its ending. */
  readonly name: string
  /** Number of operations. */
  readonly length: number
  /** Number of ids; they are 0 … ids - 1. An id may be allocated again after its free. */
  readonly ids: number
  /** One `Kind` for each operation. */
  readonly kinds: Uint8Array
  /** The block each operation is about; -1 is NULL. */
  readonly idOf: Int32Array
  /** Bytes asked for; for calloc the bytes of one element; 0 for free. */
  readonly sizes: Float64Array
  /** Calloc: number of elements. Aligned: alignment in bytes. Else 0. */
  readonly extras: Float64Array
  /** Line of the file that each operation came from; 0 when it came from no file. */
  readonly lines: Uint32Array
  /** What was odd about the file and could be lived with, in words. */
  readonly notes?: readonly string[]
}

/** Most operations that one trace may hold: 2^27, or 3.4 GB of columns. */
export const MAX_OPERATIONS = 2 ** 27

/** Collects operations into columns that double when they are full. */
export class TraceBuilder {
  #length = 0
  #ids = 0
  #kinds = new Uint8Array(1024)
  #idOf = new Int32Array(1024)
  #sizes = new Float64Array(1024)
  #extras = new Float64Array(1024)
  #lines = new Uint32Array(1024)

  get length(): number {
    return this.#length
  }

  /** Adds one operation. Ids must be dense: an id larger than every one before it is the next. */
  add(kind: Kind, id: number, size = 0, extra = 0, line = 0): void {
    const i = this.#length
    if (i === this.#kinds.length) this.#grow()
    this.#kinds[i] = kind
    this.#idOf[i] = id
    this.#sizes[i] = size
    this.#extras[i] = extra
    this.#lines[i] = line
    if (id >= this.#ids) this.#ids = id + 1
    this.#length = i + 1
  }

  build(name: string, notes: readonly string[] = []): Trace {
    const length = this.#length
    return {
      name,
      length,
      ids: this.#ids,
      kinds: this.#kinds.subarray(0, length),
      idOf: this.#idOf.subarray(0, length),
      sizes: this.#sizes.subarray(0, length),
      extras: this.#extras.subarray(0, length),
      lines: this.#lines.subarray(0, length),
      notes
    }
  }

  #grow(): void {
    const capacity = this.#kinds.length * 2
    const kinds = new Uint8Array(capacity)
    kinds.set(this.#kinds)
    this.#kinds = kinds
    const idOf = new Int32Array(capacity)
    idOf.set(this.#idOf)
    this.#idOf = idOf
    const sizes = new Float64Array(capacity)
    sizes.set(this.#sizes)
    this.#sizes = sizes
    const extras = new Float64Array(capacity)
    extras.set(this.#extras)
    this.#extras = extras
    const lines = new Uint32Array(capacity)
    lines.set(this.#lines)
    this.#lines = lines
  }
}

/** Payload bytes that operation `i` asks for; 0 for free. */
export function payloadOf(trace: Trace, i: number): number {
  const size = trace.sizes[i]
  return trace.kinds[i] === CALLOC ? size * trace.extras[i] : size
}

/** Names operation `i` in a message: `operation 12 (line 16), realloc of id 3 to 100 bytes`. Operations count from 1. */
export function describeOperation(trace: Trace, i: number): string {
  const line = trace.lines[i]
  const where = line > 0 ? `operation ${i + 1} (line ${line})` : `operation ${i + 1}`
  const id = trace.idOf[i]
  const size = trace.sizes[i]
  const extra = trace.extras[i]
  switch (trace.kinds[i]) {
    case MALLOC:
      return `${where}, malloc of ${size} bytes for id ${id}`
    case CALLOC:
      return `${where}, calloc of ${extra} × ${size} bytes for id ${id}`
    case REALLOC:
      return `${where}, realloc of id ${id} to ${size} bytes`
    case ALIGNED:
      return `${where}, alignedAlloc of ${size} bytes at ${extra} for id ${id}`
    default:
      return `${where}, free of ${id === NULL_ID ? 'NULL' : `id ${id}`}`
  }
}

export interface Peaks {
  /** The most bytes that the program had asked for at one time. */
  readonly payload: number
  /** How many operations lead to the first such moment. */
  readonly operations: number
  /** The most bytes of whole blocks at one time, were there no fragmentation at all: with header, rounding and alignment. */
  readonly blocks: number
}

/** The peaks of a trace, which no allocator can do better than. One pass. */
export function peaksOf(trace: Trace): Peaks {
  const payloads = new Float64Array(trace.ids)
  const blocks = new Float64Array(trace.ids)
  let payload = 0
  let block = 0
  let peakPayload = 0
  let operations = 0
  let peakBlocks = 0
  for (let i = 0; i < trace.length; i++) {
    const id = trace.idOf[i]
    if (id === NULL_ID) continue
    const kind = trace.kinds[i]
    const bytes = payloadOf(trace, i)
    const alignment = kind === ALIGNED ? trace.extras[i] : 0
    const whole = kind === FREE ? 0 : Math.max(16, Math.ceil((bytes + 4) / 8) * 8) + alignment
    payload += bytes - payloads[id]
    block += whole - blocks[id]
    payloads[id] = bytes
    blocks[id] = whole
    if (payload > peakPayload) {
      peakPayload = payload
      operations = i + 1
    }
    if (block > peakBlocks) peakBlocks = block
  }
  return { payload: peakPayload, operations, blocks: peakBlocks }
}

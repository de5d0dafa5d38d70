/**
 * A trace in memory: the calls that a program made to its allocator, as columns. One typed array
 * for each field costs 25 bytes per operation and is fast to walk, so that a replay measures the
 * allocator.
 */

export const MALLOC = 0
export const CALLOC = 1
export const REALLOC = 2
export const ALIGNED = 3
export const FREE = 4

/** The kind of an operation: `MALLOC`, `CALLOC`, `REALLOC`, `ALIGNED` or `FREE`. */
export type Kind = typeof MALLOC | typeof CALLOC | typeof REALLOC | typeof ALIGNED | typeof FREE

/** The id that stands for NULL, in `free(NULL)`. */
export const NULL_ID = -1

/** The `extra` of a malloc that was `realloc(NULL, n)`, and of a free that was `realloc(p, 0)`. */
export const BY_REALLOC = 1

export interface Trace {
  /** The name of its file without the ending. */
  readonly name: string
  /** The number of operations. */
  readonly length: number
  /** The number of ids, which are 0 … ids - 1. An id may be allocated again after its free. */
  readonly ids: number
  /** The `Kind` of each operation. */
  readonly kinds: Uint8Array
  /** The id of each operation's block; -1 is NULL. */
  readonly idOf: Int32Array
  /** The requested bytes; for calloc those of one element; 0 for free. */
  readonly sizes: Float64Array
  /** For calloc the number of elements, for aligned the alignment in bytes, else 0. */
  readonly extras: Float64Array
  /** The line of each operation in its file; 0 if there is no file. */
  readonly lines: Uint32Array
  /** Oddities of the file that were tolerated, in words. */
  readonly notes?: readonly string[]
  /**
   * What is graded in CS:APP's malloc lab, according to the header: 0 only validity, 1 utilization
   * and throughput, 2 utilization, 3 throughput.
   */
  readonly weight?: Weight
}

export type Weight = 0 | 1 | 2 | 3

/** The most operations of a trace: 2^27, or 3.4 GB of columns. */
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

  /** Adds one operation. Ids must be dense: a new id is the largest so far plus 1. */
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

  build(name: string, notes: readonly string[] = [], weight?: Weight): Trace {
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
      notes,
      ...(weight === undefined ? {} : { weight })
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

/** The payload bytes that operation `i` requests; 0 for free. */
export function payloadOf(trace: Trace, i: number): number {
  const size = trace.sizes[i]
  return trace.kinds[i] === CALLOC ? size * trace.extras[i] : size
}

/**
 * Names operation `i` in a message: `operation 12 (line 16), realloc of id 3 to 100 bytes`.
 * Operations count from 1.
 */
export function describeOperation(trace: Trace, i: number): string {
  const line = trace.lines[i]
  const where = line > 0 ? `operation ${i + 1} (line ${line})` : `operation ${i + 1}`
  const id = trace.idOf[i]
  const size = trace.sizes[i]
  const extra = trace.extras[i]
  switch (trace.kinds[i]) {
    case MALLOC:
      if (extra === BY_REALLOC) return `${where}, realloc of NULL to ${size} bytes for id ${id}`
      return `${where}, malloc of ${size} bytes for id ${id}`
    case CALLOC:
      return `${where}, calloc of ${extra} × ${size} bytes for id ${id}`
    case REALLOC:
      return `${where}, realloc of id ${id} to ${size} bytes`
    case ALIGNED:
      return `${where}, alignedAlloc of ${size} bytes at ${extra} for id ${id}`
    default:
      if (extra === BY_REALLOC) return `${where}, realloc of id ${id} to 0 bytes`
      return `${where}, free of ${id === NULL_ID ? 'NULL' : `id ${id}`}`
  }
}

export interface Peaks {
  /** The most payload bytes that were allocated at one time. */
  readonly payload: number
  /** The number of operations up to the first such moment. */
  readonly operations: number
  /**
   * The most bytes of whole blocks at one time, with header, rounding and alignment but no
   * fragmentation.
   */
  readonly blocks: number
}

/** The peaks of a trace, a lower bound for every allocator. One pass. */
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

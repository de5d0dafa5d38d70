/**
 * A trace and its timelines as text in a page: columns as variable-length integers, deflated, in
 * base64. This reads it, in a browser or in Node; view-encode.ts writes it.
 */

import type { Trace } from '../trace/trace.js'
import type { Timeline } from './timeline.js'

/** The JSON in the page. */
export interface ViewData {
  readonly name: string
  readonly ids: number
  readonly length: number
  readonly allocators: readonly AllocatorData[]
  /**
   * The trace's columns (`TRACE_COLUMNS`), then those of each allocator: each its length, then its
   * values.
   */
  readonly columns: string
}

export interface AllocatorData {
  readonly label: string
  readonly headerBytes: number
  readonly footerBytes: number
  readonly wholeBlocks: boolean
  readonly hasFreeList: boolean
  readonly hasEnds: boolean
  /** Null if there never was a slab. */
  readonly slabs: { readonly granuleBytes: number; readonly chunkGranules: number } | null
  readonly low: number | null
}

/** The trace and the timelines of a view. */
export interface ViewSource {
  readonly trace: Trace
  readonly timelines: readonly Timeline[]
}

/** Decodes what `encodeView` wrote. */
export async function decodeView(data: ViewData): Promise<ViewSource> {
  const reader = new ColumnReader(await inflate(data.columns))
  const trace: Trace = {
    name: data.name,
    ids: data.ids,
    length: data.length,
    kinds: Uint8Array.from(reader.next()),
    idOf: Int32Array.from(reader.nextDeltas()),
    sizes: reader.next(),
    extras: reader.next(),
    lines: Uint32Array.from(reader.nextDeltas())
  }
  const timelines = data.allocators.map(allocator => readTimeline(reader, allocator))
  return { trace, timelines }
}

function readTimeline(reader: ColumnReader, allocator: AllocatorData): Timeline {
  const { label, headerBytes, footerBytes, wholeBlocks, hasFreeList, hasEnds, low, slabs } =
    allocator
  return {
    label,
    headerBytes,
    footerBytes,
    wholeBlocks,
    low: low ?? undefined,
    pointers: reader.next(),
    slacks: reader.next(),
    ends: hasEnds ? reader.nextDeltas() : undefined,
    freeList: hasFreeList
      ? {
          removals: Uint32Array.from(reader.next()),
          insertions: Uint32Array.from(reader.next()),
          removedAt: Uint32Array.from(reader.next()),
          insertedAt: Uint32Array.from(reader.next()),
          offsets: reader.next(),
          sizes: reader.next()
        }
      : undefined,
    slabs:
      slabs === null
        ? undefined
        : {
            granuleBytes: slabs.granuleBytes,
            chunkGranules: slabs.chunkGranules,
            inSlot: Uint8Array.from(reader.next()),
            changes: Uint32Array.from(reader.next()),
            granules: Uint32Array.from(reader.nextDeltas()),
            slots: Int16Array.from(reader.next())
          }
  }
}

async function inflate(base64: string): Promise<Uint8Array> {
  const bytes = Uint8Array.from(atob(base64), character => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/**
 * Seven bits in a byte, low ones first; the eighth means more follow. The lowest bit is the sign
 * (zigzag).
 */
class ColumnReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  next(): Float64Array {
    const values = new Float64Array(this.#integer())
    for (let i = 0; i < values.length; i++) values[i] = this.#integer()
    return values
  }

  nextDeltas(): Float64Array {
    const values = this.next()
    for (let i = 1; i < values.length; i++) values[i] += values[i - 1]
    return values
  }

  #integer(): number {
    let value = 0
    let scale = 1
    let byte = 0x80
    while (byte >= 0x80) {
      byte = this.#bytes[this.#at++]
      value += (byte & 0x7f) * scale
      scale *= 128
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

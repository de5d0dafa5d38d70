/** Encodes a trace and its timelines as text for a page; view-data.ts decodes it there. */

import { deflateRawSync } from 'node:zlib'
import type { ViewData, ViewSource } from './view-data.js'

/** Returns the data of a page, for JSON. */
export function encodeView({ trace, timelines }: ViewSource): ViewData {
  const writer = new ColumnWriter()
  writer.values(trace.kinds)
  writer.deltas(trace.idOf)
  writer.values(trace.sizes)
  writer.values(trace.extras)
  writer.deltas(trace.lines)
  for (const { pointers, slacks, ends, freeList, slabs } of timelines) {
    writer.values(pointers)
    writer.values(slacks)
    if (ends !== undefined) writer.deltas(ends)
    if (freeList !== undefined) {
      const { removals, insertions, removedAt, insertedAt, offsets, sizes } = freeList
      for (const column of [removals, insertions, removedAt, insertedAt, offsets, sizes])
        writer.values(column)
    }
    if (slabs !== undefined) {
      writer.values(slabs.inSlot)
      writer.values(slabs.changes)
      writer.deltas(slabs.granules)
      writer.values(slabs.slots)
    }
  }
  return {
    name: trace.name,
    ids: trace.ids,
    length: trace.length,
    allocators: timelines.map(
      ({ label, headerBytes, footerBytes, wholeBlocks, low, ends, freeList, slabs }) => ({
        label,
        headerBytes,
        footerBytes,
        wholeBlocks,
        hasFreeList: freeList !== undefined,
        hasEnds: ends !== undefined,
        low: low ?? null,
        slabs:
          slabs === undefined
            ? null
            : { granuleBytes: slabs.granuleBytes, chunkGranules: slabs.chunkGranules }
      })
    ),
    columns: deflateRawSync(writer.bytes(), { level: 9 }).toString('base64')
  }
}

/** The most bytes of one integer. */
const LONGEST = 8

class ColumnWriter {
  #bytes = new Uint8Array(2 ** 16)
  #length = 0

  values(column: ArrayLike<number>): void {
    this.#begin(column)
    for (let i = 0; i < column.length; i++) this.#integer(column[i])
  }

  /** Writes a column as differences, for neighbours that are close to each other. */
  deltas(column: ArrayLike<number>): void {
    this.#begin(column)
    for (let i = 0; i < column.length; i++)
      this.#integer(i === 0 ? column[i] : column[i] - column[i - 1])
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #begin(column: ArrayLike<number>): void {
    const room = this.#length + (column.length + 1) * LONGEST
    if (room > this.#bytes.length) {
      const larger = new Uint8Array(room * 2)
      larger.set(this.bytes())
      this.#bytes = larger
    }
    this.#integer(column.length)
  }

  #integer(value: number): void {
    let rest = value < 0 ? -value * 2 - 1 : value * 2
    while (rest >= 128) {
      this.#bytes[this.#length++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }
}

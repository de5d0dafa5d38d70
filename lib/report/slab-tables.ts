/**
 * Which granules of a heap are slabs, according to its tables (lib/layout/slab.ts). This runs after
 * each operation of a trace, so it compares numbers and makes no objects.
 */

import { readHeader } from '../engine/format.js'
import {
  FIRST_WORD,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  TOP_WORD,
  WITH_SLABS
} from '../layout/header.js'
import {
  CLASS_MASK,
  chunkGranules,
  GRANULE_BYTES,
  GRANULE_SHIFT,
  GRANULE_WORDS,
  INFO,
  SLOT_BYTES,
  slabLayout
} from '../layout/slab.js'
import { NO_CHUNK, type SlabEdits } from './slab-history.js'

/** Called for each granule that changed: its number, and its slot size, NO_SLAB or NO_CHUNK. */
export type GranuleChange = (granule: number, slot: number) => void

export class SlabTables {
  readonly granuleBytes = GRANULE_BYTES
  /** The granules of a chunk; 0 if the heap has no slabs. */
  readonly chunkGranules: number
  readonly #words: Int32Array
  readonly #descriptors: number
  /** Each granule at the last call of `update`: 0 outside chunks, else 1 + its class. */
  readonly #before: Uint8Array

  constructor(words: Int32Array) {
    const { policy, options, length } = readHeader(words)
    this.#words = words
    this.chunkGranules = options === WITH_SLABS ? chunkGranules(length) : 0
    this.#descriptors = slabLayout(length, HEADER_WORDS + policy.indexWords(length)).descriptors
    this.#before = new Uint8Array(Math.ceil(length / GRANULE_WORDS))
  }

  /** The byte offsets of the first block and of the wilderness. */
  extent(): { readonly low: number; readonly high: number } {
    return { low: this.#words[FIRST_WORD] * 4, high: this.#words[TOP_WORD] * 4 }
  }

  /** Is the used block or slot whose payload begins at this byte offset a slot? */
  isSlot(pointer: number): boolean {
    return (
      this.chunkGranules > 0 && this.#words[this.#infoOf(Math.floor(pointer / GRANULE_BYTES))] !== 0
    )
  }

  /** Calls `changed` for each granule that changed since the last call. */
  update(changed: GranuleChange): void {
    if (this.chunkGranules === 0) return
    const words = this.#words
    const before = this.#before
    const end = Math.min(before.length, (words[HIGH_WATER_WORD] >> (GRANULE_SHIFT - 2)) + 1)
    for (let granule = words[FIRST_WORD] >> (GRANULE_SHIFT - 2); granule < end; granule++) {
      const info = words[this.#infoOf(granule)]
      const now = info === 0 ? 0 : 1 + (info & CLASS_MASK)
      if (now === before[granule]) continue
      before[granule] = now
      changed(granule, now === 0 ? NO_CHUNK : SLOT_BYTES[now - 1])
    }
  }

  #infoOf(granule: number): number {
    return this.#descriptors + 2 * granule + INFO
  }
}

/** Records a heap's slab tables after each operation. */
export class SlabRecorder {
  readonly #tables: SlabTables
  readonly #inSlot: Uint8Array
  readonly #changes: Uint32Array
  readonly #granules: number[] = []
  readonly #slots: number[] = []
  #operation = 0

  constructor(operations: number, tables: SlabTables) {
    this.#tables = tables
    this.#inSlot = new Uint8Array(operations)
    this.#changes = new Uint32Array(operations)
  }

  /** Records the next operation; `pointer` is its block, or 0. */
  note(pointer: number): void {
    const i = this.#operation++
    if (pointer !== 0 && this.#tables.isSlot(pointer)) this.#inSlot[i] = 1
    this.#tables.update((granule, slot) => {
      this.#changes[i]++
      this.#granules.push(granule)
      this.#slots.push(slot)
    })
  }

  /** Returns the edits; undefined if there never was a slab. */
  finish(): SlabEdits | undefined {
    if (this.#granules.length === 0) return undefined
    const { granuleBytes, chunkGranules } = this.#tables
    return {
      granuleBytes,
      chunkGranules,
      inSlot: this.#inSlot,
      changes: this.#changes,
      granules: Uint32Array.from(this.#granules),
      slots: Int16Array.from(this.#slots)
    }
  }
}

/**
 * The state that all parts of the page share: the moment, the window of time and addresses, the
 * selected block.
 */

import type { History } from '../history.js'
import type { Moment } from '../moment.js'
import { CHUNK_HEADER_BYTES, type Granule, slotsOf } from '../slab-history.js'
import type { Theme } from './theme.js'

/** A range of operations or of addresses. */
export interface Span {
  readonly from: number
  readonly to: number
}

/**
 * A used block, by the operation that allocated it, a range of free memory, or an unused part of a
 * chunk of slabs.
 */
export type Target =
  | { readonly kind: 'used'; readonly block: number }
  | {
      readonly kind: 'free'
      readonly offset: number
      readonly size: number
      readonly place: number
    }
  | SlabTarget

/** A free slot, the rest at a slab's end, a granule that is not a slab, or a chunk's header. */
export interface SlabTarget {
  readonly kind: 'slot' | 'rest' | 'granule' | 'chunk'
  readonly offset: number
  readonly size: number
  readonly granule: Granule
}

export interface View {
  /** The number of operations so far. */
  now: number
  time: Span
  /** In bytes from each heap's beginning, so that heaps that begin elsewhere can be compared. */
  addresses: Span
  theme: Theme
}

/** One allocator, its current moment, and one more to look at other moments. */
export class Subject {
  readonly history: History
  readonly now: Moment
  readonly probe: Moment
  /** The block that is outlined everywhere. */
  target: Target | undefined

  constructor(history: History) {
    this.history = history
    this.now = history.open()
    this.probe = history.open()
  }

  /**
   * The moment after `operations` operations. If it is not the current one, `probe` moves there.
   */
  momentAt(operations: number): Moment {
    if (operations === this.now.operations) return this.now
    this.history.seek(this.probe, operations)
    return this.probe
  }

  /** The target at `address` in that moment; undefined outside the heap. */
  at(moment: Moment, address: number): Target | undefined {
    const { history } = this
    const index = moment.find(address)
    if (index >= 0 && address < history.end(moment.blocks[index]))
      return { kind: 'used', block: moment.blocks[index] }
    const heapEnd = history.low + history.curves.heap[moment.operations]
    if (address < history.low || address >= heapEnd) return undefined
    const slab = this.#inSlab(moment, address)
    if (slab !== undefined) return slab
    const place = moment.freeOffsets.findIndex(
      (offset, i) => address >= offset && address < offset + moment.freeSizes[i]
    )
    if (place !== -1) return this.free(moment, place)
    const begin = index < 0 ? history.low : history.end(moment.blocks[index])
    const end = index + 1 < moment.count ? history.offset(moment.blocks[index + 1]) : heapEnd
    return { kind: 'free', offset: begin, size: end - begin, place: -1 }
  }

  /** The free block at a position in the list. */
  free(moment: Moment, place: number): Target {
    return { kind: 'free', offset: moment.freeOffsets[place], size: moment.freeSizes[place], place }
  }

  #inSlab(moment: Moment, address: number): SlabTarget | undefined {
    const { slabs } = this.history
    const { operations } = moment
    const behind = slabs.find(address + CHUNK_HEADER_BYTES, operations)
    if (behind?.first && address < behind.offset) {
      const offset = behind.offset - CHUNK_HEADER_BYTES
      return { kind: 'chunk', offset, size: CHUNK_HEADER_BYTES, granule: behind }
    }
    const granule = slabs.find(address, operations)
    if (granule === undefined) return undefined
    const { offset: begin, size, slot } = granule
    if (slot === 0) return { kind: 'granule', offset: begin, size, granule }
    const index = Math.floor((address - begin) / slot)
    const slots = slotsOf(granule)
    const offset = begin + Math.min(index, slots) * slot
    if (index < slots) return { kind: 'slot', offset, size: slot, granule }
    return { kind: 'rest', offset, size: begin + size - offset, granule }
  }

  /** The place of a target: byte offset and bytes. */
  extent(target: Target): { offset: number; size: number } {
    if (target.kind !== 'used') return target
    return { offset: this.history.offset(target.block), size: this.history.size(target.block) }
  }
}

/** The colour between used blocks: that of free memory if the allocator shows its blocks. */
export function betweenBlocks({ showsFree }: History, theme: Theme): string {
  return showsFree ? theme.free : theme.between
}

/** The margins of the plots in CSS pixels, the same in all, so that they are aligned. */
export const MARGIN = { left: 68, right: 14, top: 8, bottom: 22 }

/** Converts values to pixels and back. */
export interface Scale {
  (value: number): number
  invert(pixel: number): number
}

export function scale(span: Span, from: number, to: number): Scale {
  const factor = (to - from) / (span.to - span.from)
  const forth = (value: number) => from + (value - span.from) * factor
  return Object.assign(forth, { invert: (pixel: number) => span.from + (pixel - from) / factor })
}

/**
 * About `count` round values in a range: 1, 2 or 5 times a power of ten; powers of two for bytes.
 */
export function ticks(span: Span, count: number, binary: boolean): number[] {
  const raw = (span.to - span.from) / count
  if (!(raw > 0)) return []
  let step: number
  if (binary) step = 2 ** Math.max(0, Math.ceil(Math.log2(raw)))
  else {
    const power = 10 ** Math.floor(Math.log10(raw))
    const times = [1, 2, 5, 10].find(factor => power * factor >= raw) ?? 10
    step = Math.max(1, power * times)
  }
  const found: number[] = []
  for (let value = Math.ceil(span.from / step) * step; value <= span.to; value += step)
    found.push(value)
  return found
}

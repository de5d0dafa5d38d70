/**
 * The operations of a piece of work as integer columns, one entry for each operation, that the
 * JavaScript loop (replay.ts) and the C++ loop (native/bench.cc) replay alike. Traces become
 * columns here; synthetic.ts writes columns by itself.
 */
import { CALLOC, type Columns, FREE, REALLOC } from './replay.js'

/** The part of a trace that is used; the Trace of lib/trace has it. */
export interface Operations {
  readonly name: string
  readonly length: number
  readonly ids: number
  readonly kinds: Uint8Array
  readonly idOf: Int32Array
  readonly sizes: Float64Array
  readonly extras: Float64Array
}

const INT32_MAX = 2 ** 31 - 1

/**
 * Converts a trace to columns. `realloc` to 0 bytes becomes a free, and NULL gets a slot of its
 * own, so that the loops need no branches for them.
 */
export function fromTrace(trace: Operations): Columns {
  const { length, ids, idOf } = trace
  const kinds = Uint8Array.from(trace.kinds.subarray(0, length))
  const slots = Int32Array.from(idOf.subarray(0, length), id => (id < 0 ? ids : id))
  const sizes = new Int32Array(length)
  const extras = new Int32Array(length)
  for (let i = 0; i < length; i++) {
    const size = trace.sizes[i]
    const extra = trace.extras[i]
    if (size > INT32_MAX || extra > INT32_MAX) {
      const problem = `operation ${i} asks for ${size} bytes; the benchmark's columns hold int32`
      throw new RangeError(`${trace.name}: ${problem}`)
    }
    if (kinds[i] === REALLOC && size === 0) kinds[i] = FREE
    if (kinds[i] === FREE) continue
    sizes[i] = size
    extras[i] = extra
  }
  return {
    name: trace.name,
    kinds,
    slots,
    sizes,
    extras,
    slotCount: ids + 1,
    start: 0,
    steady: false
  }
}

/** The most live blocks at the same time. */
export function peakLive(columns: Columns): number {
  const live = new Uint8Array(columns.slotCount)
  let count = 0
  let peak = 0
  columns.kinds.forEach((kind, i) => {
    const slot = columns.slots[i]
    const now = kind === FREE ? 0 : 1
    count += now - live[slot]
    live[slot] = now
    if (count > peak) peak = count
  })
  return peak
}

/** The maximum over time of the sum of `bytesOf` over the sizes of live blocks. */
function peakOf(columns: Columns, bytesOf: (size: number) => number): number {
  const { kinds, slots, sizes, extras } = columns
  const held = new Float64Array(columns.slotCount)
  let total = 0
  let peak = 0
  for (let i = 0; i < kinds.length; i++) {
    const size = kinds[i] === CALLOC ? sizes[i] * extras[i] : sizes[i]
    const bytes = kinds[i] === FREE ? 0 : bytesOf(size)
    total += bytes - held[slots[i]]
    held[slots[i]] = bytes
    if (total > peak) peak = total
  }
  return peak
}

/** The most requested and not yet freed bytes at the same time. */
export function peakPayload(columns: Columns): number {
  return peakOf(columns, size => size)
}

/**
 * The least block space that the work needs, however blocks are placed: the maximum of the live
 * blocks' total size, each with a header of 4 bytes, rounded up to a multiple of 8 bytes, at least
 * 16.
 */
export function neededBytes(columns: Columns): number {
  return peakOf(columns, size => Math.max(16, Math.ceil((size + 4) / 8) * 8))
}

/** Slots that still hold a block after the last operation. */
export function leftovers(columns: Columns): Int32Array {
  const live = new Uint8Array(columns.slotCount)
  for (let i = 0; i < columns.kinds.length; i++)
    live[columns.slots[i]] = columns.kinds[i] === FREE ? 0 : 1
  const slots: number[] = []
  live.forEach((isLive, slot) => {
    if (isLive) slots.push(slot)
  })
  return Int32Array.from(slots)
}

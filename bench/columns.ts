/**
 * The operations of a piece of work as integer columns, one entry for each operation, that the JavaScript loop
 * (replay.ts) and the C++ loop (native/bench.cc) replay alike. Traces become columns here, and the synthetic
 * work is written straight into columns, from a fixed seed.
 */

import { CALLOC, FREE, MALLOC, REALLOC } from './replay.js'

/** What of a trace is needed; lib/trace's Trace fits it. */
export interface Operations {
  readonly name: string
  readonly length: number
  readonly ids: number
  readonly kinds: Uint8Array
  readonly idOf: Int32Array
  readonly sizes: Float64Array
  readonly extras: Float64Array
}

export interface Columns {
  readonly name: string
  /** One of MALLOC … FREE for each operation. */
  readonly kinds: Uint8Array
  /** Which slot of the pointer table each operation works on. The last slot is never allocated: it stands for NULL. */
  readonly slots: Int32Array
  /** Bytes; for CALLOC the size of an element; 0 for FREE. */
  readonly sizes: Int32Array
  /** CALLOC: number of elements; ALIGNED: alignment in bytes; else 0. */
  readonly extras: Int32Array
  /** Slots of the pointer table, the one for NULL included. */
  readonly slotCount: number
  /** Operations before this index bring the heap into its state and are not timed. */
  readonly start: number
  /** Whether the timed operations leave every slot as live as they found it, so that they can run again at once. */
  readonly steady: boolean
}

/** Random numbers that are the same on every machine: mulberry32, 32 bits of state. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed | 0
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

const INT32_MAX = 2 ** 31 - 1

/**
 * A trace as columns. What means the same to every allocator is written in one way: `realloc` to 0 bytes is a free, and
 * NULL has a slot of its own, so that the loops need no branch for them.
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
      throw new RangeError(`${trace.name}: operation ${i} asks for ${size} bytes; the benchmark's columns hold int32`)
    }
    if (kinds[i] === REALLOC && size === 0) kinds[i] = FREE
    if (kinds[i] === FREE) continue
    sizes[i] = size
    extras[i] = extra
  }
  return { name: trace.name, kinds, slots, sizes, extras, slotCount: ids + 1, start: 0, steady: false }
}

class Writer {
  readonly #kinds: Uint8Array
  readonly #slots: Int32Array
  readonly #sizes: Int32Array
  #length = 0

  constructor(capacity: number) {
    this.#kinds = new Uint8Array(capacity)
    this.#slots = new Int32Array(capacity)
    this.#sizes = new Int32Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  push(kind: number, slot: number, size: number): void {
    this.#kinds[this.#length] = kind
    this.#slots[this.#length] = slot
    this.#sizes[this.#length] = size
    this.#length++
  }

  finish(name: string, live: number, start: number, steady: boolean): Columns {
    const length = this.#length
    return {
      name,
      kinds: this.#kinds.subarray(0, length),
      slots: this.#slots.subarray(0, length),
      sizes: this.#sizes.subarray(0, length),
      extras: new Int32Array(length),
      slotCount: live + 1,
      start,
      steady
    }
  }
}

/**
 * Random churn: `live` blocks of 1 to `largest` bytes, uniform; then, timed, a random one is freed and a new one takes its
 * place, over and over.
 */
export function churn(live: number, largest: number, pairs = Math.max(200_000, live)): Columns {
  const random = randomSource(live * 31 + largest)
  const writer = new Writer(live + 2 * pairs)
  for (let slot = 0; slot < live; slot++) writer.push(MALLOC, slot, 1 + random(largest))
  for (let i = 0; i < pairs; i++) {
    const slot = random(live)
    writer.push(FREE, slot, 0)
    writer.push(MALLOC, slot, 1 + random(largest))
  }
  return writer.finish(`churn-${live}`, live, live, true)
}

/**
 * Fragmentation: twice `holes` blocks of 16 to 64 bytes, every second one freed, so that `holes` free blocks stand between
 * used ones. Timed: 1,000 blocks of 1 to 512 bytes churn, so that most requests are larger than every hole.
 */
export function fragmented(holes: number, pairs = 200_000): Columns {
  const random = randomSource(holes)
  const window = 1000
  const writer = new Writer(3 * holes + window + 2 * pairs)
  for (let slot = 0; slot < 2 * holes; slot++) writer.push(MALLOC, window + slot, 16 + random(49))
  for (let slot = 0; slot < 2 * holes; slot += 2) writer.push(FREE, window + slot, 0)
  for (let slot = 0; slot < window; slot++) writer.push(MALLOC, slot, 1 + random(512))
  const start = writer.length
  for (let i = 0; i < pairs; i++) {
    const slot = random(window)
    writer.push(FREE, slot, 0)
    writer.push(MALLOC, slot, 1 + random(512))
  }
  return writer.finish(`fragmented-${holes}`, window + 2 * holes, start, true)
}

/**
 * Growth by realloc: eight arrays grow from 16 bytes to 256 KiB by half their size each time, in turns, as arrays of a
 * program do; then all are freed.
 */
export function growth(repeats = 50): Columns {
  const arrays = 8
  const writer = new Writer(repeats * arrays * 30)
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (let slot = 0; slot < arrays; slot++) writer.push(MALLOC, slot, 16)
    for (let size = 24; size <= 2 ** 18; size = Math.floor(size * 1.5)) {
      for (let slot = 0; slot < arrays; slot++) writer.push(REALLOC, slot, size)
    }
    for (let slot = 0; slot < arrays; slot++) writer.push(FREE, slot, 0)
  }
  return writer.finish('growth', arrays, 0, true)
}

/** Most blocks alive at the same time. */
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

/** Most bytes asked for and not yet freed, at the same time. */
export function peakPayload(columns: Columns): number {
  const { kinds, slots, sizes, extras } = columns
  const held = new Float64Array(columns.slotCount)
  let total = 0
  let peak = 0
  for (let i = 0; i < kinds.length; i++) {
    const size = kinds[i] === CALLOC ? sizes[i] * extras[i] : sizes[i]
    total += size - held[slots[i]]
    held[slots[i]] = size
    if (total > peak) peak = total
  }
  return peak
}

/** Slots that still hold a block after the last operation. */
export function leftovers(columns: Columns): Int32Array {
  const live = new Uint8Array(columns.slotCount)
  for (let i = 0; i < columns.kinds.length; i++) live[columns.slots[i]] = columns.kinds[i] === FREE ? 0 : 1
  const slots: number[] = []
  live.forEach((isLive, slot) => {
    if (isLive) slots.push(slot)
  })
  return Int32Array.from(slots)
}

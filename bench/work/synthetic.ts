/** Synthetic work, from a fixed seed: the same columns on every machine. */
import type { Columns } from './replay.js'
import { FREE, MALLOC, REALLOC } from './replay.js'
import type { ColumnWork, TraceWork } from './work.js'

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
 * Random churn: `live` blocks of `least` to `largest` bytes, uniform; then, timed, a random one is
 * freed and a new one takes its place, over and over.
 */
export function churn(
  live: number,
  largest: number,
  pairs = Math.max(200_000, live),
  least = 1
): Columns {
  const random = randomSource(live * 31 + largest)
  const size = () => least + random(largest - least + 1)
  const writer = new Writer(live + 2 * pairs)
  for (let slot = 0; slot < live; slot++) writer.push(MALLOC, slot, size())
  for (let i = 0; i < pairs; i++) {
    const slot = random(live)
    writer.push(FREE, slot, 0)
    writer.push(MALLOC, slot, size())
  }
  return writer.finish(`churn-${live}`, live, live, true)
}

/**
 * Fragmentation: twice `holes` blocks of 16 to 64 bytes, every second one freed, so that there are
 * `holes` free blocks between used ones. Timed: 1,000 blocks of 1 to 512 bytes churn, so that most
 * requests are larger than every hole.
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
 * Growth by realloc: eight arrays grow from 16 bytes to 256 KiB by half their size each time, in
 * turns, as arrays of a program do; then all are freed.
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

/** One in this many of the first blocks of `pinning` stays. */
const PINNED_EVERY = 25

/**
 * Pinning: `count` blocks of 28 bytes, of which every 25th stays and the others are freed; then
 * blocks of 44 bytes, as many as fit between those that stay when each takes a header of 4 bytes.
 * An allocator that can use every hole needs no more memory than before; one with a page for each
 * size does.
 */
export function pinning(count = 100_000): Columns {
  const freed = count - Math.ceil(count / PINNED_EVERY)
  const refills = Math.floor((freed * 32) / 48)
  const writer = new Writer(count + freed + refills)
  for (let slot = 0; slot < count; slot++) writer.push(MALLOC, slot, 28)
  for (let slot = 0; slot < count; slot++) {
    if (slot % PINNED_EVERY !== 0) writer.push(FREE, slot, 0)
  }
  for (let slot = 0; slot < refills; slot++) writer.push(MALLOC, count + slot, 44)
  return writer.finish('pinning', count + refills, 0, false)
}

/** The columns of a piece of synthetic work. */
export function synthetic(work: Exclude<ColumnWork, TraceWork>): Columns {
  switch (work.kind) {
    case 'churn':
      return churn(work.live, work.largest, undefined, work.least)
    case 'fragmented':
      return fragmented(work.holes)
    case 'growth':
      return growth()
    case 'pinning':
      return pinning()
  }
}

/**
 * Free lists by size class: the common part of segregated fit and best fit. Each class has a doubly
 * linked list, circular through a sentinel, and a two-level bitmap tells which lists hold a block,
 * so that the next class with one is two loads away (Masmano, Ripoll, Crespo and Real, "TLSF: a new
 * dynamic memory allocator for real-time systems", 2004). The bitmap is lazy: taking the last block
 * of a list may leave its bit set until a search clears it.
 *
 * Sizes are counted in units of 8 bytes. Up to 2 ** (k + 1) units every size has a class of its
 * own; above, each octave has 2 ** k classes of equal width. k is 5, or less in heaps so small that
 * the index would take more than 1/32 of them.
 *
 *     units      0 … 63     64 … 127   128 … 255   256 … 511   …      (k = 5)
 *     width      1          2          4           8
 *     classes    0 … 63     64 … 95    96 … 127    128 … 159
 *
 * The index, after the heap's header:
 *
 *     ┌─────────┬───────────────────────┬────────────────┬────────────────┬───
 *     │ summary │ rows: one bit for     │ class 0:       │ class 1:       │ …
 *     │         │ each class, 32 a word │ next, previous │ next, previous │
 *     └─────────┴───────────────────────┴────────────────┴────────────────┴───
 *
 * A bit of the summary stands for a row that is not zero. Class 0 and row 0 have the highest bit,
 * so that Math.clz32 finds the lowest class that is marked.
 */

import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, NEXT, PREVIOUS, sizeOf } from '../layout/block.js'
import { checkLinks, clearList } from '../layout/free-list.js'
import { HEADER_WORDS } from '../layout/header.js'

/** Where the bitmap lies: its summary, and its first row. */
export const SUMMARY = HEADER_WORDS
export const ROWS = SUMMARY + 1
const FINEST_STEPS = 5

/** The bit of a class in its row, or of a row in the summary. */
const maskOf = (i: number): number => 0x80000000 >>> i

/** The size classes of a heap: 2 ** steps of them in an octave. */
interface Shape {
  readonly steps: number
  readonly classes: number
  readonly rows: number
}

function shapeOf(words: number): Shape {
  // Sizes below 2 ** (octaves + 1) units exist.
  const octaves = 31 - Math.clz32((words >>> 1) - 1)
  let steps = FINEST_STEPS
  let classes = classCount(octaves, steps)
  while (steps > 1 && classes * 2 > words / 32) classes = classCount(octaves, --steps)
  return { steps, classes, rows: (classes + 31) >> 5 }
}

function classCount(octaves: number, steps: number): number {
  return (Math.max(0, octaves - steps) + 2) << steps
}

/** The number of size classes in a heap of `words` words. */
export function sizeClassCount(words: number): number {
  return shapeOf(words).classes
}

/** The size in words of the lists and their bitmap in a heap of `words` words. */
export function sizeClassWords(words: number): number {
  const { classes, rows } = shapeOf(words)
  return 1 + rows + 2 * classes
}

export class SizeClasses {
  protected readonly words: Int32Array
  protected readonly classes: number
  /** The first class with several sizes. */
  readonly blurred: number
  private readonly steps: number
  private readonly rows: number
  /**
   * The sentinel of class 0, laid out like a free block; those of the other classes follow, two
   * words apart.
   */
  readonly lists: number

  constructor(words: Int32Array) {
    const { steps, classes, rows } = shapeOf(words.length)
    this.words = words
    this.classes = classes
    this.blurred = 2 << steps
    this.steps = steps
    this.rows = rows
    this.lists = ROWS + rows - NEXT
  }

  /** Empties every list. */
  reset(): void {
    this.words.fill(0, SUMMARY, ROWS + this.rows)
    for (let i = 0; i < this.classes; i++) clearList(this.words, this.sentinelOf(i))
  }

  /** The class of blocks of `size` words. */
  classOf(size: number): number {
    const units = size >> 1
    // The low bits of the size that the class ignores.
    const blur = 31 - this.steps - Math.clz32(units)
    return blur <= 0 ? units : (blur << this.steps) + (units >> blur)
  }

  protected sentinelOf(sizeClass: number): number {
    return this.lists + 2 * sizeClass
  }

  /** Returns the front block of the lowest class from `sizeClass` on that has one, or 0. */
  frontFrom(sizeClass: number): number {
    if (sizeClass >= this.classes) return 0
    const words = this.words
    let row = sizeClass >> 5
    // The bits of this row from the class on.
    let bits = words[ROWS + row] & (-1 >>> sizeClass)
    if (bits === 0) {
      const rows = words[SUMMARY] & (0x7fffffff >>> row)
      if (rows === 0) return 0
      row = Math.clz32(rows)
      bits = words[ROWS + row]
    }
    const found = (row << 5) + Math.clz32(bits)
    const sentinel = this.sentinelOf(found)
    const block = words[sentinel + NEXT]
    if (block !== sentinel) return block
    // A stale bit: clear it, and search on.
    this.unmark(found)
    return this.frontFrom(found)
  }

  /** Marks the list of a class as not empty. */
  mark(sizeClass: number): void {
    this.words[ROWS + (sizeClass >> 5)] |= maskOf(sizeClass)
    this.words[SUMMARY] |= maskOf(sizeClass >> 5)
  }

  /** Marks the list of a class as empty. */
  unmark(sizeClass: number): void {
    const row = sizeClass >> 5
    const bits = this.words[ROWS + row] & ~maskOf(sizeClass)
    this.words[ROWS + row] = bits
    if (bits === 0) this.words[SUMMARY] &= ~maskOf(row)
  }

  /** Yields the free blocks, class by class. Throws ERR_OFFHEAP_CORRUPT if a list does not end. */
  *list(): Iterable<number> {
    for (let i = 0; i < this.classes; i++) yield* this.listOf(i)
  }

  /** Yields the free blocks of a class. Throws ERR_OFFHEAP_CORRUPT if the list does not end. */
  protected *listOf(sizeClass: number): Iterable<number> {
    const sentinel = this.sentinelOf(sizeClass)
    let left = this.words.length / MINIMUM_WORDS
    for (
      let block = this.words[sentinel + NEXT];
      block !== sentinel;
      block = this.words[block + NEXT]
    ) {
      if (!(block > 0 && left-- > 0))
        throw corrupt(`the free list of size class ${sizeClass} does not end`)
      yield block
    }
  }

  /** Verifies that every block is in the list of its class, and that the bitmap misses no list. */
  check(): void {
    const words = this.words
    for (let i = 0; i < this.classes; i++) {
      const sentinel = this.sentinelOf(i)
      const empty = words[sentinel + NEXT] === sentinel
      if (empty !== (words[sentinel + PREVIOUS] === sentinel)) {
        throw corrupt(`the free list of size class ${i} is empty in one direction only`)
      }
      if (!empty && (words[ROWS + (i >> 5)] & maskOf(i)) === 0) {
        throw corrupt(`the free list of size class ${i} is not empty, but its bit is clear`)
      }
      checkLinks(words, sentinel, this.listOf(i))
      for (const block of this.listOf(i)) {
        if (this.classOf(sizeOf(words[block])) === i) continue
        throw corrupt(
          `the free block at byte ${block * 4} is in the list of size class ${i}, but has ` +
            `another size`
        )
      }
    }
    const beyond = this.rows * 32 - this.classes
    if (
      (words[ROWS + this.rows - 1] & ((1 << beyond) - 1)) !== 0 ||
      (words[SUMMARY] & (-1 >>> this.rows)) !== 0
    ) {
      throw corrupt('the bitmap over the size classes has bits for more classes than there are')
    }
    for (let row = 0; row < this.rows; row++) {
      if ((words[ROWS + row] === 0) === ((words[SUMMARY] & maskOf(row)) === 0)) continue
      throw corrupt(
        `row ${row} of the bitmap over the size classes and its bit in the summary ` +
          `contradict each other`
      )
    }
  }
}

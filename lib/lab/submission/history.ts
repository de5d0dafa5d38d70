/**
 * Records every write to a heap, in order: who wrote a word last, and its earlier values. A wrong
 * word shows when it is read, but the mistake is usually where it was written, or not written.
 */

import type { CodePlace } from './fault.js'

/** The most writes that are kept. */
const MOST_WRITES = 400_000

/** Who wrote. */
const ALLOCATOR = 0
const PROGRAM = 1

export class History {
  /** Whether writes are missing, so that the history proves nothing. */
  isCut = false
  readonly #operations: number[] = []
  readonly #words: number[] = []
  readonly #values: number[] = []
  /** For each write, the previous one to the same word; -1 for none. */
  readonly #previous: number[] = []
  readonly #latest = new Map<number, number>()
  /** Writes of many bytes: the number of writes before, the range, the operation and who wrote. */
  readonly #ranges: {
    readonly index: number
    readonly from: number
    readonly to: number
    readonly operation: number
    readonly who: number
  }[] = []
  readonly #wanted: ReadonlySet<number>
  readonly #places = new Map<number, readonly CodePlace[]>()

  /**
   * @param wanted the writes whose source lines are recorded
   */
  constructor(wanted: ReadonlySet<number> = new Set()) {
    this.#wanted = wanted
  }

  /** The number of single writes so far. */
  get length(): number {
    return this.#operations.length
  }

  /** Records that the allocator writes bytes `from` to `to`; `value` if it is one element. */
  write(
    from: number,
    to: number,
    value: unknown,
    operation: number,
    stack: () => readonly CodePlace[]
  ): void {
    if (to - from > 8 || value === undefined) {
      this.#ranges.push({ index: this.length, from, to, operation, who: ALLOCATOR })
      return
    }
    for (let word = from - (from % 4); word < to; word += 4) {
      if (this.length === MOST_WRITES) {
        this.isCut = true
        return
      }
      const index = this.length
      if (this.#wanted.has(index)) this.#places.set(index, stack())
      this.#operations.push(operation)
      this.#words.push(word)
      this.#values.push(to - from === 4 && typeof value === 'number' ? value | 0 : Number.NaN)
      this.#previous.push(this.#latest.get(word) ?? -1)
      this.#latest.set(word, index)
    }
  }

  /** Records that the program writes bytes `from` to `to`. */
  fill(from: number, to: number, operation: number): void {
    this.#ranges.push({ index: this.length, from, to, operation, who: PROGRAM })
  }

  word(index: number): number {
    return this.#words[index] ?? -1
  }

  /** The value written; NaN if it was not a word. */
  value(index: number): number {
    return this.#values[index] ?? Number.NaN
  }

  operation(index: number): number {
    return this.#operations[index] ?? -1
  }

  /**
   * Returns the allocator's last write to a word before write `before`; -1 if there is none, or a
   * later fill.
   */
  last(word: number, before: number = this.length): number {
    let index = this.#latest.get(word) ?? -1
    while (index >= before) index = this.#previous[index] ?? -1
    const range = this.#lastRange(word, before)
    return range !== undefined && range.index > index ? -1 : index
  }

  /**
   * Returns the value of a word before write `before` if the allocator wrote it; otherwise NaN.
   */
  valueAt(word: number, before: number = this.length): number {
    const index = this.last(word, before)
    return index === -1 ? Number.NaN : this.value(index)
  }

  #lastRange(word: number, before: number) {
    return this.#ranges.findLast(
      ({ index, from, to }) => index <= before && from < word + 4 && to > word
    )
  }

  /** Describes a write: `tag, line 20, called by coalesce, line 54, in operation 36` */
  nameOf(index: number): string {
    const [place, caller] = this.#places.get(index) ?? []
    const when = whenOf(this.operation(index))
    if (place === undefined) return `a write ${when}`
    return `${frame(place)}${caller === undefined ? '' : `, called by ${frame(caller)}`}, ${when}`
  }

  /** Describes who wrote a word last. */
  describe(word: number): string {
    const index = this.last(word)
    if (index !== -1) return `last written by ${this.nameOf(index)}`
    const range = this.#lastRange(word, this.length)
    if (range === undefined) return 'it was never written'
    const who = range.who === PROGRAM ? 'the program, as payload' : 'a copy or fill'
    return `last written by ${who}, ${whenOf(range.operation)}`
  }
}

function frame({ function: name, line }: CodePlace): string {
  return `${name || 'the file'}, line ${line}`
}

/** Returns `in operation 36`, counted from 1, or `in create` before the first. */
export function whenOf(operation: number): string {
  return operation === -1 ? 'in create' : `in operation ${operation + 1}`
}

/**
 * Every write to a heap, in order: who wrote a word last, and what stood there before. A wrong word
 * shows where it is read; what is wrong is mostly where it was written, or that it was not.
 */

import type { CodePlace } from './fault.js'

/** More writes than this are not kept: a longer history has no room. */
const MOST_WRITES = 400_000

/** Whose write it was. */
const ALLOCATOR = 0
const PROGRAM = 1

export class History {
  /** Whether writes were left out: the rest proves nothing. */
  isCut = false
  readonly #operations: number[] = []
  readonly #words: number[] = []
  readonly #values: number[] = []
  /** The write to the same word before each. */
  readonly #previous: number[] = []
  readonly #latest = new Map<number, number>()
  /** Writes of many bytes: the log's length at that time, and what was written by whom. */
  readonly #ranges: {
    readonly index: number
    readonly from: number
    readonly to: number
    readonly operation: number
    readonly who: number
  }[] = []
  readonly #wanted: ReadonlySet<number>
  readonly #places = new Map<number, readonly CodePlace[]>()

  /** @param wanted the writes whose lines of source are kept */
  constructor(wanted: ReadonlySet<number> = new Set()) {
    this.#wanted = wanted
  }

  /** Number of single writes so far. */
  get length(): number {
    return this.#operations.length
  }

  /** The allocator writes bytes `from` to `to`; `value` when it is one element. */
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

  /** The program writes bytes `from` to `to`. */
  fill(from: number, to: number, operation: number): void {
    this.#ranges.push({ index: this.length, from, to, operation, who: PROGRAM })
  }

  word(index: number): number {
    return this.#words[index] ?? -1
  }

  /** What was written; NaN when it was no word. */
  value(index: number): number {
    return this.#values[index] ?? Number.NaN
  }

  operation(index: number): number {
    return this.#operations[index] ?? -1
  }

  /** The allocator's last write to a word before write `before`; -1 for none, or a later fill. */
  last(word: number, before: number = this.length): number {
    let index = this.#latest.get(word) ?? -1
    while (index >= before) index = this.#previous[index] ?? -1
    const range = this.#lastRange(word, before)
    return range !== undefined && range.index > index ? -1 : index
  }

  /** What stood in a word before write `before`, when the allocator put it there; else NaN. */
  valueAt(word: number, before: number = this.length): number {
    const index = this.last(word, before)
    return index === -1 ? Number.NaN : this.value(index)
  }

  #lastRange(word: number, before: number) {
    return this.#ranges.findLast(
      ({ index, from, to }) => index <= before && from < word + 4 && to > word
    )
  }

  /** `tag, line 20, called by coalesce, line 54, in operation 36` */
  nameOf(index: number): string {
    const [place, caller] = this.#places.get(index) ?? []
    const when = whenOf(this.operation(index))
    if (place === undefined) return `a write ${when}`
    return `${frame(place)}${caller === undefined ? '' : `, called by ${frame(caller)}`}, ${when}`
  }

  /** Who wrote a word last, as a sentence without its end. */
  describe(word: number): string {
    const index = this.last(word)
    if (index !== -1) return `last written by ${this.nameOf(index)}`
    const range = this.#lastRange(word, this.length)
    if (range === undefined) return 'nobody has ever written it'
    const who = range.who === PROGRAM ? 'the program, as payload' : 'a copy or fill'
    return `last written by ${who}, ${whenOf(range.operation)}`
  }
}

function frame({ function: name, line }: CodePlace): string {
  return `${name || 'the file'}, line ${line}`
}

/** `in operation 36`, counted from 1; `in create` before the first. */
export function whenOf(operation: number): string {
  return operation === -1 ? 'in create' : `in operation ${operation + 1}`
}

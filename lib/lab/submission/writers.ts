/**
 * Who wrote a word last: the line and the operation. A wrong word shows where it is read; what is
 * wrong is mostly where it was written, or that it was not.
 */

import type { Trace } from '../../trace/trace.js'
import type { CodePlace } from './fault.js'

interface Writer {
  /** -1 for `create`. */
  readonly operation: number
  /** Undefined when the program wrote it, as payload. */
  readonly place: CodePlace | undefined
}

export class Writers {
  readonly #words: ReadonlySet<number>
  readonly #writers = new Map<number, Writer>()

  /** @param words byte offsets of the words to watch, multiples of 4 */
  constructor(words: readonly number[]) {
    this.#words = new Set(words)
  }

  /** The allocator writes bytes `from` to `to`. */
  write(from: number, to: number, stack: () => readonly CodePlace[], operation: number): void {
    if (this.#words.size === 0) return
    const watched = this.#among(from, to)
    if (watched.length === 0) return
    const [place] = stack()
    for (const word of watched) this.#writers.set(word, { operation, place })
  }

  /** The program writes bytes `from` to `to`. */
  fill(from: number, to: number, operation: number): void {
    for (const word of this.#among(from, to))
      this.#writers.set(word, { operation, place: undefined })
  }

  /** A sentence for each word: what is in it, and who put it there. */
  describe(trace: Trace, valueAt: (word: number) => number): string[] {
    return [...this.#words].map(word => {
      const writer = this.#writers.get(word)
      const what = `the word at byte ${word}, ${valueAt(word)}`
      if (writer === undefined) return `${what}: nobody has ever written it`
      const { operation, place } = writer
      const line = operation === -1 ? 0 : trace.lines[operation]
      const when =
        operation === -1
          ? 'in create'
          : `in operation ${operation + 1}${line > 0 ? ` (line ${line})` : ''}`
      if (place === undefined) return `${what}: last written by the program, as payload, ${when}`
      return `${what}: last written by ${place.function || 'the file'}, line ${place.line}, ${when}`
    })
  }

  #among(from: number, to: number): number[] {
    return [...this.#words].filter(word => word < to && word + 4 > from)
  }
}

/**
 * A free list's whole history as edits. After each operation the list is compared with what it was before; an operation
 * changes a few places of it, however long it is, so the edits are small where the lists would be gigabytes.
 */

export interface FreeListEdits {
  /** How many blocks each operation took out of the list, and put in. */
  readonly removals: Uint32Array
  readonly insertions: Uint32Array
  /** For each block taken out, where in the list it was then; those of one operation one after the other. */
  readonly removedAt: Uint32Array
  /** For each block put in, after all removals of its operation: where in the list, its byte offset, its bytes. */
  readonly insertedAt: Uint32Array
  readonly offsets: Float64Array
  readonly sizes: Float64Array
}

/** So far ahead a block is looked for before it counts as replaced. */
const LOOKAHEAD = 6

/** Takes the list after each operation; gives the edits between them. */
export class FreeListRecorder {
  readonly #removals: Uint32Array
  readonly #insertions: Uint32Array
  readonly #removedAt: number[] = []
  readonly #insertedAt: number[] = []
  readonly #offsets: number[] = []
  readonly #sizes: number[] = []
  /** Offset and size of each block by turns: the list before, and the one now. */
  #before: number[] = []
  #now: number[] = []
  #operation = 0

  constructor(operations: number) {
    this.#removals = new Uint32Array(operations)
    this.#insertions = new Uint32Array(operations)
  }

  /** The list after the next operation. */
  note(list: Iterable<{ readonly offset: number; readonly size: number }>): void {
    const now = this.#now
    now.length = 0
    for (const { offset, size } of list) now.push(offset, size)
    this.#compare(this.#before, now)
    this.#now = this.#before
    this.#before = now
    this.#operation++
  }

  finish(): FreeListEdits {
    return {
      removals: this.#removals,
      insertions: this.#insertions,
      removedAt: Uint32Array.from(this.#removedAt),
      insertedAt: Uint32Array.from(this.#insertedAt),
      offsets: Float64Array.from(this.#offsets),
      sizes: Float64Array.from(this.#sizes)
    }
  }

  /** Walks both lists at once. Any script that leads from one to the other is right; a short one is good. */
  #compare(before: readonly number[], now: readonly number[]): void {
    let i = 0
    let j = 0
    // The list after the removals so far; insertions come when these are all done, so they don't count.
    let kept = 0
    const remove = () => {
      this.#removedAt.push(kept)
      this.#removals[this.#operation]++
      i += 2
    }
    const insert = () => {
      this.#insertedAt.push(j / 2)
      this.#offsets.push(now[j])
      this.#sizes.push(now[j + 1])
      this.#insertions[this.#operation]++
      j += 2
    }
    while (i < before.length || j < now.length) {
      if (i < before.length && j < now.length && same(before, i, now, j)) {
        kept++
        i += 2
        j += 2
        continue
      }
      const [out, into] = distance(before, i, now, j)
      for (let k = 0; k < out && i < before.length; k++) remove()
      for (let k = 0; k < into && j < now.length; k++) insert()
    }
  }
}

function same(before: readonly number[], i: number, now: readonly number[], j: number): boolean {
  return before[i] === now[j] && before[i + 1] === now[j + 1]
}

/** The fewest blocks to take out of one list and put in from the other until they agree again; one and one when it is far. */
function distance(before: readonly number[], i: number, now: readonly number[], j: number): [number, number] {
  if (i >= before.length) return [0, 1]
  if (j >= now.length) return [1, 0]
  for (let edits = 1; edits <= LOOKAHEAD; edits++) {
    for (let out = 0; out <= edits; out++) {
      const into = edits - out
      const a = i + 2 * out
      const b = j + 2 * into
      const bothEnd = a >= before.length && b >= now.length
      if (bothEnd || (a < before.length && b < now.length && same(before, a, now, b))) return [out, into]
    }
  }
  return [1, 1]
}

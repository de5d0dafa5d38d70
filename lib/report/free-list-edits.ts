/**
 * The history of a free list as edits. After each operation the list is compared with the one
 * before. An operation changes only a few places of it, so the edits are small where the lists
 * would be gigabytes.
 */

export interface FreeListEdits {
  /** The number of blocks that each operation removed from the list, and inserted. */
  readonly removals: Uint32Array
  readonly insertions: Uint32Array
  /** The position in the list of each removed block, at the time of its removal. */
  readonly removedAt: Uint32Array
  /** For each inserted block, after all removals of its operation: position, byte offset, bytes. */
  readonly insertedAt: Uint32Array
  readonly offsets: Float64Array
  readonly sizes: Float64Array
}

/** How far ahead to look for a block before it counts as replaced. */
const LOOKAHEAD = 6

/** Records the list after each operation, as edits. */
export class FreeListRecorder {
  readonly #removals: Uint32Array
  readonly #insertions: Uint32Array
  readonly #removedAt: number[] = []
  readonly #insertedAt: number[] = []
  readonly #offsets: number[] = []
  readonly #sizes: number[] = []
  /** The previous and the current list: offset and size of each block, alternating. */
  #before: number[] = []
  #now: number[] = []
  #operation = 0

  constructor(operations: number) {
    this.#removals = new Uint32Array(operations)
    this.#insertions = new Uint32Array(operations)
  }

  /** Records the list after the next operation. */
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

  /**
   * Walks both lists at once. Any edits that lead from one to the other are correct; fewer are
   * better.
   */
  #compare(before: readonly number[], now: readonly number[]): void {
    let i = 0
    let j = 0
    // The length after the removals so far. Insertions come after all removals, so they don't count
    // yet.
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

/** The fewest removals and insertions until both lists agree again; one of each if that is far. */
function distance(
  before: readonly number[],
  i: number,
  now: readonly number[],
  j: number
): [number, number] {
  if (i >= before.length) return [0, 1]
  if (j >= now.length) return [1, 0]
  for (let edits = 1; edits <= LOOKAHEAD; edits++) {
    for (let out = 0; out <= edits; out++) {
      const into = edits - out
      const a = i + 2 * out
      const b = j + 2 * into
      const bothEnd = a >= before.length && b >= now.length
      if (bothEnd || (a < before.length && b < now.length && same(before, a, now, b)))
        return [out, into]
    }
  }
  return [1, 1]
}

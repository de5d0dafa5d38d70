/**
 * Outboxes: how a thread frees a block in an arena of another thread. Only the thread that is in an
 * arena writes to it (access.ts), so the pointer goes into the outbox from the thread's own arena
 * to the other one. When half of the outbox is full, that half is posted, and the next thread in
 * the other arena frees all its blocks (batched remote frees, as in snmalloc; Liétar et al., ISMM
 * 2019). The pointers are not linked through the blocks, so a write to a freed block does no harm
 * here.
 *
 * Ownership. STATE tells which side owns a half; it is only accessed atomically. The sender stores
 * pointers and COUNT, then POSTED: a receiver that loads POSTED sees them. The receiver frees all
 * blocks, stores a COUNT of 0, then FILLING: a sender that loads FILLING sees that COUNT, and its
 * new pointers can't precede the receiver's loads of the old ones.
 *
 * Either thread may end at any store. Storing COUNT commits a free. Until POSTED, the half belongs
 * to the next owner of the sending arena. A half that was freed in part is freed again before any
 * other operation in the arena; blocks that are free already are skipped.
 */
import {
  BATCH,
  CALL,
  COUNT,
  FILLING,
  HALF_WORDS,
  MAIL,
  outboxOf,
  POINTERS,
  POSTED,
  recordOf,
  STATE
} from './control.js'

/** Frees a used block of an arena. `pointer` counts from the arena's first byte. */
export type Free = (pointer: number) => void

export class Outboxes {
  /** The words of the head. */
  private readonly words: Int32Array
  private readonly arenas: number

  constructor(words: Int32Array, arenas: number) {
    this.words = words
    this.arenas = arenas
  }

  /**
   * Frees the block at `pointer` of the arena `to`. The caller is in the arena `from`. Returns
   * false, and changes nothing, when the outbox is full.
   */
  put(from: number, to: number, pointer: number): boolean {
    const { words } = this
    let half = outboxOf(this.arenas, from, to)
    if (!this.hasRoom(half, to)) {
      half += HALF_WORDS
      if (!this.hasRoom(half, to)) return false
    }
    const count = words[half + COUNT]
    words[half + POINTERS + count] = pointer / 8
    words[half + COUNT] = count + 1
    if (count + 1 === BATCH) this.post(half, to)
    return true
  }

  private hasRoom(half: number, to: number): boolean {
    const { words } = this
    if (Atomics.load(words, half + STATE) !== FILLING) return false
    if (words[half + COUNT] < BATCH) return true
    // The sender ended before it posted this half.
    this.post(half, to)
    return false
  }

  private post(half: number, to: number): void {
    Atomics.store(this.words, half + STATE, POSTED)
    Atomics.or(this.words, recordOf(to) + CALL, MAIL)
  }

  /** Posts all pointers in the outboxes of an arena that the caller is in. */
  flush(from: number): void {
    for (let to = 0; to < this.arenas; to++) {
      for (const half of this.halves(from, to)) {
        if (Atomics.load(this.words, half + STATE) === FILLING && this.words[half + COUNT] > 0)
          this.post(half, to)
      }
    }
  }

  /** Frees the blocks posted to an arena that the caller is in. */
  receive(to: number, free: Free): void {
    Atomics.and(this.words, recordOf(to) + CALL, ~MAIL)
    for (let from = 0; from < this.arenas; from++) {
      for (const half of this.halves(from, to)) {
        if (Atomics.load(this.words, half + STATE) === POSTED) this.empty(half, free)
      }
    }
  }

  /** Frees all blocks in outboxes to an arena, posted or not. The caller is in all arenas. */
  receiveAll(to: number, free: Free): void {
    Atomics.and(this.words, recordOf(to) + CALL, ~MAIL)
    for (let from = 0; from < this.arenas; from++) {
      for (const half of this.halves(from, to)) {
        // The receiver owns the half from here on, so that a kill leaves it to be freed again.
        Atomics.store(this.words, half + STATE, POSTED)
        this.empty(half, free)
      }
    }
  }

  private empty(half: number, free: Free): void {
    const { words } = this
    const count = Math.min(words[half + COUNT], BATCH)
    for (let at = half + POINTERS; at < half + POINTERS + count; at++) {
      if (words[at] === 0) continue
      free(words[at] * 8)
      words[at] = 0
    }
    words[half + COUNT] = 0
    Atomics.store(words, half + STATE, FILLING)
  }

  private halves(from: number, to: number): [number, number] {
    const first = outboxOf(this.arenas, from, to)
    return [first, first + HALF_WORDS]
  }
}

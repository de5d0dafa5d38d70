/**
 * Outboxes: how a block is freed by a thread whose arena it is not in. Only who is in an arena
 * writes to it (access.ts), so the pointer goes into the outbox from the own arena to the other
 * one; when a half of it is full, the half is posted, and whoever is next in the other arena frees
 * all its blocks (batches of remote frees, as in snmalloc; Liétar et al., ISMM 2019). Pointers are
 * not linked through the blocks, so a caller who writes to a block after the free does no harm
 * here.
 *
 * Hand-overs. STATE says whose a half is; it is always read and written by Atomics. The sender
 * stores pointers and COUNT, then POSTED: the receiver, who reads POSTED, sees them. The receiver
 * frees all blocks, stores a COUNT of 0, then FILLING: the sender, who reads FILLING, sees that
 * COUNT, and its new pointers can't come before the receiver's reads of the old ones.
 *
 * Either thread may end at any store. The store of COUNT is the commit of a free. Until POSTED the
 * half belongs to whoever owns the sending arena next. A half that was freed in part is freed once
 * more, before anything else happens in the arena: those of its blocks that are free already are
 * not used, so nothing happens to them.
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
   * Frees the block at `pointer` of the arena `to`. The caller is in the arena `from`. False, with
   * nothing changed, when the outbox is full.
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
    // Its sender ended before it was posted.
    this.post(half, to)
    return false
  }

  private post(half: number, to: number): void {
    Atomics.store(this.words, half + STATE, POSTED)
    Atomics.or(this.words, recordOf(to) + CALL, MAIL)
  }

  /** Posts all that waits in the outboxes of an arena that the caller is in. */
  flush(from: number): void {
    for (let to = 0; to < this.arenas; to++) {
      for (const half of this.halves(from, to)) {
        if (Atomics.load(this.words, half + STATE) === FILLING && this.words[half + COUNT] > 0)
          this.post(half, to)
      }
    }
  }

  /** Frees what was posted to an arena that the caller is in. */
  receive(to: number, free: Free): void {
    Atomics.and(this.words, recordOf(to) + CALL, ~MAIL)
    for (let from = 0; from < this.arenas; from++) {
      for (const half of this.halves(from, to)) {
        if (Atomics.load(this.words, half + STATE) === POSTED) this.empty(half, free)
      }
    }
  }

  /** Frees all that waits for an arena, posted or not. The caller is in all arenas. */
  receiveAll(to: number, free: Free): void {
    Atomics.and(this.words, recordOf(to) + CALL, ~MAIL)
    for (let from = 0; from < this.arenas; from++) {
      for (const half of this.halves(from, to)) {
        // From here on it is the receiver's, as any half that is freed in part.
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

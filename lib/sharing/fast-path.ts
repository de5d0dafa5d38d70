/**
 * The fast path of malloc, free and realloc in a shared heap: the slots (lib/engine/slots.ts) of
 * the arena that this thread owns, without a lock. `take`, `takeZeroed` and `give` announce
 * themselves in BUSY, and do nothing if CALL is not 0; access.ts explains these stores. A call that
 * is cut off needs no recovery, because each stores once in the tables of the slots. `suits` only
 * reads what no other thread changes while the slot is used.
 */

import type { Pointer } from '../engine/engine.js'
import { type FastPath, noSlots, type Slots } from '../engine/slots.js'
import { BUSY, CALL } from './control.js'

export class OwnSlots implements FastPath {
  /**
   * Whether this thread may work in its arena without a lock: it owns one, needs no fences, and its
   * last operation was not interrupted.
   */
  ready = false
  private slots: Slots = noSlots()
  /** The words BUSY and CALL of the arena: a view of them is faster than the whole head. */
  private gate: Int32Array = new Int32Array(2)
  /** The pointer to the first byte of the arena. */
  private base = 0

  /**
   * From now on, this thread owns the arena with these slots, whose words BUSY and CALL are in
   * `gate`.
   */
  own(slots: Slots, gate: Int32Array, base: number): void {
    this.slots = slots
    this.gate = gate
    this.base = base
  }

  close(): void {
    this.ready = false
    this.slots = noSlots()
    this.gate = new Int32Array(2)
  }

  take(bytes: number): Pointer {
    if (!this.ready || bytes > this.slots.limit) return 0
    const { gate } = this
    try {
      gate[BUSY] = 1
      if (gate[CALL] !== 0) return 0
      const slot = this.slots.take(bytes)
      return slot === 0 ? 0 : slot + this.base
    } finally {
      gate[BUSY] = 0
    }
  }

  takeZeroed(bytes: number): Pointer {
    if (!this.ready || bytes > this.slots.limit) return 0
    const { gate } = this
    try {
      gate[BUSY] = 1
      if (gate[CALL] !== 0) return 0
      const slot = this.slots.takeZeroed(bytes)
      return slot === 0 ? 0 : slot + this.base
    } finally {
      gate[BUSY] = 0
    }
  }

  give(pointer: Pointer): boolean {
    if (!this.ready || this.slots.limit < 0) return false
    const { gate } = this
    try {
      gate[BUSY] = 1
      return gate[CALL] === 0 && this.slots.give(pointer - this.base)
    } finally {
      gate[BUSY] = 0
    }
  }

  suits(pointer: Pointer, bytes: number): boolean {
    return this.ready && this.slots.suits(pointer - this.base, bytes)
  }
}

/**
 * The order of the entries: a doubly linked list from the oldest to the newest, and the iterators
 * in progress on it. Removing an entry moves the iterators that stand at it.
 */
import { HAND, NEWER, NEWEST, OLDER, OLDEST, SWEEP } from './layout.js'
import type { MapMemory } from './memory.js'

/** An iterator: the last entry that it visited, 0 before the first one. */
export interface Cursor {
  last: number
  /** From the newest to the oldest. */
  readonly backwards: boolean
}

export class Order {
  private readonly memory: MapMemory
  /** The iterators in progress. Abandoned ones are dropped after they were garbage-collected. */
  private cursors: WeakRef<Cursor>[] = []

  constructor(memory: MapMemory) {
    this.memory = memory
  }

  get oldest(): number {
    return this.memory.m[this.memory.at + OLDEST] << 1
  }

  newer(entry: number): number {
    return this.memory.m[entry + NEWER] << 1
  }

  /** Appends an entry whose own links were written by `linkAsNewest`. */
  append(entry: number): void {
    const { m, at } = this.memory
    const newest = m[at + NEWEST] << 1
    m[newest === 0 ? at + OLDEST : newest + NEWER] = entry >>> 1
    m[at + NEWEST] = entry >>> 1
  }

  /** Writes the links that an entry needs to become the newest one. */
  linkAsNewest(entry: number): void {
    const { m, at } = this.memory
    m[entry + OLDER] = m[at + NEWEST]
    m[entry + NEWER] = 0
  }

  /** Removes an entry from the list. */
  unlink(entry: number): void {
    const { m, at } = this.memory
    const older = m[entry + OLDER]
    const newer = m[entry + NEWER]
    m[older === 0 ? at + OLDEST : (older << 1) + NEWER] = newer
    m[newer === 0 ? at + NEWEST : (newer << 1) + OLDER] = older
    if (m[at + HAND] << 1 === entry) m[at + HAND] = newer
    if (m[at + SWEEP] << 1 === entry) m[at + SWEEP] = newer
    if (this.cursors.length !== 0) this.moveCursors(entry, older << 1, newer << 1)
  }

  /** Replaces an entry by another in the same place. */
  replace(entry: number, by: number): void {
    const { m, at } = this.memory
    const older = m[entry + OLDER]
    const newer = m[entry + NEWER]
    m[older === 0 ? at + OLDEST : (older << 1) + NEWER] = by >>> 1
    m[newer === 0 ? at + NEWEST : (newer << 1) + OLDER] = by >>> 1
    if (m[at + HAND] << 1 === entry) m[at + HAND] = by >>> 1
    if (m[at + SWEEP] << 1 === entry) m[at + SWEEP] = by >>> 1
    if (this.cursors.length !== 0) this.moveCursors(entry, by, by)
  }

  /** Moves an entry to the end: makes it the newest one. */
  renew(entry: number): void {
    const { m, at } = this.memory
    if (m[at + NEWEST] << 1 === entry) return
    this.memory.begin()
    this.unlink(entry)
    this.linkAsNewest(entry)
    this.append(entry)
    this.memory.end()
  }

  /** Removes all entries from the list. */
  clear(): void {
    const { m, at } = this.memory
    for (const word of [OLDEST, NEWEST, HAND, SWEEP]) m[at + word] = 0
    for (const cursor of this.live()) cursor.last = 0
  }

  // ---- iterators --------------------------------------------------------------------------------

  open(backwards: boolean): Cursor {
    const cursor: Cursor = { last: 0, backwards }
    this.cursors.push(new WeakRef(cursor))
    return cursor
  }

  /** Moves an iterator to the next entry, and returns that; 0 at the end. */
  step(cursor: Cursor): number {
    const { m, at } = this.memory
    const { last, backwards } = cursor
    const next =
      m[last === 0 ? at + (backwards ? NEWEST : OLDEST) : last + (backwards ? OLDER : NEWER)] << 1
    if (next !== 0) cursor.last = next
    return next
  }

  close(cursor: Cursor): void {
    this.cursors = this.cursors.filter(each => each.deref() !== cursor)
  }

  private live(): Cursor[] {
    const live = this.cursors.map(each => each.deref()).filter(each => each !== undefined)
    if (live.length !== this.cursors.length)
      this.cursors = this.cursors.filter(each => each.deref() !== undefined)
    return live
  }

  /**
   * Moves iterators off an entry that leaves its place, to the neighbour that they visited before
   * it.
   */
  private moveCursors(entry: number, older: number, newer: number): void {
    for (const cursor of this.live()) {
      if (cursor.last === entry) cursor.last = cursor.backwards ? newer : older
    }
  }
}

/**
 * Recovers a map that was interrupted during a call: `CHANGES` is odd. The slots of the index
 * determine the entries; hashes, counts and the order are rebuilt from them. Blocks that the call
 * had allocated, or had not freed yet, are freed. If recovery itself is interrupted, it runs again.
 */
import { eraseSlot, hashOfEntry, segmentsOf } from './directory.js'
import {
  BYTES_F64,
  CHANGES,
  COUNT,
  DOOMED,
  HAND,
  HASH,
  KIND,
  MARK,
  MASK,
  NEWER,
  NEWEST,
  OLDER,
  OLDEST,
  PENDING,
  PENDING_WORDS,
  SEGMENT_COUNT,
  SEGMENT_WORDS,
  SPLIT,
  SWEEP,
  TIMED,
  TIMED_COUNT
} from './layout.js'
import type { Table } from './table.js'

/** Was the map interrupted during a call? */
export function isCut({ memory: { m, at } }: Table): boolean {
  return (m[at + CHANGES] & 1) === 1
}

export function recover(table: Table): void {
  const { memory, segments } = table
  const { m, at } = memory
  segments.ready()
  if (m[at + SPLIT] === 1) {
    segments.point(m[at + PENDING] << 1)
    segments.point(m[at + PENDING + 1] << 1)
    m[at + SPLIT] = 0
  }
  clearMarks(table)
  recoverSlots(table)
  recoverOrder(table)
  freePending(table)
  memory.end()
}

/** Calls `visit` with each slot that has an entry. */
function eachSlot(
  { memory, segments }: Table,
  visit: (slot: number, entry: number, segment: number) => void
): void {
  const { m } = memory
  for (const segment of segmentsOf(memory, segments.directory)) {
    for (let slot = segment + SEGMENT_WORDS, left = segments.slots; left > 0; slot += 2, left--) {
      if (m[slot + 1] !== 0) visit(slot, m[slot + 1] << 1, segment)
    }
  }
}

function clearMarks(table: Table): void {
  const { m } = table.memory
  eachSlot(table, (_, entry) => {
    m[entry + KIND] &= ~MARK
  })
}

/**
 * Rebuilds the hashes of slots and entries, removes second slots of entries, and counts. Marks
 * every entry.
 */
function recoverSlots(table: Table): void {
  const { memory, segments } = table
  const { m, at } = memory
  const { slots } = segments
  const mask = slots - 1
  let count = 0
  for (const segment of segmentsOf(memory, segments.directory)) {
    const first = segment + SEGMENT_WORDS
    for (let slot = first; slot < first + 2 * slots; slot += 2) {
      const entry = m[slot + 1] << 1
      if (entry === 0) continue
      m[slot] = hashOfEntry(m, entry, segments)
      m[entry + HASH] = m[slot]
    }
    // If an entry has two slots, keep the one that a search finds first.
    for (let i = 0; i < slots; i++) {
      const entry = m[first + 2 * i + 1] << 1
      if (entry === 0) continue
      const home = m[first + 2 * i] & mask
      let j = home
      while (m[first + 2 * j + 1] << 1 !== entry) j = (j + 1) & mask
      if (j !== i) {
        eraseSlot(m, segment, mask, i)
        // Look at the entry that moved up to this slot.
        i--
      }
    }
    // Count last: an entry that moved up may have come from a slot that was looked at before, round
    // the end of the segment.
    let own = 0
    for (let slot = first; slot < first + 2 * slots; slot += 2) {
      if (m[slot + 1] === 0) continue
      m[(m[slot + 1] << 1) + KIND] |= MARK
      own++
    }
    m[segment + SEGMENT_COUNT] = own
    count += own
  }
  m[at + COUNT] = count
}

/**
 * Rebuilds the order: keeps it as far as it can be followed, then appends the entries that were not
 * linked yet.
 */
function recoverOrder(table: Table): void {
  const { memory } = table
  const { heap, m, f64, at } = memory
  const made = m[at + PENDING] << 1
  const replaced = m[at + PENDING + 1] << 1
  let last = 0
  let timed = 0
  let bytes = 0
  const append = (entry: number): void => {
    if ((m[entry + KIND] & MARK) === 0) return
    m[entry + KIND] &= ~MARK
    m[entry + OLDER] = last >>> 1
    m[last === 0 ? at + OLDEST : last + NEWER] = entry >>> 1
    if ((m[entry + KIND] & TIMED) !== 0) timed++
    bytes += heap.usableSize(entry * 4) + 4
    last = entry
  }
  const isMarked = (entry: number): boolean => entry !== 0 && (m[entry + KIND] & MARK) !== 0
  let next = m[at + OLDEST] << 1
  for (let left = m[at + COUNT] + 1; next !== 0 && left >= 0; left--) {
    const entry = next
    next = m[entry + NEWER] << 1
    if (isMarked(entry)) append(entry)
    // The entry was just replaced: its successor takes its place.
    else if (entry === replaced && isMarked(made)) append(made)
  }
  eachSlot(table, (_, entry) => append(entry))
  m[last === 0 ? at + OLDEST : last + NEWER] = 0
  m[at + NEWEST] = last >>> 1
  m[at + TIMED_COUNT] = timed
  f64[at / 2 + BYTES_F64] = bytes
  m[at + HAND] = 0
  m[at + SWEEP] = 0
}

/** Frees the pending blocks that the map does not use. */
function freePending(table: Table): void {
  const { memory, segments } = table
  const { heap, m, at } = memory
  const own = new Set<number>([segments.directory, ...segmentsOf(memory, segments.directory)])
  const pending = new Set<number>()
  for (let i = 0; i < PENDING_WORDS; i++) {
    const block = m[at + PENDING + i] << 1
    if (block !== 0 && !own.has(block) && heap.owns(block * 4)) pending.add(block)
  }
  const doomed = [0, 1]
    .map(i => m[at + DOOMED + i] << 1)
    .filter(directory => directory !== 0 && !own.has(directory))
  eachSlot(table, (_, entry) => {
    pending.delete(entry)
  })
  for (const block of pending) heap.free(block * 4)
  for (const directory of doomed) if (heap.owns(directory * 4)) freeDoomed(table, directory)
  for (let i = PENDING; i <= DOOMED + 1; i++) m[at + i] = 0
}

/**
 * Frees a discarded directory, its segments, and those of its entries that the map does not use.
 */
function freeDoomed(table: Table, directory: number): void {
  const { memory } = table
  const { heap, m } = memory
  const entries = new Set<number>()
  for (const segment of [...segmentsOf(memory, directory)]) {
    if (!heap.owns(segment * 4)) continue
    for (
      let slot = segment + SEGMENT_WORDS, left = m[directory + MASK];
      left >= 0;
      slot += 2, left--
    ) {
      if (m[slot + 1] !== 0) entries.add(m[slot + 1] << 1)
    }
  }
  eachSlot(table, (_, entry) => {
    entries.delete(entry)
  })
  for (const entry of entries) if (heap.owns(entry * 4)) heap.free(entry * 4)
  for (const segment of [...segmentsOf(memory, directory)])
    if (heap.owns(segment * 4)) heap.free(segment * 4)
  heap.free(directory * 4)
}

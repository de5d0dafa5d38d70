/** Verifies every invariant of a map. Takes time proportional to the number of entries. */
import { corrupt } from '../errors.js'
import { hashOfEntry, segmentsOf } from './directory.js'
import {
  BYTES_F64,
  COUNT,
  capacityOf,
  DEPTH,
  DIRECTORY_WORDS,
  HAND,
  HASH,
  KEY_BYTES_MASK,
  KIND,
  LOCAL_DEPTH,
  MARK,
  NEWER,
  NEWEST,
  OLDER,
  OLDEST,
  PREFIX,
  SEGMENT_COUNT,
  SEGMENT_WORDS,
  SWEEP,
  TIMED,
  TIMED_COUNT,
  VALUE_BYTES,
  valueAt
} from './layout.js'
import type { Table } from './table.js'

function must(holds: boolean, what: string): void {
  if (!holds) throw corrupt(`in a map, ${what}`)
}

/** Throws ERR_OFFHEAP_CORRUPT, and ERR_OFFHEAP_CLOSED. */
export function check(table: Table): void {
  table.segments.ready()
  const { m, f64, at } = table.memory
  const indexed = checkIndex(table)
  const listed = checkOrder(table, indexed)
  must(
    listed.count === indexed.size,
    `${indexed.size} entries are in the index, ${listed.count} in the order`
  )
  must(
    m[at + COUNT] === indexed.size,
    `there are ${indexed.size} entries, but the header counts ${m[at + COUNT]}`
  )
  must(
    m[at + TIMED_COUNT] === listed.timed,
    `${listed.timed} entries have a TTL, but the header counts ${m[at + TIMED_COUNT]}`
  )
  const bytes = f64[at / 2 + BYTES_F64]
  must(
    bytes === listed.bytes,
    `the entries have ${listed.bytes} bytes, but the header counts ${bytes}`
  )
}

/** Checks the index. Returns the entries that it refers to. */
function checkIndex({ memory, segments }: Table): Set<number> {
  const { heap, m } = memory
  const { directory, depth, slots } = segments
  const entries = new Set<number>()
  must(
    heap.owns(directory * 4) && m[directory + DEPTH] === depth,
    `the directory at byte ${directory * 4} is not a directory`
  )
  let covered = 0
  for (const segment of segmentsOf(memory, directory)) {
    const where = `the segment at byte ${segment * 4}`
    must(heap.owns(segment * 4), `${where} is not a used block`)
    const span = 2 ** (depth - m[segment + LOCAL_DEPTH])
    must(m[segment + PREFIX] * span === covered, `${where} has the prefix ${m[segment + PREFIX]}`)
    for (let i = 0; i < span; i++) {
      must(
        m[directory + DIRECTORY_WORDS + covered + i] << 1 === segment,
        `${where} is missing from the directory`
      )
    }
    covered += span
    let count = 0
    for (let i = 0; i < slots; i++) {
      const slot = segment + SEGMENT_WORDS + 2 * i
      const entry = m[slot + 1] << 1
      if (entry === 0) continue
      count++
      const which = `the entry at byte ${entry * 4}`
      must(heap.owns(entry * 4), `${which} is not a used block`)
      must(!entries.has(entry), `${which} has two slots`)
      entries.add(entry)
      must((m[entry + KIND] & MARK) === 0, `${which} is still marked`)
      const end = valueAt(entry, m[entry + KIND]) + (m[entry + VALUE_BYTES] >>> 0)
      must(end <= entry * 4 + heap.usableSize(entry * 4), `${which} ends after its block`)
      const hash = hashOfEntry(m, entry, segments)
      must(m[entry + HASH] === hash && m[slot] === hash, `${which} has the wrong hash for its key`)
      must(segments.segmentOf(hash) === segment, `${which} is in the wrong segment for its hash`)
      for (let j = hash & (slots - 1); j !== i; j = (j + 1) & (slots - 1)) {
        must(
          m[segment + SEGMENT_WORDS + 2 * j + 1] !== 0,
          `${which} can't be reached from its first slot`
        )
      }
    }
    must(
      m[segment + SEGMENT_COUNT] === count,
      `${where} has ${count} entries, but counts ${m[segment + SEGMENT_COUNT]}`
    )
    must(count <= capacityOf(slots), `${where} is too full`)
  }
  must(covered === 2 ** depth, `the directory ends after ${covered} of ${2 ** depth} segments`)
  return entries
}

function checkOrder(
  { memory }: Table,
  indexed: Set<number>
): { count: number; timed: number; bytes: number } {
  const { heap, m, at } = memory
  const seen = new Set<number>()
  let timed = 0
  let bytes = 0
  let older = 0
  for (let entry = m[at + OLDEST] << 1; entry !== 0; entry = m[entry + NEWER] << 1) {
    const which = `the entry at byte ${entry * 4}`
    must(indexed.has(entry), `${which} is in the order, but not in the index`)
    must(!seen.has(entry), `${which} is twice in the order`)
    must(m[entry + OLDER] << 1 === older, `${which} is not linked to the entry before it`)
    must((m[entry + KIND] & KEY_BYTES_MASK) >= 0, `${which} has no key`)
    seen.add(entry)
    bytes += heap.usableSize(entry * 4) + 4
    if ((m[entry + KIND] & TIMED) !== 0) timed++
    older = entry
  }
  must(
    m[at + NEWEST] << 1 === older,
    `the newest entry is at byte ${older * 4}, but the header names another`
  )
  for (const word of [HAND, SWEEP]) {
    const entry = m[at + word] << 1
    must(entry === 0 || seen.has(entry), `a hand is at byte ${entry * 4}, where no entry is`)
  }
  return { count: seen.size, timed, bytes }
}

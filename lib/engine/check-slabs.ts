/** The invariants of slabs, stated as code: chunks, records, descriptors and lists agree. */
import { corrupt } from '../errors.js'
import { HIGH_WATER_WORD, TOUCHED_WORD } from '../layout/header.js'
import {
  CHUNKS,
  CLASS_MASK,
  CLASSES,
  CURRENT,
  EMPTY_CHUNKS,
  EMPTY_SLABS,
  ENTRY_SHIFT,
  FREE,
  FULL,
  GRANULE_BYTES,
  GRANULE_WORDS,
  HEADS,
  INFO,
  KIND_MASK,
  LAST,
  LISTED,
  NEXT_MASK,
  NEXT_SHIFT,
  OPEN_CHUNKS,
  RECORD_NEXT,
  RECORD_PREVIOUS,
  STARTS,
  STEP_CLASS,
  TAILS
} from '../layout/slab.js'
import type { Slabs } from './slabs.js'
import { isChunk, walk } from './walk.js'

/** The number of granules whose descriptors fill 4 KiB. */
const GRANULES_IN_PAGE = 512

/** Verifies the slabs of a heap, whose blocks tile it. Throws ERR_OFFHEAP_CORRUPT. */
export function checkSlabs(words: Int32Array, slabs: Slabs): void {
  if (slabs.granules === 0) return
  const { state } = slabs
  const chunks = new Set<number>()
  for (const block of walk(words))
    if (isChunk(words, slabs, block)) chunks.add((block + 1) / GRANULE_WORDS)
  const listed = checkLists(words, slabs)
  const open = new Set<number>()
  let empty = 0
  for (const first of chunks) {
    const free = checkChunk(words, slabs, first, listed)
    if (words[slabs.recordOf(first)] !== free) {
      throw wrong(first, 'its record disagrees about free granules')
    }
    if (free !== 0) open.add(slabs.recordOf(first))
    if (free === slabs.allFree) empty++
  }
  if (words[state + CHUNKS] !== chunks.size || words[state + EMPTY_CHUNKS] !== empty) {
    throw corrupt(
      `there are ${chunks.size} chunks of slabs, ${empty} of them empty, but the tables ` +
        'count differently'
    )
  }
  const emptied = [...listed].filter(granule => words[slabs.descriptorOf(granule)] === 0).length
  if (words[state + EMPTY_SLABS] !== emptied) {
    throw corrupt(
      `${emptied} slabs in lists are empty, but the tables count ${words[state + EMPTY_SLABS]}`
    )
  }
  checkOpenChunks(words, slabs, open)
  // Check the descriptors beyond the blocks too, where later blocks would be taken for chunks; but
  // not in untouched pages.
  const touched = slabs.granuleOf(Math.max(words[HIGH_WATER_WORD], words[TOUCHED_WORD]) * 4)
  const end = Math.min(slabs.granules, touched - (touched % GRANULES_IN_PAGE) + GRANULES_IN_PAGE)
  for (let granule = 0; granule < end; granule++) {
    const at = slabs.descriptorOf(granule)
    if (words[at] === 0 && words[at + INFO] === 0) continue
    if (!chunks.has(granule - (granule % slabs.chunkGranules)))
      throw wrong(granule, 'it is in no chunk')
  }
}

/** Verifies the granules of a chunk. Returns the bits of those that are free. */
function checkChunk(
  words: Int32Array,
  slabs: Slabs,
  first: number,
  listed: ReadonlySet<number>
): number {
  let free = 0
  for (let granule = first; granule < first + slabs.chunkGranules; granule++) {
    const used = words[slabs.descriptorOf(granule)]
    const info = words[slabs.descriptorOf(granule) + INFO]
    if (info === FREE) {
      free |= 0x80000000 >>> (granule - first)
      if (used !== 0) throw wrong(granule, 'it is not a slab, but has used slots')
      continue
    }
    const sizeClass = info & CLASS_MASK
    const flags = info & (FULL | CURRENT | LISTED)
    if (sizeClass === 0 || sizeClass >= CLASSES) throw wrong(granule, 'its size class is unknown')
    if (((info & LAST) !== 0) !== (granule === first + slabs.chunkGranules - 1)) {
      throw wrong(granule, 'it is wrong about its place in the chunk')
    }
    if ((used & ~STARTS[info & KIND_MASK]) !== 0)
      throw wrong(granule, 'slots are used where none begins')
    if ((flags === LISTED) !== listed.has(granule))
      throw wrong(granule, 'it is not in the list where it should be')
    if (flags === FULL && (STARTS[info & KIND_MASK] & ~used) !== 0)
      throw wrong(granule, 'it has open slots, but is in no list')
    if (flags === CURRENT && slabs.currentOf(sizeClass) !== granule)
      throw wrong(granule, 'it is not the current slab')
    if (flags !== FULL && flags !== CURRENT && flags !== LISTED)
      throw wrong(granule, 'its state is unknown')
    if (flags !== LISTED && ((info >>> NEXT_SHIFT) & NEXT_MASK) !== 0)
      throw wrong(granule, 'it is in no list, but has a next')
  }
  return free
}

/** Verifies the list of each class, and the current slabs. Returns the granules in lists. */
function checkLists(words: Int32Array, slabs: Slabs): Set<number> {
  const { state } = slabs
  const listed = new Set<number>()
  for (let sizeClass = 1; sizeClass < CLASSES; sizeClass++) {
    let last = 0
    for (
      let granule = words[state + HEADS + sizeClass];
      granule !== 0;
      granule = slabs.nextOf(granule)
    ) {
      slabs.verifyListed(granule, sizeClass)
      if (listed.has(granule)) throw wrong(granule, 'it is in its list twice')
      listed.add(granule)
      last = granule
    }
    if (words[state + TAILS + sizeClass] !== last)
      throw wrong(last, 'it is the last of its list, but the tail is another slab')
  }
  for (const [step, sizeClass] of STEP_CLASS.entries()) {
    const entry = state + (step << ENTRY_SHIFT)
    const [descriptor, starts, info] = words.subarray(entry, entry + 3)
    const granule = slabs.currentOf(sizeClass)
    const isRight =
      descriptor === 0
        ? starts === 0 && info === 0
        : granule !== 0 &&
          descriptor === slabs.descriptorOf(granule) &&
          info === words[descriptor + INFO] &&
          starts === STARTS[info & KIND_MASK]
    if (!isRight)
      throw corrupt(
        `the entry of size step ${step}, at byte ${entry * 4}, does not describe a current slab`
      )
  }
  return listed
}

/** Verifies that the list of chunks with free granules holds these records, linked both ways. */
function checkOpenChunks(words: Int32Array, slabs: Slabs, open: Set<number>): void {
  let previous = 0
  for (
    let record = words[slabs.state + OPEN_CHUNKS];
    record !== 0;
    record = words[record + RECORD_NEXT]
  ) {
    if (!open.delete(record) || words[record + RECORD_PREVIOUS] !== previous) {
      throw corrupt(
        `the list of chunks with free granules leads to byte ${record * 4}, which does not ` +
          'belong there'
      )
    }
    previous = record
  }
  for (const record of open)
    throw corrupt(`the chunk described at byte ${record * 4} is in no list`)
}

function wrong(granule: number, why: string): Error {
  return corrupt(
    `the tables are wrong about the granule at byte ${granule * GRANULE_BYTES}: ${why}`
  )
}

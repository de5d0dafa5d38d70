/**
 * Slabs serve small requests from slots of one size, without headers, searches or merging (Bonwick,
 * "The slab allocator", 1994; with bits apart from the slots, as in the pages of Zig and mimalloc).
 * lib/layout/slab.ts draws chunks, granules and the tables.
 *
 * - Each class has one current slab: the next request gets its lowest open slot.
 * - A slab without an open slot is FULL, and in no list. When its first slot is freed, it becomes
 *   the current slab if that one is full, otherwise it goes into the list of its class.
 * - A slab that becomes empty is counted, and stays in its list. `reclaim` removes it before memory
 *   grows.
 *
 * The fast path, slots.ts, takes slots from current slabs and frees slots. This file handles slabs
 * that become full, or were.
 */
import { corrupt } from '../errors.js'
import { HIGH_WATER_WORD } from '../layout/header.js'
import {
  CHUNKS,
  CLASS_MASK,
  CLASSES,
  CURRENT,
  CURSOR,
  chunkGranules,
  EMPTY_CHUNKS,
  EMPTY_SLABS,
  ENTRY_INFO,
  ENTRY_SHIFT,
  ENTRY_STARTS,
  FREE,
  FULL,
  GRANULE_BYTES,
  GRANULE_WORDS,
  GROWTH,
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
  RECORD_WORDS,
  SLOT_BYTES,
  STARTS,
  STATE_MASK,
  STATE_WORDS,
  STEP_CLASS,
  slabLayout,
  TAILS,
  UNIT_BYTES
} from '../layout/slab.js'
import { type Blocks, gapBefore } from './blocks.js'
import type { Due } from './due.js'
import { Slots } from './slots.js'

/** The number of free blocks to try for a chunk before memory grows. */
const CHUNK_TRIES = 16
/** The number of slabs to look at in one reclaim. */
const RECLAIM_STEPS = 256
/** One chunk of this many may stay empty, waiting for the next slab. */
const CHUNKS_PER_EMPTY = 32

export class Slabs {
  readonly slots: Slots
  private readonly words: Int32Array
  private readonly blocks: Blocks
  private readonly due: Due
  /** The number of granules of the heap; 0 if it has no slabs. */
  readonly granules: number
  readonly chunkGranules: number
  readonly chunkWords: number
  /** The free bits of a record when all granules of its chunk are free. */
  readonly allFree: number
  readonly state: number
  readonly records: number
  readonly descriptors: number
  private readonly starts: Int32Array
  /** The class of each size step, and the first and the last step of each class. */
  private readonly classes: Int32Array
  private readonly firstStep: Int32Array
  private readonly lastStep: Int32Array

  /**
   * The slabs of a heap whose slab tables begin at the word `index`. If `enabled` is false, there
   * are none.
   */
  constructor(words: Int32Array, blocks: Blocks, index: number, enabled: boolean, due: Due) {
    const { state, records, descriptors } = slabLayout(words.length, index)
    const granules = enabled ? chunkGranules(words.length) : 0
    this.words = words
    this.blocks = blocks
    this.due = due
    this.granules = granules === 0 ? 0 : Math.floor(words.length / GRANULE_WORDS)
    this.slots = new Slots(words, index, this.granules)
    this.chunkGranules = granules
    this.chunkWords = granules * GRANULE_WORDS
    this.allFree = -1 << (32 - granules)
    this.state = state
    this.records = records
    this.descriptors = descriptors
    this.starts = STARTS
    this.classes = Int32Array.from(STEP_CLASS)
    this.firstStep = Int32Array.from(SLOT_BYTES, (_, sizeClass) => STEP_CLASS.indexOf(sizeClass))
    this.lastStep = Int32Array.from(SLOT_BYTES, (_, sizeClass) => STEP_CLASS.lastIndexOf(sizeClass))
  }

  /** Removes all slabs. Does not touch pages of the tables that are zero. */
  reset(): void {
    const { words } = this
    const end = this.granules === 0 ? 0 : this.descriptors + 2 * this.granules
    for (let at = this.state; at < end; at++) if (words[at] !== 0) words[at] = 0
  }

  // ---- slots ------------------------------------------------------------------------------------

  /**
   * Makes sure that the current slab has an open slot for `bytes` bytes: if it is full, replaces it
   * with another slab of the class, or a new one. Returns false when out of memory.
   */
  refill(bytes: number): boolean {
    const { words, state, descriptors, starts } = this
    const step = (bytes + 15) >>> 4
    const sizeClass = this.classes[step]
    const entry = state + (step << ENTRY_SHIFT)
    const info = words[entry + ENTRY_INFO]
    const old = words[entry]
    if (info !== 0 && words[old + INFO] === info) {
      if ((words[entry + ENTRY_STARTS] & ~words[old]) !== 0) return true
      words[old + INFO] = (info & KIND_MASK) | FULL
    }
    let granule = words[state + HEADS + sizeClass]
    let descriptor = descriptors + 2 * granule
    while (granule !== 0) {
      const info = words[descriptor + INFO]
      if (!(granule < this.granules) || (info & STATE_MASK) !== (LISTED | sizeClass))
        throw this.misled(granule, sizeClass)
      const next = (info >>> NEXT_SHIFT) & NEXT_MASK
      words[state + HEADS + sizeClass] = next
      if (next === 0) words[state + TAILS + sizeClass] = 0
      if (words[descriptor] === 0) words[state + EMPTY_SLABS]--
      if ((starts[info & KIND_MASK] & ~words[descriptor]) !== 0) break
      words[descriptor + INFO] = (info & KIND_MASK) | FULL
      granule = next
      descriptor = descriptors + 2 * granule
    }
    if (granule === 0) {
      this.setCurrent(sizeClass, 0, 0)
      granule = this.newSlab(sizeClass)
      if (granule === 0) return false
      descriptor = descriptors + 2 * granule
    }
    this.setCurrent(sizeClass, descriptor, words[descriptor + INFO] & KIND_MASK)
    return true
  }

  /** Allocates a slot of any larger class, as a last resort. Returns 0 if there is none. */
  borrow(bytes: number): number {
    for (let sizeClass = this.classes[(bytes + 15) >>> 4] + 1; sizeClass < CLASSES; sizeClass++) {
      const size = SLOT_BYTES[sizeClass]
      const slot = this.slots.take(size)
      if (slot !== 0) return slot
      if (this.refill(size)) return this.slots.take(size)
    }
    return 0
  }

  /**
   * Frees the used slot at `pointer`, any integer, of any slab. A slab that was FULL becomes
   * current, if the current one is full, or listed. Returns false, changing nothing, if no used
   * slot begins there.
   */
  release(pointer: number): boolean {
    if (this.slots.holds(pointer) === 0) return false
    const words = this.words
    const descriptor = this.descriptorOf(this.granuleOf(pointer))
    words[descriptor] ^= 0x80000000 >>> (pointer / UNIT_BYTES)
    const info = words[descriptor + INFO]
    if (info < 0) this.reopen(descriptor)
    else if (words[descriptor] === 0 && (info & LISTED) !== 0) words[this.state + EMPTY_SLABS]++
    return true
  }

  private reopen(descriptor: number): void {
    const words = this.words
    const kind = words[descriptor + INFO] & KIND_MASK
    const sizeClass = kind & CLASS_MASK
    const entry = this.state + (this.lastStep[sizeClass] << ENTRY_SHIFT)
    if ((words[entry + ENTRY_STARTS] & ~words[words[entry]]) === 0) {
      this.markFull(entry)
      this.setCurrent(sizeClass, descriptor, kind)
    } else {
      this.push((descriptor - this.descriptors) >> 1)
    }
    // For the trim threshold, a slab counts as freed when it stops being full, so that freeing a
    // slot needs no counter.
    this.due.countFreed(GRANULE_WORDS)
  }

  /** Marks the current slab of an entry, if there is one, as FULL. */
  private markFull(entry: number): void {
    const words = this.words
    const info = words[entry + ENTRY_INFO]
    const at = words[entry] + INFO
    if (info !== 0 && words[at] === info) words[at] = (info & KIND_MASK) | FULL
  }

  /** Moves an empty current slab of a class to its list. */
  private retireEmpty(sizeClass: number): void {
    const granule = this.currentOf(sizeClass)
    if (granule === 0 || this.words[this.descriptorOf(granule)] !== 0) return
    this.setCurrent(sizeClass, 0, 0)
    this.push(granule)
  }

  /**
   * Makes the slab with this descriptor the current one of its class. With 0, the class has no
   * current slab.
   */
  private setCurrent(sizeClass: number, descriptor: number, kind: number): void {
    const words = this.words
    const info = descriptor === 0 ? 0 : kind | CURRENT
    if (descriptor !== 0) words[descriptor + INFO] = info
    const starts = this.starts[kind]
    const last = this.state + (this.lastStep[sizeClass] << ENTRY_SHIFT)
    for (
      let entry = this.state + (this.firstStep[sizeClass] << ENTRY_SHIFT);
      entry <= last;
      entry += 1 << ENTRY_SHIFT
    ) {
      words[entry] = descriptor
      words[entry + ENTRY_STARTS] = starts
      words[entry + ENTRY_INFO] = info
    }
  }

  /** Returns the current slab of a class; 0 if it has none, or if its entry is invalid. */
  currentOf(sizeClass: number): number {
    const descriptor = this.words[this.state + (this.firstStep[sizeClass] << ENTRY_SHIFT)]
    const granule = (descriptor - this.descriptors) >> 1
    if (!(granule > 0 && granule < this.granules) || this.descriptorOf(granule) !== descriptor)
      return 0
    return (this.words[descriptor + INFO] & ~LAST) === (CURRENT | sizeClass) ? granule : 0
  }

  /** Inserts a slab at the front of the list of its class. */
  private push(granule: number): void {
    const sizeClass = this.classOf(granule)
    const head = this.words[this.state + HEADS + sizeClass]
    this.setFlags(granule, LISTED | (head << NEXT_SHIFT))
    this.words[this.state + HEADS + sizeClass] = granule
    if (head === 0) this.words[this.state + TAILS + sizeClass] = granule
    if (this.words[this.descriptorOf(granule)] === 0) this.words[this.state + EMPTY_SLABS]++
  }

  /** Appends a slab to the list of its class. */
  private append(granule: number): void {
    const sizeClass = this.classOf(granule)
    const tail = this.words[this.state + TAILS + sizeClass]
    if (tail === 0) {
      this.push(granule)
      return
    }
    this.verifyListed(tail, sizeClass)
    this.setFlags(granule, LISTED)
    this.words[this.descriptorOf(tail) + INFO] |= granule << NEXT_SHIFT
    this.words[this.state + TAILS + sizeClass] = granule
  }

  /**
   * Removes the first slab from the list of a class, and returns it; 0 if the list is empty. The
   * caller sets the flags in its info. Throws ERR_OFFHEAP_CORRUPT.
   */
  private shift(sizeClass: number): number {
    const { words, state } = this
    const granule = words[state + HEADS + sizeClass]
    if (granule === 0) return 0
    this.verifyListed(granule, sizeClass)
    const next = this.nextOf(granule)
    words[state + HEADS + sizeClass] = next
    if (next === 0) words[state + TAILS + sizeClass] = 0
    return granule
  }

  nextOf(granule: number): number {
    return (this.words[this.descriptorOf(granule) + INFO] >>> NEXT_SHIFT) & NEXT_MASK
  }

  /** Throws ERR_OFFHEAP_CORRUPT if a list leads to anything but a slab of its class. */
  verifyListed(granule: number, sizeClass: number): void {
    const isInside = granule > 0 && granule < this.granules
    if (
      !isInside ||
      (this.words[this.descriptorOf(granule) + INFO] & STATE_MASK) !== (LISTED | sizeClass)
    ) {
      throw this.misled(granule, sizeClass)
    }
  }

  private misled(granule: number, sizeClass: number): Error {
    return corrupt(
      `the list of slabs for ${SLOT_BYTES[sizeClass]} bytes leads to byte ` +
        `${granule * GRANULE_BYTES}, where no such slab is`
    )
  }

  /** Keeps class and LAST of a slab's info, and replaces the rest. */
  private setFlags(granule: number, flags: number): void {
    const at = this.descriptorOf(granule) + INFO
    this.words[at] = (this.words[at] & KIND_MASK) | flags
  }

  private classOf(granule: number): number {
    return this.words[this.descriptorOf(granule) + INFO] & CLASS_MASK
  }

  descriptorOf(granule: number): number {
    return this.descriptors + 2 * granule
  }

  granuleOf(pointer: number): number {
    return Math.floor(pointer / GRANULE_BYTES)
  }

  recordOf(granule: number): number {
    return this.records + RECORD_WORDS * Math.floor(granule / this.chunkGranules)
  }

  // ---- chunks -----------------------------------------------------------------------------------

  /** Creates a slab of a class, in no list yet. Returns 0 when out of memory. */
  private newSlab(sizeClass: number): number {
    const { words, state } = this
    if (words[state + OPEN_CHUNKS] === 0) this.reclaim(RECLAIM_STEPS)
    if (words[state + OPEN_CHUNKS] === 0 && !this.newChunk()) return 0
    const record = words[state + OPEN_CHUNKS]
    const bits = words[record]
    const chunk = (record - this.records) / RECORD_WORDS
    const granule = chunk * this.chunkGranules + Math.clz32(bits)
    if (!(Number.isInteger(chunk) && bits !== 0 && granule > 0 && granule < this.granules)) {
      throw corrupt(
        `the list of chunks with free granules leads to byte ${record * 4}, where no chunk ` +
          'is described'
      )
    }
    if (bits === this.allFree) words[state + EMPTY_CHUNKS]--
    words[record] = bits & ~(0x80000000 >>> Math.clz32(bits))
    if (words[record] === 0) this.unlinkChunk(record)
    const last = (granule + 1) % this.chunkGranules === 0 ? LAST : 0
    words[this.descriptorOf(granule)] = 0
    words[this.descriptorOf(granule) + INFO] = sizeClass | last
    return granule
  }

  /**
   * Allocates a chunk. Describes its granules first, so that it is a chunk as soon as its block is
   * used.
   */
  private newChunk(): boolean {
    const { words, blocks, chunkWords } = this
    const found = blocks.findAligned(chunkWords, chunkWords, CHUNK_TRIES)
    if (found === 0) return false
    const granule = (found + gapBefore(found, chunkWords) + 1) / GRANULE_WORDS
    for (let i = 0; i < this.chunkGranules; i++) {
      words[this.descriptorOf(granule + i)] = 0
      words[this.descriptorOf(granule + i) + INFO] = FREE
    }
    blocks.placeAligned(found, chunkWords, chunkWords)
    words[this.recordOf(granule)] = this.allFree
    words[this.state + CHUNKS]++
    words[this.state + EMPTY_CHUNKS]++
    this.linkChunk(this.recordOf(granule))
    return true
  }

  private linkChunk(record: number): void {
    const { words, state } = this
    const head = words[state + OPEN_CHUNKS]
    words[record + RECORD_NEXT] = head
    words[record + RECORD_PREVIOUS] = 0
    if (head !== 0) words[head + RECORD_PREVIOUS] = record
    words[state + OPEN_CHUNKS] = record
  }

  private unlinkChunk(record: number): void {
    const { words, state } = this
    const next = words[record + RECORD_NEXT]
    const previous = words[record + RECORD_PREVIOUS]
    if (!this.isRecord(next) || !this.isRecord(previous)) {
      throw corrupt(
        `the list of chunks leads from byte ${record * 4} to where no chunk is described`
      )
    }
    if (previous === 0) words[state + OPEN_CHUNKS] = next
    else words[previous + RECORD_NEXT] = next
    if (next !== 0) words[next + RECORD_PREVIOUS] = previous
  }

  /** Is this word index a record's, or 0? */
  private isRecord(record: number): boolean {
    return (
      record === 0 ||
      (record >= this.records &&
        record < this.descriptors &&
        (record - this.records) % RECORD_WORDS === 0)
    )
  }

  /** Has the chunk at the word index `block` no used slot? */
  isEmpty(block: number): boolean {
    const first = (block + 1) / GRANULE_WORDS
    for (let i = 0; i < this.chunkGranules; i++)
      if (this.words[this.descriptorOf(first + i)] !== 0) return false
    return true
  }

  // ---- giving memory back -----------------------------------------------------------------------

  /**
   * Called before memory grows by `need` words for an ordinary block. Reclaims empty slabs each
   * time that memory has grown by half a chunk. Returns true if a chunk was freed.
   */
  reclaimFor(need: number): boolean {
    const { words, state } = this
    if (this.granules === 0 || words[state + CHUNKS] === 0) return false
    words[state + GROWTH] += Math.min(need, this.chunkWords)
    if (words[state + GROWTH] <= this.chunkWords / 2) return false
    words[state + GROWTH] = 0
    return this.reclaim(RECLAIM_STEPS)
  }

  /** Removes every empty slab, and frees every empty chunk. Returns true if a chunk was freed. */
  reclaimAll(): boolean {
    if (this.granules === 0) return false
    for (let sizeClass = 1; sizeClass < CLASSES; sizeClass++) this.retireEmpty(sizeClass)
    const reclaimed = this.reclaim(this.granules)
    const empty = this.words[this.state + EMPTY_CHUNKS] > 0
    for (let record = this.words[this.state + OPEN_CHUNKS], left = this.granules; record !== 0; ) {
      if (!this.isRecord(record) || left-- === 0) throw corrupt('the list of chunks does not end')
      const next = this.words[record + RECORD_NEXT]
      if (this.words[record] === this.allFree) this.releaseChunk(record)
      record = next
    }
    return reclaimed || empty
  }

  /**
   * Checks up to `steps` listed slabs, class by class from where the last reclaim ended, while
   * there are empty ones. Removes those, and moves the others to the end of their list. Returns
   * true if a chunk was freed.
   */
  private reclaim(steps: number): boolean {
    const { words, state } = this
    const chunks = words[state + CHUNKS]
    let sizeClass = words[state + CURSOR]
    let left = words[state + EMPTY_SLABS] > 0 ? steps : 0
    for (let tried = 1; tried < CLASSES && left > 0; tried++) {
      if (!(sizeClass >= 1 && sizeClass < CLASSES)) sizeClass = 1
      const tail = words[state + TAILS + sizeClass]
      for (
        let granule = this.shift(sizeClass);
        granule !== 0;
        granule = left > 0 ? this.shift(sizeClass) : 0
      ) {
        left--
        if (words[this.descriptorOf(granule)] === 0) {
          this.drop(granule)
          if (--words[state + EMPTY_SLABS] <= 0) left = 0
        } else this.append(granule)
        if (granule === tail) break
      }
      // Move on even if slabs are left: they are at the front of the list next time.
      sizeClass++
    }
    words[state + CURSOR] = sizeClass
    return words[state + CHUNKS] < chunks
  }

  /**
   * Frees the granule of an empty slab that is in no list. Keeps a chunk that becomes empty, or
   * frees it.
   */
  private drop(granule: number): void {
    const { words, state } = this
    words[this.descriptorOf(granule) + INFO] = FREE
    const record = this.recordOf(granule)
    const bits = words[record]
    words[record] = bits | (0x80000000 >>> (granule % this.chunkGranules))
    if (bits === 0) this.linkChunk(record)
    if (words[record] !== this.allFree) return
    words[state + EMPTY_CHUNKS]++
    if (words[state + EMPTY_CHUNKS] > words[state + CHUNKS] / CHUNKS_PER_EMPTY)
      this.releaseChunk(record)
  }

  /** Frees the block of an empty chunk. */
  private releaseChunk(record: number): void {
    const { words, state } = this
    const granule = ((record - this.records) / RECORD_WORDS) * this.chunkGranules
    this.unlinkChunk(record)
    words[state + CHUNKS]--
    words[state + EMPTY_CHUNKS]--
    words[record] = 0
    if (!this.blocks.free(granule * GRANULE_WORDS - 1)) {
      throw corrupt(`the chunk of slabs at byte ${granule * GRANULE_BYTES - 4} is not a used block`)
    }
    for (let i = 0; i < this.chunkGranules; i++) words[this.descriptorOf(granule + i) + INFO] = 0
  }

  // ---- recovery ---------------------------------------------------------------------------------

  /**
   * Rebuilds state, records and infos from what recovery relies on: which blocks are used and
   * described as chunks, the class of each slab, and its used slots. `possibleChunks`: the used
   * blocks with the size and the alignment of a chunk.
   */
  rebuild(possibleChunks: ReadonlySet<number>): void {
    if (this.granules === 0) return
    const { words, state } = this
    words.fill(0, state, state + STATE_WORDS)
    // A chunk at the top is described before the high water mark rises to it.
    const end = this.granuleOf(words[HIGH_WATER_WORD] * 4) + 2 * this.chunkGranules
    for (
      let first = 0;
      first <= end && first + this.chunkGranules <= this.granules;
      first += this.chunkGranules
    ) {
      const block = first * GRANULE_WORDS - 1
      if (possibleChunks.has(block) && words[this.descriptorOf(first) + INFO] !== 0)
        this.rebuildChunk(first)
      else this.forgetChunk(first)
    }
  }

  private rebuildChunk(first: number): void {
    const { words, state } = this
    let free = 0
    for (let i = 0; i < this.chunkGranules; i++) {
      const descriptor = this.descriptorOf(first + i)
      const kind = words[descriptor + INFO] & KIND_MASK
      if ((kind & CLASS_MASK) === 0 || words[descriptor] === 0) {
        words[descriptor + INFO] = FREE
        words[descriptor] = 0
        free |= 0x80000000 >>> i
      } else if ((STARTS[kind] & ~words[descriptor]) === 0) words[descriptor + INFO] = kind | FULL
      else this.push(first + i)
    }
    words[this.recordOf(first)] = free
    words[state + CHUNKS]++
    if (free === this.allFree) words[state + EMPTY_CHUNKS]++
    if (free !== 0) this.linkChunk(this.recordOf(first))
  }

  private forgetChunk(first: number): void {
    this.words[this.recordOf(first)] = 0
    for (let i = 0; i < this.chunkGranules; i++) {
      this.words[this.descriptorOf(first + i) + INFO] = 0
      this.words[this.descriptorOf(first + i)] = 0
    }
  }
}

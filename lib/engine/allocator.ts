/**
 * The allocator: the engine of an ordinary heap. It has blocks (blocks.ts), among which a placement
 * policy chooses, and optionally slabs in front of them (slabs.ts) for small requests, and a trim
 * threshold.
 *
 * The fast path is in slots.ts: one store does it all. Everything here takes several stores. A call
 * that is interrupted between them, for example by an exhausted stack, leaves PENDING_WORD at CUT,
 * and the next call recovers the heap first.
 */
import { OffheapError } from '../errors.js'
import { blockOf, pointerOf, sizeOf, wordsFor } from '../layout/block.js'
import {
  BLOCKS_WORD,
  CUT,
  DUE,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  MOVE_FROM_WORD,
  MOVE_TO_WORD,
  PEAK_USED_WORD,
  PENDING_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  USED_WORD,
  WITH_SLABS
} from '../layout/header.js'
import type { Placement, PlacementName } from '../placement/placement.js'
import { Blocks } from './blocks.js'
import { checkBlocks } from './check.js'
import { checkSlabs } from './check-slabs.js'
import { Due } from './due.js'
import type { BlockInfo, Engine, HeapStats, Host, Leak, Pages, Pointer, Watch } from './engine.js'
import {
  clearHeader,
  type Header,
  type Layout,
  ordinaryLayout,
  readHeader,
  verifyHeader
} from './format.js'
import { trimPages } from './pages.js'
import { recover } from './recover.js'
import { refusalOf } from './refusal.js'
import { Slabs } from './slabs.js'
import { type Slots, tooFewFor } from './slots.js'
import { highWaterOf, readStats } from './stats.js'
import { describe, eachBlock } from './walk.js'

/** Up to this many words, a loop copies or clears faster than a method of the typed array. */
const SMALL = 16

/** The number of words that hold `bytes` bytes of a block or a slot. */
const wordsIn = (bytes: number): number =>
  (bytes | 0) === bytes ? (bytes + 3) >>> 2 : Math.ceil(bytes / 4)

/**
 * Opens the allocator of a heap whose header was verified. The build creates a specialized one for
 * some placements (lib/bundle).
 */
export function openAllocator(words: Int32Array, header: Header, host: Host): Allocator {
  return new Allocator(words, header, host)
}

export class Allocator implements Engine {
  readonly placement: PlacementName
  /** The words of the heap; empty after close(), and after the memory was detached. */
  words: Int32Array
  blocks: Blocks
  slabs: Slabs
  readonly slots: Slots
  private policy: Placement
  private due: Due
  /** Requests of up to this many bytes are served from slabs. */
  private slotLimit: number
  private readonly trims: boolean
  private watcher: Watch | undefined
  /** Whether a free counts bytes for the trim threshold, or has a watcher to ask. */
  private checksFrees: boolean
  /** True while due work must wait for the end of a longer call. */
  private holds = false
  private readonly header: Header
  private readonly layout: Layout
  private readonly host: Host

  /** Opens a heap whose header is written. */
  constructor(words: Int32Array, header: Header, host: Host) {
    this.header = header
    this.host = host
    this.placement = header.policy.name
    this.layout = ordinaryLayout(words.length, header.policy, header.options === WITH_SLABS)
    this.trims = words[TRIM_THRESHOLD_WORD] > 0
    this.watcher = undefined
    this.checksFrees = this.trims
    this.words = words
    this.policy = header.policy.open(words)
    const { commit } = host
    this.blocks = new Blocks(words, this.policy, commit && (end => commit(end * 4)))
    this.due = new Due(words, this.blocks, host)
    const index = HEADER_WORDS + header.policy.indexWords(words.length)
    this.slabs = new Slabs(words, this.blocks, index, header.options === WITH_SLABS, this.due)
    this.slots = this.slabs.slots
    this.slotLimit = this.slots.limit
  }

  get open(): boolean {
    return this.words.length !== 0 && this.host.lost?.() === undefined
  }

  close(): void {
    const { words, policy, blocks, slabs, due } = new Allocator(
      new Int32Array(0),
      this.header,
      this.host
    )
    this.slots.close()
    Object.assign(this, { words, policy, blocks, slabs, due, slotLimit: -1 })
  }

  // ---- calls of several stores ------------------------------------------------------------------

  /** Repairs the heap after an interrupted call. Throws ERR_OFFHEAP_CORRUPT. */
  private recover(): void {
    const { words } = this
    if (words.length === 0 || words[PENDING_WORD] === 0) return
    const lost = this.host.lost?.()
    if (lost !== undefined) throw lost
    if (words[PENDING_WORD] !== DUE) recover(this)
    words[PENDING_WORD] = 0
  }

  /** Does what is due at the end of a call. */
  private settle(): void {
    if (this.holds || this.words[PENDING_WORD] === 0) return
    if (this.host.lost?.() !== undefined) return
    this.words[PENDING_WORD] = 0
    this.due.settle()
  }

  /** Returns the error of a call that failed. An OffheapError is thrown before any change. */
  private failed(error: unknown): unknown {
    const lost = this.host.lost?.()
    if (lost !== undefined) return lost
    if (error instanceof OffheapError) this.words[PENDING_WORD] = 0
    return error
  }

  // ---- malloc -----------------------------------------------------------------------------------

  allocate(bytes: number): Pointer {
    const { words } = this
    if (words[PENDING_WORD] !== 0) this.recover()
    try {
      return this.serve(bytes)
    } catch (error) {
      // No call before this store: the stack may be exhausted.
      words[PENDING_WORD] = CUT
      throw this.failed(error)
    }
  }

  private serve(bytes: number): Pointer {
    if (bytes <= this.slotLimit) return this.serveSlot(bytes)
    const need = wordsFor(bytes)
    const found = this.policy.find(need)
    if (found === 0) return this.grow(need)
    this.blocks.place(found, need)
    return pointerOf(found)
  }

  /** Allocates a slot, from another slab if the current one is used up. */
  private serveSlot(bytes: number): Pointer {
    if (!this.slabs.refill(bytes)) return this.serveInstead(bytes)
    const slot = this.slots.take(bytes)
    if (this.words[PENDING_WORD] !== 0) this.settle()
    return slot
  }

  /** Allocates a block for a request that no slot of its size is left for; else a larger slot. */
  private serveInstead(bytes: number): Pointer {
    const need = wordsFor(bytes)
    const found = this.policy.find(need)
    const pointer = found !== 0 ? pointerOf(this.blocks.place(found, need)) : this.grow(need)
    return pointer !== 0 ? pointer : this.slabs.borrow(bytes)
  }

  /**
   * Returns a block of `need` words when no free block is large enough, or 0. Gives empty slabs
   * back first: from time to time, and always before it returns 0.
   */
  private grow(need: number): Pointer {
    const { blocks, slabs } = this
    let block = slabs.reclaimFor(need) ? blocks.allocate(need) : blocks.extend(need)
    if (block === 0 && slabs.reclaimAll()) block = blocks.allocate(need)
    this.settle()
    return block === 0 ? 0 : pointerOf(block)
  }

  allocateZeroed(bytes: number): Pointer {
    const { words } = this
    // Memory from this word on was never written before this call.
    const touched = words[TOUCHED_WORD]
    let pointer = 0
    // Due work may run the caller's code: clear the block first.
    this.holds = true
    try {
      pointer = this.allocate(bytes)
      if (pointer !== 0) this.clear(blockOf(pointer) + 1, bytes, touched)
    } finally {
      this.holds = false
    }
    if (words[PENDING_WORD] === DUE) this.settle()
    return pointer
  }

  /** Clears `bytes` bytes at the word `begin`; from the word `zero` on they are zero already. */
  private clear(begin: number, bytes: number, zero: number): void {
    const { words } = this
    const end = Math.min(begin + wordsIn(bytes), zero)
    if (end - begin > SMALL) words.fill(0, begin, end)
    else for (let word = begin; word < end; word++) words[word] = 0
  }

  allocateAligned(alignment: number, bytes: number): Pointer {
    if (alignment <= 8) return this.allocate(bytes)
    const { words } = this
    this.recover()
    try {
      const pointer = this.serveAligned(alignment, bytes)
      this.settle()
      return pointer
    } catch (error) {
      // No call before this store: the stack may be exhausted.
      words[PENDING_WORD] = CUT
      throw this.failed(error)
    }
  }

  private serveAligned(alignment: number, bytes: number): Pointer {
    // Slots begin at multiples of 16.
    if (alignment === 16 && bytes <= this.slotLimit && this.slabs.refill(bytes)) {
      return this.slots.take(bytes)
    }
    const need = wordsFor(bytes)
    // A closed heap has no words.
    if (alignment >= this.words.byteLength || need >= this.words.length) return 0
    let block = this.blocks.allocateAligned(alignment / 4, need)
    if (block === 0 && this.slabs.reclaimAll())
      block = this.blocks.allocateAligned(alignment / 4, need)
    return block === 0 ? 0 : pointerOf(block)
  }

  // ---- free -------------------------------------------------------------------------------------

  free(pointer: Pointer): boolean {
    const { words } = this
    if (words[PENDING_WORD] !== 0) this.recover()
    try {
      if (this.checksFrees) return this.freeChecked(pointer)
      return this.release(pointer)
    } catch (error) {
      // No call before this store: the stack may be exhausted.
      words[PENDING_WORD] = CUT
      throw this.failed(error)
    }
  }

  /**
   * Frees the used slot or block at `pointer`. Returns false, changing nothing, if none begins
   * there.
   */
  release(pointer: Pointer): boolean {
    if ((pointer & 7) !== 0) return false
    if (this.slots.covers(pointer)) return this.slabs.release(pointer)
    return this.blocks.free(blockOf(pointer))
  }

  /** Frees a slot or block of a heap with a trim threshold or a watcher. */
  private freeChecked(pointer: Pointer): boolean {
    const { watcher } = this
    watcher?.mayChange(pointer)
    const size = this.slots.covers(pointer) ? 0 : sizeOf(this.words[blockOf(pointer)])
    if (!this.release(pointer)) return false
    watcher?.freed(pointer)
    this.due.countFreed(size)
    this.settle()
    return true
  }

  watch(watch: Watch | undefined): void {
    this.watcher = watch
    this.checksFrees = this.trims || watch !== undefined
    this.slots.setFast(watch === undefined)
  }

  // ---- realloc ----------------------------------------------------------------------------------

  resize(pointer: Pointer, bytes: number): Pointer {
    const { words } = this
    if (words[PENDING_WORD] !== 0) this.recover()
    try {
      if (this.watcher !== undefined) this.watcher.mayChange(pointer)
      const slot = this.slots.holds(pointer)
      let resized = 0
      if (slot !== 0) resized = this.resizeSlot(pointer, slot, bytes)
      else resized = this.resizeBlock(pointer, bytes)
      if (this.watcher !== undefined && resized > 0 && resized !== pointer)
        this.watcher.freed(pointer)
      if (words[PENDING_WORD] !== 0) this.settle()
      return resized
    } catch (error) {
      // No call before this store: the stack may be exhausted.
      words[PENDING_WORD] = CUT
      throw this.failed(error)
    }
  }

  /** Resizes a slot. Keeps a slot that is too large if there is no other room. */
  private resizeSlot(pointer: Pointer, slot: number, bytes: number): Pointer {
    if (bytes <= slot && bytes > tooFewFor(slot)) return pointer
    const moved = this.move(pointer, slot, bytes)
    return moved === 0 && bytes <= slot ? pointer : moved
  }

  private resizeBlock(pointer: Pointer, bytes: number): Pointer {
    const { words, blocks } = this
    const block = blockOf(pointer)
    if ((pointer & 7) !== 0) return -1
    if (this.slots.covers(pointer)) return -1
    if (!blocks.isUsed(block)) return -1
    const have = sizeOf(words[block])
    const need = wordsFor(bytes)
    if (bytes > this.slotLimit) {
      if (blocks.resizeInPlace(block, have, need)) {
        if (have > need) this.due.countFreed(have - sizeOf(words[block]))
        return pointer
      }
    }
    const moved = this.move(pointer, have * 4 - 4, bytes)
    if (moved !== 0) {
      this.due.countFreed(have)
      return moved
    }
    // Try in place: a slot was only preferred, and the search may have freed a chunk after the
    // block.
    return blocks.resizeInPlace(block, have, need) ? pointer : 0
  }

  /**
   * Moves the payload of `have` bytes at `pointer` to a block or slot for `bytes` bytes, and frees
   * the old one. Returns the new pointer, or 0 with nothing changed. Until the old one is free, the
   * move words of the header say which of the two is a copy.
   */
  private move(pointer: Pointer, have: number, bytes: number): Pointer {
    const { words, slots, slabs, blocks } = this
    let to = 0
    if (bytes <= this.slotLimit) {
      to = slots.next(bytes)
      if (to === 0 && slabs.refill(bytes)) to = slots.next(bytes)
    }
    let block = 0
    if (to === 0) {
      block = this.locate(wordsFor(bytes))
      if (block < 0) return 0
      to = pointerOf(block)
    }
    words[MOVE_TO_WORD] = blockOf(to) + 1
    words[MOVE_FROM_WORD] = blockOf(pointer) + 1
    if (block === 0) slots.take(bytes)
    else if (block === words[TOP_WORD]) blocks.extend(wordsFor(bytes))
    else blocks.place(block, wordsFor(bytes))
    this.copy(blockOf(pointer) + 1, blockOf(to) + 1, wordsIn(Math.min(have, bytes)))
    if (!slots.give(pointer)) this.release(pointer)
    words[MOVE_TO_WORD] = 0
    words[MOVE_FROM_WORD] = 0
    return to
  }

  /**
   * Returns where a block of `need` words can be placed: a free block or the top; -1 if nowhere.
   */
  private locate(need: number): number {
    const { words, slabs, blocks } = this
    let found = this.policy.find(need)
    if (found === 0 && slabs.reclaimFor(need)) found = this.policy.find(need)
    if (found === 0 && !blocks.canExtend(need) && slabs.reclaimAll()) found = this.policy.find(need)
    if (found !== 0) return found
    return blocks.canExtend(need) ? words[TOP_WORD] : -1
  }

  private copy(from: number, to: number, count: number): void {
    const words = this.words
    if (count <= SMALL) for (let i = 0; i < count; i++) words[to + i] = words[from + i]
    else words.copyWithin(to, from, from + count)
  }

  // ---- the rest ---------------------------------------------------------------------------------

  usableSize(pointer: Pointer): number {
    const slot = this.slots.holds(pointer)
    if (slot !== 0) return slot
    const block = blockOf(pointer)
    if ((pointer & 7) !== 0 || this.slots.covers(pointer) || !this.blocks.isUsed(block)) return -1
    return sizeOf(this.words[block]) * 4 - 4
  }

  refusal(call: string, pointer: Pointer): Error {
    return refusalOf(this.words, this.slabs, call, pointer)
  }

  get root(): Pointer {
    return this.words[ROOT_WORD] * 4
  }

  set root(pointer: Pointer) {
    this.words[ROOT_WORD] = pointer / 4
  }

  highWater(): number {
    return highWaterOf(this.words)
  }

  stats(residentBytes: number): HeapStats {
    this.recover()
    return readStats(this.words, this.blocks.policy, this.slabs, residentBytes)
  }

  summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'> {
    const { words } = this
    return { size: words[SIZE_WORD] * 8, used: words[USED_WORD] * 4, blocks: words[BLOCKS_WORD] }
  }

  eachBlock(): Generator<BlockInfo, void, undefined> {
    this.recover()
    return eachBlock(this.words, this.slabs)
  }

  *eachFreeBlock(): Generator<BlockInfo, void, undefined> {
    this.recover()
    for (const block of this.policy.list()) yield describe(this.words, block)
  }

  check(): void {
    const { words, blocks, slabs, layout } = this
    readHeader(words)
    verifyHeader(words, layout)
    this.recover()
    checkBlocks(words, blocks.policy)
    checkSlabs(words, slabs)
  }

  trim(pages: Pages): number {
    const { words } = this
    this.recover()
    try {
      this.slabs.reclaimAll()
      const bytes = trimPages(words, this.blocks.policy, pages)
      this.blocks.uncommit()
      return bytes
    } catch (error) {
      // No call before this store: the stack may be exhausted.
      words[PENDING_WORD] = CUT
      throw this.failed(error)
    }
  }

  reset(): void {
    const { words, header, layout } = this
    const isNew = words[HIGH_WATER_WORD] === layout.first && words[TOUCHED_WORD] === layout.first
    words[PENDING_WORD] = CUT
    // The commit. Recovery clears the slab tables up to the high-water mark, so lower that after
    // them.
    words[TOP_WORD] = layout.first
    words[PEAK_USED_WORD] = 0
    // A new heap of 8 GiB has 160 MiB of tables, which were never touched.
    if (!isNew) this.slabs.reset()
    clearHeader(words, header, layout)
    words[PENDING_WORD] = CUT
    this.policy.reset()
    words[PENDING_WORD] = 0
  }

  leaks(): Leak[] | undefined {
    return undefined
  }
}

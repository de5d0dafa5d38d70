/**
 * The ledger of a hardened heap and the slots that belong to its blocks. The ordinary algorithm
 * (lib/engine/blocks.ts) manages the ledger. When a slot is allocated, it is verified, sealed, and
 * given a red zone after the payload. When it is freed, it is verified, filled, and put into the
 * quarantine.
 *
 * Each corruption is reported once: unowned memory is filled again, and the call that found the
 * corruption has done nothing else and can be repeated.
 */
import { Blocks } from '../engine/blocks.js'
import { Due } from '../engine/due.js'
import type { Host } from '../engine/engine.js'
import { corrupt } from '../errors.js'
import { MINIMUM_WORDS, PREVIOUS_USED, sizeOf, USED } from '../layout/block.js'
import {
  HEADER_SEAL_WORD,
  HEADER_WORDS,
  HELD_WORD,
  KEY_WORD,
  PEAK_LIVE_WORD,
  PENDING_WORD,
  QUARANTINE_LIMIT_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  USED_WORD
} from '../layout/header.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { Faults, requestedOf } from './fault.js'
import { GuardedPlacement } from './guarded-placement.js'
import { hardenedLayout, ledgerWords, SLOT_BYTES, slotOf } from './layout.js'
import { Memory } from './memory.js'
import { Quarantine } from './quarantine.js'
import { hasFreeLeft, Seals, SLACK } from './seals.js'

export class Ledger {
  /** The words of the ledger and everything before it. */
  readonly words: Int32Array
  readonly blocks: Blocks
  readonly guard: GuardedPlacement
  readonly seals: Seals
  readonly memory: Memory
  readonly quarantine: Quarantine
  readonly faults: Faults
  private readonly due: Due
  private readonly host: Host
  /** The options in the header of a new heap, written again by a reset. */
  private readonly settings: readonly (readonly [word: number, value: number])[]
  /** True for a heap that was just written and has no seal yet. */
  private isNew: boolean

  /** Opens the memory of a heap whose header is written. */
  constructor(heap: Int32Array, policy: PlacementPolicy, host: Host) {
    this.host = host
    const words = heap.subarray(0, ledgerWords(heap.length))
    const layout = hardenedLayout(heap.length, HEADER_WORDS + policy.indexWords(words.length))
    this.words = words
    this.seals = new Seals(words, layout.seals, heap[KEY_WORD])
    this.guard = new GuardedPlacement(words, policy.open(words), this.seals, layout.seals)
    const { commit } = host
    this.blocks = new Blocks(words, this.guard, commit && (end => commit(slotOf(end))))
    this.isNew = heap[HEADER_SEAL_WORD] === 0
    this.settings = [KEY_WORD, QUARANTINE_LIMIT_WORD, TRIM_THRESHOLD_WORD].map(word => [
      word,
      heap[word]
    ])
    this.due = new Due(words, this.blocks, host)
    this.memory = new Memory(heap, layout.givenBack, heap[KEY_WORD])
    this.quarantine = new Quarantine(words, this.seals)
    this.faults = new Faults(words, this.seals)
  }

  /** Removes every block, and clears all memory that was ever used. */
  reset(): void {
    const { words, memory, seals } = this
    const first = this.blocks.first
    const touched = words[TOUCHED_WORD]
    words.fill(0, first, touched)
    seals.reset(touched)
    memory.zero(slotOf(first), slotOf(touched))
    memory.givenBack.reset()
    words[TOUCHED_WORD] = first
    words[PEAK_LIVE_WORD] = 0
    this.quarantine.reset()
    this.isNew = false
    this.guard.reset()
    // A write before the first block is detected here.
    memory.fill(slotOf(first) - SLOT_BYTES, slotOf(first))
    seals.sealHeader()
  }

  /** Repairs, before a reset, an overwritten header: where blocks begin, and what was touched. */
  mendHeader(): void {
    const { words, seals } = this
    if (this.isNew || seals.headerHolds()) return
    for (const [word, value] of this.settings) words[word] = value
    words[TOUCHED_WORD] = words.length - 1
  }

  /**
   * Runs work that changes the heap: verifies the seal of the header first, and renews it
   * afterwards. If damage ends a call in the middle of a change, the heap refuses every call until
   * it is reset. Throws ERR_OFFHEAP_CORRUPT.
   */
  guarded<Result>(work: () => Result): Result {
    this.verifyHeader()
    let trimsNow = false
    const result = this.sealing(() => {
      const done = work()
      // The count is in the header, which must be sealed afterwards.
      trimsNow = this.due.takeTrim()
      this.words[PENDING_WORD] = 0
      return done
    })
    this.due.settle()
    if (trimsNow) this.host.trim()
    return result
  }

  private sealing<Result>(work: () => Result): Result {
    try {
      return work()
    } finally {
      if (this.guard.broken) this.seals.breakHeader()
      else this.seals.sealHeader()
    }
  }

  /** Throws ERR_OFFHEAP_CORRUPT. */
  verifyHeader(): void {
    if (this.seals.headerHolds()) return
    throw corrupt(
      this.seals.isHeaderBroken()
        ? 'its index was overwritten, and the call that found this could not be completed; ' +
            'reset() empties the heap'
        : 'its header, the first 128 bytes, was overwritten'
    )
  }

  /**
   * Allocates `need` words for a payload of `bytes`. Returns 0 if there is no memory, even in the
   * quarantine.
   */
  give(need: number, bytes: number): number {
    if (need > this.words.length) return 0
    const touched = this.words[TOUCHED_WORD]
    const block = this.blocks.allocate(need) || (this.flush() ? this.blocks.allocate(need) : 0)
    return block === 0 ? 0 : this.handOut(block, bytes, touched)
  }

  /**
   * Allocates a slot that begins at a multiple of `alignment` words of the ledger. Returns 0 if it
   * can't.
   */
  giveAligned(alignment: number, need: number, bytes: number): number {
    if (need > this.words.length) return 0
    const touched = this.words[TOUCHED_WORD]
    const block =
      this.blocks.allocateAligned(alignment, need) ||
      (this.flush() ? this.blocks.allocateAligned(alignment, need) : 0)
    if (block === 0) return 0
    // The gap before the block was never touched, and is now ordinary free memory.
    const gap = slotOf(Math.min(block, touched))
    const changed = this.memory.firstTouched(gap, slotOf(block))
    this.memory.fill(gap, slotOf(block))
    if (changed !== -1) this.refuse(block, gap, changed)
    return this.handOut(block, bytes, touched)
  }

  /**
   * Verifies and prepares the slot of a new block. From the word `touched` on, no slot was used
   * before.
   */
  private handOut(block: number, bytes: number, touched: number): number {
    const begin = slotOf(block)
    const end = slotOf(block + sizeOf(this.words[block]))
    this.verifyTaken(block, Math.max(begin, slotOf(touched)))
    const changed = this.firstChanged(begin, end, slotOf(touched))
    if (changed !== -1) this.refuse(block, begin, changed)
    this.memory.claim(begin, end)
    this.dress(block, bytes)
    return block
  }

  /**
   * Verifies the notes about a new block. If one was overwritten, frees it, filled from `fresh` on.
   */
  private verifyTaken(block: number, fresh: number): void {
    const end = slotOf(block + sizeOf(this.words[block]))
    try {
      this.memory.givenBack.verify(slotOf(block), end)
      if (!this.seals.isClear(block)) throw this.faults.entry(block)
    } catch (error) {
      this.memory.fill(fresh, end)
      this.seals.clear(block)
      this.blocks.free(block)
      throw error
    }
  }

  /** Frees a new block because the free memory from `begin` on was changed. Always throws. */
  private refuse(block: number, begin: number, changed: number): never {
    const end = slotOf(block + sizeOf(this.words[block]))
    this.memory.claim(slotOf(block), end)
    this.memory.fill(slotOf(block), end)
    this.blocks.free(block)
    throw this.faults.writeToFree(begin, end, changed)
  }

  /** Writes the slack, the red zone and the seal of a used block. */
  private dress(block: number, bytes: number): void {
    const words = this.words
    const end = slotOf(block + sizeOf(words[block]))
    words[block + SLACK] = end - slotOf(block) - bytes
    this.memory.fill(slotOf(block) + bytes, end)
    this.seals.seal('used', block)
    const live = words[USED_WORD] - words[HELD_WORD]
    if (live > words[PEAK_LIVE_WORD]) words[PEAK_LIVE_WORD] = live
  }

  /**
   * Does a used block begin here, and agree with its seal? False for every block if the memory was
   * detached.
   */
  isUsed(block: number): boolean {
    return (
      block >= this.blocks.first && block < this.words[TOP_WORD] && this.seals.holds('used', block)
    )
  }

  /** Verifies a used block's neighbours in the ledger, its red zone, and the byte before it. */
  private verify(block: number): void {
    this.verifyNeighbours(block)
    const { words, memory, faults } = this
    const begin = slotOf(block)
    const end = slotOf(block + sizeOf(words[block]))
    const past = begin + requestedOf(words, block)
    const changed = memory.firstChanged(past, end)
    if (changed !== -1) {
      memory.fill(past, end)
      throw faults.overflow(block, changed)
    }
    if (memory.firstChanged(begin - 1, begin) !== -1) {
      memory.fill(begin - 1, begin)
      throw faults.underflow(block)
    }
  }

  /**
   * Verifies a block's neighbours in the ledger, and whether they are used. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  private verifyNeighbours(block: number): void {
    const { words, seals } = this
    const { first } = this.blocks
    const leftIsFree = block > first && hasFreeLeft(words, seals, block, first)
    if (leftIsFree === ((words[block] & PREVIOUS_USED) !== 0)) throw this.faults.entry(block)
    if (leftIsFree) this.guard.verify(block - words[block - 1], words[block - 1])
    const next = block + sizeOf(words[block])
    if (next === words[TOP_WORD]) return
    if (next > words[TOP_WORD] || (words[next] & PREVIOUS_USED) === 0) throw this.faults.entry(next)
    if ((words[next] & USED) === 0) this.guard.verify(next, sizeOf(words[next]))
    else if (!seals.holds('used', next) && !seals.holds('quarantined', next))
      throw this.faults.entry(next)
  }

  /** Verifies a used block and its surroundings, and moves it to the quarantine. */
  takeBack(block: number): void {
    this.verify(block)
    this.makeRoom(sizeOf(this.words[block]))
    this.hold(block)
  }

  /**
   * Makes room in the quarantine for `size` words. Throws if a block was written to while it was
   * there.
   */
  private makeRoom(size: number): void {
    if (!this.quarantine.admits(size)) return
    while (this.quarantine.isFullFor(size) && this.letGo());
    // Throw before the new block has lost its contents, or was replaced by another.
    this.quarantine.verifyNewest()
  }

  /**
   * Puts a block into the quarantine, which has room for it; frees it at once if it is too large.
   */
  private hold(block: number): void {
    const size = sizeOf(this.words[block])
    if (this.quarantine.admits(size)) this.quarantine.push(block)
    else this.returnToFree(block)
    // Fill it last: a block that can't be freed must keep its contents.
    this.memory.fill(slotOf(block), slotOf(block + size))
  }

  /** Frees every block of the quarantine. Returns false if it was empty. */
  flush(): boolean {
    if (!(this.words[HELD_WORD] > 0)) return false
    while (this.letGo());
    return true
  }

  /** Verifies the oldest block of the quarantine and frees it. Returns false if there is none. */
  private letGo(): boolean {
    const block = this.quarantine.oldest()
    if (block === 0) return false
    this.verifyNeighbours(block)
    const begin = slotOf(block)
    const end = slotOf(block + sizeOf(this.words[block]))
    this.memory.givenBack.verify(begin, end)
    const changed = this.memory.firstChanged(begin, end)
    const fault = changed === -1 ? undefined : this.faults.writeAfterFree(block, changed)
    this.quarantine.shift()
    if (fault !== undefined) {
      this.memory.claim(begin, end)
      this.memory.fill(begin, end)
    }
    this.returnToFree(block)
    if (fault !== undefined) throw fault
    return true
  }

  /** Returns a block to the ordinary allocator, which merges it. */
  private returnToFree(block: number): void {
    const size = sizeOf(this.words[block])
    this.seals.clear(block)
    if (!this.blocks.free(block)) throw this.faults.entry(block)
    this.due.countFreed(size)
  }

  /**
   * Resizes a used block to `bytes` bytes, `need` words, in place or elsewhere, after it has
   * verified its surroundings. Returns the block, or 0.
   */
  change(block: number, need: number, bytes: number): number {
    this.verify(block)
    const words = this.words
    const have = sizeOf(words[block])
    if (need <= have) return this.shrinkTo(block, have, need, bytes)
    if (this.roomBehind(block, have) >= need - have) return this.growTo(block, have, need, bytes)
    this.makeRoom(have)
    const moved = this.give(need, bytes)
    if (moved !== 0) {
      this.memory.copy(slotOf(block), slotOf(moved), requestedOf(words, block))
      this.hold(block)
      return moved
    }
    // The quarantine was emptied for the allocation, which may have made room after the block.
    return this.roomBehind(block, have) >= need - have ? this.growTo(block, have, need, bytes) : 0
  }

  private shrinkTo(block: number, have: number, need: number, bytes: number): number {
    const kept = slotOf(block) + Math.min(bytes, requestedOf(this.words, block))
    this.blocks.resizeInPlace(block, have, need)
    this.due.countFreed(have - sizeOf(this.words[block]))
    // The bytes that the payload loses are free memory or red zone now.
    this.memory.fill(kept, slotOf(block + have))
    this.dress(block, bytes)
    return block
  }

  /** The number of free words right after a block. */
  private roomBehind(block: number, have: number): number {
    const words = this.words
    const next = block + have
    if (next === words[TOP_WORD]) return words.length - 1 - next
    return (words[next] & USED) === 0 ? sizeOf(words[next]) : 0
  }

  private growTo(block: number, have: number, need: number, bytes: number): number {
    const words = this.words
    const next = block + have
    const touched = slotOf(words[TOUCHED_WORD])
    const whole = next !== words[TOP_WORD] && have + sizeOf(words[next]) - need < MINIMUM_WORDS
    const end = slotOf(block + (whole ? have + sizeOf(words[next]) : need))
    this.memory.givenBack.verify(slotOf(next), end)
    this.verifyFree(slotOf(next), end, touched)
    this.blocks.resizeInPlace(block, have, need)
    this.memory.claim(slotOf(next), end)
    this.dress(block, bytes)
    return block
  }

  /** Verifies that free memory is unchanged. If not, repairs it, so that it throws only once. */
  private verifyFree(begin: number, end: number, touched: number): void {
    const changed = this.firstChanged(begin, end, touched)
    if (changed === -1) return
    const known = Math.min(end, Math.max(begin, touched))
    this.memory.claim(begin, known)
    this.memory.fill(begin, known)
    this.memory.zero(known, end)
    throw this.faults.writeToFree(begin, end, changed)
  }

  /** The first changed byte of free memory, or -1. From `touched` on, all of it must be zero. */
  private firstChanged(begin: number, end: number, touched: number): number {
    const known = Math.min(end, Math.max(begin, touched))
    const changed = this.memory.firstChanged(begin, known)
    return changed === -1 ? this.memory.firstTouched(known, end) : changed
  }
}

/**
 * The hardened engine: verifies each pointer, each neighbour and each byte between blocks.
 * docs/hardening.md says how much slower it is, and how much more memory it takes. Headers and
 * links are stored in a ledger, apart from the blocks (layout.ts).
 */
import type {
  BlockInfo,
  Calls,
  Engine,
  HeapStats,
  Host,
  Leak,
  Pages,
  Pointer,
  Watch
} from '../engine/engine.js'
import { clearHeader, type Header, readHeader, verifyHeader } from '../engine/format.js'
import { noSlots } from '../engine/slots.js'
import { OffheapError } from '../errors.js'
import { TOO_LARGE } from '../layout/block.js'
import {
  BLOCKS_WORD,
  HELD_WORD,
  HIGH_WATER_WORD,
  QUARANTINED_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../layout/header.js'
import type { PlacementName } from '../placement/placement.js'
import { checkHardened } from './check.js'
import { requestedOf } from './fault.js'
import { blockAt, layoutOfLedger, ledgerWordsFor, SLOT_BYTES, slotOf } from './layout.js'
import { Ledger } from './ledger.js'
import { Stacks } from './stacks.js'
import { describeHardened, freeSlotPages, readHardenedStats, sealedBlocks } from './stats.js'

export class HardenedEngine implements Engine {
  readonly placement: PlacementName
  readonly slots = noSlots()
  /** The words of the whole heap. */
  private heap: Int32Array
  private readonly header: Header
  private readonly ledger: Ledger
  private readonly host: Host
  private readonly stacks: Stacks | undefined
  private watcher: Watch | undefined

  /** Opens a heap whose header is written. `tracks`: whether stacks are recorded. */
  constructor(heap: Int32Array, header: Header, host: Host, tracks: boolean) {
    this.placement = header.policy.name
    this.heap = heap
    this.header = header
    this.host = host
    this.stacks = tracks ? new Stacks() : undefined
    this.ledger = new Ledger(heap, header.policy, { ...host, trim: () => this.trimQuietly() })
    this.ledger.faults.stacks = this.stacks
  }

  get open(): boolean {
    return this.heap.length !== 0
  }

  close(): void {
    this.heap = new Int32Array(0)
    this.stacks?.clear()
  }

  allocate(bytes: number): Pointer {
    return this.given(this.here('malloc'), bytes, () => this.ledger.give(this.need(bytes), bytes))
  }

  allocateZeroed(bytes: number): Pointer {
    const stack = this.here('calloc')
    // Memory that was never touched was verified to be zero.
    const touched = slotOf(this.ledger.words[TOUCHED_WORD])
    return this.given(stack, bytes, () => {
      const block = this.ledger.give(this.need(bytes), bytes)
      const pointer = slotOf(block)
      if (block !== 0)
        this.ledger.memory.zero(pointer, Math.max(pointer, Math.min(pointer + bytes, touched)))
      return block
    })
  }

  allocateAligned(alignment: number, bytes: number): Pointer {
    const stack = this.here('alignedAlloc')
    if (alignment >= this.heap.byteLength) return 0
    return this.given(stack, bytes, () =>
      alignment <= 2 * SLOT_BYTES
        ? this.ledger.give(this.need(bytes), bytes)
        : this.ledger.giveAligned(alignment / SLOT_BYTES, this.need(bytes), bytes)
    )
  }

  free(pointer: Pointer): boolean {
    const stack = this.here('free', 'realloc')
    if (!this.open) return false
    this.watcher?.mayChange(pointer)
    return this.guarded(() => {
      const block = this.blockOf(pointer)
      if (block === 0) return false
      this.ledger.takeBack(block)
      if (stack !== undefined) this.stacks?.noteFreed(pointer, stack)
      this.watcher?.freed(pointer)
      return true
    })
  }

  resize(pointer: Pointer, bytes: number): Pointer {
    const stack = this.here('realloc')
    if (!this.open) return -1
    this.watcher?.mayChange(pointer)
    return this.guarded(() => {
      const old = this.blockOf(pointer)
      if (old === 0) return -1
      const block = this.ledger.change(old, this.need(bytes), bytes)
      if (block === 0) return 0
      if (block !== old) this.watcher?.freed(pointer)
      if (stack !== undefined) {
        this.stacks?.noteFreed(pointer, stack)
        this.stacks?.noteAllocated(slotOf(block), bytes, stack)
      }
      return slotOf(block)
    })
  }

  watch(watch: Watch | undefined): void {
    this.watcher = watch
  }

  usableSize(pointer: Pointer): number {
    if (!this.open) return -1
    this.reporting(() => this.ledger.verifyHeader())
    const block = this.blockOf(pointer)
    return block === 0 ? -1 : requestedOf(this.ledger.words, block)
  }

  refusal(call: string, pointer: Pointer): Error {
    return this.ledger.faults.ofPointer(call, pointer)
  }

  get root(): Pointer {
    this.reporting(() => this.ledger.verifyHeader())
    return this.ledger.words[ROOT_WORD] * SLOT_BYTES
  }

  set root(pointer: Pointer) {
    this.guarded(() => {
      this.ledger.words[ROOT_WORD] = pointer / SLOT_BYTES
    })
  }

  highWater(): number {
    return slotOf(this.ledger.words[HIGH_WATER_WORD]) - slotOf(this.ledger.blocks.first)
  }

  stats(residentBytes: number): HeapStats {
    this.ledger.verifyHeader()
    return readHardenedStats(this.ledger, residentBytes)
  }

  summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'> {
    const { words } = this.ledger
    return {
      size: words[SIZE_WORD] * 8,
      used: (words[USED_WORD] - words[HELD_WORD]) * SLOT_BYTES,
      blocks: words[BLOCKS_WORD] - words[QUARANTINED_WORD]
    }
  }

  *eachBlock(): Generator<BlockInfo, void, undefined> {
    this.ledger.verifyHeader()
    for (const [block, kind] of sealedBlocks(this.ledger))
      yield describeHardened(this.ledger, block, kind)
  }

  *eachFreeBlock(): Generator<BlockInfo, void, undefined> {
    this.ledger.verifyHeader()
    for (const block of this.ledger.guard.list()) yield describeHardened(this.ledger, block, 'free')
  }

  check(): void {
    this.ledger.guarded(() => {
      const { length, policy } = readHeader(this.heap)
      verifyHeader(this.heap, layoutOfLedger(length, policy))
      checkHardened(this.ledger)
    })
  }

  trim(pages: Pages): number {
    const { memory } = this.ledger
    // Collect all ranges first: if the ledger is corrupt, nothing must be returned to the system.
    const ranges = this.reporting(() => {
      this.ledger.verifyHeader()
      return [...freeSlotPages(this.ledger, pages.pageSize)]
    })
    let bytes = 0
    for (const [offset, length] of ranges) {
      this.reporting(() => memory.givenBack.verify(offset, offset + length))
      pages.decommit(offset, length)
      memory.noteGivenBack(offset, offset + length)
      bytes += length
    }
    return bytes
  }

  /**
   * Trims after a complete call. Damage found here is only reported; later calls and check() throw
   * it.
   */
  private trimQuietly(): void {
    try {
      this.host.trim()
    } catch (error) {
      if (!(error instanceof OffheapError)) throw error
    }
  }

  reset(): void {
    this.ledger.mendHeader()
    clearHeader(
      this.ledger.words,
      this.header,
      layoutOfLedger(this.heap.length, this.header.policy)
    )
    this.ledger.reset()
    this.stacks?.clear()
  }

  leaks(): Leak[] | undefined {
    return this.stacks?.leaks()
  }

  // ---- inside -----------------------------------------------------------------------------------

  /** The number of ledger words that a request of `bytes` needs. */
  private need(bytes: number): number {
    return bytes > this.heap.byteLength ? TOO_LARGE : ledgerWordsFor(bytes)
  }

  /** The used block whose slot begins at `pointer`; 0 if there is none. */
  private blockOf(pointer: Pointer): number {
    const block = blockAt(pointer)
    return this.ledger.isUsed(block) ? block : 0
  }

  /** Runs an allocation, and notes its stack. Returns the pointer, or 0. */
  private given(stack: string | undefined, bytes: number, allocate: () => number): Pointer {
    if (!this.open) return 0
    return this.guarded(() => {
      const block = allocate()
      if (block === 0) return 0
      if (stack !== undefined) this.stacks?.noteAllocated(slotOf(block), bytes, stack)
      return slotOf(block)
    })
  }

  /** The stack above the heap's public method, if stacks are recorded. */
  private here(...names: (keyof Calls)[]): string | undefined {
    if (this.stacks === undefined) return undefined
    for (const name of names) {
      const stack = this.stacks.here(this.host.calls[name])
      if (stack !== '') return stack
    }
    return ''
  }

  /** Runs work that changes the heap. */
  private guarded<Result>(work: () => Result): Result {
    return this.reporting(() => this.ledger.guarded(work))
  }

  /** Reports an error of the work to the heap, which publishes it. */
  private reporting<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      if (error instanceof OffheapError) this.host.fault(error)
      throw error
    }
  }
}

/**
 * The hardened heap: the same calls as any heap, each pointer, each neighbour and each byte between blocks verified. Slower, and
 * larger; docs/hardening.md says by how much. The class is made over Heap by a function, since Heap makes heaps of both kinds.
 */
import {
  BLOCKS_WORD,
  CACHED_WORD,
  QUARANTINED_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOUCHED_WORD,
  USED_WORD
} from '../../block/header.js'
import { OffheapError } from '../../errors.js'
import { afterwards, publish } from '../../events.js'
import { INSIDE, seal } from '../../inspect.js'
import type { Region } from '../../memory/region.js'
import { TOO_LARGE } from '../allocator.js'
import {
  type BlockReference,
  checkAlignment,
  checkAmount,
  closedError,
  offsetOf,
  offsetWithin,
  type Pointer
} from '../arguments.js'
import { readHeader, type Shape } from '../format.js'
import type { Heap } from '../heap.js'
import type { HeapStats } from '../stats.js'
import type { BlockInfo } from '../walk.js'
import { HardenedAllocator } from './allocator.js'
import { checkHardened } from './check.js'
import { requestedOf } from './fault.js'
import { blockAt, ledgerWordsFor, SLOT_BYTES, slotOf } from './layout.js'
import { type Leak, leakReport, Stacks } from './stacks.js'
import { describeHardened, freeSlotPages, readHardenedStats } from './stats.js'

/** What a heap that keeps stacks does with leaks when it is closed; warns, unless told. */
export interface Tracking {
  readonly onLeaks: ((leaks: readonly Leak[]) => void) | undefined
}

type Make = (
  memory: Region | ArrayBuffer,
  words: Int32Array<ArrayBuffer>,
  shape: Shape,
  owns: boolean,
  tracking?: Tracking
) => Heap

/** What makes hardened heaps, as a kind of `Base`. */
export function hardenedKind(Base: typeof Heap): Make {
  class HardenedHeap extends Base {
    declare protected readonly allocator: HardenedAllocator
    private readonly tracking: Tracking | undefined
    private readonly stacks: Stacks | undefined

    constructor(...[memory, words, shape, owns, tracking]: Parameters<Make>) {
      super(INSIDE, memory, words, shape, owns)
      this.tracking = tracking
      this.stacks = tracking === undefined ? undefined : new Stacks()
      this.allocator.faults.stacks = this.stacks
      seal(this, '')
    }

    protected override open(words: Int32Array<ArrayBuffer>): HardenedAllocator {
      return new HardenedAllocator(words, this.shape.policy, () => this.trimQuietly())
    }

    // ---- allocation -----------------------------------------------------------------------------------------------
    // The stack comes first: to take it may run the caller's code (see Stacks).

    override malloc(size: number): Pointer {
      const stack = this.stacks?.here(this.malloc)
      const need = this.need('size', size)
      return this.guarded(() => this.given(this.allocator.give(need, size), size, stack))
    }

    protected override mallocFast(): Pointer {
      return 0
    }

    override calloc(count: number, size: number): Pointer {
      const stack = this.stacks?.here(this.calloc)
      checkAmount('count', count)
      checkAmount('size', size)
      const bytes = Math.min(count * size, Number.MAX_SAFE_INTEGER)
      const need = this.need('size', bytes)
      // What was never touched is zero, and verified to be.
      const touched = slotOf(this.allocator.words[TOUCHED_WORD])
      return this.guarded(() => {
        const pointer = this.given(this.allocator.give(need, bytes), bytes, stack)
        if (pointer !== 0) this.allocator.memory.zero(pointer, Math.max(pointer, Math.min(pointer + bytes, touched)))
        return pointer
      })
    }

    override alignedAlloc(alignment: number, size: number): Pointer {
      const stack = this.stacks?.here(this.alignedAlloc)
      checkAlignment(alignment)
      const need = this.need('size', size)
      if (alignment >= this.u8.length) return this.nothing(size)
      return this.guarded(() => {
        const block =
          alignment <= 2 * SLOT_BYTES
            ? this.allocator.give(need, size)
            : this.allocator.giveAligned(alignment / SLOT_BYTES, need, size)
        return this.given(block, size, stack)
      })
    }

    override realloc(block: BlockReference, size: number): Pointer {
      if (block === 0) return this.malloc(size)
      const stack = this.stacks?.here(this.realloc)
      const pointer = this.offset(block, 'realloc')
      const need = this.need('size', size)
      return this.guarded(() => {
        const old = this.used(pointer, 'realloc')
        if (size === 0) {
          this.takeBack(old, stack)
          return 0
        }
        const changed = this.allocator.change(old, need, size)
        if (changed !== 0 && stack !== undefined) this.stacks?.noteFreed(slotOf(old), stack)
        return this.given(changed, size, stack)
      })
    }

    override free(block: BlockReference): void {
      const stack = this.stacks?.here(this.free)
      const pointer = this.offset(block, 'free')
      if (pointer !== 0) this.guarded(() => this.takeBack(this.used(pointer, 'free'), stack))
    }

    private takeBack(block: number, stack: string | undefined): void {
      this.allocator.takeBack(block)
      if (stack !== undefined) this.stacks?.noteFreed(slotOf(block), stack)
    }

    // ---- blocks ---------------------------------------------------------------------------------------------------

    override view(pointer: BlockReference): Uint8Array<ArrayBuffer> {
      const block = this.verified(pointer, 'view')
      return new Uint8Array(this.buffer, slotOf(block), requestedOf(this.allocator.words, block))
    }

    override usableSize(pointer: BlockReference): number {
      return requestedOf(this.allocator.words, this.verified(pointer, 'usableSize'))
    }

    override owns(reference: unknown): boolean {
      const pointer = offsetWithin(reference, this.buffer)
      if (this.allocator.words.length === 0) throw closedError()
      return this.allocator.isUsed(blockAt(pointer))
    }

    override get root(): Pointer {
      if (this.allocator.words.length === 0) throw closedError()
      this.telling(() => this.allocator.verifyHeader())
      return this.allocator.words[ROOT_WORD] * SLOT_BYTES
    }

    override set root(reference: Pointer) {
      const pointer = this.offset(reference, 'root')
      this.guarded(() => {
        const root = pointer === 0 ? 0 : this.used(pointer, 'root') + 1
        this.allocator.words[ROOT_WORD] = root
      })
    }

    // ---- looking at the heap --------------------------------------------------------------------------------------

    protected override figures(residentBytes: number): HeapStats {
      this.allocator.verifyHeader()
      return readHardenedStats(this.allocator, residentBytes)
    }

    protected override summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'> {
      const { words } = this.allocator
      return {
        size: words[SIZE_WORD] * 8,
        used: (words[USED_WORD] - words[CACHED_WORD]) * SLOT_BYTES,
        blocks: words[BLOCKS_WORD] - words[QUARANTINED_WORD]
      }
    }

    protected override highWater(): number {
      return (super.highWater() / 4) * SLOT_BYTES
    }

    override *blocks(): Generator<BlockInfo, void, undefined> {
      if (this.allocator.words.length === 0) throw closedError()
      this.allocator.verifyHeader()
      yield* super.blocks()
    }

    override *freeBlocks(): Generator<BlockInfo, void, undefined> {
      if (this.allocator.words.length === 0) throw closedError()
      this.allocator.verifyHeader()
      yield* super.freeBlocks()
    }

    protected override describe(block: number): BlockInfo {
      return describeHardened(this.allocator, block)
    }

    override check(): void {
      if (this.allocator.words.length === 0) throw closedError()
      this.guarded(() => {
        readHeader(this.i32)
        checkHardened(this.allocator)
      })
    }

    override trim(): number {
      if (this.allocator.words.length === 0) throw closedError()
      const region = this.region
      if (region === undefined) return 0
      return this.telling(() => {
        const before = region.residentBytes()
        this.allocator.verifyHeader()
        this.decommit(region)
        return Math.max(0, before - region.residentBytes())
      })
    }

    /** The free that led here is done. Damage that this finds is for the call that uses it to throw, and for check(). */
    protected override trimQuietly(): void {
      try {
        super.trimQuietly()
      } catch (error) {
        if (!(error instanceof OffheapError)) throw error
        this.fault(error)
      }
    }

    protected override decommit(region: Region): void {
      const { memory } = this.allocator
      let bytes = 0
      // All of them first: nothing is given back by a ledger that contradicts itself.
      for (const [offset, length] of [...freeSlotPages(this.allocator, region.pageSize)]) {
        memory.givenBack.verify(offset, offset + length)
        region.decommit(offset, length)
        memory.noteGivenBack(offset, offset + length)
        bytes += length
      }
      publish('offheap:trim', () => ({ heap: this, bytes }))
    }

    override reset(): void {
      this.allocator.mendHeader()
      super.reset()
      this.stacks?.clear()
    }

    override leaks(): Leak[] {
      return this.stacks?.leaks() ?? super.leaks()
    }

    override close(): void {
      const leaks = afterwards(() => {
        const found = this.stacks?.leaks() ?? []
        super.close()
        this.stacks?.clear()
        return found
      })
      // When all is done: this is the caller's code.
      if (leaks.length === 0) return
      if (this.tracking?.onLeaks !== undefined) this.tracking.onLeaks(leaks)
      else process.emitWarning(leakReport(leaks), { type: 'OffheapWarning', code: 'OFFHEAP_LEAK' })
    }

    // ---- inside ---------------------------------------------------------------------------------------------------

    /** The words of the ledger that a request of `bytes` needs; TOO_LARGE when no heap has them. */
    private need(name: string, bytes: number): number {
      if (this.allocator.words.length === 0) throw closedError()
      checkAmount(name, bytes)
      return bytes > this.u8.length ? TOO_LARGE : ledgerWordsFor(bytes)
    }

    /** The byte offset that a caller's reference stands for. Throws ERR_OFFHEAP_CLOSED, and what is wrong with its form. */
    private offset(reference: BlockReference, call: string): Pointer {
      if (this.allocator.words.length === 0) throw closedError()
      const pointer = offsetOf(reference, this.buffer, call)
      if (this.allocator.words.length === 0) throw closedError()
      return pointer
    }

    /** What is thrown here is published by the caller, along with all else that it finds. */
    protected override used(pointer: Pointer, call: string): number {
      const block = blockAt(pointer)
      if (!this.allocator.isUsed(block)) throw this.allocator.faults.ofPointer(call, pointer)
      return block
    }

    /** Runs what changes the heap. Its events are published afterwards, and so is the fault that it finds. */
    private guarded<Result>(work: () => Result): Result {
      return this.telling(() => this.allocator.guarded(work))
    }

    private telling<Result>(work: () => Result): Result {
      return afterwards(() => {
        try {
          return work()
        } catch (error) {
          throw error instanceof OffheapError ? this.fault(error) : error
        }
      })
    }

    /** A used block, where nothing else has looked at the header yet. */
    private verified(reference: BlockReference, call: string): number {
      const pointer = this.offset(reference, call)
      return this.telling(() => {
        this.allocator.verifyHeader()
        return this.used(pointer, call)
      })
    }

    private given(block: number, size: number, stack: string | undefined): Pointer {
      if (block === 0) return this.nothing(size)
      const pointer = slotOf(block)
      if (stack !== undefined) this.stacks?.noteAllocated(pointer, size, stack)
      return pointer
    }
  }
  return (...parameters) => new HardenedHeap(...parameters)
}

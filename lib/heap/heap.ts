/**
 * The heap: malloc, calloc, realloc and free over one stretch of memory. Here arguments are checked and pointers are told
 * from block indexes; allocator.ts does the work, and lib/placement says which free block a request gets.
 */
import { type InspectOptionsStylized, inspect, types } from 'node:util'
import { MAXIMUM_HEAP_BYTES, pointerOf, sizeOf, smallWordsFor, wordsFor } from '../block/block.js'
import {
  BLOCKS_WORD,
  FIRST_WORD,
  HEADER_WORDS,
  HIGH_WATER_WORD,
  ROOT_WORD,
  SIZE_WORD,
  TOP_WORD,
  TOUCHED_WORD,
  TRIM_THRESHOLD_WORD,
  USED_WORD
} from '../block/header.js'
import { corrupt, invalidState, invalidType, OffheapError } from '../errors.js'
import { afterwards, publish } from '../events.js'
import { INSIDE, illegalConstructor, inspectAs, isSealed, seal } from '../inspect.js'
import { isRegion, Region } from '../memory/region.js'
import { readOptions } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { type Allocator, TOO_LARGE } from './allocator.js'
import { allocators } from './allocators.js'
import {
  type BlockReference,
  checkAlignment,
  checkAmount,
  closedError,
  offsetOf,
  offsetWithin,
  type Pointer
} from './arguments.js'
import { checkHeap } from './check.js'
import { faultOf } from './fault.js'
import { clearHeader, heapWords, layoutOf, readHeader, type Shape, writeHeader } from './format.js'
import { hardenedKind, type Tracking } from './hardened/heap.js'
import type { Leak } from './hardened/stacks.js'
import { type HeapMapOptions, type HeapOptions, heapMapOptions, heapOptions, type Plan, planOf } from './options.js'
import { freePages, type HeapStats, type HeapSummary, readStats } from './stats.js'
import { bufferOver, type TypedArrayConstructor, Views } from './views.js'
import { type BlockInfo, describe, walk } from './walk.js'

/** Up to this many words a loop clears faster than TypedArray.fill: 0.8 ns a word, where the call costs 15 ns. */
const SMALL_FILL = 16

export class Heap extends Views {
  /** Which free block a request gets. */
  readonly placement: PlacementName
  protected readonly shape: Shape
  protected readonly region: Region | undefined
  private readonly ownsRegion: boolean
  /** At work on the memory of the heap, and on none once it is closed. */
  protected readonly allocator: Allocator

  /**
   * Maps a new region of `size` bytes and makes a heap of it. close() unmaps it.
   * Throws ERR_OUT_OF_RANGE, ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE for an option that there isn't, ERR_OFFHEAP_SYSTEM when
   * the system refuses the memory.
   */
  static map(options: number | HeapMapOptions): Heap {
    const all = typeof options === 'number' ? { size: options } : readOptions('Heap.map', options, heapMapOptions)
    const { placement, quickLists, trimThreshold, hardened, quarantine, trackAllocations, onLeaks, ...rest } = all
    const plan = planOf(all)
    const { size } = rest
    if (typeof size !== 'number') throw invalidType('options.size', 'of type number (bytes)', size)
    if (size > 0) heapWords(size, plan.shape)
    return afterwards(() => {
      const region = Region.map({ ...rest, size })
      try {
        return Heap.write(region, plan, true)
      } catch (error) {
        region.close()
        throw error
      }
    })
  }

  /**
   * Makes a new, empty heap of memory that the caller provides, over whatever it held. The heap does not own the memory:
   * close() leaves it as it is. At most 8 GiB of it are used (4 GiB on Node 20). Throws ERR_INVALID_ARG_TYPE,
   * ERR_OUT_OF_RANGE, ERR_INVALID_ARG_VALUE for an option that there isn't.
   */
  static format(memory: Region | ArrayBuffer, options: HeapOptions = {}): Heap {
    return Heap.write(memory, planOf(readOptions('Heap.format', options, heapOptions)), false)
  }

  /**
   * Opens the heap that the memory holds already, written by this or another process. The heap does not own the memory.
   * Throws ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_CORRUPT when an invariant is broken, and ERR_OFFHEAP_UNSUPPORTED for a heap
   * that is larger than this Node can view (4 GiB on Node 20).
   */
  static attach(memory: Region | ArrayBuffer): Heap {
    const buffer = bufferOf(memory)
    const all = new Int32Array(buffer, 0, Math.floor(Math.min(buffer.byteLength, MAXIMUM_HEAP_BYTES) / 4))
    const { shape, length } = readHeader(all)
    const heap = Heap.open(memory, all.subarray(0, length), shape, false)
    heap.check()
    return heap
  }

  private static write(memory: Region | ArrayBuffer, plan: Plan, mapped: boolean): Heap {
    const { shape, settings, tracking } = plan
    const buffer = bufferOf(memory)
    if (settings.trimThreshold !== 0 && !isRegion(memory)) {
      throw invalidType('memory', 'a Region, for "trimThreshold" gives its pages back', memory)
    }
    const words = new Int32Array(buffer, 0, heapWords(buffer.byteLength, shape))
    writeHeader(words, shape, settings, mapped)
    const heap = Heap.open(memory, words, shape, mapped, tracking)
    heap.reset()
    return heap
  }

  private static open(
    memory: Region | ArrayBuffer,
    words: Int32Array<ArrayBuffer>,
    shape: Shape,
    owns: boolean,
    tracking?: Tracking
  ): Heap {
    return shape.hardened
      ? newHardenedHeap(memory, words, shape, owns, tracking)
      : new Heap(INSIDE, memory, words, shape, owns)
  }

  protected constructor(
    inside: typeof INSIDE,
    memory: Region | ArrayBuffer,
    words: Int32Array<ArrayBuffer>,
    shape: Shape,
    owns: boolean
  ) {
    if (inside !== INSIDE) throw illegalConstructor('Heap.map(size), Heap.format(memory) or Heap.attach(memory)')
    super(words)
    this.placement = shape.policy.name
    this.shape = shape
    this.region = isRegion(memory) ? memory : undefined
    this.ownsRegion = owns
    this.allocator = this.open(words)
    this.allocator.grown = () => publish('offheap:grow', () => ({ heap: this, highWater: this.highWater() }))
    seal(this, 'This heap; send heap.buffer instead, whose bytes are copied, and open the copy with Heap.attach')
  }

  /** The allocator at work on `words`, of the kind that the heap asks for. */
  protected open(words: Int32Array<ArrayBuffer>): Allocator {
    const { policy, quickLists } = this.shape
    const open = allocators[policy.name]
    const trims = words[TRIM_THRESHOLD_WORD] > 0
    const trim = (): void => this.trimQuietly()
    if (!quickLists) return trims ? open.trimming(words, trim) : open.plain(words)
    const lists = layoutOf(words.length, this.shape).quickLists
    // What waits in the lists is given back as well.
    const flushAndTrim = (): void => {
      this.allocator.flush()
      trim()
    }
    return trims ? open.quickTrimming(words, flushAndTrim, lists) : open.quick(words, lists)
  }

  // ---- allocation -------------------------------------------------------------------------------------------------

  /**
   * A block of at least `size` bytes, 8-byte aligned, contents undefined. 0 bytes give a block of its own.
   * Returns its pointer, or 0 when no block is large enough. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE,
   * ERR_OFFHEAP_CLOSED.
   */
  malloc(size: number): Pointer {
    if (typeof size === 'number' && (size | 0) === size && size >= 0) {
      const block = this.allocator.allocate(smallWordsFor(size))
      if (block !== 0) return pointerOf(block)
    }
    return this.mallocSlowly(size)
  }

  /** What malloc does when it publishes nothing and throws nothing; 0 otherwise. */
  protected mallocFast(size: number): Pointer {
    if (typeof size !== 'number' || (size | 0) !== size || size < 0) return 0
    const block = this.allocator.allocate(smallWordsFor(size))
    return block === 0 ? 0 : pointerOf(block)
  }

  /**
   * For what is no integer up to 2 GiB, what publishes an event, and what failed. V8 inlines the little that malloc is without
   * this.
   */
  private mallocSlowly(size: number): Pointer {
    return afterwards(() => {
      const block = this.allocator.allocate(this.request('size', size))
      return block === 0 ? this.nothing(size) : pointerOf(block)
    })
  }

  /** A block of `count` * `size` bytes, all zero. Returns 0 when no block is large enough, or when the product overflows. */
  calloc(count: number, size: number): Pointer {
    checkAmount('count', count)
    checkAmount('size', size)
    const need = this.request('size', Math.min(count * size, Number.MAX_SAFE_INTEGER))
    return this.allocateCleared(need) || afterwards(() => this.allocateCleared(need) || this.nothing(count * size))
  }

  /** The pointer of a block of `need` words, all zero; or 0. */
  private allocateCleared(need: number): Pointer {
    const words = this.allocator.words
    // From here on memory was never written, before this call.
    const touched = words[TOUCHED_WORD]
    const block = this.allocator.allocate(need)
    if (block === 0) return 0
    const end = Math.min(block + need, touched)
    if (end - block > SMALL_FILL) words.fill(0, block + 1, end)
    else for (let word = block + 1; word < end; word++) words[word] = 0
    return pointerOf(block)
  }

  /**
   * A block of at least `size` bytes whose pointer is a multiple of `alignment`, a power of two. The address in memory is
   * aligned as well, as far as the region is (to a page; to 2 MiB with huge pages). Returns 0 when no block is large enough.
   */
  alignedAlloc(alignment: number, size: number): Pointer {
    checkAlignment(alignment)
    const need = this.request('size', size)
    if (alignment >= this.allocator.words.byteLength || need === TOO_LARGE) return this.nothing(size)
    return afterwards(() => {
      const block = alignment <= 8 ? this.allocator.allocate(need) : this.allocator.allocateAligned(alignment / 4, need)
      return block === 0 ? this.nothing(size) : pointerOf(block)
    })
  }

  /**
   * Changes the size of a block; the contents up to the smaller size stay. It stays where it is whenever it can.
   * realloc(0, n) is malloc(n); realloc(p, 0) frees and returns 0. Returns the block's pointer, new when it moved; 0 when
   * nothing is large enough, and then the block is as it was. Throws like free.
   */
  realloc(block: BlockReference, size: number): Pointer {
    if (typeof block === 'number' && typeof size === 'number' && (block | 0) === block && (size | 0) === size) {
      const old = (block >> 2) - 1
      if (size > 0 && block > 0 && (block & 7) === 0 && this.allocator.isUsed(old)) {
        const resized = this.allocator.resize(old, sizeOf(this.allocator.words[old]), smallWordsFor(size))
        if (resized !== 0) return pointerOf(resized)
      }
    }
    return this.reallocSlowly(block, size)
  }

  /**
   * For NULL, for a view, for 0 bytes, for what is beyond 2 GiB, for what publishes an event, and for what is wrong or failed.
   * Without the short way for the others, programs that reallocate take 2 to 4 % longer.
   */
  private reallocSlowly(block: BlockReference, size: number): Pointer {
    if (block === 0) return this.malloc(size)
    const need = this.request('size', size)
    const old = this.used(block, 'realloc')
    return afterwards(() => {
      if (size === 0) {
        this.allocator.free(old)
        return 0
      }
      const resized = this.allocator.resize(old, sizeOf(this.allocator.words[old]), need)
      return resized === 0 ? this.nothing(size) : pointerOf(resized)
    })
  }

  /**
   * Takes a block back and merges it with its free neighbours. free(0) does nothing. A view that begins where a block
   * begins stands for the block. Throws ERR_OFFHEAP_INVALID_POINTER, ERR_OFFHEAP_DOUBLE_FREE, ERR_OFFHEAP_FOREIGN_VIEW,
   * ERR_OFFHEAP_CORRUPT, ERR_OFFHEAP_CLOSED; ERR_INVALID_ARG_TYPE or ERR_OUT_OF_RANGE for what is no pointer at all.
   */
  free(block: BlockReference): void {
    const small = typeof block === 'number' && (block | 0) === block && (block & 7) === 0
    if (!small || !this.allocator.free((block >> 2) - 1)) this.freeSlowly(block)
  }

  /** For NULL, for a view, for a pointer beyond 2 GiB, for what publishes an event, and for what is wrong. */
  private freeSlowly(block: BlockReference): void {
    if (block !== 0) {
      const used = this.used(block, 'free')
      afterwards(() => this.allocator.free(used))
    } else if (this.allocator.words.length === 0) throw closedError()
  }

  // ---- blocks as views --------------------------------------------------------------------------------------------

  /** A block of `length` bytes as a Uint8Array, contents undefined. Throws ERR_OFFHEAP_OUT_OF_MEMORY when nothing fits. */
  alloc(length: number): Uint8Array<ArrayBuffer> {
    const pointer = this.mallocFast(length)
    if (pointer !== 0) return new Uint8Array(this.buffer, this.inside(pointer, length), length)
    return afterwards(() => new Uint8Array(this.buffer, this.mustHave(this.malloc(length), length), length))
  }

  /** The same, all zero. */
  allocZeroed(length: number): Uint8Array<ArrayBuffer> {
    return afterwards(() => new Uint8Array(this.buffer, this.mustHave(this.calloc(length, 1), length), length))
  }

  /** A block of `length` bytes as a Node Buffer, contents undefined. Throws ERR_OFFHEAP_OUT_OF_MEMORY when nothing fits. */
  allocBuffer(length: number): Buffer<ArrayBuffer> {
    const pointer = this.mallocFast(length)
    if (pointer !== 0) return bufferOver(this.buffer, this.inside(pointer, length), length)
    return afterwards(() => bufferOver(this.buffer, this.mustHave(this.malloc(length), length), length))
  }

  /**
   * A block of `length` elements as a typed array of that class, contents undefined:
   * `heap.allocArray(Float64Array, 1000)`. Throws ERR_OFFHEAP_OUT_OF_MEMORY when nothing fits, and what the class throws; then
   * the block is freed.
   */
  allocArray<View>(type: TypedArrayConstructor<View>, length: number): View {
    const element = typeof type === 'function' ? type.BYTES_PER_ELEMENT : 0
    if (!(typeof element === 'number' && element >= 1 && element <= 8)) {
      throw invalidType('type', 'a typed array class, such as Float64Array', type)
    }
    checkAmount('length', length)
    const bytes = Math.min(length * element, Number.MAX_SAFE_INTEGER)
    return afterwards(() => {
      const pointer = this.mustHave(this.malloc(bytes), bytes)
      try {
        return new type(this.buffer, pointer, length)
      } catch (error) {
        // The class may be the caller's own, and may have freed the block or closed the heap.
        if (!this.closed && this.owns(pointer)) this.free(pointer)
        throw error
      }
    })
  }

  /** All usable bytes of the block at `pointer`. Throws like free. */
  view(pointer: BlockReference): Uint8Array<ArrayBuffer> {
    const block = this.used(pointer, 'view')
    const bytes = sizeOf(this.allocator.words[block]) * 4 - 4
    return new Uint8Array(this.buffer, this.inside(pointerOf(block), bytes), bytes)
  }

  /**
   * The bytes that the block at `pointer` can hold: what was asked for, and some more where it was rounded up. Throws like
   * free.
   */
  usableSize(pointer: BlockReference): number {
    return sizeOf(this.allocator.words[this.used(pointer, 'usableSize')]) * 4 - 4
  }

  /** True when `reference` is the pointer, or a view, of a used block of this heap. Throws ERR_OFFHEAP_CLOSED only. */
  owns(reference: unknown): boolean {
    const pointer = offsetWithin(reference, this.buffer)
    if (this.allocator.words.length === 0) throw closedError()
    return this.allocator.isUsed(locate(pointer))
  }

  /**
   * A pointer that is kept in the heap's own header, so that whoever attaches to the memory finds his data. 0 at first.
   * Set it to 0 or to a used block; throws like free.
   */
  get root(): Pointer {
    if (this.allocator.words.length === 0) throw closedError()
    return this.allocator.words[ROOT_WORD] * 4
  }

  set root(pointer: Pointer) {
    if (pointer === 0 && this.allocator.words.length !== 0) this.allocator.words[ROOT_WORD] = 0
    else this.allocator.words[ROOT_WORD] = this.used(pointer, 'root') + 1
  }

  // ---- looking at the heap ----------------------------------------------------------------------------------------

  /** True after close(), and after the memory went away under the heap. */
  get closed(): boolean {
    return this.allocator.words.length === 0
  }

  /** Figures about the heap. Takes time in proportion to the number of free blocks. Throws ERR_OFFHEAP_CLOSED. */
  stats(): HeapStats {
    if (this.allocator.words.length === 0) throw closedError()
    const resident = this.region === undefined ? this.u8.byteLength : this.region.residentBytes()
    return this.figures(resident)
  }

  /**
   * All blocks in address order, used and free. The heap must not change meanwhile: then it may give blocks that are no more, or
   * throw ERR_INVALID_STATE. Throws ERR_OFFHEAP_CORRUPT where a header leads nowhere, ERR_OFFHEAP_CLOSED.
   */
  *blocks(): Generator<BlockInfo, void, undefined> {
    if (this.allocator.words.length === 0) throw closedError()
    yield* this.iterate(walk(this.allocator.words))
  }

  /**
   * The free blocks in the order of the placement policy's list or lists, each once. `used` is false in all of them. The
   * heap must not change meanwhile: see `blocks`. Throws ERR_OFFHEAP_CORRUPT where a link leads nowhere, ERR_OFFHEAP_CLOSED.
   */
  *freeBlocks(): Generator<BlockInfo, void, undefined> {
    if (this.allocator.words.length === 0) throw closedError()
    yield* this.iterate(this.allocator.placement.list())
  }

  /** Describes blocks for a loop that is the caller's code. What it leads astray by changing the heap is not corruption. */
  private *iterate(blocks: Iterable<number>): Generator<BlockInfo, void, undefined> {
    try {
      for (const block of blocks) {
        yield this.describe(block)
        if (this.closed) throw closedError()
      }
    } catch (error) {
      if (error instanceof OffheapError && error.code === 'ERR_OFFHEAP_CORRUPT') {
        // Throws when the heap is corrupt indeed.
        this.check()
        throw invalidState('the heap changed while a loop went over its blocks; collect them first: [...heap.blocks()]')
      }
      throw error
    }
  }

  protected describe(block: number): BlockInfo {
    return describe(this.allocator.words, block)
  }

  /**
   * The blocks that were not given back so far, grouped by the stack where they were allocated, the most bytes first. Only of
   * a heap that was made with `trackAllocations`; throws ERR_OFFHEAP_UNSUPPORTED else.
   */
  leaks(): Leak[] {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'This heap does not know where its blocks were allocated; make it with { hardened: true, trackAllocations: true }'
    )
  }

  /** Verifies every invariant of the heap, in time proportional to its blocks. Throws ERR_OFFHEAP_CORRUPT, ERR_OFFHEAP_CLOSED. */
  check(): void {
    if (this.allocator.words.length === 0) throw closedError()
    try {
      readHeader(this.allocator.words)
      checkHeap(this.allocator)
    } catch (error) {
      throw error instanceof OffheapError ? this.fault(error) : error
    }
  }

  /**
   * Gives whole free pages back to the system: those in the wilderness and those inside free blocks, cached ones included.
   * Returns by how many bytes the region's physical memory shrank; 0 for a heap in an ordinary ArrayBuffer. Throws
   * ERR_OFFHEAP_SYSTEM, ERR_OFFHEAP_CLOSED.
   */
  trim(): number {
    if (this.allocator.words.length === 0) throw closedError()
    const region = this.region
    if (region === undefined) return 0
    return afterwards(() => {
      const before = region.residentBytes()
      this.allocator.flush()
      this.decommit(region)
      return Math.max(0, before - region.residentBytes())
    })
  }

  /** The same by the heap's own choice: a system that refuses is no reason for the free that led here to fail. */
  protected trimQuietly(): void {
    try {
      if (this.region !== undefined) this.decommit(this.region)
    } catch (error) {
      if (!(error instanceof OffheapError && error.code === 'ERR_OFFHEAP_SYSTEM')) throw error
    }
  }

  protected decommit(region: Region): void {
    const { words, placement } = this.allocator
    let bytes = 0
    for (const [offset, length] of freePages(words, placement, words[TOUCHED_WORD], region.pageSize)) {
      region.decommit(offset, length)
      bytes += length
    }
    publish('offheap:trim', () => ({ heap: this, bytes }))
    const page = region.pageSize / 4
    // A last page that is not the heap's alone stays, and is cleared instead.
    const shared = Math.floor(words.length / page) * page
    if (words[TOP_WORD] <= shared) words.fill(0, shared, words[TOUCHED_WORD])
    // The wilderness is zero again from its first whole page on.
    words[TOUCHED_WORD] = Math.min(words[TOUCHED_WORD], Math.ceil(words[TOP_WORD] / page) * page + 1)
  }

  /** Forgets every block: the heap is as new, and every pointer into it is stale. Throws ERR_OFFHEAP_CLOSED. */
  reset(): void {
    if (this.allocator.words.length === 0) throw closedError()
    clearHeader(this.i32, this.shape)
    this.allocator.reset()
  }

  /**
   * Ends the heap. A heap from Heap.map detaches every view of its memory and unmaps it; one on borrowed memory lets go of
   * it. Twice is fine.
   */
  close(): void {
    afterwards(() => {
      if (this.ownsRegion) this.region?.close()
      // In place: the heap may be frozen.
      Object.assign(this.allocator, this.open(new Int32Array(0)))
      this.dropViews()
    })
  }

  [Symbol.dispose](): void {
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'Heap'
  }

  /** What JSON.stringify and console.log show of a heap: the figures of stats() that take no time. A closed heap has 0 bytes. */
  toJSON(): HeapSummary {
    const { closed, placement } = this
    const { size, used, blocks } = closed ? { size: 0, used: 0, blocks: 0 } : this.summary()
    return { size, placement, used, blocks, closed }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Heap', isSealed(this) ? this.toJSON() : {}, depth, options)
  }

  // ---- inside -----------------------------------------------------------------------------------------------------

  /** The words of the block that a request of `bytes` needs; TOO_LARGE when no heap has them. Throws before any change. */
  private request(name: string, bytes: number): number {
    if (this.allocator.words.length === 0) throw closedError()
    if (typeof bytes === 'number' && (bytes | 0) === bytes && bytes >= 0) return wordsFor(bytes)
    checkAmount(name, bytes)
    // No block is as large as the heap, whose words an int32 may not count.
    return bytes > this.allocator.words.byteLength - HEADER_WORDS * 4 ? TOO_LARGE : wordsFor(bytes)
  }

  /** The used block that a caller's reference stands for, by its word index. Throws what is wrong with it. */
  protected used(reference: BlockReference, call: string): number {
    if (this.allocator.words.length === 0) throw closedError()
    const pointer = offsetOf(reference, this.buffer, call)
    if (this.allocator.words.length === 0) throw closedError()
    const block = locate(pointer)
    if (!this.allocator.isUsed(block)) throw this.fault(faultOf(this.allocator.words, call, pointer))
    return block
  }

  /** The figures of stats(), when so many bytes are in physical memory. */
  protected figures(residentBytes: number): HeapStats {
    return readStats(this.allocator, residentBytes)
  }

  /** Some figures of stats(), without a look at any block. */
  protected summary(): Pick<HeapStats, 'size' | 'used' | 'blocks'> {
    const { words } = this.allocator
    return { size: words[SIZE_WORD] * 8, used: words[USED_WORD] * 4, blocks: words[BLOCKS_WORD] }
  }

  /** The same figure as in stats(), without a look at any block: a heap that grows has one that is not written yet. */
  protected highWater(): number {
    return (this.allocator.words[HIGH_WATER_WORD] - this.allocator.words[FIRST_WORD]) * 4
  }

  /** Tells of what is about to be thrown. */
  protected fault(error: Error): Error {
    publish('offheap:fault', () => ({ heap: this, error }))
    return error
  }

  /** What there is when nothing fits: 0, unless the heap is closed. */
  protected nothing(requested: number): Pointer {
    if (this.allocator.words.length === 0) throw closedError()
    publish('offheap:out-of-memory', () => ({ heap: this, requested }))
    return 0
  }

  /** The pointer of a block that a view is made of. Throws ERR_OFFHEAP_CORRUPT when the heap named one that it can't have. */
  private inside(pointer: Pointer, bytes: number): Pointer {
    // Not the length of a view: on Node 26 a view of 2 ** 31 bytes says a negative one.
    if (pointer % 8 === 0 && pointer > 0 && pointer + bytes <= this.buffer.byteLength) return pointer
    throw this.fault(corrupt(`${bytes} bytes at byte ${pointer} are said to be a block of it`))
  }

  private mustHave(pointer: Pointer, bytes: number): Pointer {
    if (pointer !== 0) return this.inside(pointer, bytes)
    throw new OffheapError(
      'ERR_OFFHEAP_OUT_OF_MEMORY',
      `No free block can hold ${bytes} bytes; the largest request that fits is ${this.figures(0).largestFree} bytes. Free something, or map a larger heap`
    )
  }
}

/** The block whose payload begins at `pointer`, by word index; 0, which no block has, for what cannot be a pointer. */
function locate(pointer: Pointer): number {
  if ((pointer | 0) === pointer) return (pointer & 7) === 0 ? (pointer >> 2) - 1 : 0
  return pointer % 8 === 0 && pointer > 0 && pointer < MAXIMUM_HEAP_BYTES ? pointer / 4 - 1 : 0
}

const newHardenedHeap = hardenedKind(Heap)

/** The bytes of a region or buffer. Throws ERR_INVALID_ARG_TYPE, and ERR_OFFHEAP_CLOSED when they are gone. */
function bufferOf(memory: Region | ArrayBuffer): ArrayBuffer {
  const isMapped = isRegion(memory)
  if (isMapped && memory.closed) throw closedError()
  const buffer = isMapped ? memory.buffer : memory
  if (!types.isArrayBuffer(buffer) || buffer.resizable) {
    throw invalidType('memory', 'a Region or an ArrayBuffer of fixed length', memory)
  }
  if (isDetached(buffer)) throw closedError()
  return buffer
}

/** Was the memory transferred away? */
function isDetached(buffer: ArrayBuffer): boolean {
  if (buffer.byteLength !== 0) return false
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}

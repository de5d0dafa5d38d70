/**
 * The public class. It checks arguments, creates views and publishes events; the engine does the
 * work (lib/engine; lib/hardened for hardened heaps).
 */
import { type InspectOptionsStylized, inspect } from 'node:util'
import type {
  BlockInfo,
  Engine,
  HeapStats,
  HeapSummary,
  Host,
  Leak,
  Pointer
} from '../engine/engine.js'
import type { FastPath } from '../engine/slots.js'
import { corrupt, invalidState, invalidType, OffheapError, outOfRange } from '../errors.js'
import { afterwards, publish } from '../events.js'
import { leakReport } from '../hardened/stacks.js'
import { INSIDE, illegalConstructor, inspectAs, isSealed, seal } from '../inspect.js'
import { isRegion, Region } from '../memory/region.js'
import { readOptions } from '../options.js'
import type { PlacementName } from '../placement/placement.js'
import { about, type HeapFile, type Recovery } from '../sharing/heap-file.js'
import {
  attachShared,
  type HeapHandle,
  isHandle,
  mapShared,
  type SharedParts
} from '../sharing/open.js'
import type { SharedFile } from '../sharing/shared-file.js'
import {
  type BlockReference,
  checkAlignment,
  checkAmount,
  closedError,
  lengthOf,
  pointerTo,
  pointerWithin
} from './arguments.js'
import type { Backing, Parts } from './backing.js'
import { Claims, type Pin } from './claims.js'
import {
  bufferOf,
  checkSize,
  committerOf,
  heapIn,
  openEngine,
  type Plan,
  writeHeap
} from './kinds.js'
import { Mutex } from './mutex.js'
import { type HeapFileOptions, openFile } from './open.js'
import {
  checkSharing,
  type HeapMapOptions,
  type HeapOptions,
  heapMapOptions,
  heapOptions,
  planOf
} from './options.js'
import { Roots } from './roots.js'
import { Scope } from './scope.js'
import { checkEncoding, readText, type TextEncoding, textLength, writeText } from './text.js'
import {
  bufferOver,
  bytesOf,
  kindOf,
  type TypedArrayConstructor,
  type ViewLike,
  type ViewOver,
  type Views,
  viewsOf
} from './views.js'

/**
 * The mutable state of a heap. It is an object of its own, as the engine is, so that a frozen heap
 * can be closed.
 */
interface State<Memory extends ArrayBufferLike> {
  views: Views<Memory>
  readonly backing: Backing | undefined
  readonly file: HeapFile | SharedFile | undefined
  recovered: Recovery | undefined
  readonly owns: boolean
  readonly handle: HeapHandle | undefined
  readonly onLeaks: ((leaks: readonly Leak[]) => void) | undefined
  /** The words of the mutexes that this thread holds. */
  readonly heldLocks: Set<number>
  /** Pins and owners of blocks; undefined before the first one. */
  claims: Claims | undefined
  /** Identifies the contents of the heap: reset() replaces this object. */
  contents: object
}

/** More bytes than any string has. On Node 26, a longer Buffer has a negative length. */
const TEXT_LIMIT = 2 ** 31 - 8

/** 32-bit integers take the fast path: all sizes and pointers below 2 GiB. */
const isInt32 = (value: unknown): value is number =>
  typeof value === 'number' && (value | 0) === value

/**
 * A heap: `malloc`, `calloc`, `realloc` and `free` on one contiguous piece of memory.
 *
 * A pointer is the byte offset of a block's payload in the heap; 0 is NULL. Payloads are 8-byte
 * aligned. `heap.u8[pointer]` and the other whole-heap views read and write them. `alloc`,
 * `allocBuffer` and `allocArray` return a view of one block; `free` accepts a pointer or a view.
 *
 * All state is in the memory itself, so `Heap.attach` can open a heap that another process, or an
 * earlier run, has written. Invalid arguments throw Node's errors, wrong pointers throw an
 * `OffheapError`; both leave the heap untouched.
 */
export class Heap<Memory extends ArrayBufferLike = ArrayBuffer> {
  /** Which free block a request gets. */
  readonly placement: PlacementName
  /** The memory of the heap. */
  readonly buffer: Memory
  private readonly engine: Engine
  /** The slots of the engine: all that the fast path uses. */
  private readonly slots: FastPath
  private readonly state: State<Memory>

  /**
   * Maps a new region of `size` bytes and creates a heap on it; close() unmaps it. Throws
   * ERR_OUT_OF_RANGE, ERR_INVALID_ARG_TYPE, and ERR_OFFHEAP_SYSTEM if the system refuses the
   * memory.
   */
  static map(options: number | HeapMapOptions): Heap {
    const all =
      typeof options === 'number'
        ? { size: options }
        : readOptions('Heap.map', options, heapMapOptions)
    const {
      placement,
      slabs,
      trimThreshold,
      hardened,
      quarantine,
      trackAllocations,
      onLeaks,
      ...given
    } = all
    const { shared, arenas, busyTimeout, ...rest } = given
    const plan = planOf(all)
    const { size } = rest
    checkSharing(all, plan)
    if (typeof size !== 'number') throw invalidType('options.size', 'of type number (bytes)', size)
    if (shared) {
      const { policy, slabs: isSlabbed } = plan
      return Heap.share(
        mapShared({ policy, slabs: isSlabbed, arenas, busyTimeout }, { ...rest, size })
      )
    }
    if (size > 0) checkSize(size, plan)
    // The event of the region is published once the heap is complete.
    return afterwards(() => {
      const region = Region.map({ ...rest, size })
      try {
        return Heap.write(bufferOf(region), region, plan, true)
      } catch (error) {
        region.close()
        throw error
      }
    })
  }

  /**
   * Creates an empty heap on memory that the caller provides, and overwrites what was there. The
   * heap does not own the memory: close() leaves it as it is. Uses at most 8 GiB of it. Threads may
   * take turns with a heap on a SharedArrayBuffer, but must not use it at the same time. Throws
   * ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, and ERR_OFFHEAP_CLOSED if the memory is closed or
   * detached.
   */
  static format(memory: Region | ArrayBuffer, options?: HeapOptions): Heap
  static format<Memory extends ArrayBufferLike>(
    memory: Region | Memory,
    options?: HeapOptions
  ): Heap<Memory>
  static format(
    memory: Region | ArrayBufferLike,
    options: HeapOptions = {}
  ): Heap<ArrayBufferLike> {
    const plan = planOf(readOptions('Heap.format', options, heapOptions))
    const region = isRegion(memory) ? memory : undefined
    const buffer = bufferOf(memory)
    if (plan.trimThreshold !== 0 && region === undefined) {
      throw invalidType('memory', 'a Region, because "trimThreshold" gives its pages back', memory)
    }
    checkSize(buffer.byteLength, plan)
    return Heap.write(buffer, region, plan, false)
  }

  /**
   * Opens the heap that the memory holds, written by this process or another. The heap does not own
   * the memory. Given a handle from `heap.handle()`, opens that shared heap in this thread. Throws
   * ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_CORRUPT if an invariant is broken, and
   * ERR_OFFHEAP_UNSUPPORTED for a heap larger than this version of Node can view (4 GiB on Node
   * 20).
   */
  static attach(memory: Region | ArrayBuffer | HeapHandle): Heap
  static attach<Memory extends ArrayBufferLike>(memory: Region | Memory): Heap<Memory>
  static attach(memory: Region | ArrayBufferLike | HeapHandle): Heap<ArrayBufferLike> {
    if (isHandle(memory)) return Heap.share(attachShared(memory))
    const words = heapIn(bufferOf(memory))
    const region = isRegion(memory) ? memory : undefined
    const heap = new Heap(INSIDE, {
      words,
      open: host => openEngine(words, host, false),
      backing: region,
      commit: region && committerOf(region),
      file: undefined,
      owns: false,
      onLeaks: undefined
    })
    heap.check()
    return heap
  }

  /**
   * Opens the heap in a file. Its blocks and their contents outlive the process: every store
   * reaches the file, even if the process is killed. See docs/heap-files.md for the guarantees.
   * The path `shm:name` opens a named region in memory, which stays until it is deleted or the
   * machine stops. Only one process at a time can have the file open; with `shared: true`, any
   * number of processes and threads can (docs/sharing.md). Throws ERR_OFFHEAP_LOCKED if another
   * process has it open; ERR_OFFHEAP_BUSY if another one has been opening or closing a shared file
   * for too long, or if 256 threads have it open; ERR_OFFHEAP_NOT_A_HEAP, ERR_OFFHEAP_TRUNCATED or
   * ERR_OFFHEAP_CORRUPT if the file is not a heap, or is damaged; ERR_OFFHEAP_UNCLEAN with
   * `recover: false`; ERR_OFFHEAP_SYSTEM if a system call fails; ERR_OFFHEAP_UNSUPPORTED;
   * ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE and ERR_OUT_OF_RANGE, also for options that
   * contradict the file.
   */
  static open(path: string, options: HeapFileOptions = {}): Heap {
    const { file, words, commit, open, finish } = openFile(path, options)
    return afterwards(() => {
      try {
        const heap = new Heap(INSIDE, {
          words,
          open,
          backing: file,
          commit,
          file,
          owns: true,
          onLeaks: undefined
        })
        heap.state.recovered = finish(heap.engine)
        return heap
      } catch (error) {
        file.release()
        throw about(path, error)
      }
    })
  }

  private static write<Memory extends ArrayBufferLike>(
    buffer: Memory,
    region: Region | undefined,
    plan: Plan,
    owns: boolean
  ): Heap<Memory> {
    const words = writeHeap(buffer, plan, owns)
    const open = (host: Host): Engine => openEngine(words, host, plan.tracks)
    const heap = new Heap(INSIDE, {
      words,
      open,
      backing: region,
      commit: region && committerOf(region),
      file: undefined,
      owns,
      onLeaks: plan.onLeaks
    })
    heap.engine.reset()
    return heap
  }

  private static share({ words, open, backing, handle }: SharedParts): Heap {
    const parts = {
      words,
      open,
      backing,
      owns: true,
      handle,
      commit: undefined,
      file: undefined,
      onLeaks: undefined
    }
    return new Heap(INSIDE, parts)
  }

  private constructor(inside: typeof INSIDE, parts: Parts<Memory>) {
    if (inside !== INSIDE)
      throw illegalConstructor('Heap.map(size), Heap.format(memory) or Heap.attach(memory)')
    const { words, backing, file, owns, handle, onLeaks } = parts
    this.engine = parts.open({
      commit: parts.commit,
      ...(file === undefined ? {} : { lost: () => file.lost() }),
      grown: () =>
        publish('offheap:grow', () => ({ heap: this, highWater: this.engine.highWater() })),
      trim: () => this.trimQuietly(),
      fault: error => publish('offheap:fault', () => ({ heap: this, error })),
      calls: this
    })
    this.state = {
      views: viewsOf(words.buffer, words.byteLength),
      backing,
      file,
      recovered: undefined,
      heldLocks: new Set(),
      owns,
      handle,
      onLeaks,
      claims: undefined,
      contents: {}
    }
    this.slots = this.engine.slots
    this.placement = this.engine.placement
    this.buffer = words.buffer
    seal(
      this,
      'This heap; send heap.buffer instead, whose bytes are copied, and open the copy with ' +
        'Heap.attach'
    )
  }

  // ---- allocation -------------------------------------------------------------------------------

  /**
   * Allocates a block of at least `size` bytes, and returns its pointer; returns 0 (NULL) when out
   * of memory. The block is 8-byte aligned, its contents are undefined. malloc(0) returns a unique
   * pointer. Throws ERR_INVALID_ARG_TYPE, ERR_OUT_OF_RANGE, ERR_OFFHEAP_CLOSED.
   */
  malloc(size: number): Pointer {
    if (isInt32(size)) {
      const slot = this.slots.take(size)
      if (slot !== 0) return slot
    }
    if (!isInt32(size) || size < 0) checkAmount('size', size)
    const pointer = this.engine.allocate(size)
    return pointer !== 0 ? pointer : this.nothing(size)
  }

  /**
   * Allocates a block of `count` * `size` bytes, all zero, and returns its pointer; returns 0
   * (NULL) when out of memory, or if the product overflows. Throws like malloc.
   */
  calloc(count: number, size: number): Pointer {
    if (!isInt32(count) || count < 0) checkAmount('count', count)
    if (!isInt32(size) || size < 0) checkAmount('size', size)
    const bytes = count * size
    if (isInt32(bytes)) {
      const slot = this.slots.takeZeroed(bytes)
      if (slot !== 0) return slot
    }
    return this.engine.allocateZeroed(bytes) || this.nothing(bytes)
  }

  /**
   * Allocates a block of at least `size` bytes, whose pointer is a multiple of `alignment`, a power
   * of two. Returns its pointer, or 0 (NULL) when out of memory. The address in memory has the same
   * alignment, up to that of the region: a page, or 2 MiB with huge pages. Throws like malloc.
   */
  alignedAlloc(alignment: number, size: number): Pointer {
    checkAlignment(alignment)
    checkAmount('size', size)
    return this.engine.allocateAligned(alignment, size) || this.nothing(size)
  }

  /**
   * Changes the size of a block to at least `size` bytes. Keeps the contents up to the smaller
   * size, and the block's place if possible. Returns the block's pointer, which is a new one if it
   * moved. Returns 0 (NULL) when out of memory; the block is then unchanged. realloc(0, n) is
   * malloc(n); realloc(p, 0) frees the block and returns 0. Throws like malloc and free.
   */
  realloc(block: BlockReference, size: number): Pointer {
    if (isInt32(block) && isInt32(size) && size > 0) {
      if (this.slots.suits(block, size)) return block
      const pointer = this.engine.resize(block, size)
      if (pointer > 0) return pointer
    }
    return this.reallocSlowly(block, size)
  }

  /** NULL, views, 0 bytes, 2 GiB and more, no memory, and invalid arguments. */
  private reallocSlowly(block: BlockReference, size: number): Pointer {
    if (block === 0) return this.malloc(size)
    checkAmount('size', size)
    const pointer = this.used(block, 'realloc')
    const { engine } = this
    if (size !== 0) return engine.resize(pointer, size) || this.nothing(size)
    engine.free(pointer)
    return 0
  }

  /**
   * Frees a block, given its pointer or a view that begins where the block does. free(0) does
   * nothing. Throws ERR_OFFHEAP_INVALID_POINTER, ERR_OFFHEAP_DOUBLE_FREE, ERR_OFFHEAP_FOREIGN_VIEW,
   * ERR_OFFHEAP_PINNED, ERR_OFFHEAP_CORRUPT, ERR_OFFHEAP_CLOSED; ERR_INVALID_ARG_TYPE or
   * ERR_OUT_OF_RANGE if `block` is neither a pointer nor a view.
   */
  free(block: BlockReference): void {
    if (isInt32(block)) {
      if (this.slots.give(block)) return
      if (this.engine.free(block) === true) return
    }
    this.freeSlowly(block)
  }

  /** NULL, views, pointers from 2 GiB on, and invalid arguments. */
  private freeSlowly(block: BlockReference): void {
    // Reading a view may run the caller's code: do it before anything else.
    const pointer = pointerTo(
      block,
      this.buffer,
      this.isShared ? undefined : this.state.views.u8,
      'free'
    )
    const { engine } = this
    if (!engine.open) throw this.gone()
    if (block === 0 || this.slots.give(pointer)) return
    if (!engine.free(pointer)) throw this.fault(engine.refusal('free', pointer))
  }

  // ---- blocks as views --------------------------------------------------------------------------

  /**
   * Allocates a block and returns it as a Uint8Array of `length` bytes, contents undefined. Throws
   * like malloc, and ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  alloc(length: number): Uint8Array<Memory> {
    return new Uint8Array(this.buffer, this.mustHave(this.malloc(length), length), length)
  }

  /**
   * Allocates a block and returns it as a Uint8Array of `length` bytes, all zero. Throws like
   * malloc, and ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  allocZeroed(length: number): Uint8Array<Memory> {
    return new Uint8Array(this.buffer, this.mustHave(this.calloc(length, 1), length), length)
  }

  /**
   * Allocates a block and returns it as a Node Buffer of `length` bytes, contents undefined. Throws
   * like malloc, and ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  allocBuffer(length: number): Buffer<Memory> {
    return bufferOver(this.buffer, this.mustHave(this.malloc(length), length), length)
  }

  /**
   * Allocates a block and returns it as a typed array of `length` elements, contents undefined:
   * `heap.allocArray(Float64Array, 1000)`. Throws like malloc, and ERR_OFFHEAP_OUT_OF_MEMORY. If
   * the constructor throws, the block is freed.
   */
  allocArray<View>(
    type: TypedArrayConstructor<View, Memory>,
    length: number
  ): ViewOver<View, Memory>
  allocArray(type: TypedArrayConstructor<unknown, Memory>, length: number): unknown {
    const elementBytes = typeof type === 'function' ? type.BYTES_PER_ELEMENT : 0
    if (!(elementBytes >= 1 && elementBytes <= 8)) {
      throw invalidType('type', 'a typed array class, such as Float64Array', type)
    }
    checkAmount('length', length)
    const bytes = Math.min(length * elementBytes, Number.MAX_SAFE_INTEGER)
    const pointer = this.mustHave(this.malloc(bytes), bytes)
    try {
      return new type(this.buffer, pointer, length)
    } catch (error) {
      // The caller's own class may throw.
      this.freeAfterAll(pointer)
      throw error
    }
  }

  /**
   * Returns the first `length` bytes of a block as a Uint8Array. Default: `usableSize` bytes.
   * Throws like free, and ERR_OUT_OF_RANGE if `length` is more than that.
   */
  view(block: BlockReference, length?: number): Uint8Array<Memory> {
    const pointer = this.used(block, 'view')
    const bytes = this.room(pointer, length)
    return new Uint8Array(this.buffer, this.inside(pointer, bytes), bytes)
  }

  /**
   * Resizes the block of a view to `length` elements, as realloc does, and returns a view of the
   * same kind: a Float64Array for a Float64Array, a Buffer for a Buffer. Keeps the elements up to
   * the smaller length. Don't use the old view any more. Throws like free, and
   * ERR_OFFHEAP_OUT_OF_MEMORY; the block and the old view are then unchanged.
   */
  resize<View extends ArrayBufferView>(view: View, length: number): ViewLike<View, Memory>
  resize(view: ArrayBufferView, length: number): ArrayBufferView<Memory> {
    const { elementBytes, over } = kindOf(view)
    checkAmount('length', length)
    const bytes = Math.min(length * elementBytes, Number.MAX_SAFE_INTEGER)
    const old = this.used(view, 'resize')
    const isOwned = this.state.claims?.isOwned(old) === true
    // realloc(block, 0) would free the block.
    const pointer = this.mustHave(this.realloc(old, Math.max(bytes, 1)), bytes)
    const resized = over(this.buffer, pointer, length)
    if (isOwned) this.claims().own(pointer, resized)
    return resized
  }

  /**
   * Copies a value to a new block, and returns a view of the copy: a Buffer of UTF-8 for a string,
   * a view of the same kind for a view, a Uint8Array for a buffer or an iterable of numbers from 0
   * to 255. Throws ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  from(text: string): Buffer<Memory>
  from<View extends ArrayBufferView>(view: View): ViewLike<View, Memory>
  from(bytes: ArrayBufferLike | Iterable<number>): Uint8Array<Memory>
  from(
    source: string | ArrayBufferView | ArrayBufferLike | Iterable<number>
  ): ArrayBufferView<Memory> {
    if (typeof source === 'string') return this.allocString(source)
    const { bytes, kind } = bytesOf(source)
    return this.filled(bytes.length, copy => {
      copy.set(bytes)
      return kind.over(this.buffer, copy.byteOffset, bytes.length / kind.elementBytes)
    })
  }

  // ---- text -------------------------------------------------------------------------------------

  /**
   * Copies a string to a new block, and returns a Buffer of exactly its bytes. `'cstring'` is UTF-8
   * followed by a zero byte, which is part of the Buffer. Throws ERR_INVALID_ARG_TYPE,
   * ERR_OUT_OF_RANGE for an unknown encoding, ERR_INVALID_ARG_VALUE for a C string with a zero in
   * it, ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  allocString(text: string, encoding: TextEncoding = 'utf8'): Buffer<Memory> {
    const buffer = this.allocBuffer(textLength(text, encoding))
    return buffer.subarray(0, writeText(buffer, text, encoding))
  }

  /**
   * Writes a string to the beginning of a block, and returns the number of bytes written. Throws
   * like allocString and free, and ERR_OUT_OF_RANGE if the string is longer than the block, or than
   * the view; nothing is written then.
   */
  writeString(block: BlockReference, text: string, encoding: TextEncoding = 'utf8'): number {
    const length = textLength(text, encoding)
    const part = this.part(block, undefined, 'writeString')
    if (length > part.length)
      throw outOfRange('text', `at most ${part.length} bytes of ${encoding}`, text)
    return writeText(part, text, encoding)
  }

  /**
   * Reads a string of `length` bytes from the beginning of a block. A `'cstring'` ends before the
   * first zero byte in them. Default length: that of the view, or `usableSize` for a pointer.
   * Throws like view, and ERR_OUT_OF_RANGE for an unknown encoding or a C string without a zero
   * byte.
   */
  readString(block: BlockReference, encoding: TextEncoding = 'utf8', length?: number): string {
    checkEncoding(encoding)
    return readText(this.part(block, length, 'readString'), encoding)
  }

  // ---- lifetimes --------------------------------------------------------------------------------

  /**
   * Returns a scope: `using scope = heap.scope()`. Blocks allocated through it are freed at its
   * end. Throws ERR_OFFHEAP_CLOSED.
   */
  scope(): Scope<Memory> {
    if (!this.engine.open) throw this.gone()
    return new Scope(this, {
      used: (reference, call) => this.used(reference, call),
      contents: () => this.state.contents,
      unpinned: async pointers => this.state.claims?.unpinned(pointers)
    })
  }

  /**
   * Pins a block while asynchronous work uses it. Until `unpin()`, or the end of a `using` block,
   * free, realloc, reset and close throw ERR_OFFHEAP_PINNED. A block can be pinned several times.
   * Pins belong to this Heap object. While there are any, free takes its slow path. Throws like
   * free.
   */
  pin(block: BlockReference): Pin {
    return this.claims().pin(this.used(block, 'pin'), block)
  }

  /**
   * Allocates a block and returns it as a Uint8Array of `length` bytes, contents undefined. The
   * block is freed some time after the view was garbage-collected; free(view) frees it at once.
   * Other views of the same bytes don't keep it alive. While there are such blocks, free takes its
   * slow path. Throws like malloc, and ERR_OFFHEAP_OUT_OF_MEMORY.
   */
  owned(length: number): Uint8Array<Memory> {
    const view = this.alloc(length)
    this.claims().own(view.byteOffset, view)
    return view
  }

  /**
   * Returns a lock in the first word of a block, for data that several threads or processes change:
   * see `Mutex`. Allocate the block with calloc, and don't write to that word. In a heap that is
   * not shared, nobody else can hold the lock. Throws like free.
   */
  mutex(block: BlockReference): Mutex {
    const { heldLocks } = this.state
    return new Mutex(this.used(block, 'mutex') / 4, heldLocks, () => {
      if (!this.engine.open) throw this.gone()
      return this.engine.locks
    })
  }

  // ---- queries ----------------------------------------------------------------------------------

  /**
   * Returns the number of bytes that a block can hold: the requested size, or a little more; in a
   * hardened heap, exactly the requested size. Throws like free.
   */
  usableSize(block: BlockReference): number {
    return this.engine.usableSize(this.used(block, 'usableSize'))
  }

  /**
   * Returns true if `reference` is the pointer, or a view, of a used block of this heap. Throws
   * only ERR_OFFHEAP_CLOSED.
   */
  owns(reference: unknown): boolean {
    const pointer = pointerWithin(reference, this.buffer)
    const { engine } = this
    if (!engine.open) throw this.gone()
    return engine.usableSize(pointer) >= 0
  }

  /**
   * A pointer that is stored in the heap's header, so that whoever attaches to the memory finds the
   * data. Initially 0. Set it to 0 or to a used block. Throws like free.
   */
  get root(): Pointer {
    const { engine } = this
    const { file } = this.state
    if (!engine.open) throw this.gone()
    return file === undefined ? engine.root : file.root
  }

  set root(pointer: Pointer) {
    const used = pointer === 0 ? 0 : this.used(pointer, 'root')
    const { engine } = this
    const { file } = this.state
    if (!engine.open) throw this.gone()
    if (file === undefined) engine.root = used
    else file.root = used
  }

  // ---- a heap in a file -------------------------------------------------------------------------

  /** The path of the heap's file; undefined if it is not in a file. Throws ERR_OFFHEAP_CLOSED. */
  get path(): string | undefined {
    if (!this.engine.open) throw this.gone()
    return this.state.file?.path
  }

  /**
   * Named pointers, stored in the file. Its methods throw ERR_OFFHEAP_UNSUPPORTED if the heap is
   * not in a file.
   */
  get roots(): Roots {
    return new Roots(
      () => this.file('roots').roots,
      pointer => this.used(pointer, 'roots.set')
    )
  }

  /**
   * The result of the recovery when the heap was opened; undefined if it had been closed, or is not
   * in a file.
   */
  get recovered(): Recovery | undefined {
    return this.state.recovered
  }

  /**
   * Writes everything stored so far to the disk, and waits until it is there: it survives a power
   * failure. Returns the number of syncs since the file was created. Throws ERR_OFFHEAP_SYSTEM if
   * the disk fails, ERR_OFFHEAP_TRUNCATED, ERR_OFFHEAP_CLOSED, and ERR_OFFHEAP_UNSUPPORTED if the
   * heap is not in a file.
   */
  sync(): number {
    return this.file('sync').sync()
  }

  /** Whether other threads can use the blocks at the same time. */
  private get isShared(): boolean {
    const { handle, file } = this.state
    return handle !== undefined || file?.isShared === true
  }

  /** The file of the heap. */
  private file(call: string): HeapFile | SharedFile {
    if (!this.engine.open) throw this.gone()
    const { file } = this.state
    if (file !== undefined) return file
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `${call}: this heap is not in a file; open one with Heap.open(path)`
    )
  }

  // ---- the whole heap as numbers ----------------------------------------------------------------

  /** Bytes: the index is the pointer. */
  get u8(): Uint8Array<Memory> {
    return this.state.views.u8
  }
  get i8(): Int8Array<Memory> {
    return this.state.views.i8
  }
  /** 16-bit numbers: the index is the pointer / 2. */
  get u16(): Uint16Array<Memory> {
    return this.state.views.u16
  }
  get i16(): Int16Array<Memory> {
    return this.state.views.i16
  }
  /** 32-bit numbers: the index is the pointer / 4. */
  get u32(): Uint32Array<Memory> {
    return this.state.views.u32
  }
  get i32(): Int32Array<Memory> {
    return this.state.views.i32
  }
  get f32(): Float32Array<Memory> {
    return this.state.views.f32
  }
  /** 64-bit numbers: the index is the pointer / 8. */
  get f64(): Float64Array<Memory> {
    return this.state.views.f64
  }
  get i64(): BigInt64Array<Memory> {
    return this.state.views.i64
  }
  get u64(): BigUint64Array<Memory> {
    return this.state.views.u64
  }
  /** Numbers of any type at any byte offset. Each call chooses the byte order. */
  get dataView(): DataView<Memory> {
    return this.state.views.dataView
  }

  // ---- inspection -------------------------------------------------------------------------------

  /** True after close(), and after the memory was unmapped, detached or truncated. */
  get closed(): boolean {
    return !this.engine.open
  }

  /**
   * Returns statistics of the heap. Takes time proportional to the number of free blocks; with
   * slabs, of all blocks. Throws ERR_OFFHEAP_CLOSED.
   */
  stats(): HeapStats {
    const { engine } = this
    const { backing, views } = this.state
    if (!engine.open) throw this.gone()
    return engine.stats(backing === undefined ? views.u8.byteLength : backing.residentBytes())
  }

  /**
   * Iterates over all blocks in address order, used and free. The heap must not change meanwhile.
   * Throws ERR_OFFHEAP_CORRUPT at an invalid header, ERR_INVALID_STATE if the heap changed,
   * ERR_OFFHEAP_CLOSED.
   */
  *blocks(): Generator<BlockInfo, void, undefined> {
    const { engine } = this
    if (!engine.open) throw this.gone()
    yield* this.iterate(engine.eachBlock())
  }

  /**
   * Iterates over the free blocks, in the order of the placement policy's free list or lists. Free
   * slots of slabs are not included. The heap must not change meanwhile. Throws ERR_OFFHEAP_CORRUPT
   * at an invalid link, ERR_INVALID_STATE if the heap changed, ERR_OFFHEAP_CLOSED.
   */
  *freeBlocks(): Generator<BlockInfo, void, undefined> {
    const { engine } = this
    if (!engine.open) throw this.gone()
    yield* this.iterate(engine.eachFreeBlock())
  }

  /**
   * Yields blocks to the caller's loop. A loop that changes the heap can misdirect the iteration;
   * that is not corruption.
   */
  private *iterate(blocks: Iterable<BlockInfo>): Generator<BlockInfo, void, undefined> {
    try {
      for (const block of blocks) {
        yield block
        if (this.closed) throw this.gone()
      }
    } catch (error) {
      if (error instanceof OffheapError && error.code === 'ERR_OFFHEAP_CORRUPT') {
        // Throws if the heap is really corrupt.
        this.check()
        throw invalidState(
          'the heap changed while a loop went over its blocks; collect them first: ' +
            '[...heap.blocks()]'
        )
      }
      throw error
    }
  }

  /**
   * Returns the blocks that were not freed so far, grouped by the stack of their allocation, the
   * most bytes first. Throws ERR_OFFHEAP_UNSUPPORTED if the heap was created without
   * `trackAllocations`.
   */
  leaks(): Leak[] {
    const leaks = this.engine.leaks()
    if (leaks !== undefined) return leaks
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'This heap does not know where its blocks were allocated; make it with { hardened: ' +
        'true, trackAllocations: true }'
    )
  }

  /**
   * Verifies every invariant of the heap. Takes time proportional to the number of blocks. Throws
   * ERR_OFFHEAP_CORRUPT, ERR_OFFHEAP_CLOSED.
   */
  check(): void {
    const { engine } = this
    if (!engine.open) throw this.gone()
    try {
      engine.check()
    } catch (error) {
      throw error instanceof OffheapError ? this.fault(error) : error
    }
  }

  /**
   * Returns whole free pages to the system: those in the wilderness and those inside free blocks.
   * Empty slabs become free blocks first. Returns the number of bytes by which the region's
   * physical memory shrank; 0 for a heap in an ordinary ArrayBuffer. Throws ERR_OFFHEAP_SYSTEM,
   * ERR_OFFHEAP_CLOSED.
   */
  trim(): number {
    const { engine } = this
    const { backing } = this.state
    if (!engine.open) throw this.gone()
    if (backing === undefined) return 0
    const before = backing.residentBytes()
    const bytes = engine.trim(backing)
    const after = backing.residentBytes()
    publish('offheap:trim', () => ({ heap: this, bytes }))
    return Math.max(0, before - after)
  }

  /**
   * Trims because the threshold was reached. If the system refuses, the call that led here still
   * succeeds.
   */
  private trimQuietly(): void {
    const { engine } = this
    const { backing } = this.state
    if (backing === undefined) return
    try {
      const bytes = engine.trim(backing)
      publish('offheap:trim', () => ({ heap: this, bytes }))
    } catch (error) {
      if (!(error instanceof OffheapError && error.code === 'ERR_OFFHEAP_SYSTEM')) throw error
    }
  }

  /**
   * Returns a handle for `Heap.attach` in another thread of this process: plain data that can be
   * posted to it. The handle is valid while any thread has the heap open. Throws
   * ERR_OFFHEAP_UNSUPPORTED if the heap was created without `shared: true`, ERR_OFFHEAP_CLOSED.
   */
  handle(): HeapHandle {
    const { handle } = this.state
    if (!this.engine.open) throw closedError()
    if (handle !== undefined) return handle
    if (this.state.file?.isShared) {
      throw new OffheapError(
        'ERR_OFFHEAP_UNSUPPORTED',
        'A heap in a file is opened by its path in every thread: Heap.open(path, { shared: true })'
      )
    }
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'This heap belongs to one thread; make it with Heap.map({ size, shared: true }) to ' +
        'use it in several'
    )
  }

  /**
   * Frees all blocks: the heap is as it was when new, and every pointer into it is stale. Throws
   * ERR_OFFHEAP_CLOSED, and ERR_OFFHEAP_PINNED if a block is pinned.
   */
  reset(): void {
    const { engine, state } = this
    const { file, claims } = state
    if (!engine.open) throw this.gone()
    claims?.mayForget()
    for (const pointer of claims?.owned() ?? []) claims?.disown(pointer)
    state.contents = {}
    if (file !== undefined) {
      file.root = 0
      file.roots.clear()
    }
    engine.reset()
  }

  /**
   * Closes the heap. A heap from Heap.map or Heap.open detaches every view of its memory and unmaps
   * it; other memory is left as it is. A shared heap is closed for this thread only, and unmapped
   * once every thread has closed it or ended. A second close does nothing. Throws
   * ERR_OFFHEAP_PINNED if a block is pinned.
   */
  close(): void {
    const { engine, state } = this
    if (engine.open) state.claims?.mayForget()
    for (const pointer of state.claims?.owned() ?? []) this.freeAfterAll(pointer)
    const leaks = engine.leaks() ?? []
    const views = engine.open ? viewsOf(this.buffer, 0) : state.views
    afterwards(() => {
      try {
        if (state.owns) state.backing?.close()
      } finally {
        // If the system refused to unmap the memory, the heap stays open.
        if (!state.owns || state.backing?.closed !== false) {
          engine.close()
          state.views = views
        }
      }
    })
    if (leaks.length === 0) return
    if (state.onLeaks !== undefined) state.onLeaks(leaks)
    else process.emitWarning(leakReport(leaks), { type: 'OffheapWarning', code: 'OFFHEAP_LEAK' })
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Waits until no block is pinned, then closes: `await using heap = Heap.map(size)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.engine.open) await this.state.claims?.unpinned()
    this.close()
  }

  get [Symbol.toStringTag](): string {
    return 'Heap'
  }

  /**
   * What JSON.stringify and console.log show of a heap: the figures that need no search. A closed
   * heap has 0 bytes.
   */
  toJSON(): HeapSummary {
    const { closed, placement } = this
    const { size, used, blocks } = closed ? { size: 0, used: 0, blocks: 0 } : this.engine.summary()
    return { size, placement, used, blocks, closed }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Heap', isSealed(this) ? this.toJSON() : {}, depth, options)
  }

  // ---- internals --------------------------------------------------------------------------------

  /** The error for a call without memory: the heap is closed, or its file was truncated. */
  private gone(): OffheapError {
    return this.state.file?.lost() ?? closedError()
  }

  /** Converts a caller's reference to the pointer of its used block. Throws like free. */
  private used(reference: BlockReference, call: string): Pointer {
    // Reading a view may run the caller's code: do it before anything else.
    const pointer = pointerTo(reference, this.buffer, undefined, call)
    const { engine } = this
    if (!engine.open) throw this.gone()
    if (engine.usableSize(pointer) < 0) throw this.fault(engine.refusal(call, pointer))
    return pointer
  }

  /**
   * The first `length` bytes of a block. Default: the length of the view, if `reference` is one.
   */
  private part(
    reference: BlockReference,
    length: number | undefined,
    call: string
  ): Buffer<Memory> {
    const most = length ?? lengthOf(reference)
    const pointer = this.used(reference, call)
    const bytes = Math.min(most, this.room(pointer, length), TEXT_LIMIT)
    return bufferOver(this.buffer, this.inside(pointer, bytes), bytes)
  }

  /**
   * The number of bytes that a block can hold, or `length` if that is less. Throws ERR_OUT_OF_RANGE
   * if it is more.
   */
  private room(pointer: Pointer, length: number | undefined): number {
    if (length !== undefined) checkAmount('length', length)
    const bytes = this.engine.usableSize(pointer)
    if (length === undefined || length === bytes) return bytes
    if (length > bytes)
      throw outOfRange('length', `at most ${bytes}, the bytes of the block`, length)
    return length
  }

  /**
   * Allocates a block of `length` bytes and returns the result of `fill`. Frees the block if that
   * throws.
   */
  private filled<Result>(length: number, fill: (bytes: Uint8Array<Memory>) => Result): Result {
    const bytes = this.alloc(length)
    try {
      return fill(bytes)
    } catch (error) {
      this.freeAfterAll(bytes.byteOffset)
      throw error
    }
  }

  private claims(): Claims {
    this.state.claims ??= new Claims(this.engine, pointer => this.freeAfterAll(pointer))
    return this.state.claims
  }

  /**
   * Frees a block that is not needed any more, unless the caller's code has already freed it or
   * closed the heap.
   */
  private freeAfterAll(pointer: Pointer): void {
    if (this.engine.open && this.engine.usableSize(pointer) >= 0) this.engine.free(pointer)
  }

  /** Out of memory: publishes the event and returns NULL (0). Throws ERR_OFFHEAP_CLOSED. */
  private nothing(requested: number): Pointer {
    if (!this.engine.open) throw this.gone()
    const refused = this.state.file?.takeRefusal()
    if (refused !== undefined) throw this.fault(refused)
    publish('offheap:out-of-memory', () => ({ heap: this, requested }))
    return 0
  }

  /** Publishes an error that is about to be thrown. */
  private fault(error: Error): Error {
    publish('offheap:fault', () => ({ heap: this, error }))
    return error
  }

  /**
   * Checks that a block lies within the heap before a view of it is created. Throws
   * ERR_OFFHEAP_CORRUPT.
   */
  private inside(pointer: Pointer, bytes: number): Pointer {
    // Don't use the length of a view: on Node 26, that of a view of 2 ** 31 bytes is negative.
    if (pointer % 8 === 0 && pointer > 0 && pointer + bytes <= this.buffer.byteLength)
      return pointer
    throw this.fault(corrupt(`${bytes} bytes at byte ${pointer} are said to be a block of it`))
  }

  /**
   * Checks that an allocation for a view succeeded. Throws ERR_OFFHEAP_OUT_OF_MEMORY,
   * ERR_OFFHEAP_CORRUPT, and ERR_OFFHEAP_CLOSED if a subscriber closed the heap.
   */
  private mustHave(pointer: Pointer, bytes: number): Pointer {
    if (!this.engine.open) throw this.gone()
    if (pointer !== 0) return this.inside(pointer, bytes)
    const { largestFree } = this.engine.stats(0)
    throw new OffheapError(
      'ERR_OFFHEAP_OUT_OF_MEMORY',
      `No free block can hold ${bytes} bytes; the largest request that fits is ` +
        `${largestFree} bytes. Free something, or map a larger heap`
    )
  }
}

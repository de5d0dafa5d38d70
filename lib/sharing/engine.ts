/**
 * The engine of a heap that several threads use at the same time. The heap is divided into arenas.
 * Each arena is an ordinary heap with its own allocator (lib/engine). Every thread owns an arena,
 * if there are enough:
 *
 * - malloc, and free of a block in the thread's own arena, take no lock: see access.ts and, for
 *   the slots of slabs, fast-path.ts.
 * - free of a block in another arena puts it into an outbox, which is delivered in batches: see
 *   outbox.ts.
 * - A thread whose arena is full moves to a vacant one. If there is none, it tries all arenas.
 * - Operations on the whole heap (stats, check, blocks, reset, trim) run while this thread is in
 *   all arenas. It enters them in order.
 *
 * Deadlock can't occur: a thread holds the lock of one arena, or acquires those of all arenas in
 * order; it never waits during an operation on its own arena; and it runs no code of the caller
 * while it holds a lock.
 *
 * Pointers count from the first byte of arena 0. An arena's allocator counts from the first byte of
 * its arena.
 */
import type { Allocator } from '../engine/allocator.js'
import type {
  BlockInfo,
  Engine,
  HeapStats,
  HeapSummary,
  Host,
  Leak,
  Locks,
  Pages,
  Pointer,
  Watch
} from '../engine/engine.js'
import { recover } from '../engine/recover.js'
import { refusalOf } from '../engine/refusal.js'
import { OffheapError } from '../errors.js'
import { CUT, FIRST_WORD, PENDING_WORD } from '../layout/header.js'
import type { PlacementName } from '../placement/placement.js'
import type { Access } from './access.js'
import { BUSY, CALL, MAIL, TRIMS } from './control.js'
import { OwnSlots } from './fast-path.js'
import type { Outboxes } from './outbox.js'
import { sumOf } from './stats.js'
import { ROOT_WORD, UNIT_BYTES } from './superblock.js'

/** One arena, as this thread sees it. */
export interface Arena {
  readonly index: number
  /** The pointer to its first byte. */
  readonly base: number
  /** The word of its record in the head. */
  readonly record: number
  readonly words: Int32Array
  readonly allocator: Allocator
  /** The value of TRIMS that this thread saw last. */
  trims: number
}

/** The file that holds the arenas, if there is one. `arena` is the index of an arena. */
export interface Storage {
  /** Why the pages no longer belong to the file; undefined while they do. */
  lost(): OffheapError | undefined
  /** Reserves disk space for the first `bytes` bytes of an arena. False if there is none. */
  commit(arena: number, bytes: number): boolean
  /** From now on, assumes disk space only up to the top of the arena. */
  forget(arena: number): void
}

/** A thread without an arena looks for a vacant one after this many visits to a shared one. */
const LOOK_EVERY = 64

/** The calls that take no lock in the thread's own arena. */
const ALLOCATE = 0
const ALLOCATE_ZEROED = 1
const FREE = 2
const RESIZE = 3
type Call = typeof ALLOCATE | typeof ALLOCATE_ZEROED | typeof FREE | typeof RESIZE

export class SharedEngine implements Engine {
  readonly placement: PlacementName
  readonly slots: OwnSlots
  private readonly host: Host
  private readonly access: Access
  private readonly outboxes: Outboxes
  private readonly fenced: boolean
  private arenas: readonly Arena[]
  private readonly arenaBytes: number
  /** The words of the head. Empty after close(), and when the memory is gone. */
  private head: Int32Array
  /** The words of all arenas: the body. */
  private words: Int32Array
  /** The arena that this thread owns, or the one that it shares with other threads. */
  private home: Arena
  private owns = false
  private visits = 0
  /** Copies of the fields of this thread's own arena, for the fast path. */
  private base = 0
  private bytes = 0
  private record = 0
  private own: Int32Array
  private allocator: Allocator
  /** Notified before and after this thread frees a block. */
  private watcher: Watch | undefined
  /** Whether an arena grew past another MiB during the current call. */
  private grew = false
  private readonly storage: Storage | undefined

  constructor(
    head: Int32Array,
    words: Int32Array,
    openArena: (index: number, host: Host) => Arena,
    count: number,
    access: Access,
    outboxes: Outboxes,
    fenced: boolean,
    host: Host,
    storage: Storage | undefined
  ) {
    const hostOf = (arena: number): Host => ({
      commit: storage && (bytes => storage.commit(arena, bytes)),
      ...(storage === undefined ? {} : { lost: () => storage.lost() }),
      grown: () => {
        this.grew = true
      },
      trim: () => {},
      fault: error => host.fault(error),
      calls: host.calls
    })
    this.storage = storage
    this.head = head
    this.words = words
    this.host = host
    this.access = access
    this.outboxes = outboxes
    this.fenced = fenced
    this.arenas = Array.from({ length: count }, (_, index) => openArena(index, hostOf(index)))
    const [first] = this.arenas
    this.home = first
    this.placement = first.allocator.placement
    this.arenaBytes = first.words.byteLength
    this.own = first.words
    this.allocator = first.allocator
    this.slots = new OwnSlots()
    this.settle()
  }

  get open(): boolean {
    return this.words.length !== 0 && this.storage?.lost() === undefined
  }

  // ---- this thread's own arena ------------------------------------------------------------------

  /**
   * Runs one call in this thread's own arena without a lock, unless another thread needs the arena
   * now. access.ts explains the stores. `local` counts from the first byte of the arena. Returns
   * the result of the allocator; 1 for a freed block; 0 if the slow path has to do the call.
   */
  private quick(call: Call, local: Pointer, bytes: number): Pointer {
    const { head, record } = this
    head[record + BUSY] = 1
    if (head[record + CALL] !== 0) {
      head[record + BUSY] = 0
      return 0
    }
    let result = 0
    try {
      if (call === ALLOCATE) {
        result = this.allocator.allocate(bytes)
      } else if (call === FREE) {
        result = this.allocator.free(local) ? 1 : 0
      } else if (call === RESIZE) {
        result = this.allocator.resize(local, bytes)
      } else {
        result = this.allocator.allocateZeroed(bytes)
      }
    } catch (error) {
      // Don't call anything here: the stack may be exhausted.
      this.own[PENDING_WORD] = CUT
      this.slots.ready = false
      head[record + BUSY] = 0
      throw error
    }
    head[record + BUSY] = 0
    return result
  }

  allocate(bytes: number): Pointer {
    const local = this.slots.ready ? this.quick(ALLOCATE, 0, bytes) : 0
    if (local === 0) return this.request(allocator => allocator.allocate(bytes))
    return this.grew ? this.announced(local + this.base) : local + this.base
  }

  allocateZeroed(bytes: number): Pointer {
    const local = this.slots.ready ? this.quick(ALLOCATE_ZEROED, 0, bytes) : 0
    if (local === 0) return this.request(allocator => allocator.allocateZeroed(bytes))
    return this.grew ? this.announced(local + this.base) : local + this.base
  }

  free(pointer: Pointer): boolean {
    const { watcher } = this
    if (watcher === undefined) return this.release(pointer)
    watcher.mayChange(pointer)
    const isFreed = this.release(pointer)
    if (isFreed) watcher.freed(pointer)
    return isFreed
  }

  private release(pointer: Pointer): boolean {
    const local = pointer - this.base
    if (!(local > 0 && local < this.bytes)) return this.freeElsewhere(pointer)
    if (this.slots.ready && this.quick(FREE, local, 0) !== 0) return true
    return this.freeSlowly(pointer)
  }

  resize(pointer: Pointer, bytes: number): Pointer {
    const { watcher } = this
    if (watcher === undefined) return this.reallocate(pointer, bytes)
    watcher.mayChange(pointer)
    const resized = this.reallocate(pointer, bytes)
    if (resized > 0 && resized !== pointer) watcher.freed(pointer)
    return resized
  }

  private reallocate(pointer: Pointer, bytes: number): Pointer {
    const local = pointer - this.base
    const isOwn = this.slots.ready && local > 0 && local < this.bytes
    const resized = isOwn ? this.quick(RESIZE, local, bytes) : 0
    if (resized === 0) return this.resizeSlowly(pointer, bytes)
    if (resized < 0) return -1
    return this.grew ? this.announced(resized + this.base) : resized + this.base
  }

  allocateAligned(alignment: number, bytes: number): Pointer {
    return this.request((allocator, base) =>
      base % alignment === 0 || alignment <= UNIT_BYTES
        ? allocator.allocateAligned(alignment, bytes)
        : 0
    )
  }

  // ---- the slow path of allocation --------------------------------------------------------------

  /**
   * Allocates from this thread's own arena, else from a vacant one, else from any. Returns 0 when
   * all are full.
   */
  private request(serve: (allocator: Allocator, base: number) => number): Pointer {
    if (!this.open) return 0
    const work = ({ allocator, base }: Arena): Pointer => {
      const pointer = serve(allocator, base)
      return pointer === 0 ? 0 : pointer + base
    }
    const pointer =
      this.atHome(work) || this.move(work) || this.everywhere(() => this.firstOf(work))
    return this.grew ? this.announced(pointer) : pointer
  }

  /** Runs `work` in the arena of this thread. */
  private atHome<Result>(work: (arena: Arena) => Result): Result {
    if (this.begin()) {
      try {
        return work(this.home)
      } catch (error) {
        this.own[PENDING_WORD] = CUT
        this.slots.ready = false
        throw error
      } finally {
        this.end()
      }
    }
    if (!this.owns && this.visits++ % LOOK_EVERY === 0) this.settle()
    return this.inside(this.home, work)
  }

  /**
   * Begins an operation in this thread's own arena. Returns false when CALL has a reason for the
   * owner to take the lock.
   */
  private begin(): boolean {
    const { head, record } = this
    if (!this.owns || this.own[PENDING_WORD] === CUT) return false
    Atomics.store(head, record + BUSY, 1)
    if (Atomics.load(head, record + CALL) === 0) {
      this.slots.ready = !this.fenced
      return true
    }
    this.end()
    return false
  }

  private end(): void {
    Atomics.store(this.head, this.record + BUSY, 0)
  }

  /**
   * Finds a vacant arena in which `work` returns a pointer, and makes this thread its owner.
   * Returns 0 if there is none.
   */
  private move(work: (arena: Arena) => Pointer): Pointer {
    for (const arena of this.arenas) {
      if (arena === this.home) continue
      this.access.confirmOwner(arena.record)
      if (!this.access.enterVacant(arena.record)) continue
      const pointer = this.during(arena, () => {
        const found = work(arena)
        if (found !== 0) this.settleIn(arena)
        return found
      })
      if (pointer !== 0) return pointer
    }
    return 0
  }

  /** Takes a vacant arena. If there is none, this thread shares one with other threads. */
  private settle(): void {
    for (const arena of this.arenas) {
      this.access.confirmOwner(arena.record)
      if (!this.access.enterVacant(arena.record)) continue
      this.during(arena, () => this.settleIn(arena))
      return
    }
    if (this.visits === 0) this.home = this.arenas[(this.access.me & 0xff) % this.arenas.length]
  }

  /**
   * Makes this thread the owner of a vacant arena that it has entered, and gives up its old one.
   */
  private settleIn(arena: Arena): void {
    if (this.owns) {
      // Don't wait if another thread is in the old arena: that thread may be waiting for this one.
      if (this.begin()) {
        this.outboxes.flush(this.home.index)
        this.end()
      }
      this.disown()
    }
    this.access.own(arena.record)
    this.home = arena
    this.record = arena.record
    this.base = arena.base
    this.bytes = arena.words.byteLength
    this.own = arena.words
    this.allocator = arena.allocator
    const { record } = arena
    this.slots.own(
      arena.allocator.slots,
      this.head.subarray(record + BUSY, record + CALL + 1),
      arena.base
    )
    this.owns = true
    this.slots.ready = !this.fenced
  }

  private firstOf(work: (arena: Arena) => Pointer): Pointer {
    let pointer = work(this.home)
    for (const arena of this.arenas) if (pointer === 0 && arena !== this.home) pointer = work(arena)
    return pointer
  }

  // ---- other arenas -----------------------------------------------------------------------------

  /** Runs `work` in an arena, be it this thread's own or another. Throws ERR_OFFHEAP_BUSY. */
  private at<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    return arena === this.home ? this.atHome(work) : this.inside(arena, work)
  }

  /** Enters an arena, runs `work`, and leaves it. Throws ERR_OFFHEAP_BUSY. */
  private inside<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    this.access.enter(arena.record)
    return this.during(arena, () => {
      if (arena === this.home && !this.owns) this.access.crowd(arena.record)
      return work(arena)
    })
  }

  /**
   * Runs `work` in an arena that this thread has entered, and leaves it. An interrupted operation
   * is recovered first.
   */
  private during<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    let isTidy = false
    try {
      this.tidy(arena)
      isTidy = true
      return work(arena)
    } catch (error) {
      // Nothing may be called before this: the stack may be exhausted. An OffheapError is thrown
      // before anything changes, so the arena needs no recovery.
      this.access.damage(arena.record)
      if (isTidy && error instanceof OffheapError) this.access.mend(arena.record)
      throw error
    } finally {
      this.access.leave(arena.record)
    }
  }

  /** Enters all arenas, empties all outboxes, and runs `work`. Throws ERR_OFFHEAP_BUSY. */
  private everywhere<Result>(work: () => Result): Result {
    return this.within(0, () => {
      for (const arena of this.arenas)
        this.outboxes.receiveAll(arena.index, pointer => receive(arena, pointer))
      return work()
    })
  }

  /** Enters the arenas from `index` on, one by one, and runs `work` while in all of them. */
  private within<Result>(index: number, work: () => Result): Result {
    if (index === this.arenas.length) return work()
    return this.inside(this.arenas[index], () => this.within(index + 1, work))
  }

  /** Recovers an arena after an interrupted operation, and frees the blocks posted to it. */
  private tidy(arena: Arena): void {
    const { record, words, allocator } = arena
    this.look(arena)
    const isCut = words[PENDING_WORD] === CUT
    if (isCut || this.access.isDamaged(record)) {
      recover(allocator)
      words[PENDING_WORD] = 0
    }
    // This comes before any allocation: a batch that was freed in part is freed again.
    if (
      isCut ||
      this.access.isDamaged(record) ||
      (Atomics.load(this.head, record + CALL) & MAIL) !== 0
    ) {
      this.outboxes.receive(arena.index, pointer => receive(arena, pointer))
    }
    this.access.mend(record)
  }

  /**
   * Updates what this thread knows about the pages of an arena that it has entered. Throws
   * ERR_OFFHEAP_TRUNCATED.
   */
  private look(arena: Arena): void {
    const { storage } = this
    if (storage === undefined) return
    const lost = storage.lost()
    if (lost !== undefined) throw lost
    const trims = Atomics.load(this.head, arena.record + TRIMS)
    if (trims === arena.trims) return
    arena.trims = trims
    storage.forget(arena.index)
    arena.allocator.blocks.uncommit()
  }

  /**
   * Tells all threads that pages of an arena are about to be returned to the system. This thread
   * has entered the arena.
   */
  private announceTrim(arena: Arena): void {
    if (this.storage === undefined) return
    arena.trims = (Atomics.add(this.head, arena.record + TRIMS, 1) + 1) | 0
    // MAIL sends the owner into the slow path, which compares TRIMS.
    Atomics.or(this.head, arena.record + CALL, MAIL)
  }

  /**
   * Returns the arena in which a block may begin at a pointer, which may be any number; undefined
   * if there is none. NULL is in no arena.
   */
  private arenaOf(pointer: Pointer): Arena | undefined {
    const arena = this.arenas[Math.floor(pointer / this.arenaBytes)]
    if (arena === undefined || pointer % 8 !== 0) return undefined
    return pointer - arena.base > arena.words[FIRST_WORD] * 4 ? arena : undefined
  }

  /** Frees a block of another arena. */
  private freeElsewhere(pointer: Pointer): boolean {
    const arena = this.arenaOf(pointer)
    if (arena === undefined) return false
    const local = pointer - arena.base
    // Seen from outside, the arena may be changing: enter it before a pointer is rejected.
    if (arena === this.home || arena.allocator.usableSize(local) < 0)
      return this.freeSlowly(pointer)
    if (!this.send(arena, local)) return this.freeSlowly(pointer)
    // A vacant arena has no owner to receive what was posted to it.
    const isWaiting = Atomics.load(this.head, arena.record + CALL) !== 0
    if (isWaiting && this.access.enterVacant(arena.record)) this.during(arena, () => {})
    return true
  }

  /** Puts a block of another arena into an outbox of this thread's. False when that is full. */
  private send(arena: Arena, local: Pointer): boolean {
    return this.atHome(home => this.outboxes.put(home.index, arena.index, local))
  }

  private freeSlowly(pointer: Pointer): boolean {
    const arena = this.arenaOf(pointer)
    if (arena === undefined) return false
    return this.at(arena, ({ allocator, base }) => allocator.free(pointer - base))
  }

  private resizeSlowly(pointer: Pointer, bytes: number): Pointer {
    const have = this.usableSize(pointer)
    const arena = this.arenaOf(pointer)
    if (have < 0 || arena === undefined) return -1
    if (arena !== this.home && bytes <= have && bytes > have / 2) return pointer
    // Try the block's own arena first: it may be resized in place.
    if (arena === this.home || bytes <= have) {
      const resized = this.at(arena, ({ allocator, base }) =>
        allocator.resize(pointer - base, bytes)
      )
      if (this.grew) this.announced(resized)
      if (resized !== 0) return resized < 0 ? -1 : resized + arena.base
    }
    const to = this.allocate(bytes)
    if (to !== 0) {
      this.words.copyWithin(to / 4, pointer / 4, (pointer + Math.min(have, bytes + 3)) / 4)
      this.release(pointer)
      return to
    }
    if (arena === this.home) return 0
    const resized = this.at(arena, ({ allocator, base }) => allocator.resize(pointer - base, bytes))
    return resized > 0 ? resized + arena.base : resized
  }

  usableSize(pointer: Pointer): number {
    const arena = this.arenaOf(pointer)
    if (arena === undefined) return -1
    // A used block may be read from outside: no thread changes its header.
    const seen = arena.allocator.usableSize(pointer - arena.base)
    if (seen >= 0) return seen
    return this.at(arena, ({ allocator, base }) => allocator.usableSize(pointer - base))
  }

  refusal(call: string, pointer: Pointer): Error {
    const arena = this.arenas[Math.floor(pointer / this.arenaBytes)]
    if (arena === undefined) {
      const bytes = this.words.byteLength
      return new OffheapError(
        'ERR_OFFHEAP_INVALID_POINTER',
        `${call}: the pointer ${pointer} lies outside the heap, which has ${bytes} bytes`
      )
    }
    return this.inside(arena, ({ words, allocator, base }) =>
      refusalOf(words, allocator.slabs, call, pointer, base)
    )
  }

  // ---- the whole heap ---------------------------------------------------------------------------

  get root(): Pointer {
    return Atomics.load(this.head, ROOT_WORD) * 8
  }

  set root(pointer: Pointer) {
    Atomics.store(this.head, ROOT_WORD, pointer / 8)
  }

  highWater(): number {
    return this.arenas.reduce((sum, { allocator }) => sum + allocator.highWater(), 0)
  }

  stats(residentBytes: number): HeapStats {
    return this.everywhere(() =>
      sumOf(
        this.arenas.map(({ base, allocator }) => [base, allocator.stats(0)]),
        residentBytes
      )
    )
  }

  summary(): Pick<HeapSummary, 'size' | 'used' | 'blocks'> {
    const sum = { size: 0, used: 0, blocks: 0 }
    for (const { allocator } of this.arenas) {
      const { size, used, blocks } = allocator.summary()
      sum.size += size
      sum.used += used
      sum.blocks += blocks
    }
    return sum
  }

  eachBlock(): Generator<BlockInfo, void, undefined> {
    return this.collect(allocator => allocator.eachBlock())
  }

  eachFreeBlock(): Generator<BlockInfo, void, undefined> {
    return this.collect(allocator => allocator.eachFreeBlock())
  }

  /**
   * Takes a snapshot of the blocks of all arenas. Other threads continue while the caller iterates
   * over it.
   */
  private *collect(
    list: (allocator: Allocator) => Iterable<BlockInfo>
  ): Generator<BlockInfo, void, undefined> {
    yield* this.everywhere(() =>
      this.arenas.flatMap(({ allocator, base }) =>
        [...list(allocator)].map(block => ({
          ...block,
          pointer: block.pointer + base,
          offset: block.offset + base
        }))
      )
    )
  }

  check(): void {
    this.everywhere(() => {
      for (const { index, base, allocator } of this.arenas) {
        try {
          allocator.check()
        } catch (error) {
          if (!(error instanceof OffheapError)) throw error
          throw new OffheapError(
            error.code,
            `In arena ${index}, whose byte 0 is byte ${base}: ${error.message}`
          )
        }
      }
    })
  }

  trim(pages: Pages): number {
    return this.everywhere(() => {
      const { pageSize } = pages
      let bytes = 0
      for (const arena of this.arenas) {
        const { allocator, base } = arena
        this.announceTrim(arena)
        bytes += allocator.trim({
          pageSize,
          decommit: (offset, length) => pages.decommit(base + offset, length)
        })
      }
      return bytes
    })
  }

  reset(): void {
    this.everywhere(() => {
      this.root = 0
      for (const { allocator } of this.arenas) allocator.reset()
    })
  }

  /** Recovers interrupted operations, and empties all outboxes. */
  tidyAll(): void {
    this.everywhere(() => {})
  }

  /** Runs `work` under a lock that excludes other callers of this method. It must not throw. */
  exclusively<Result>(work: () => Result): Result {
    return this.at(this.arenas[0], work)
  }

  /** Operations on locks in words of the heap. */
  readonly locks: Locks = {
    acquire: word => this.access.acquire(this.words, word),
    tryAcquire: word => this.access.tryAcquire(this.words, word),
    release: word => {
      // The heap may have been closed while the lock was held.
      if (this.words.length !== 0) Atomics.store(this.words, word, 0)
    }
  }

  /** Gives up the arena of this thread, after posting what its outboxes hold. */
  leave(): void {
    if (this.words.length === 0 || !this.owns) return
    try {
      this.inside(this.home, ({ index }) => this.outboxes.flush(index))
    } catch (error) {
      // Another thread is in the arena: the next owner will post what the outboxes hold.
      if (!(error instanceof OffheapError)) throw error
    }
    this.disown()
  }

  private disown(): void {
    this.owns = false
    this.slots.ready = false
    this.access.disown(this.record)
  }

  close(): void {
    for (const { allocator } of this.arenas) allocator.close()
    this.slots.close()
    this.owns = false
    this.arenas = []
    this.head = new Int32Array(0)
    this.words = this.head
  }

  watch(watch: Watch | undefined): void {
    this.watcher = watch
    for (const { allocator } of this.arenas) allocator.slots.setFast(watch === undefined)
  }

  leaks(): Leak[] | undefined {
    return undefined
  }

  /**
   * Notifies the caller that an arena grew, and returns the pointer. The caller's code may do
   * anything; afterwards, this thread may own another arena.
   */
  private announced(pointer: Pointer): Pointer {
    this.grew = false
    this.host.grown()
    return pointer
  }
}

/** Frees a block that another thread freed. Does nothing if the block is free already. */
function receive({ allocator }: Arena, pointer: Pointer): void {
  if (!allocator.slots.give(pointer)) allocator.free(pointer)
}

/**
 * The engine of a heap that several threads use at once. The heap has arenas, each of them an
 * ordinary heap with an allocator of its own (lib/engine), and every thread owns one if there are
 * enough:
 *
 * - malloc, and free of a block in the own arena, take no lock: see access.ts.
 * - free of a block in another arena goes to an outbox, and from there in batches: see outbox.ts.
 * - A thread whose arena is full moves to a vacant one, or else looks in all arenas.
 * - What concerns the whole heap (stats, check, blocks, reset, trim) is done while this thread is
 *   in all arenas, which it enters in their order.
 *
 * This thread holds the lock of one arena at a time, or of all; it waits for nobody while it is in
 * an operation of its own arena; and no code of the caller runs while it holds any. So no two
 * threads can wait for each other.
 *
 * Pointers count from the first byte of arena 0, and an arena's allocator counts from its own.
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
import { noSlots, type Slots } from '../engine/slots.js'
import { OffheapError } from '../errors.js'
import { CUT, FIRST_WORD, PENDING_WORD } from '../layout/header.js'
import type { PlacementName } from '../placement/placement.js'
import type { Access } from './access.js'
import { BUSY, CALL, MAIL, TRIMS } from './control.js'
import type { Outboxes } from './outbox.js'
import { sumOf } from './stats.js'
import { ROOT_WORD, UNIT_BYTES } from './superblock.js'

/** One arena, as this thread sees it. */
export interface Arena {
  readonly index: number
  /** Where it begins, as a pointer. */
  readonly base: number
  /** Its record in the head. */
  readonly record: number
  readonly words: Int32Array
  readonly allocator: Allocator
  /** Its TRIMS when this thread looked last. */
  trims: number
}

/** What the arenas are in, if it is a file. `arena` is the index of one. */
export interface Storage {
  /** Why the pages are not the file's any more; undefined as long as they are. */
  lost(): OffheapError | undefined
  /** Makes sure that there is disk space for the first `bytes` bytes. False if there is none. */
  commit(arena: number, bytes: number): boolean
  /** Only up to the top of the arena there is disk space for certain. */
  forget(arena: number): void
}

/**
 * A thread without an arena looks for a vacant one each time that it has entered another so often.
 */
const LOOK_EVERY = 64

/** The calls that need no lock in the own arena. */
const ALLOCATE = 0
const ALLOCATE_ZEROED = 1
const FREE = 2
const RESIZE = 3
type Call = typeof ALLOCATE | typeof ALLOCATE_ZEROED | typeof FREE | typeof RESIZE

export class SharedEngine implements Engine {
  readonly placement: PlacementName
  /** The fast path of the heap is not for shared heaps. */
  readonly slots: Slots = noSlots()
  private readonly host: Host
  private readonly access: Access
  private readonly outboxes: Outboxes
  private readonly fenced: boolean
  private arenas: readonly Arena[]
  private readonly arenaBytes: number
  /** The words of the head; none after close(), and when the memory went away. */
  private head: Int32Array
  /** The body: the words of all arenas. */
  private words: Int32Array
  /** The arena of this thread, or the one that it shares with others. */
  private home: Arena
  private owns = false
  /**
   * Whether the fast path may be tried: the thread has an arena, needs no fences, and the last
   * operation was not cut off.
   */
  private ready = false
  private visits = 0
  /** Of the own arena, for the fast path: where it begins, its record, words, allocator, slots. */
  private base = 0
  private bytes = 0
  private record = 0
  private own: Int32Array
  private allocator: Allocator
  private ownSlots: Slots
  /** Who is asked before this thread frees a block. */
  private watcher: Watch | undefined
  /** True when an arena reached another MiB in the call under way. */
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
    this.ownSlots = first.allocator.slots
    this.settle()
  }

  get open(): boolean {
    return this.words.length !== 0 && this.storage?.lost() === undefined
  }

  // ---- the own arena ----------------------------------------------------------------------------

  /**
   * Does one call in the own arena without a lock, if no other thread needs the arena now: see
   * access.ts for what the stores mean. `local` counts from the first byte of the arena. Returns
   * what the allocator returns, 1 for a block that was freed, and 0 for a call that the slow path
   * has to do.
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
        if (bytes <= this.ownSlots.limit) result = this.ownSlots.take(bytes)
        if (result === 0) result = this.allocator.allocate(bytes)
      } else if (call === FREE) {
        result = this.ownSlots.give(local) || this.allocator.free(local) ? 1 : 0
      } else if (call === RESIZE) {
        result = this.allocator.resize(local, bytes)
      } else {
        result = this.allocator.allocateZeroed(bytes)
      }
    } catch (error) {
      // No call here: the stack may be exhausted.
      this.own[PENDING_WORD] = CUT
      this.ready = false
      head[record + BUSY] = 0
      throw error
    }
    head[record + BUSY] = 0
    return result
  }

  allocate(bytes: number): Pointer {
    const local = this.ready ? this.quick(ALLOCATE, 0, bytes) : 0
    if (local === 0) return this.request(allocator => allocator.allocate(bytes))
    return this.grew ? this.announced(local + this.base) : local + this.base
  }

  allocateZeroed(bytes: number): Pointer {
    const local = this.ready ? this.quick(ALLOCATE_ZEROED, 0, bytes) : 0
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
    if (this.ready && this.quick(FREE, local, 0) !== 0) return true
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
    const isOwn = this.ready && local > 0 && local < this.bytes
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

  // ---- where memory comes from ------------------------------------------------------------------

  /**
   * A block that one of the arenas has: the own one first, then a vacant one, then any. 0 when none
   * has.
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

  /** Does some work in the arena of this thread. */
  private atHome<Result>(work: (arena: Arena) => Result): Result {
    if (this.begin()) {
      try {
        return work(this.home)
      } catch (error) {
        this.own[PENDING_WORD] = CUT
        this.ready = false
        throw error
      } finally {
        this.end()
      }
    }
    if (!this.owns && this.visits++ % LOOK_EVERY === 0) this.settle()
    return this.inside(this.home, work)
  }

  /**
   * Begins an operation in the own arena. False when another thread is there, or something waits
   * for its owner.
   */
  private begin(): boolean {
    const { head, record } = this
    if (!this.owns || this.own[PENDING_WORD] === CUT) return false
    Atomics.store(head, record + BUSY, 1)
    if (Atomics.load(head, record + CALL) === 0) {
      this.ready = !this.fenced
      return true
    }
    this.end()
    return false
  }

  private end(): void {
    Atomics.store(this.head, this.record + BUSY, 0)
  }

  /**
   * Finds a vacant arena in which the work returns a pointer, and makes it the one of this thread.
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

  /** Looks for a vacant arena; while there is none, this thread shares one with others. */
  private settle(): void {
    for (const arena of this.arenas) {
      this.access.confirmOwner(arena.record)
      if (!this.access.enterVacant(arena.record)) continue
      this.during(arena, () => this.settleIn(arena))
      return
    }
    if (this.visits === 0) this.home = this.arenas[(this.access.me & 0xff) % this.arenas.length]
  }

  /** Makes a vacant arena, which this thread is in, its own instead of the one that it has. */
  private settleIn(arena: Arena): void {
    if (this.owns) {
      // Not when somebody else is in the old arena: waiting here could be for a thread that waits
      // for this one.
      if (this.begin()) {
        this.outboxes.flush(this.home.index)
        this.end()
      }
      this.access.disown(this.record)
    }
    this.access.own(arena.record)
    this.home = arena
    this.record = arena.record
    this.base = arena.base
    this.bytes = arena.words.byteLength
    this.own = arena.words
    this.allocator = arena.allocator
    this.ownSlots = arena.allocator.slots
    this.owns = true
    this.ready = !this.fenced
  }

  private firstOf(work: (arena: Arena) => Pointer): Pointer {
    let pointer = work(this.home)
    for (const arena of this.arenas) if (pointer === 0 && arena !== this.home) pointer = work(arena)
    return pointer
  }

  // ---- other arenas -----------------------------------------------------------------------------

  /** Does some work in any arena. Throws ERR_OFFHEAP_BUSY. */
  private at<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    return arena === this.home ? this.atHome(work) : this.inside(arena, work)
  }

  /** Enters an arena, and does some work in it. Throws ERR_OFFHEAP_BUSY. */
  private inside<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    this.access.enter(arena.record)
    return this.during(arena, () => {
      if (arena === this.home && !this.owns) this.access.crowd(arena.record)
      return work(arena)
    })
  }

  /**
   * Does some work in an arena that this thread has entered, and leaves it. What ended in the
   * middle is recovered first.
   */
  private during<Result>(arena: Arena, work: (arena: Arena) => Result): Result {
    let isTidy = false
    try {
      this.tidy(arena)
      isTidy = true
      return work(arena)
    } catch (error) {
      // No other call before this: the stack may be exhausted. An error of our own is found before
      // anything changes.
      this.access.damage(arena.record)
      if (isTidy && error instanceof OffheapError) this.access.mend(arena.record)
      throw error
    } finally {
      this.access.leave(arena.record)
    }
  }

  /** Does some work in all arenas at once, with nothing in any outbox. Throws ERR_OFFHEAP_BUSY. */
  private everywhere<Result>(work: () => Result): Result {
    return this.within(0, () => {
      for (const arena of this.arenas)
        this.outboxes.receiveAll(arena.index, pointer => receive(arena, pointer))
      return work()
    })
  }

  /** Enters the arenas from `index` on, one inside the other, and does some work. */
  private within<Result>(index: number, work: () => Result): Result {
    if (index === this.arenas.length) return work()
    return this.inside(this.arenas[index], () => this.within(index + 1, work))
  }

  /** Recovers an arena in which an operation was cut off, and frees what was posted to it. */
  private tidy(arena: Arena): void {
    const { record, words, allocator } = arena
    this.look(arena)
    const isCut = words[PENDING_WORD] === CUT
    if (isCut || this.access.isDamaged(record)) {
      recover(allocator)
      words[PENDING_WORD] = 0
    }
    // Before anything is allocated: what was freed in part is freed again.
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
   * Looks what became of the pages of an arena that this thread is in. Throws
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

  /** Has all threads look, before pages of an arena that this thread is in are given back. */
  private announceTrim(arena: Arena): void {
    if (this.storage === undefined) return
    arena.trims = (Atomics.add(this.head, arena.record + TRIMS, 1) + 1) | 0
    // The owner looks when it has left its fast path.
    Atomics.or(this.head, arena.record + CALL, MAIL)
  }

  /**
   * The arena in which a block may begin at a pointer, any number. NULL is in none, so nobody
   * enters an arena for it.
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
    // What a thread outside can see is not certain: a doubtful pointer is looked at inside.
    if (arena === this.home || arena.allocator.usableSize(local) < 0)
      return this.freeSlowly(pointer)
    if (!this.send(arena, local)) return this.freeSlowly(pointer)
    // Nobody would look at what was posted to a vacant arena.
    const isWaiting = Atomics.load(this.head, arena.record + CALL) !== 0
    if (isWaiting && this.access.enterVacant(arena.record)) this.during(arena, () => {})
    return true
  }

  /** Puts a block of another arena into the outbox of this thread's. False when it is full. */
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
    // In its own arena first, where it may stay where it is.
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
    // What a thread outside can see is certain for a used block, whose header nobody changes.
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
   * Blocks of all arenas at one moment: while a loop of the caller goes over them, other threads go
   * on.
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

  /** Recovers what was cut off, and frees what waits to be handed over. */
  tidyAll(): void {
    this.everywhere(() => {})
  }

  /** Does some work, such as on the head, while no other thread does any. It must not throw. */
  exclusively<Result>(work: () => Result): Result {
    return this.at(this.arenas[0], work)
  }

  /** Locks in words of the heap. */
  readonly locks: Locks = {
    acquire: word => this.access.acquire(this.words, word),
    tryAcquire: word => this.access.tryAcquire(this.words, word),
    release: word => {
      // The heap may have been closed within the lock.
      if (this.words.length !== 0) Atomics.store(this.words, word, 0)
    }
  }

  /** Gives up the arena of this thread: what the next thread finds there is in order. */
  leave(): void {
    if (this.words.length === 0 || !this.owns) return
    try {
      this.inside(this.home, ({ index }) => this.outboxes.flush(index))
    } catch (error) {
      // Another thread is in the arena: what waits in the outboxes waits for the next owner.
      if (!(error instanceof OffheapError)) throw error
    }
    this.owns = false
    this.ready = false
    this.access.disown(this.record)
  }

  close(): void {
    for (const { allocator } of this.arenas) allocator.close()
    this.owns = false
    this.ready = false
    this.arenas = []
    this.head = new Int32Array(0)
    this.words = this.head
  }

  watch(watch: Watch | undefined): void {
    this.watcher = watch
  }

  leaks(): Leak[] | undefined {
    return undefined
  }

  /**
   * Returns the pointer, after the caller was told that an arena grew. It may do anything then, and
   * this thread may have another arena afterwards.
   */
  private announced(pointer: Pointer): Pointer {
    this.grew = false
    this.host.grown()
    return pointer
  }
}

/** Frees a block that another thread freed. One that is free already is left alone. */
function receive({ allocator }: Arena, pointer: Pointer): void {
  if (!allocator.slots.give(pointer)) allocator.free(pointer)
}

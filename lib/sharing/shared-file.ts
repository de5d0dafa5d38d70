/**
 * A heap file that several processes have open at the same time, each in one or more threads. Every
 * thread opens the file separately, with its own mapping, locks and life. The arenas are those of
 * any shared heap (engine.ts). This module adds what the first opener and the last closer have to
 * do. Threads lock bytes of the file for that, independently of what the bytes contain:
 *
 *     byte 0      held while the file is open: shared; or exclusive, while this thread is alone and
 *                 in a process that does not share the file (heap-file.ts)
 *     byte 1      the door. Held while a thread opens or closes the file: exclusive
 *     byte 256 +  one for each life. Held by the thread that claimed it (control.ts): exclusive
 *
 *     open:   lock byte 1; if byte 0 can be locked exclusively, no other thread has the file open:
 *             create the heap, or adopt and recover it; make the lock of byte 0 shared; claim a
 *             life; unlock byte 1
 *     close:  leave the arena; lock byte 1; if byte 0 can be locked exclusively, no other thread
 *             has the file open: tidy all arenas, write everything to the disk, mark the heap as
 *             closed; release all locks
 *
 * The system releases the locks of a killed process. If it was the only one, it leaves a file that
 * is OPEN (or FORMATTING) without a lock on byte 0, and the next process recovers (or formats) it.
 * Otherwise the other processes recover each arena when they enter it.
 */
import { type Engine, type Host, QUIET } from '../engine/engine.js'
import { type Header, ordinaryLayout } from '../engine/format.js'
import { OffheapError } from '../errors.js'
import { FIRST_WORD, MOVE_FROM_WORD, MOVE_TO_WORD, TOP_WORD } from '../layout/header.js'
import { FileMapping } from '../memory/file-mapping.js'
import { barrier, sleep } from '../memory/shared-memory.js'
import type { PlacementPolicy } from '../placement/placement.js'
import { Patience, type System } from './access.js'
import { adopt, LIVES, LIVES_AT } from './control.js'
import type { SharedEngine, Storage } from './engine.js'
import { HeapFile, inUse, type Recovery, USE_BYTE } from './heap-file.js'
import { engineOn, headerOf, noLives, reorders, writeShared } from './open.js'
import type { RootTable } from './roots.js'
import { FENCE_WORD, type Geometry } from './superblock.js'

const DOOR_BYTE = 1
const LIFE_BYTE = 256

export class SharedFile {
  readonly isShared = true
  readonly words: Int32Array<ArrayBuffer>
  private readonly file: HeapFile
  private readonly mapping: FileMapping
  /** Whether no other thread had the file open when this one opened it. */
  private readonly isFirst: boolean
  private readonly patience: number
  private engine: SharedEngine | undefined
  /** The blocks that interrupted calls of realloc were moving. */
  private moving: number[] = []
  private start = 0

  /**
   * Opens the file. Creates a missing file if `geometry` is given. Other threads that open it wait
   * until `begin`. `patience` is how long a thread waits for another, in milliseconds. Throws
   * ERR_OFFHEAP_LOCKED, ERR_OFFHEAP_BUSY, and the errors of HeapFile.
   */
  static open(path: string, geometry: Geometry | undefined, patience: number): SharedFile {
    if (process.platform !== 'linux') {
      throw new OffheapError(
        'ERR_OFFHEAP_UNSUPPORTED',
        'Processes can share a heap on Linux only. Omit "shared" of Heap.open; on macOS, threads ' +
          'can share a heap of Heap.map'
      )
    }
    const mapping = FileMapping.open(path, geometry === undefined ? 'write' : 'create')
    try {
      passDoor(mapping, patience)
      const isFirst = mapping.lock(USE_BYTE, 'exclusive')
      if (!isFirst && !mapping.lock(USE_BYTE, 'shared')) throw inUse(path)
      return new SharedFile(mapping, geometry, isFirst, patience)
    } catch (error) {
      mapping.close()
      throw error
    }
  }

  private constructor(
    mapping: FileMapping,
    geometry: Geometry | undefined,
    isFirst: boolean,
    patience: number
  ) {
    this.mapping = mapping
    this.isFirst = isFirst
    this.patience = patience
    this.file = new HeapFile(mapping, geometry, true)
    this.words = new Int32Array(this.file.body)
  }

  get path(): string {
    return this.file.path
  }

  get geometry(): Geometry {
    return this.file.geometry
  }

  get isNew(): boolean {
    return this.file.isNew
  }

  /** Whether it was in use when its last user, or the machine, stopped. */
  get unclean(): boolean {
    return this.isFirst && this.file.unclean
  }

  private arena(index: number): Int32Array {
    const length = this.geometry.arenaBytes / 4
    return this.words.subarray(index * length, (index + 1) * length)
  }

  // ---- opening ----------------------------------------------------------------------------------

  /** Writes the arenas of a new file. Throws ERR_OFFHEAP_SYSTEM when the disk is full. */
  format(policy: PlacementPolicy, slabs: boolean): void {
    const { arenas, arenaBytes } = this.geometry
    const { first } = ordinaryLayout(arenaBytes / 4, policy, slabs)
    for (let index = 0; index < arenas; index++) this.reserve(first * 4, index)
    writeShared(this.file.head, this.words, this.geometry, policy, slabs)
  }

  /** Reserves disk space for the used part of each arena: a copy of the file may have holes. */
  private fillHoles(): void {
    for (let index = 0; index < this.geometry.arenas; index++) {
      const arena = this.arena(index)
      headerOf(arena)
      this.reserve(Math.max(arena[TOP_WORD], arena[FIRST_WORD]) * 4, index)
    }
  }

  private reserve(bytes: number, arena: number): void {
    if (this.file.commit(bytes, arena)) return
    const refused = this.file.takeRefusal()
    if (refused !== undefined) throw refused
  }

  /** The header of the first arena. All arenas have the same options. */
  header(): Header {
    return headerOf(this.arena(0))
  }

  /**
   * Attaches this thread to the heap. Throws ERR_OFFHEAP_BUSY, ERR_OFFHEAP_UNSUPPORTED, and
   * ERR_OFFHEAP_CORRUPT when the heap can't be recovered.
   */
  attach(host: Host): Engine {
    const { file, mapping, geometry } = this
    const { head } = file
    // This also registers the process: from now on, barriers of other processes reach it.
    const hasBarrier = barrier(true)
    if (this.isFirst) {
      this.start = performance.now()
      if (!this.isNew) {
        this.fillHoles()
        if (file.unclean) this.moving = this.movesCutOff()
        adopt(head, geometry.arenas, file.unclean, file.unclean && file.rebooted)
      }
      head[FENCE_WORD] = hasBarrier ? 0 : 1
    }
    const fenced = head[FENCE_WORD] !== 0
    if (!fenced && !hasBarrier) {
      throw new OffheapError(
        'ERR_OFFHEAP_UNSUPPORTED',
        `The processes that have ${this.path} open use the system call membarrier, which is ` +
          'forbidden here. Allow it, or close the heap everywhere and open it here first'
      )
    }
    const me = mapping.claim(LIVES_AT * 4, LIVES, LIFE_BYTE)
    if (me === 0) throw noLives()
    const system: System = {
      fenced,
      reorders,
      barrier: () => void barrier(true),
      sleep,
      isUnclaimed: index => !mapping.isLocked(LIFE_BYTE + index)
    }
    const storage: Storage = {
      lost: () => file.lost(),
      commit: (arena, bytes) => file.commit(bytes, arena),
      forget: arena => file.forget(arena)
    }
    this.engine = engineOn(head, this.words, geometry, me, system, host, this.patience, storage)
    return this.engine
  }

  /** The pointers of blocks that interrupted calls of realloc were moving. */
  private movesCutOff(): number[] {
    const { arenas, arenaBytes } = this.geometry
    return Array.from({ length: arenas }, (_, index) => {
      const arena = this.arena(index)
      const from = arena[MOVE_TO_WORD] === 0 ? 0 : arena[MOVE_FROM_WORD]
      return from === 0 ? 0 : index * arenaBytes + from * 4
    }).filter(pointer => pointer !== 0)
  }

  /**
   * Recovers the heap if necessary, and lets other threads open it. Returns the result of the
   * recovery; undefined when the heap had been closed, or other threads have it open.
   */
  begin(): Recovery | undefined {
    const { file, mapping, engine, unclean, start, moving } = this
    const { rebooted } = file
    let blocks = 0
    let undone = 0
    if (unclean && engine !== undefined) {
      blocks = engine.stats(0).blocks
      // Pages that were not written to the disk may hold older data than others.
      if (rebooted) engine.check()
      undone = moving.filter(pointer => engine.usableSize(pointer) >= 0).length
    }
    file.begin()
    if (this.isFirst) mapping.lock(USE_BYTE, 'shared')
    mapping.lock(DOOR_BYTE, 'none')
    return unclean
      ? { blocks, undone, milliseconds: performance.now() - start, rebooted }
      : undefined
  }

  // ---- what a heap needs from its file ----------------------------------------------------------

  get root(): number {
    return this.file.root
  }

  set root(pointer: number) {
    this.file.root = pointer
  }

  get roots(): Pick<RootTable, 'get' | 'set' | 'delete' | 'keys' | 'clear'> {
    const { roots } = this.file
    return {
      get: name => this.alone(() => roots.get(name)),
      set: (name, pointer) => this.alone(() => roots.set(name, pointer)),
      delete: name => this.alone(() => roots.delete(name)),
      keys: () => this.alone(() => roots.keys()),
      clear: () => this.alone(() => roots.clear())
    }
  }

  /**
   * Runs `work` on the named roots under a lock. Throws ERR_OFFHEAP_BUSY, and what `work` throws.
   */
  private alone<Result>(work: () => Result): Result {
    const { engine } = this
    if (engine === undefined) return work()
    // An error here is about an argument: it must not mark an arena as damaged.
    const outcome = engine.exclusively((): (() => Result) => {
      try {
        const result = work()
        return () => result
      } catch (error) {
        return () => {
          throw error
        }
      }
    })
    return outcome()
  }

  lost(): OffheapError | undefined {
    return this.file.lost()
  }

  takeRefusal(): OffheapError | undefined {
    return this.file.takeRefusal()
  }

  get pageSize(): number {
    return this.file.pageSize
  }

  residentBytes(): number {
    return this.file.residentBytes()
  }

  decommit(offset: number, length: number): void {
    this.file.decommit(offset, length)
  }

  /** Empties the outboxes, then writes everything to the disk: see HeapFile.sync. */
  sync(): number {
    this.engine?.tidyAll()
    return this.file.sync()
  }

  // ---- closing ----------------------------------------------------------------------------------

  get closed(): boolean {
    return this.file.closed
  }

  /**
   * Closes the file. The last thread to do so writes everything to the disk, and marks the heap as
   * closed. After a write error, closes the file too, and then throws the error.
   */
  close(): void {
    if (this.closed) return
    this.engine?.leave()
    if (this.lost() === undefined && this.isLast()) {
      try {
        this.engine?.tidyAll()
      } catch (error) {
        // The heap is corrupt: leave it marked as open, so that the next open reports that.
        this.release()
        if (error instanceof OffheapError) return
        throw error
      }
      this.file.close()
    } else this.release()
  }

  /**
   * Returns whether no other thread has the file open. If so, no other thread can open it before
   * this one closes it.
   */
  private isLast(): boolean {
    try {
      passDoor(this.mapping, this.patience)
    } catch (error) {
      if (error instanceof OffheapError && error.code === 'ERR_OFFHEAP_BUSY') return false
      throw error
    }
    return this.mapping.lock(USE_BYTE, 'exclusive')
  }

  /** Closes the file, and leaves its state unchanged. */
  release(): void {
    this.file.release()
  }
}

/**
 * The engine of a file that was opened for inspection. It works on private pages, and recovers
 * interrupted operations there. `isInUse`: another process may be changing the file, so every arena
 * is recovered.
 */
export function engineToLook(
  { head, body, geometry, unclean }: HeapFile,
  isInUse: boolean
): Engine {
  const words = new Int32Array(body)
  adopt(head, geometry.arenas, unclean || isInUse, false)
  const living = head[LIVES_AT] + 1
  head[LIVES_AT] = living
  const system: System = { fenced: true, reorders, barrier: () => {}, sleep: () => {} }
  return engineOn(head, words, geometry, living << 8, system, QUIET, 0)
}

/** How many threads have an inspected file open. */
export function countThreads(file: HeapFile): number {
  let count = 0
  for (let index = 0; index < LIVES; index++) if (file.isLocked(LIFE_BYTE + index)) count++
  return count
}

/** Waits until no other thread is opening or closing the file. Throws ERR_OFFHEAP_BUSY. */
function passDoor(mapping: FileMapping, milliseconds: number): void {
  const patience = new Patience({ sleep }, milliseconds, `opening or closing ${mapping.path}`)
  while (!mapping.lock(DOOR_BYTE, 'exclusive')) patience.wait()
}

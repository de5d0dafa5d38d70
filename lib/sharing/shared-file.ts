/**
 * A heap file that several processes have open at a time, each of them in one thread or in more.
 * Every thread opens the file by itself: it has pages, locks and a life of its own, and the arenas
 * are those of any shared heap (engine.ts). All that is particular here is who comes first and who
 * goes last. Three kinds of bytes of the file are locked for that, whatever they contain:
 *
 *     byte 0      by whoever has the file open: a lock that others share; an exclusive one while
 *                 this thread is alone, and in a process that does not share the file (heap-file.ts)
 *     byte 1      exclusively, by whoever is about to open the file or to close it
 *     byte 256 +  one for each life, exclusively, by whoever has claimed it (control.ts)
 *
 *     open:   lock byte 1; if byte 0 can be had exclusively, nobody is there: make the heap, or adopt
 *             it and recover what others left behind; share byte 0; claim a life; free byte 1
 *     close:  leave the arena; lock byte 1; if byte 0 can be had exclusively, nobody else is there:
 *             tidy all, write everything to the disk, and say that the heap is closed; free all locks
 *
 * The system frees the locks of a process that is killed. Killed between any two steps, it leaves a
 * file that is OPEN (or FORMATTING) without a lock on byte 0, for the next one to recover (or to
 * format); or others have it open, who meet what it left one arena at a time.
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
  /** Whether nobody else had the file open. */
  private readonly isFirst: boolean
  private readonly patience: number
  private engine: SharedEngine | undefined
  /** The blocks that reallocs were moving when they were cut off. */
  private moving: number[] = []
  private start = 0

  /**
   * Opens the file, and makes it when `geometry` is given and there is none. Until `begin`, others
   * wait for this thread; `patience` is how many milliseconds each waits for another. Throws
   * ERR_OFFHEAP_LOCKED, ERR_OFFHEAP_BUSY, and what HeapFile throws.
   */
  static open(path: string, geometry: Geometry | undefined, patience: number): SharedFile {
    if (process.platform !== 'linux') {
      throw new OffheapError(
        'ERR_OFFHEAP_UNSUPPORTED',
        'Processes can share a heap on Linux only; leave out "shared", or use threads'
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

  /** Was it in use when its last user, or the machine, stopped? */
  get unclean(): boolean {
    return this.isFirst && this.file.unclean
  }

  private arena(index: number): Int32Array {
    const length = this.geometry.arenaBytes / 4
    return this.words.subarray(index * length, (index + 1) * length)
  }

  // ---- the first, and those that follow ---------------------------------------------------------

  /** Writes the arenas of a new file. Throws ERR_OFFHEAP_SYSTEM when the disk is full. */
  format(policy: PlacementPolicy, slabs: boolean): void {
    const { arenas, arenaBytes } = this.geometry
    const { first } = ordinaryLayout(arenaBytes / 4, policy, slabs)
    for (let index = 0; index < arenas; index++) this.reserve(first * 4, index)
    writeShared(this.file.head, this.words, this.geometry, policy, slabs)
  }

  /** What is in use must not be in holes, such as a copy of the file may have. */
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

  /** The header of the first arena; all have the same options. */
  header(): Header {
    return headerOf(this.arena(0))
  }

  /**
   * Makes this thread one of those that work on the heap. Throws ERR_OFFHEAP_BUSY,
   * ERR_OFFHEAP_UNSUPPORTED, and ERR_OFFHEAP_CORRUPT when what others left can't be recovered.
   */
  attach(host: Host): Engine {
    const { file, mapping, geometry } = this
    const { head } = file
    // Registers this process, too: from now on the barriers of others reach it.
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
        `The processes that have ${this.path} open rely on the system call membarrier, which ` +
          'this one may not make. Allow it here, or close the heap everywhere and open it here first'
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

  /** The pointers of blocks that were being moved by a realloc. */
  private movesCutOff(): number[] {
    const { arenas, arenaBytes } = this.geometry
    return Array.from({ length: arenas }, (_, index) => {
      const arena = this.arena(index)
      const from = arena[MOVE_TO_WORD] === 0 ? 0 : arena[MOVE_FROM_WORD]
      return from === 0 ? 0 : index * arenaBytes + from * 4
    }).filter(pointer => pointer !== 0)
  }

  /**
   * Recovers what was left behind, and lets others in. Returns what was recovered; undefined when
   * the heap had been closed, or others have it open.
   */
  begin(): Recovery | undefined {
    const { file, mapping, engine, unclean, start, moving } = this
    const { rebooted } = file
    let blocks = 0
    let undone = 0
    if (unclean && engine !== undefined) {
      blocks = engine.stats(0).blocks
      // Pages that were never written to the disk may be older than others.
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

  // ---- what a heap asks of its file -------------------------------------------------------------

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

  /** Does some work on the head while nobody else does. Throws ERR_OFFHEAP_BUSY, and what it throws. */
  private alone<Result>(work: () => Result): Result {
    const { engine } = this
    if (engine === undefined) return work()
    // Its errors are of the arguments, and no reason to recover an arena.
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

  /** As of a heap file. What is freed before is free on the disk as well. */
  sync(): number {
    this.engine?.tidyAll()
    return this.file.sync()
  }

  // ---- the last ---------------------------------------------------------------------------------

  get closed(): boolean {
    return this.file.closed
  }

  /**
   * Lets go of the file. The last one to do so writes everything to the disk, and then says so in
   * the file; when the disk refuses, that is thrown when the file is closed.
   */
  close(): void {
    if (this.closed) return
    this.engine?.leave()
    if (this.lost() === undefined && this.isLast()) {
      try {
        this.engine?.tidyAll()
      } catch (error) {
        // It is corrupt: left open, so that whoever opens it next is told.
        this.release()
        if (error instanceof OffheapError) return
        throw error
      }
      this.file.close()
    } else this.release()
  }

  /** Has nobody else the file open? Then nobody has until this one lets go of it. */
  private isLast(): boolean {
    try {
      passDoor(this.mapping, this.patience)
    } catch (error) {
      if (error instanceof OffheapError && error.code === 'ERR_OFFHEAP_BUSY') return false
      throw error
    }
    return this.mapping.lock(USE_BYTE, 'exclusive')
  }

  /** Lets go of the file without a change. */
  release(): void {
    this.file.release()
  }
}

/**
 * The engine of a file that is looked at, on pages of its own: nobody else is at work on these, and
 * what others left in the middle is recovered there. `isInUse`: nor may it be what it seems.
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

/** How many threads have a file open that is looked at. */
export function countThreads(file: HeapFile): number {
  let count = 0
  for (let index = 0; index < LIVES; index++) if (file.isLocked(LIFE_BYTE + index)) count++
  return count
}

/** Waits until nobody else is about to open or to close the file. Throws ERR_OFFHEAP_BUSY. */
function passDoor(mapping: FileMapping, milliseconds: number): void {
  const patience = new Patience({ sleep }, milliseconds, `opening or closing ${mapping.path}`)
  while (!mapping.lock(DOOR_BYTE, 'exclusive')) patience.wait()
}

/**
 * Decides which thread may access an arena and its outboxes. The owner of an arena takes no lock
 * (biased locking):
 *
 *     owner:     BUSY = 1; if CALL is 0, work; BUSY = 0               (engine.ts, fast-path.ts)
 *     intruder:  take LOCK; CALL |= REVOKE; barrier; wait until BUSY is 0; work;
 *                CALL &= ~REVOKE; release LOCK
 *
 * The owner uses plain stores and loads. The intruder's barrier orders them: all running threads
 * execute it (membarrier on Linux, FlushProcessWriteBuffers on Windows). It falls somewhere into
 * the owner's program:
 * - After `BUSY = 1`: the intruder sees the store, and waits until the operation is complete.
 * - Before `BUSY = 1`: the owner loads CALL later, sees REVOKE, and takes LOCK like everyone else.
 *
 * A processor that reorders memory accesses (ARM) needs two more barriers:
 * - After a wait, the intruder has seen `BUSY = 0`, but perhaps not every earlier store of the
 *   owner. A barrier after the wait makes these visible.
 * - An owner that was outside must not combine a value loaded before the intruder's stores with a
 *   CALL loaded after them. A barrier before `CALL &= ~REVOKE` prevents that: before it, CALL still
 *   has REVOKE; after it, the owner loads new values.
 * On x86 neither case can occur, and both barriers are omitted. On a system without such a barrier
 * (macOS), the owner accesses BUSY and CALL atomically too, and needs nothing else.
 *
 * The same protocol works between processes, because they share the pages that hold these words.
 * The barrier must then reach the threads of all processes. On Linux that is another command of
 * membarrier (GLOBAL_EXPEDITED), for which each process registers before it claims a life. A thread
 * that is stopped, or waits for a processor, executes a barrier at each context switch.
 *
 * All other accesses are ordered by LOCK: an atomic compare-and-exchange acquires it, and an atomic
 * store releases it.
 *
 * A thread that ends leaves no lock behind. LOCK and OWNER hold tokens, whose lives (control.ts)
 * end with their threads, however these end. A thread that finds the token of an ended thread takes
 * its place, and recovers the arena if an operation was interrupted.
 *
 * A killed process can't end its lives. But the system releases its locks on their bytes in the
 * file, and does so after its last store, because its mapping of the file holds the locks as well.
 * So a waiting thread tests that lock from time to time, and ends the life on behalf of the killed
 * process (`confirm`). It reads the life before it tests the lock: a thread acquires the lock
 * before its life becomes odd, and releases it after the life has become even. The exchange fails
 * if another thread has ended the life meanwhile, or claimed it again.
 */
import { OffheapError } from '../errors.js'
import {
  BUSY,
  CALL,
  CROWDED,
  DAMAGED,
  endedOf,
  indexOf,
  LOCK,
  lifeOf,
  livingOf,
  OWNER,
  REVOKE
} from './control.js'

/** What the operating system and the processor provide for threads that share memory. */
export interface System {
  /** Whether owners use atomic operations, because there is no barrier. */
  readonly fenced: boolean
  /** Whether this processor reorders stores with stores, or loads with loads. */
  readonly reorders: boolean
  /** Makes all running threads that use the memory execute a memory barrier. */
  barrier(): void
  /** Suspends this thread. */
  sleep(microseconds: number): void
  /**
   * Whether no thread holds the life with this index. Only for a heap that several processes
   * share. The index must not be that of this thread's own life.
   */
  readonly isUnclaimed?: (index: number) => boolean
}

/** How many times a waiting thread polls before it sleeps. */
const SPINS = 200
/** The first and the longest sleep, in microseconds. */
const [FIRST_SLEEP, LONGEST_SLEEP] = [20, 1000]

export class Access {
  /** The words of the head. */
  private readonly words: Int32Array
  /** The token of this thread. */
  readonly me: number
  private readonly system: System
  /** How long a call waits for another thread, in milliseconds of sleep. */
  private readonly patience: number

  constructor(words: Int32Array, me: number, system: System, patience: number) {
    this.words = words
    this.me = me
    this.system = system
    this.patience = patience
  }

  /** Returns whether the thread of this token is alive. False for 0. */
  lives(token: number): boolean {
    return token !== 0 && Atomics.load(this.words, lifeOf(token)) === livingOf(token)
  }

  /** Ends the life of this token's thread if its process was killed. */
  private confirm(token: number): void {
    const { isUnclaimed } = this.system
    if (isUnclaimed === undefined || token === this.me || !this.lives(token)) return
    if (!isUnclaimed(indexOf(token))) return
    const living = livingOf(token)
    Atomics.compareExchange(this.words, lifeOf(token), living, endedOf(living))
  }

  /** Makes the arena vacant if the process of its owner was killed. */
  confirmOwner(record: number): void {
    this.confirm(Atomics.load(this.words, record + OWNER))
  }

  /** Returns whether the arena has no living owner. */
  isVacant(record: number): boolean {
    return !this.lives(Atomics.load(this.words, record + OWNER))
  }

  /**
   * Waits until no other thread is in the arena, and excludes them until `leave`. The arena may be
   * DAMAGED. Throws ERR_OFFHEAP_BUSY, and then changes nothing.
   */
  enter(record: number): void {
    const patience = new Patience(this.system, this.patience, 'the same arena')
    while (!this.lock(record)) {
      if (patience.wait()) this.confirm(Atomics.load(this.words, record + LOCK))
    }
    try {
      this.evict(record, patience)
    } catch (error) {
      this.leave(record)
      throw error
    }
  }

  /** Enters the arena if it is vacant and no other thread is in it. Returns whether it did. */
  enterVacant(record: number): boolean {
    if (!this.isVacant(record) || !this.lock(record)) return false
    if (!this.isVacant(record)) {
      this.leave(record)
      return false
    }
    this.bury(record)
    return true
  }

  leave(record: number): void {
    const { words, system } = this
    // While the arena is damaged, REVOKE stays: it sends the owner into the slow path, which
    // recovers the arena.
    if (
      (Atomics.load(words, record + CALL) & REVOKE) !== 0 &&
      Atomics.load(words, record + DAMAGED) === 0
    ) {
      if (system.reorders && !system.fenced) system.barrier()
      Atomics.and(words, record + CALL, ~REVOKE)
    }
    Atomics.store(words, record + LOCK, 0)
  }

  /** Makes this thread the owner of a vacant arena that it has entered. */
  own(record: number): void {
    Atomics.and(this.words, record + CALL, ~CROWDED)
    Atomics.store(this.words, record + OWNER, this.me)
  }

  /** Gives up an arena of this thread. No operation on it may be in progress. */
  disown(record: number): void {
    Atomics.store(this.words, record + BUSY, 0)
    Atomics.store(this.words, record + OWNER, 0)
  }

  /**
   * Waits for a caller's lock in a word of the heap, and acquires it. Like LOCK, the word holds the
   * token of the holder. Returns whether its holder ended without releasing it. Throws
   * ERR_OFFHEAP_BUSY.
   */
  acquire(words: Int32Array, word: number): boolean {
    const patience = new Patience(this.system, this.patience, 'a mutex')
    for (;;) {
      const isAbandoned = this.take(words, word)
      if (isAbandoned !== undefined) return isAbandoned
      if (patience.wait()) this.confirm(Atomics.load(words, word))
    }
  }

  /** Acquires a lock in a word of the heap if it is free. Returns whether it did. */
  tryAcquire(words: Int32Array, word: number): boolean {
    return Atomics.compareExchange(words, word, 0, this.me) === 0
  }

  /**
   * Makes the owner of the arena, which this thread has entered, take LOCK for every operation,
   * because other threads use the arena too.
   */
  crowd(record: number): void {
    if (!this.isVacant(record) && Atomics.load(this.words, record + OWNER) !== this.me) {
      Atomics.or(this.words, record + CALL, CROWDED)
    }
  }

  /** Tries once to acquire the lock of an arena. */
  private lock(record: number): boolean {
    const isAbandoned = this.take(this.words, record + LOCK)
    if (isAbandoned) this.damage(record)
    return isAbandoned !== undefined
  }

  /**
   * Tries once to acquire a lock that holds a token. Returns whether its holder ended without
   * releasing it; undefined if the holder is alive.
   */
  private take(words: Int32Array, word: number): boolean | undefined {
    const { me } = this
    const holder = Atomics.compareExchange(words, word, 0, me)
    if (holder === 0) return false
    // This thread's own token is left from a call that an error interrupted.
    if (holder !== me && this.lives(holder)) return undefined
    return Atomics.compareExchange(words, word, holder, me) === holder ? true : undefined
  }

  /**
   * Marks the arena that this thread has entered: it must be recovered before any other operation.
   * REVOKE makes sure that its owner notices.
   */
  damage(record: number): void {
    Atomics.store(this.words, record + DAMAGED, 1)
    Atomics.or(this.words, record + CALL, REVOKE)
  }

  isDamaged(record: number): boolean {
    return Atomics.load(this.words, record + DAMAGED) !== 0
  }

  /** Marks the arena as recovered. */
  mend(record: number): void {
    Atomics.store(this.words, record + DAMAGED, 0)
  }

  /**
   * Waits until the owner has completed its operation, and keeps it from beginning another before
   * `leave`. This thread holds LOCK.
   */
  private evict(record: number, patience: Patience): void {
    const { words, system } = this
    const owner = Atomics.load(words, record + OWNER)
    if (owner === this.me || owner === 0) return
    if (!this.lives(owner)) {
      this.bury(record)
      return
    }
    if ((Atomics.load(words, record + CALL) & CROWDED) !== 0) return
    Atomics.or(words, record + CALL, REVOKE)
    if (!system.fenced) system.barrier()
    if (Atomics.load(words, record + BUSY) === 0) return
    while (Atomics.load(words, record + BUSY) !== 0) {
      if (!this.lives(owner)) {
        this.bury(record)
        return
      }
      if (patience.wait()) this.confirm(owner)
    }
    if (system.reorders && !system.fenced) system.barrier()
  }

  /**
   * Removes the dead owner of a vacant arena. If it ended during an operation, the arena is
   * damaged.
   */
  private bury(record: number): void {
    const { words } = this
    if (Atomics.load(words, record + OWNER) === 0) return
    if (Atomics.load(words, record + BUSY) !== 0) {
      Atomics.store(words, record + DAMAGED, 1)
      Atomics.store(words, record + BUSY, 0)
    }
    Atomics.store(words, record + OWNER, 0)
  }
}

/**
 * Backoff of a waiting thread: it polls at first, then sleeps for longer and longer, and gives up
 * in the end.
 */
export class Patience {
  private readonly system: Pick<System, 'sleep'>
  private readonly place: string
  private left: number
  private spins = SPINS
  private pause = FIRST_SLEEP

  constructor(system: Pick<System, 'sleep'>, milliseconds: number, place: string) {
    this.system = system
    this.place = place
    this.left = milliseconds * 1000
  }

  /** Waits for a moment. Returns whether it slept. Throws ERR_OFFHEAP_BUSY when time is up. */
  wait(): boolean {
    if (this.spins-- > 0) return false
    if (this.left <= 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_BUSY',
        `Another thread or process has been in ${this.place} for too long: it is stopped, or is ` +
          'waiting in the middle of a call. Nothing was changed; try again'
      )
    }
    this.system.sleep(this.pause)
    this.left -= this.pause
    this.pause = Math.min(2 * this.pause, LONGEST_SLEEP)
    return true
  }
}

/**
 * Who may touch an arena, and its outboxes, right now. The owner of an arena takes no lock (biased
 * locking):
 *
 *     owner:     BUSY = 1; if CALL is 0, work; BUSY = 0               (engine.ts)
 *     intruder:  take LOCK; CALL |= REVOKE; barrier; wait until BUSY is 0; work; CALL &= ~REVOKE; free LOCK
 *
 * The owner's words are plain stores and loads. What orders them is the barrier of the intruder,
 * which all running threads execute (membarrier on Linux, FlushProcessWriteBuffers on Windows). It
 * falls somewhere into the owner's program:
 * - behind `BUSY = 1`: then the intruder sees it, and waits for the end of the operation;
 * - in front of it: then the owner's look at CALL comes later, sees REVOKE, and the owner takes
 *   LOCK as everyone does.
 * When the intruder had to wait, it has seen `BUSY = 0`, but on a processor that reorders stores
 * (ARM) not yet all that the owner stored before. A second barrier, now that `BUSY = 0` is behind
 * the owner, sees to that. In the other direction: an owner that was outside all the while must not
 * use what it read before the intruder's stores together with a CALL that it read after them. A
 * barrier in front of `CALL &= ~REVOKE` sees to that: what the owner reads behind it is new, and in
 * front of it CALL still says REVOKE. On x86 neither can happen, and both barriers are left out.
 * Where the system has no such barrier (macOS), BUSY and CALL are atomic for the owner too, and
 * nothing else is needed.
 *
 * All of this holds between processes as well, for the words are in pages that they share. The
 * barrier must reach the threads of all processes then: on Linux that is another command of
 * membarrier (GLOBAL_EXPEDITED), for which each process registers before it claims a life. A thread
 * that is stopped, or waits for a processor, executes a barrier when it is switched out and in.
 *
 * All other hand-overs are by LOCK, an atomic compare-and-exchange in, an atomic store out.
 *
 * A thread that ends takes nothing along. LOCK and OWNER hold tokens, whose lives (control.ts) end
 * with their threads, in whatever way; whoever meets the token of a thread that is gone takes its
 * place, and recovers the arena if the thread was in the middle of an operation.
 *
 * A process that is killed can't end its lives. But it loses the locks that it held on their bytes
 * in the file, and it does so after its last store, since its pages of the file hold them as well.
 * So whoever waits for a thread asks for that lock from time to time, and ends the life for it
 * (`confirm`). The life is read first and then the lock: a living one has its lock before the life
 * is odd, and until after it is even. The exchange fails when somebody else has ended it meanwhile,
 * or claimed it anew.
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

/** What the system has for threads that share memory. */
export interface System {
  /** Whether owners use atomic operations, because there is no barrier. */
  readonly fenced: boolean
  /** Whether this processor reorders stores, or loads. */
  readonly reorders: boolean
  /** Makes all running threads that use the memory execute a memory barrier. */
  barrier(): void
  /** Lets this thread sleep. */
  sleep(microseconds: number): void
  /**
   * Of a heap of several processes: is nobody there who holds the life with this index? The own one
   * must not be asked for.
   */
  readonly isUnclaimed?: (index: number) => boolean
}

/** So often a waiting thread looks before it sleeps. */
const SPINS = 200
/** The first sleep and the longest one, in microseconds. */
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

  /** Is the thread of this token still there? False for 0. */
  lives(token: number): boolean {
    return token !== 0 && Atomics.load(this.words, lifeOf(token)) === livingOf(token)
  }

  /** Ends the life of a thread whose process was killed. */
  private confirm(token: number): void {
    const { isUnclaimed } = this.system
    if (isUnclaimed === undefined || token === this.me || !this.lives(token)) return
    if (!isUnclaimed(indexOf(token))) return
    const living = livingOf(token)
    Atomics.compareExchange(this.words, lifeOf(token), living, endedOf(living))
  }

  /** Makes sure that the arena is vacant if the process of its owner was killed. */
  confirmOwner(record: number): void {
    this.confirm(Atomics.load(this.words, record + OWNER))
  }

  /** Does the arena belong to nobody who is still there? */
  isVacant(record: number): boolean {
    return !this.lives(Atomics.load(this.words, record + OWNER))
  }

  /**
   * Waits until no other thread is in the arena, and keeps them out until `leave`. The arena may be
   * DAMAGED. Throws ERR_OFFHEAP_BUSY, with nothing changed.
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

  /** Enters the arena if it is vacant, and nobody else is in it. */
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
    // The owner of a damaged arena must come and recover it, or meet the one who does.
    if (
      (Atomics.load(words, record + CALL) & REVOKE) !== 0 &&
      Atomics.load(words, record + DAMAGED) === 0
    ) {
      if (system.reorders && !system.fenced) system.barrier()
      Atomics.and(words, record + CALL, ~REVOKE)
    }
    Atomics.store(words, record + LOCK, 0)
  }

  /** Makes this thread the owner of a vacant arena that it is in. */
  own(record: number): void {
    Atomics.and(this.words, record + CALL, ~CROWDED)
    Atomics.store(this.words, record + OWNER, this.me)
  }

  /** Gives up an arena of this thread, which is in no operation on it. */
  disown(record: number): void {
    Atomics.store(this.words, record + BUSY, 0)
    Atomics.store(this.words, record + OWNER, 0)
  }

  /**
   * Waits for a lock of the callers', in a word of the heap, and takes it. It holds a token as LOCK
   * does, and is handed over in the same way. Returns whether its holder ended without releasing
   * it. Throws ERR_OFFHEAP_BUSY.
   */
  acquire(words: Int32Array, word: number): boolean {
    const patience = new Patience(this.system, this.patience, 'a mutex')
    for (;;) {
      const isAbandoned = this.take(words, word)
      if (isAbandoned !== undefined) return isAbandoned
      if (patience.wait()) this.confirm(Atomics.load(words, word))
    }
  }

  /** Takes a lock in a word of the heap if nobody has it. */
  tryAcquire(words: Int32Array, word: number): boolean {
    return Atomics.compareExchange(words, word, 0, this.me) === 0
  }

  /**
   * The owner of the arena, which this thread is in, takes the lock from now on: others come often.
   */
  crowd(record: number): void {
    if (!this.isVacant(record) && Atomics.load(this.words, record + OWNER) !== this.me) {
      Atomics.or(this.words, record + CALL, CROWDED)
    }
  }

  /** One attempt at the lock of an arena. */
  private lock(record: number): boolean {
    const isAbandoned = this.take(this.words, record + LOCK)
    if (isAbandoned) this.damage(record)
    return isAbandoned !== undefined
  }

  /**
   * One attempt at a lock, which holds a token. Returns whether its holder ended without releasing
   * it; undefined if the holder is still there.
   */
  private take(words: Int32Array, word: number): boolean | undefined {
    const { me } = this
    const holder = Atomics.compareExchange(words, word, 0, me)
    if (holder === 0) return false
    // This thread's own token is of a call that was cut off by an error.
    if (holder !== me && this.lives(holder)) return undefined
    return Atomics.compareExchange(words, word, holder, me) === holder ? true : undefined
  }

  /**
   * The arena that this thread is in must be recovered before anything else happens in it; no owner
   * may overlook that.
   */
  damage(record: number): void {
    Atomics.store(this.words, record + DAMAGED, 1)
    Atomics.or(this.words, record + CALL, REVOKE)
  }

  isDamaged(record: number): boolean {
    return Atomics.load(this.words, record + DAMAGED) !== 0
  }

  /** The arena was recovered. */
  mend(record: number): void {
    Atomics.store(this.words, record + DAMAGED, 0)
  }

  /**
   * Sees to it that the owner is in no operation, and begins none before `leave`. This thread has
   * the lock.
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
   * Makes a vacant arena one without an owner. One whose owner ended in an operation is damaged.
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
 * A thread that waits looks often at first, then sleeps longer and longer, and gives up in the end.
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

  /** Waits a little. Returns whether it slept for that. Throws ERR_OFFHEAP_BUSY. */
  wait(): boolean {
    if (this.spins-- > 0) return false
    if (this.left <= 0) {
      throw new OffheapError(
        'ERR_OFFHEAP_BUSY',
        `Another thread or process has been in ${this.place} for too long: it is stopped, or ` +
          'waits for something in the middle of a call. Nothing was changed; try again'
      )
    }
    this.system.sleep(this.pause)
    this.left -= this.pause
    this.pause = Math.min(2 * this.pause, LONGEST_SLEEP)
    return true
  }
}

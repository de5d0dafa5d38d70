/** A lock in a block of a heap, for data that several threads or processes change. */
import type { Locks } from '../engine/engine.js'
import { invalidState, invalidType } from '../errors.js'

/**
 * A lock, made by `heap.mutex`. It may be used until its block is freed, or the heap is closed.
 */
export class Mutex {
  private readonly word: number
  private readonly held: Set<number>
  private readonly locks: () => Locks | undefined

  /**
   * `held` has the words of the locks that this thread has. `locks` throws if the heap is closed,
   * and returns undefined if one thread alone uses it.
   */
  constructor(word: number, held: Set<number>, locks: () => Locks | undefined) {
    this.word = word
    this.held = held
    this.locks = locks
  }

  /**
   * Calls `work` while no other thread or process is in `run` with the same block, and returns its
   * result. `work` is called with true if the last one that had the lock was terminated or killed:
   * what the lock protects may then be half changed. It must be synchronous: the lock is released
   * when it returns or throws. Throws ERR_OFFHEAP_BUSY if the lock isn't free in time,
   * ERR_INVALID_STATE in a call within `work`, ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_CLOSED.
   */
  run<Result>(work: (abandoned: boolean) => Result): Result {
    if (typeof work !== 'function') throw invalidType('work', 'of type function', work)
    const { word, held } = this
    const locks = this.locks()
    if (held.has(word)) throw invalidState('this thread has the lock already')
    const abandoned = locks?.acquire(word) ?? false
    held.add(word)
    try {
      return work(abandoned)
    } finally {
      held.delete(word)
      locks?.release(word)
    }
  }

  /**
   * Calls `work` as `run` does, but only if the lock is free now, and was released by its last
   * holder. Returns whether it did.
   */
  tryRun(work: () => void): boolean {
    if (typeof work !== 'function') throw invalidType('work', 'of type function', work)
    const { word, held } = this
    const locks = this.locks()
    if (held.has(word) || locks?.tryAcquire(word) === false) return false
    held.add(word)
    try {
      work()
      return true
    } finally {
      held.delete(word)
      locks?.release(word)
    }
  }
}

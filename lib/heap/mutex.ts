/** A lock in a block of a heap, for data that several threads or processes change. */
import { type InspectOptionsStylized, inspect } from 'node:util'
import type { Locks, Pointer } from '../engine/engine.js'
import { invalidState, invalidType } from '../errors.js'
import { inspectAs } from '../inspect.js'

/** A lock, returned by `heap.mutex`. Don't use it after its block was freed. */
export class Mutex {
  private readonly word: number
  private readonly held: Set<number>
  private readonly locks: () => Locks | undefined

  /**
   * `held` contains the words of the locks that this thread holds. `locks` throws if the heap is
   * closed, and returns undefined if the heap is not shared.
   */
  constructor(word: number, held: Set<number>, locks: () => Locks | undefined) {
    this.word = word
    this.held = held
    this.locks = locks
  }

  /**
   * Takes the lock, calls `work`, releases the lock, and returns the result of `work`. Only one
   * thread at a time can hold the lock of a block. `work` is called with true if the last holder
   * was terminated or killed: what the lock protects may then be half changed. `work` must be
   * synchronous: the lock is released when it returns or throws. Throws ERR_OFFHEAP_BUSY if the
   * lock isn't free in time, ERR_INVALID_STATE if this thread holds it already,
   * ERR_INVALID_ARG_TYPE, ERR_OFFHEAP_CLOSED.
   */
  run<Result>(work: (abandoned: boolean) => Result): Result {
    if (typeof work !== 'function') throw invalidType('work', 'of type function', work)
    const locks = this.locks()
    if (this.held.has(this.word)) throw invalidState('this thread has the lock already')
    const abandoned = locks?.acquire(this.word) ?? false
    return this.hold(locks, () => work(abandoned))
  }

  /**
   * Like `run`, but does not wait: calls `work` only if the lock is free now, and its last holder
   * released it. Returns whether it called `work`.
   */
  tryRun(work: () => void): boolean {
    if (typeof work !== 'function') throw invalidType('work', 'of type function', work)
    const locks = this.locks()
    if (this.held.has(this.word) || locks?.tryAcquire(this.word) === false) return false
    this.hold(locks, work)
    return true
  }

  get [Symbol.toStringTag](): string {
    return 'Mutex'
  }

  /** What JSON.stringify and console.log show of a lock: `held` says whether this thread has it. */
  toJSON(): { pointer: Pointer; held: boolean } {
    return { pointer: this.word * 4, held: this.held.has(this.word) }
  }

  [inspect.custom](depth: number, options: InspectOptionsStylized): string {
    return inspectAs('Mutex', this.toJSON(), depth, options)
  }

  /** Calls `work` with the lock taken, then releases it. */
  private hold<Result>(locks: Locks | undefined, work: () => Result): Result {
    const { word, held } = this
    held.add(word)
    try {
      return work()
    } finally {
      held.delete(word)
      locks?.release(word)
    }
  }
}

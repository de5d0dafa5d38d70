/**
 * One process of a submission, in the judge's hands: it is given a command at a time, watched while
 * it obeys, and killed when that takes too long or too much. What it says of itself is text for a
 * report; whether it is alive, how long it computes and how much memory it takes is asked of the
 * system.
 */

import {
  ACCESSES,
  AFRESH,
  type Channel,
  COMMAND,
  DONE,
  FINE,
  LOADING,
  NOTHING,
  OPERATION,
  SPINS,
  STATUS,
  shared,
  TURN
} from '../submission/channel.js'
import {
  END,
  ENDED,
  EXHAUSTED,
  killGroup,
  PID,
  RUNNING,
  SIGNAL,
  SLOT_WORDS,
  type StartRequest,
  Vitals
} from './processes.js'

/** Milliseconds between two looks at a process that is busy. */
const LOOK = 20
/** Looks at the channel before either side sleeps, while operations go back and forth. */
const BUSY_SPINS = 100
/** Milliseconds until a process has started, by the clock on the wall. */
const START = 300_000
/** Waits for a process to sleep, after it said that it is done, and milliseconds of each. */
const SLEEP_LOOKS = 2000
const SLEEP_WAIT = 0.1

/** A word that nobody writes, to sleep at. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Why a process was stopped. */
export type Stop = 'time' | 'stuck' | 'memory' | 'idle'

/** Where a process is. Times are milliseconds, of its processor time where the system tells it. */
export interface Moment {
  readonly operation: number
  /** Time in this command, in this operation, and since the last sign of life. */
  readonly inCommand: number
  readonly inOperation: number
  readonly idle: number
  /** Time in this command by the clock on the wall. */
  readonly waited: number
  /** Whether this operation has touched the memory, as far as that is watched. */
  readonly touched: boolean
  /** Bytes of its own, beside the shared ones. */
  readonly bytes: number
}

/** Thrown when a process is gone: because the judge stopped it, or by itself. */
export class Gone extends Error {
  override readonly name = 'Gone'
  readonly stopped: Stop | undefined
  /** V8 had no room for JavaScript objects. */
  readonly exhausted: boolean
  readonly signal: boolean
  readonly moment: Moment

  constructor(moment: Moment, stopped: Stop | undefined, exhausted: boolean, signal: boolean) {
    super('the process is gone')
    this.moment = moment
    this.stopped = stopped
    this.exhausted = exhausted
    this.signal = signal
  }
}

export class Seat {
  readonly channel: Channel
  readonly #slots: Int32Array
  readonly #at: number
  readonly #began = performance.now()
  readonly #vitals: Vitals
  #before = 0
  #turn = 0

  /**
   * Has a process started, and waits until it is.
   * @param slots shared with the thread that starts processes
   */
  constructor(
    channel: Channel,
    slots: Int32Array,
    request: StartRequest,
    post: (request: StartRequest) => void
  ) {
    this.channel = channel
    this.#slots = slots
    this.#at = request.slot * SLOT_WORDS
    const { words } = channel
    words.fill(0, 0, 24)
    words[OPERATION] = LOADING
    post(request)
    Atomics.wait(slots, this.#at + PID, 0, START)
    this.#vitals = new Vitals(this.#pid)
    // The time that Node itself takes to start does not count.
    this.order(NOTHING, ({ waited }) => (waited > START ? 'time' : undefined), false)
    this.#before = this.spent
  }

  /**
   * Takes from the process all that its submission has loaded, made and kept: as if it were new,
   * without the time that Node takes to start.
   */
  renew(): void {
    this.channel.words[OPERATION] = LOADING
    this.order(AFRESH, ({ waited }) => (waited > START ? 'time' : undefined), false)
    this.#before += this.spent
  }

  get #pid(): number {
    return this.#slots[this.#at + PID]
  }

  get alive(): boolean {
    return this.#pid > 0 && Atomics.load(this.#slots, this.#at + END) === RUNNING
  }

  /**
   * Has a command done. `look` is asked every few moments whether it may go on; it says why when
   * not.
   * @param spins whether to expect an answer so soon that sleeping isn't worth it
   * @returns the status. Throws `Gone`.
   */
  order(command: number, look: (moment: Moment) => Stop | undefined, spins = true): number {
    const { channel } = this
    const { words } = channel
    words[COMMAND] = command
    words[SPINS] = spins ? BUSY_SPINS : 0
    words[STATUS] = FINE
    const turn = ++this.#turn
    const native = shared()
    native.post(channel.buffer, TURN, turn)
    if (native.wait(channel.buffer, DONE, turn - 1, spins ? BUSY_SPINS : 0, LOOK) === turn)
      return words[STATUS]
    const watch = new Watch(this.#vitals, words)
    for (;;) {
      if (native.wait(channel.buffer, DONE, turn - 1, 0, LOOK) === turn) return words[STATUS]
      const moment = watch.look()
      if (!this.alive) throw this.#gone(moment, undefined)
      const stop = look(moment)
      if (stop === undefined) continue
      this.end()
      throw this.#gone(moment, stop)
    }
  }

  /**
   * Milliseconds that the process has had since it was there, of processor time where the system
   * tells it.
   */
  get spent(): number {
    return (this.#vitals.processorTime ?? performance.now() - this.#began) - this.#before
  }

  /** Milliseconds of processor time that the process has had. It must have nothing to do. */
  processorTime(): number | undefined {
    for (let looks = 0; looks < SLEEP_LOOKS && this.#vitals.isAsleep === false; looks++)
      Atomics.wait(NEVER, 0, 0, SLEEP_WAIT)
    return this.#vitals.processorTime
  }

  /** Ends the process and waits for that. */
  end(): void {
    this.#vitals.close()
    if (!this.alive) return
    killGroup(this.#pid)
    while (this.alive) Atomics.wait(this.#slots, this.#at + END, RUNNING, 1000)
  }

  #gone(moment: Moment, stopped: Stop | undefined): Gone {
    const end = Atomics.load(this.#slots, this.#at + END)
    return new Gone(
      moment,
      stopped,
      end === EXHAUSTED,
      end === ENDED && this.#slots[this.#at + SIGNAL] === 1
    )
  }
}

/** Measures how long a process has been where it is, from the first look on. */
class Watch {
  readonly #vitals: Vitals
  readonly #words: Int32Array
  readonly #began = performance.now()
  #wall = this.#began
  #processor: number
  #operation: number
  #accesses: number
  #inCommand = 0
  #inOperation = 0
  #idle = 0
  #touched = false

  constructor(vitals: Vitals, words: Int32Array) {
    this.#vitals = vitals
    this.#words = words
    this.#processor = vitals.processorTime ?? 0
    this.#operation = words[OPERATION]
    this.#accesses = words[ACCESSES]
  }

  look(): Moment {
    const now = performance.now()
    const processor = this.#vitals.processorTime ?? this.#processor + now - this.#wall
    const elapsed = processor - this.#processor
    this.#inCommand += elapsed
    this.#inOperation += elapsed
    this.#idle += elapsed
    const operation = this.#words[OPERATION]
    const accesses = this.#words[ACCESSES]
    if (operation !== this.#operation) {
      this.#inOperation = this.#idle = 0
      this.#touched = false
    } else if (accesses !== this.#accesses) {
      this.#idle = 0
      this.#touched = true
    }
    this.#wall = now
    this.#processor = processor
    this.#operation = operation
    this.#accesses = accesses
    return {
      operation,
      inCommand: this.#inCommand,
      inOperation: this.#inOperation,
      idle: this.#idle,
      waited: now - this.#began,
      touched: this.#touched,
      bytes: this.#vitals.ownBytes
    }
  }
}

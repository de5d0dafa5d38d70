/**
 * One process of a submission, controlled by the judge. It gets one command at a time, is watched
 * while it executes it, and is killed if it takes too much time or memory. What it says is only
 * text for a report. Whether it is alive, its processor time and its memory are figures of the
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

/** Milliseconds between two checks of a busy process. */
const LOOK = 20
/** How often each side polls the channel before it sleeps, between single operations. */
const BUSY_SPINS = 100
/** The most milliseconds of wall-clock time for the start of a process. */
const START = 300_000
/** How often, and for how many milliseconds, to wait until a finished process sleeps. */
const SLEEP_LOOKS = 2000
const SLEEP_WAIT = 0.1

/** A word that nobody writes, to sleep on. */
const NEVER = new Int32Array(new SharedArrayBuffer(4))

/** Why a process was stopped. */
export type Stop = 'time' | 'stuck' | 'memory' | 'idle'

/** The state of a process. Times are milliseconds, of processor time if the system provides it. */
export interface Moment {
  readonly operation: number
  /** The time in this command, in this operation, and since the last sign of life. */
  readonly inCommand: number
  readonly inOperation: number
  readonly idle: number
  /** The wall-clock time in this command. */
  readonly waited: number
  /** Whether this operation has accessed the memory, if that is watched. */
  readonly touched: boolean
  /** The bytes of its private memory. */
  readonly bytes: number
}

/** Thrown if a process is gone: stopped by the judge, or ended by itself. */
export class Gone extends Error {
  override readonly name = 'Gone'
  readonly stopped: Stop | undefined
  /** V8 ran out of memory for JavaScript objects. */
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
   * Starts a process, and waits until it is ready.
   * @param slots the words shared with the thread that starts processes
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
    this.#prepare(NOTHING)
  }

  /**
   * Resets the process: discards everything that its submission loaded and created. Faster than a
   * new process, because Node is already running.
   */
  renew(): void {
    this.channel.words[OPERATION] = LOADING
    this.#prepare(AFRESH)
  }

  /** Waits until the process has obeyed a command. Its time, and that to start, do not count. */
  #prepare(command: number): void {
    this.order(command, ({ waited }) => (waited > START ? 'time' : undefined), false)
    this.#before += this.spent
  }

  get #pid(): number {
    return this.#slots[this.#at + PID]
  }

  get alive(): boolean {
    return this.#pid > 0 && Atomics.load(this.#slots, this.#at + END) === RUNNING
  }

  /**
   * Executes a command. Calls `look` regularly, which returns a reason if the process must stop.
   * @param spins whether an answer is expected too soon for sleeping
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
   * The milliseconds that the process has had since it was ready, of processor time if the system
   * provides it.
   */
  get spent(): number {
    return (this.#vitals.processorTime ?? performance.now() - this.#began) - this.#before
  }

  /** Returns the milliseconds of processor time of the process, which must be idle. */
  processorTime(): number | undefined {
    let last = -1
    for (let looks = 0; looks < SLEEP_LOOKS; looks++) {
      if (this.#vitals.isAsleep !== false) {
        // Linux says that it sleeps shortly before it adds up its time, which must stand still.
        const time = this.#vitals.processorTime
        if (time === undefined || time === last) return time
        last = time
      }
      Atomics.wait(NEVER, 0, 0, SLEEP_WAIT)
    }
    return this.#vitals.processorTime
  }

  /** Ends the process, and waits until it has ended. */
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

/** Measures how long a process has been in its current state. */
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

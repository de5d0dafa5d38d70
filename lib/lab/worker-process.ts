/**
 * A worker as the grader sees it: a process that is given jobs, tells all the while where it is, and can be killed whatever it does.
 * A thread would start sooner, but not every Node stops a thread that fills memory without end.
 */

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import type { Job, Outcome, Report } from './job.js'
import {
  ACCESSES,
  OPERATION,
  PHASE,
  PROCESSOR,
  PROGRESS_FD,
  PROGRESS_WORDS,
  RESIDENT,
  RESIDENT_BEFORE
} from './progress.js'

/** Milliseconds between two looks at a worker. */
const LOOK = 40
const RECORD_BYTES = PROGRESS_WORDS * Int32Array.BYTES_PER_ELEMENT
/** How V8's report on its own end begins, and what it says when memory is the reason. */
const DEATH = /\n?<--- Last few GCs --->|\n?#\n# Fatal |FATAL ERROR: /
const OUT_OF_MEMORY = /out of memory|invalid size error/

/**
 * Where a worker is. Times are milliseconds, of the processor's time where nothing else is said: on a busy machine, or one that slept, a
 * submission is not to blame that it had no turn.
 */
export interface Moment {
  readonly phase: number
  readonly operation: number
  /** Time in this phase, in this operation, and since the last sign of life: an operation begun or the watched memory touched. */
  readonly inPhase: number
  readonly inOperation: number
  readonly idle: number
  /** Time in this phase by the clock on the wall. */
  readonly waited: number
  /** Whether this operation has touched the memory, as far as that is watched. */
  readonly touched: boolean
  /** Bytes that the process has grown since the job began. */
  readonly growth: number
}

/** Why a worker was stopped. */
export type Stop = 'time' | 'stuck' | 'memory' | 'dropped'

/** How a job ended. */
export interface End {
  /** What was reported; undefined when the process ended before. */
  readonly outcome?: Outcome
  readonly stopped?: Stop
  /** V8 gave up: the JavaScript objects had no room. */
  readonly exhausted: boolean
  /** The signal that ended the process, when it was not the grader's. */
  readonly signal?: NodeJS.Signals
  readonly moment: Moment
}

export class WorkerProcess {
  readonly #child: ChildProcess
  /** Resolves when the process has ended and its last words were heard. */
  readonly #ended: Promise<void>
  /** What V8 says of its own end. */
  #death = ''
  #alive = true
  #onWords: (words: Int32Array) => void = () => {}

  /**
   * @param javascript bytes of JavaScript objects
   * @param onOutput hears what the submission prints
   */
  constructor(javascript: number, onOutput: (text: string) => void) {
    this.#child = fork(new URL('./worker.js', import.meta.url), [], {
      execArgv: [`--max-old-space-size=${Math.ceil(javascript / 2 ** 20)}`],
      // Traces go over as they are, in typed arrays.
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc', 'pipe']
    })
    const { stdout, stderr, stdio } = this.#child
    stdout?.setEncoding('utf8').on('data', onOutput)
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      const said = this.#death === '' ? text.search(DEATH) : 0
      if (said === -1) onOutput(text)
      else {
        if (said > 0) onOutput(text.slice(0, said))
        this.#death += text.slice(said)
      }
    })
    stdio[PROGRESS_FD]?.on('data', this.#hear())
    this.#ended = this.#untilEnded()
    // Whoever runs a job or ends the process is told.
    this.#ended.catch(() => {})
  }

  get alive(): boolean {
    return this.#alive
  }

  /**
   * Has the job done. `look` is asked every few moments whether it may go on; it says why when not. Rejects when there is no process
   * to be had.
   */
  async run(job: Job, look: (moment: Moment) => Stop | undefined): Promise<End> {
    const clock = new Clock()
    this.#onWords = words => clock.hear(words)
    let outcome: Outcome | undefined
    let stopped: Stop | undefined
    let onDone = () => {}
    const done = new Promise<void>(resolve => {
      onDone = resolve
    })
    const hear = (report: Report) => {
      outcome = report.outcome
      if (report.done) onDone()
    }
    this.#child.on('message', hear)
    const timer = setInterval(() => {
      stopped ??= look(clock.moment)
      if (stopped !== undefined) this.#child.kill('SIGKILL')
    }, LOOK)
    try {
      // A process that is gone already is noticed below.
      this.#child.send(job, () => {})
      await Promise.race([done, this.#ended])
    } finally {
      clearInterval(timer)
      this.#child.off('message', hear)
    }
    const signal = this.#child.signalCode
    return {
      ...(outcome === undefined ? {} : { outcome }),
      ...(stopped === undefined ? {} : { stopped }),
      exhausted: OUT_OF_MEMORY.test(this.#death),
      ...(signal === null || stopped !== undefined ? {} : { signal }),
      moment: clock.moment
    }
  }

  /** Ends the process and waits for that. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  async #untilEnded(): Promise<void> {
    try {
      await once(this.#child, 'exit')
    } finally {
      this.#alive = false
    }
    // All that it wrote lies in the pipes, and the second turn of the event loop has read them. They need not end: a process that it
    // started may hold them open.
    for (let turns = 0; turns < 2; turns++) await turn()
    for (const stream of this.#child.stdio) stream?.destroy()
  }

  /** Puts the words together again, should they arrive in pieces. */
  #hear(): (bytes: Buffer) => void {
    let rest = Buffer.alloc(0)
    return bytes => {
      const all = Buffer.concat([rest, bytes])
      const whole = all.length - (all.length % RECORD_BYTES)
      for (let at = 0; at < whole; at += RECORD_BYTES) {
        this.#onWords(Int32Array.from({ length: PROGRESS_WORDS }, (_, i) => all.readInt32LE(at + i * 4)))
      }
      rest = all.subarray(whole)
    }
  }
}

/** Measures how long a worker has been where it is. */
class Clock {
  #words: Int32Array = new Int32Array(PROGRESS_WORDS)
  #heard = performance.now()
  #phaseBegan = this.#heard
  #inPhase = 0
  #inOperation = 0
  #idle = 0
  #touched = false

  hear(words: Int32Array): void {
    const isNew = (word: number) => words[word] !== this.#words[word]
    const now = performance.now()
    // Threads of V8 that work side by side have more of the processor's time than there is on the wall.
    const elapsed = Math.min(now - this.#heard, words[PROCESSOR] - this.#words[PROCESSOR])
    this.#inPhase += elapsed
    this.#inOperation += elapsed
    this.#idle += elapsed
    if (isNew(PHASE)) {
      this.#inPhase = 0
      this.#phaseBegan = now
    }
    if (isNew(PHASE) || isNew(OPERATION)) {
      this.#inOperation = this.#idle = 0
      this.#touched = false
    } else if (isNew(ACCESSES)) {
      this.#idle = 0
      this.#touched = true
    }
    this.#heard = now
    this.#words = words
  }

  get moment(): Moment {
    return {
      phase: this.#words[PHASE],
      operation: this.#words[OPERATION],
      inPhase: this.#inPhase,
      inOperation: this.#inOperation,
      idle: this.#idle,
      waited: performance.now() - this.#phaseBegan,
      touched: this.#touched,
      growth: (this.#words[RESIDENT] - this.#words[RESIDENT_BEFORE]) * 1024
    }
  }
}

/**
 * The judge as seen by the rest of the program: a thread that judges, and the processes that it
 * starts.
 */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Case, Job, Outcome } from './job.js'
import { Processes, SLOT_WORDS, SLOTS, type StartRequest } from './processes.js'
import type { ThreadData } from './thread.js'

/** The messages of the thread. */
type Message = { readonly start: StartRequest } | { readonly outcome: Outcome }

export class Judge {
  readonly #thread: Worker
  readonly #processes: Processes
  #onOutcome: (outcome: Outcome) => void = () => {}
  readonly #failed: Promise<never>

  /**
   * @param onOutput called with what the submission prints
   */
  constructor(grading: Case, onOutput: (text: string) => void) {
    const slots = new Int32Array(new SharedArrayBuffer(SLOTS * SLOT_WORDS * 4))
    const data: ThreadData = { grading, slots }
    this.#processes = new Processes(slots, onOutput)
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: data })
    this.#thread.on('message', (message: Message) => {
      if ('start' in message) this.#processes.start(message.start)
      else this.#onOutcome(message.outcome)
    })
    // Rejects if the thread fails.
    this.#failed = once(this.#thread, 'exit').then(() => {
      throw new Error('the judge ended early')
    })
    // The rejection is handled where an outcome is awaited.
    this.#failed.catch(() => {})
  }

  /** Judges a job. Rejects if the judge itself fails. */
  async judge(job: Job): Promise<Outcome> {
    const outcome = new Promise<Outcome>(resolve => {
      this.#onOutcome = resolve
    })
    this.#thread.postMessage(job)
    return Promise.race([outcome, this.#failed])
  }

  /** Ends the thread, and kills all processes. */
  async close(): Promise<void> {
    this.#processes.endAll()
    await this.#thread.terminate()
    this.#processes.endAll()
  }

  /** Kills all processes at once, when the program is about to end. */
  killAll(): void {
    this.#processes.endAll()
  }
}

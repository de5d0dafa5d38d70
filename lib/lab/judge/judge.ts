/**
 * The judge, for the rest of the program: a thread that judges, the processes that it has started,
 * and their end.
 */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Case, Job, Outcome } from './job.js'
import { Processes, SLOT_WORDS, SLOTS, type StartRequest } from './processes.js'
import type { ThreadData } from './thread.js'

/** What the thread sends. */
type Message = { readonly start: StartRequest } | { readonly outcome: Outcome }

export class Judge {
  readonly #thread: Worker
  readonly #processes: Processes
  #onOutcome: (outcome: Outcome) => void = () => {}
  readonly #failed: Promise<never>

  /** @param onOutput hears what the submission prints */
  constructor(grading: Case, onOutput: (text: string) => void) {
    const slots = new Int32Array(new SharedArrayBuffer(SLOTS * SLOT_WORDS * 4))
    const data: ThreadData = { grading, slots }
    this.#processes = new Processes(slots, onOutput)
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), { workerData: data })
    this.#thread.on('message', (message: Message) => {
      if ('start' in message) this.#processes.start(message.start)
      else this.#onOutcome(message.outcome)
    })
    // Rejects with the thread's error, should it have one.
    this.#failed = once(this.#thread, 'exit').then(() => {
      throw new Error('the judge ended early')
    })
    // It is handled where an outcome is awaited.
    this.#failed.catch(() => {})
  }

  /** Judges. Rejects when the judge itself fails. */
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

  /** Kills all processes at once, for a program that is about to end. */
  killAll(): void {
    this.#processes.endAll()
  }
}

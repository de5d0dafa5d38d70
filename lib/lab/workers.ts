/**
 * The workers of one grading. One runs a submission on its traces in turn, as long as all goes well: a process that met a fault may be
 * left in any state, so it is ended, and the next job gets a new one.
 */

import type { Job } from './job.js'
import type { TimeLimits } from './limits.js'
import { type End, type Moment, type Stop, WorkerProcess } from './worker-process.js'

export interface Limits {
  readonly time: TimeLimits
  /** Bytes of JavaScript objects. */
  readonly javascript: number
  /** Hears what the submission prints. */
  readonly onOutput: (text: string) => void
}

export class Workers {
  readonly limits: Limits
  #idle: WorkerProcess | undefined

  /** Starts the first worker, so that it is there when the first job is. */
  constructor(limits: Limits) {
    this.limits = limits
    this.#idle = this.#start()
  }

  /** Has a worker do the job; see `WorkerProcess.run`. */
  async run(job: Job, look: (moment: Moment) => Stop | undefined): Promise<End> {
    // Bytes of JavaScript are counted where nothing else has left any.
    if (job.task === 'state') await this.close()
    const worker = this.#idle?.alive ? this.#idle : this.#start()
    this.#idle = undefined
    const end = await worker.run(job, look)
    const isWell = end.outcome !== undefined && end.outcome.fault === undefined && end.stopped === undefined
    if (isWell && worker.alive && this.#idle === undefined) this.#idle = worker
    else await worker.end()
    return end
  }

  /** Ends the worker that waits for a job. */
  async close(): Promise<void> {
    await this.#idle?.end()
    this.#idle = undefined
  }

  #start(): WorkerProcess {
    return new WorkerProcess(this.limits.javascript, this.limits.onOutput)
  }
}

/**
 * The judge's thread. It blocks while it waits for processes; the thread that started it does the
 * rest.
 */

import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Places } from '../submission/places.js'
import { Bench } from './bench.js'
import type { Case, Job } from './job.js'
import type { StartRequest } from './processes.js'
import { saltedLength } from './salt.js'
import { Trial } from './trial.js'

/** The number of operations of the judge's own replays. */
const LEAST = 1000

/** The data of the thread. */
export interface ThreadData {
  readonly grading: Case
  readonly slots: Int32Array
}

const { grading, slots }: ThreadData = workerData
const port = parentPort
if (port === null) throw new TypeError('this is no thread')

const operations = saltedLength(
  Math.max(LEAST, ...grading.traces.map(trace => Math.max(trace.length, trace.ids)))
)
let slot = 0
const benches = Array.from(
  { length: 4 },
  () =>
    new Bench(
      grading,
      operations,
      slots,
      () => slot++,
      (request: StartRequest) => port.postMessage({ start: request })
    )
)
const [own, clinic, reference, builtIn] = benches
if (own === undefined || clinic === undefined || reference === undefined || builtIn === undefined)
  throw new TypeError()
const places = new Places(readFileSync(grading.script, 'utf8'), grading.sources)
const trial = new Trial(grading, { own, clinic, reference, builtIn }, places)

port.on('message', (job: Job) => {
  const trace = job.task === 'trace' ? grading.traces[job.trace] : undefined
  const outcome =
    job.task === 'trace' && trace !== undefined ? trial.trace(trace, job) : trial.state()
  port.postMessage({ outcome })
})

/**
 * The second thread of a worker. It gets its turn while the submission loops for ever or collects garbage, and tells the grader where
 * that is. When the grader is gone it ends the process, which nobody else would.
 */

import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { PROCESSOR, PROGRESS_FD, RESIDENT } from './progress.js'

/** Milliseconds between two words to the grader. */
const BEAT = 20

const progress: Int32Array = workerData

setInterval(() => {
  const { user, system } = process.cpuUsage()
  progress[PROCESSOR] = (user + system) / 1000
  progress[RESIDENT] = process.memoryUsage.rss() / 1024
  try {
    writeSync(PROGRESS_FD, Int32Array.from(progress))
  } catch {
    process.kill(process.pid, 'SIGKILL')
  }
}, BEAT)

/**
 * When a test counts as hanging. No test measures time, because a machine may be slow or busy.
 * These limits are far above what any test needs.
 */
import { Worker } from 'node:worker_threads'

/** Milliseconds after which a test, or a program that it started, has hung. */
export const HANG = 30 * 60_000

/** Milliseconds of processor time for work that takes less than one. */
const HUNG_CALL = 10 * 60_000

const SCRIPT = `
  const { writeSync } = require('node:fs')
  const { workerData: { beats, limit } } = require('node:worker_threads')
  let last = -1
  let since = 0
  setInterval(() => {
    const { user, system } = process.cpuUsage()
    const now = (user + system) / 1000
    if (beats[0] !== last) {
      last = beats[0]
      since = now
    } else if (now - since > limit) {
      writeSync(2, 'a call hangs\\n')
      process.kill(process.pid, 'SIGKILL')
    }
  }, 1000)`

export interface Watchdog {
  /** Notes that the next call begins. */
  beat(): void
  stop(): Promise<unknown>
}

/**
 * Kills this process if a call hangs. The timers of a thread that hangs don't run, so another
 * thread watches.
 */
export function startWatchdog(limit = HUNG_CALL): Watchdog {
  const beats = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(SCRIPT, { eval: true, workerData: { beats, limit } })
  worker.unref()
  return {
    beat: () => void beats[0]++,
    stop: () => worker.terminate()
  }
}

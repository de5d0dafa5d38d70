/**
 * What counts as a hang. No test measures time: a machine may be slow, or busy with something else.
 * These limits end only what would never end, and are far above what any test needs.
 */
import { Worker } from 'node:worker_threads'

/** Milliseconds after which a test, or a program that it started, has hung. */
export const HANG = 30 * 60_000

/** Milliseconds of processor time for what takes less than one. */
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
  /** Begins the next call. */
  beat(): void
  stop(): Promise<unknown>
}

/**
 * Kills this process when a call hangs. No timer of the thread that hangs would run, so another
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

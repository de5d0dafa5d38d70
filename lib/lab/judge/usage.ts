/** What a process uses, from outside. */

import { readFileSync } from 'node:fs'

/**
 * Milliseconds of processor time of a process's first thread, which runs the JavaScript; undefined
 * where the system doesn't tell.
 */
export function processorTime(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e6
  } catch {
    return undefined
  }
}

/**
 * Whether a process sleeps, so that its processor time is all there is; undefined where the system
 * doesn't tell.
 */
export function isAsleep(pid: number): boolean | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text[text.lastIndexOf(')') + 2] === 'S'
  } catch {
    return undefined
  }
}

/** Bytes in memory that are not shared with others; 0 where the system doesn't tell. */
export function ownBytes(pid: number): number {
  try {
    const [, resident = 0, shared = 0] = readFileSync(`/proc/${pid}/statm`, 'latin1')
      .split(' ')
      .map(Number)
    return (resident - shared) * 4096
  } catch {
    return 0
  }
}

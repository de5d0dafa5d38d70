/**
 * What becomes of the command when nobody takes its output: the reader went away (`offheap … | head`), the disk is full.
 * It ends with a sentence or without one, never with a stack.
 */

import { writeFileSync } from 'node:fs'
import type { Writable } from 'node:stream'

/** As a shell tells that SIGPIPE ended a program: 128 + 13. */
const READER_GONE = 141

/** The streams of this process and how it ends, so that tests can give others. */
export interface Outlets {
  readonly stdout: Writable
  readonly stderr: Writable
  exit(code: number): void
}

/**
 * Ends the process when its standard output fails: with 141 and without a word when the reader is gone, as SIGPIPE ends other
 * programs, else with 1 and a sentence. The code can't be 0: what was found may not have been said. Errors and progress that
 * standard error can't take are lost; the exit code says how the work went.
 */
export function guardOutput({ stdout, stderr, exit }: Outlets = process): void {
  stderr.on('error', () => {})
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') exit(READER_GONE)
    else {
      stderr.write(`offheap: can't write to the standard output: ${error.message}\n`)
      exit(1)
    }
  })
}

/** Writes a file that an option named. Throws an error that says which. */
export function writeOutput(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new Error(`can't write ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

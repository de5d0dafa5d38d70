/**
 * Handles output that can't be written: the reader went away (`offheap … | head`), or the disk is
 * full. The command ends with a message or silently, never with a stack trace.
 */

import { writeFileSync } from 'node:fs'
import type { Writable } from 'node:stream'

/** The exit code in a shell of a program that SIGPIPE ended: 128 + 13. */
const READER_GONE = 141

/** The streams and the exit of the process, which tests replace. */
export interface Outlets {
  readonly stdout: Writable
  readonly stderr: Writable
  exit(code: number): void
}

/**
 * Ends the process when its standard output fails: silently with 141 if the reader is gone, as
 * SIGPIPE ends other programs, else with 1 and a message. Never with 0, because results may be
 * missing. Errors and progress that standard error can't take are lost.
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

/** Writes the file that an option named. Throws an error that names it. */
export function writeOutput(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new Error(
      `can't write ${path}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error }
    )
  }
}

/** The terminal of a subcommand, which tests replace. */

import type { Writable } from 'node:stream'

export interface Io {
  /** Results. */
  readonly out: Writable
  /** Errors and progress. */
  readonly err: Writable
  /** Columns of the terminal. */
  readonly width: number
  /** Whether results may be coloured. */
  readonly color: boolean
  /** Whether the terminal shows ASCII only. */
  readonly ascii: boolean
  /** Whether `err` is a terminal, where progress is drawn. */
  readonly interactive: boolean
}

/** The columns if the output is not a terminal. */
const DEFAULT_WIDTH = 100
const WIDTHS = { min: 40, max: 160 }

/** This process's own terminal. */
export function terminalIo(environment: NodeJS.ProcessEnv = process.env): Io {
  const { stdout, stderr } = process
  const columns = stdout.isTTY ? stdout.columns : DEFAULT_WIDTH
  return {
    out: stdout,
    err: stderr,
    width: Math.min(WIDTHS.max, Math.max(WIDTHS.min, columns || DEFAULT_WIDTH)),
    color: wantsColor(environment, stdout.isTTY === true),
    ascii: isAscii(environment),
    interactive: stderr.isTTY === true
  }
}

/** Follows https://no-color.org and https://force-color.org; otherwise, colours for a terminal. */
export function wantsColor(environment: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (environment.NO_COLOR) return false
  if (environment.FORCE_COLOR) return environment.FORCE_COLOR !== '0'
  return isTerminal && environment.TERM !== 'dumb'
}

/**
 * Does the locale have a character set other than UTF-8? Without a locale, as in containers, assume
 * UTF-8.
 */
export function isAscii(environment: NodeJS.ProcessEnv): boolean {
  const locale = environment.LC_ALL || environment.LC_CTYPE || environment.LANG || ''
  return environment.TERM === 'dumb' || (locale !== '' && !/utf-?8/i.test(locale))
}

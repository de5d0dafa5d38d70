/** Arguments that several subcommands share. */

import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidArgumentError } from 'commander'

const FACTORS = new Map([
  ['', 1],
  ['k', 2 ** 10],
  ['m', 2 ** 20],
  ['g', 2 ** 30]
])

/**
 * Parses bytes such as `4096`, `64K`, `64MiB`, `1.5G`. Throws commander's error for anything else.
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kmg])(?:ib)?|b)?$/i.exec(text.trim())
  const factor = FACTORS.get((match?.[2] ?? '').toLowerCase())
  const bytes = match === null || factor === undefined ? Number.NaN : Number(match[1]) * factor
  if (!Number.isSafeInteger(bytes) || bytes === 0) {
    throw new InvalidArgumentError('Give bytes, or KiB, MiB or GiB such as 64MiB or 1G.')
  }
  return bytes
}

/**
 * An error in the command line that commander doesn't detect; ends the command with exit code 2.
 */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A path without a trace. */
export interface Refused {
  readonly path: string
  readonly reason: string
}

/**
 * Finds trace files: the files among `paths`, and every `.rep` and `.rep.gz` in the folders,
 * sorted.
 */
export async function lookForTraces(
  paths: readonly string[]
): Promise<{ found: string[]; refused: Refused[] }> {
  const found: string[] = []
  const refused: Refused[] = []
  for (const path of paths) {
    try {
      const info = await stat(path)
      if (!info.isDirectory()) found.push(path)
      else {
        const names = (await readdir(path)).filter(name => /\.rep(\.gz)?$/.test(name)).sort()
        if (names.length === 0)
          refused.push({ path, reason: `the folder ${path} holds no .rep or .rep.gz file` })
        found.push(...names.map(name => join(path, name)))
      }
    } catch (error) {
      refused.push({ path, reason: whyNot(path, error) })
    }
  }
  return { found, refused }
}

function whyNot(path: string, error: unknown): string {
  const isMissing =
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOENT' || error.code === 'ENOTDIR')
  if (isMissing) return `there is no file or folder ${path}`
  return `can't look into ${path}: ${error instanceof Error ? error.message : String(error)}`
}

/** Finds all trace files. Throws `UsageError` for a path without one. */
export async function findTraces(paths: readonly string[]): Promise<string[]> {
  const { found, refused } = await lookForTraces(paths)
  for (const { reason } of refused) throw new UsageError(reason)
  return found
}

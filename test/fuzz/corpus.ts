/** The inputs that are kept: those which, together, reach all that was ever reached. Named by what they hold. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TargetName } from './targets.js'

/** The inputs in `folder` for a target, by file name. */
export function readCorpus(folder: string, target: TargetName): Map<string, Uint8Array> {
  const place = join(folder, target)
  const names = existsSync(place) ? readdirSync(place).sort() : []
  return new Map(names.map(name => [name, new Uint8Array(readFileSync(join(place, name)))]))
}

/** A name for an input. */
export function nameOf(input: Uint8Array): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16)
}

/** Makes these inputs, and no others, the corpus of a target. */
export function writeCorpus(folder: string, target: TargetName, inputs: readonly Uint8Array[]): void {
  const place = join(folder, target)
  rmSync(place, { recursive: true, force: true })
  mkdirSync(place, { recursive: true })
  for (const input of inputs) writeFileSync(join(place, nameOf(input)), input)
}

/**
 * The inputs that are kept: together they reach everything that was ever reached. One compressed
 * file holds them, as JSON: for each target the inputs in base64, the shortest first.
 */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { type TargetName, targetNames } from './targets.js'

/** The inputs in `file` for a target, by name. */
export function readCorpus(file: string, target: TargetName): Map<string, Uint8Array> {
  return new Map(read(file)[target].map(input => [nameOf(input), input]))
}

/** A name for an input. */
export function nameOf(input: Uint8Array): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16)
}

/** Makes these inputs, and no others, the corpus of a target. */
export function writeCorpus(file: string, target: TargetName, inputs: readonly Uint8Array[]): void {
  const all = {
    ...read(file),
    [target]: inputs.toSorted((a, b) => a.length - b.length || Buffer.compare(a, b))
  }
  const texts = targetNames.map(name => [
    name,
    all[name].map(input => Buffer.from(input).toString('base64'))
  ])
  writeFileSync(file, gzipSync(JSON.stringify(Object.fromEntries(texts)), { level: 9 }))
}

function read(file: string): Record<TargetName, Uint8Array[]> {
  const all: Record<TargetName, Uint8Array[]> = { heap: [], trace: [], events: [], file: [] }
  if (!existsSync(file)) return all
  const texts: Partial<Record<TargetName, string[]>> = JSON.parse(
    gunzipSync(readFileSync(file)).toString()
  )
  for (const name of targetNames)
    all[name] = (texts[name] ?? []).map(text => new Uint8Array(Buffer.from(text, 'base64')))
  return all
}

/** The results of a run as JSON: every sample, and the machine. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../paths.js'
import type { PartResult } from '../run/run.js'
import type { TargetRow } from '../run/targets.js'

export interface Environment {
  readonly node: string
  readonly cpu: string
  readonly system: string
  readonly date: string
}

export interface Results {
  readonly environment: Environment
  readonly rounds: number
  readonly sampleMs: number
  /** The contenders that could not run, and why. */
  readonly absent: Readonly<Record<string, string>>
  targets?: readonly TargetRow[]
  parts?: readonly PartResult[]
}

/** This machine, and the Node binary that measures. */
export function environment(node: string): Environment {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
  const cpu = cpus()[0]?.model ?? 'unknown processor'
  const date = new Date().toISOString().slice(0, 10)
  return { node: version, cpu, system: `${process.platform} ${release()}`, date }
}

/** Writes the results, without the path of the checkout. */
export function writeResults(file: string, results: Results): void {
  const parent = join(ROOT, '../')
  const withoutRoot = (_key: string, value: unknown) =>
    typeof value === 'string' ? value.replaceAll(ROOT, '').replaceAll(parent, '../') : value
  writeFileSync(file, `${JSON.stringify(results, withoutRoot, 1)}\n`)
}

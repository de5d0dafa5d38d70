/**
 * Reads the configuration of a lab: weights, thresholds, limits, steps. labs/lab.jsonc ships with
 * the lab and explains each entry; this file validates them.
 */

import { closeSync, openSync, readSync } from 'node:fs'
import { inspect } from '../../errors.js'

export interface Scale {
  /** Values up to this one are worth nothing. */
  readonly none: number
  /** Values from this one on are worth everything. */
  readonly full: number
  /** Other values of `full` for some traces, by name. */
  readonly fullOf?: Readonly<Record<string, number>>
}

export interface Step {
  readonly step: number
  readonly title: string
  /** The names of traces. Default: all. */
  readonly traces?: readonly string[]
  /** Whether the allocator must have a calloc. Default: its malloc is called instead. */
  readonly calloc?: boolean
  /** Whether to measure offheap's own heap on the same traces, for comparison. */
  readonly builtIn?: boolean
  readonly utilization: Scale
  readonly throughput: Scale
  readonly cost: Scale
}

export interface LabConfig {
  /** The points for correctness and for performance. Their sum is the maximum. */
  readonly points: { readonly correctness: number; readonly performance: number }
  /** The exponents of utilization and throughput in the performance of a trace. Their sum is 1. */
  readonly weights: { readonly utilization: number; readonly throughput: number }
  readonly utilization: Scale
  /** Shares of the reference allocator's speed, by processor time. */
  readonly throughput: Scale
  /** Shares of the reference allocator's speed, by words read and written. */
  readonly cost: Scale
  /**
   * How throughput is measured: by processor time, or by words read and written, which are the
   * same in every run.
   */
  readonly throughputBy: 'time' | 'cost'
  /** Traces with fewer operations are checked, but not measured. */
  readonly minimumOperations: number
  /** The alignment of payloads, in bytes. */
  readonly alignment: number
  /** Seconds of processor time for each trace, unless --timeout overrides it. */
  readonly timeout: number
  /** The most mapped memory, and JavaScript objects, in MiB. */
  readonly memory: number
  readonly javascriptMemory: number
  /** Seconds spent on timing each trace. */
  readonly timing: number
  /** Whether state outside the mapped memory makes a submission invalid, or only adds a note. */
  readonly stateOutside: 'fault' | 'note'
  readonly steps: readonly Step[]
}

/** The default scales. */
const TIME: Scale = { none: 0.002, full: 1 }
const COST: Scale = { none: 0.0005, full: 0.5 }

/** The largest configuration, in bytes. */
const MOST_BYTES = 2 ** 20

/** An invalid configuration. The message names the file and the entry. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** Reads a configuration. Throws `ConfigError`. */
export function readConfig(path: string): LabConfig {
  let text: string
  try {
    text = readText(path)
  } catch (error) {
    throw new ConfigError(
      `${path}: can't be read: ${error instanceof Error ? error.message : String(error)}`
    )
  }
  return parseConfig(text, path)
}

/** Reads a file. Rejects endless ones, such as /dev/zero, as too large. */
function readText(path: string): string {
  const bytes = Buffer.alloc(MOST_BYTES + 1)
  const file = openSync(path, 'r')
  try {
    let length = 0
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(file, bytes, length, bytes.length - length, null)
    }
    if (length > MOST_BYTES) throw new Error(`it is larger than ${MOST_BYTES} bytes`)
    return bytes.toString('utf8', 0, length)
  } finally {
    closeSync(file)
  }
}

/** Parses JSON in which lines that begin with `//` are comments. Throws `ConfigError`. */
export function parseConfig(text: string, path: string): LabConfig {
  let value: unknown
  try {
    value = JSON.parse(text.replace(/^\s*\/\/.*$/gm, ''))
  } catch (error) {
    throw new ConfigError(
      `${path}: ${error instanceof Error ? error.message : String(error)}; comments need ` +
        'lines of their own'
    )
  }
  const reader = new Reader(path, '', value)
  const points = reader.inner('points')
  const weights = reader.inner('weights')
  const config: LabConfig = {
    points: {
      correctness: points.number('correctness', 0, 1000),
      performance: points.number('performance', 0, 1000)
    },
    weights: {
      utilization: weights.number('utilization', 0, 1),
      throughput: weights.number('throughput', 0, 1)
    },
    utilization: reader.inner('utilization').scale(0, 1),
    ...throughputOf(reader),
    minimumOperations: reader.integer('minimumOperations', 1, 2 ** 27),
    alignment: reader.integer('alignment', 8, 4096),
    timeout: reader.number('timeout', 0.1, 3600),
    memory: reader.integer('memory', 1, 1024),
    javascriptMemory: reader.integer('javascriptMemory', 16, 4096),
    timing: reader.number('timing', 0.01, 60),
    stateOutside: reader.choice('stateOutside', ['fault', 'note']),
    steps: reader.list('steps').map(stepOf)
  }
  for (const each of [reader, points, weights]) each.finish()
  if (Math.abs(config.weights.utilization + config.weights.throughput - 1) > 1e-9) {
    throw new ConfigError(`${path}: the two "weights" must add up to 1`)
  }
  if (!Number.isInteger(Math.log2(config.alignment)))
    throw new ConfigError(`${path}: "alignment" must be a power of two`)
  return config
}

/** Reads "throughput": `"time"`, `"cost"`, or the scale for time. */
function throughputOf(reader: Reader): Pick<LabConfig, 'throughput' | 'throughputBy' | 'cost'> {
  const cost = reader.has('cost') ? reader.inner('cost').scale(1e-6, 100) : COST
  if (!reader.holdsText('throughput'))
    return { throughput: reader.inner('throughput').scale(1e-6, 100), throughputBy: 'time', cost }
  const throughputBy = reader.choice('throughput', ['time', 'cost'])
  return { throughput: TIME, throughputBy, cost }
}

function stepOf(reader: Reader): Step {
  const step: Step = {
    step: reader.integer('step', 1, 100),
    title: reader.text('title'),
    ...(reader.has('traces') ? { traces: reader.texts('traces') } : {}),
    ...(reader.has('calloc') ? { calloc: reader.flag('calloc') } : {}),
    ...(reader.has('builtIn') ? { builtIn: reader.flag('builtIn') } : {}),
    utilization: reader.inner('utilization').scale(0, 1),
    throughput: reader.inner('throughput').scale(1e-6, 100),
    cost: reader.has('cost') ? reader.inner('cost').scale(1e-6, 100) : COST
  }
  reader.finish()
  for (const { fullOf = {} } of [step.utilization, step.throughput, step.cost]) {
    const stray = Object.keys(fullOf).find(name => step.traces?.includes(name) === false)
    if (stray !== undefined) throw reader.stray(stray)
  }
  return step
}

/** An object of the configuration. Records which of its entries were read. */
class Reader {
  readonly #file: string
  readonly #path: string
  readonly #entries: ReadonlyMap<string, unknown>
  readonly #seen = new Set<string>()

  constructor(file: string, path: string, value: unknown) {
    this.#file = file
    this.#path = path
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.#wrong('', 'an object', value)
    this.#entries = new Map(Object.entries(value))
  }

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  holdsText(name: string): boolean {
    return typeof this.#entries.get(name) === 'string'
  }

  inner(name: string): Reader {
    return new Reader(this.#file, this.#nameOf(name), this.#take(name))
  }

  number(name: string, least: number, most: number): number {
    const value = this.#take(name)
    if (typeof value === 'number' && value >= least && value <= most) return value
    throw this.#wrong(name, `a number from ${least} to ${most}`, value)
  }

  integer(name: string, least: number, most: number): number {
    const value = this.#take(name)
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
      return value
    throw this.#wrong(name, `an integer from ${least} to ${most}`, value)
  }

  flag(name: string): boolean {
    const value = this.#take(name)
    if (typeof value === 'boolean') return value
    throw this.#wrong(name, 'true or false', value)
  }

  text(name: string): string {
    const value = this.#take(name)
    if (typeof value === 'string') return value
    throw this.#wrong(name, 'a string', value)
  }

  texts(name: string): string[] {
    const value = this.#take(name)
    if (Array.isArray(value) && value.every(each => typeof each === 'string')) return value
    throw this.#wrong(name, 'a list of strings', value)
  }

  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice {
    const value = this.#take(name)
    const chosen = choices.find(choice => choice === value)
    if (chosen !== undefined) return chosen
    throw this.#wrong(name, choices.map(choice => `"${choice}"`).join(' or '), value)
  }

  list(name: string): Reader[] {
    const value = this.#take(name)
    if (!Array.isArray(value)) throw this.#wrong(name, 'a list', value)
    return value.map((each, i) => new Reader(this.#file, `${this.#nameOf(name)}[${i}]`, each))
  }

  /** Reads `none`, `full`, and the `full` of some traces under their names. */
  scale(least: number, most: number): Scale {
    const none = this.number('none', least, most)
    const full = this.number('full', least, most)
    const fullOf: Record<string, number> = {}
    for (const name of this.#entries.keys())
      if (!this.#seen.has(name)) fullOf[name] = this.number(name, least, most)
    for (const value of [full, ...Object.values(fullOf)]) {
      if (none >= value)
        throw new ConfigError(`${this.#file}: in "${this.#path}", "none" must be less than "full"`)
    }
    return { none, full, fullOf }
  }

  /** Throws if there are other entries: misspelt names must not be ignored. */
  finish(): void {
    for (const name of this.#entries.keys()) {
      if (!this.#seen.has(name))
        throw new ConfigError(
          `${this.#file}: "${this.#nameOf(name)}" is no entry of a lab's configuration`
        )
    }
  }

  stray(name: string): ConfigError {
    return new ConfigError(
      `${this.#file}: in "${this.#path}", "${name}" is neither an entry nor one of its "traces"`
    )
  }

  #take(name: string): unknown {
    this.#seen.add(name)
    return this.#entries.get(name)
  }

  #nameOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  #wrong(name: string, expected: string, value: unknown): ConfigError {
    const found = value === undefined ? 'it is missing' : `found ${inspect(value)}`
    const entry = name === '' ? this.#path || 'the file' : `"${this.#nameOf(name)}"`
    return new ConfigError(`${this.#file}: ${entry} must be ${expected}; ${found}`)
  }
}

/**
 * Which statements and branches of the library an input runs, and how often: counters that Istanbul writes into the compiled
 * modules. An input that raises one of them to a power of two that no other reached is worth keeping.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInstrumenter } from 'istanbul-lib-instrument'

/** The rooms whose code is counted. */
const ROOMS = ['layout', 'placement', 'engine', 'hardened', 'heap', 'trace']

/** Puts counters into the compiled modules of the library in `folder`. */
export function instrument(folder: string): void {
  const instrumenter = createInstrumenter({ esModules: true, compact: false })
  for (const room of ROOMS) {
    for (const name of readdirSync(join(folder, room), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.js')) continue
      const path = join(folder, room, name)
      writeFileSync(path, instrumenter.instrumentSync(readFileSync(path, 'utf8'), path))
    }
  }
}

/** One file's counters, as Istanbul keeps them: of statements, and of the ways that each branch can go, numbered from 0. */
interface FileCounters {
  readonly s: Record<number, number>
  readonly b: Record<string, number[]>
}

function isCoverage(value: unknown): value is Record<string, FileCounters> {
  return typeof value === 'object' && value !== null
}

export class Coverage {
  /** Groups of counters, each numbered from 0, and how many there are in each. */
  readonly #groups: { readonly counters: Record<number, number>; readonly length: number }[] = []
  /** For each counter a bit for each power of two that it reached. */
  readonly #seen: Uint32Array

  /** Takes in the counters of all modules that are loaded now. */
  constructor() {
    const coverage: unknown = Reflect.get(globalThis, '__coverage__')
    if (!isCoverage(coverage)) throw new Error('no module has counters: run instrument() first')
    for (const { s, b } of Object.values(coverage)) {
      this.#groups.push({ counters: s, length: Object.keys(s).length })
      for (const ways of Object.values(b)) this.#groups.push({ counters: ways, length: ways.length })
    }
    this.#seen = new Uint32Array(this.#groups.reduce((sum, { length }) => sum + length, 0))
  }

  get total(): number {
    return this.#seen.length
  }

  /** How many counters were ever raised. */
  get reached(): number {
    return this.#seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0)
  }

  /** Reads and clears what one input did: what is new about it, and how many statements and branches were run in all. */
  take(): { fresh: boolean; first: boolean; steps: number } {
    let fresh = false
    let first = false
    let steps = 0
    let at = 0
    for (const { counters, length } of this.#groups) {
      for (let i = 0; i < length; i++, at++) {
        const count = counters[i]
        if (count === 0) continue
        counters[i] = 0
        steps += count
        const bit = 1 << Math.min(31, 32 - Math.clz32(count - 1))
        if ((this.#seen[at] & bit) !== 0) continue
        fresh = true
        if (this.#seen[at] === 0) first = true
        this.#seen[at] |= bit
      }
    }
    return { fresh, first, steps }
  }

  /** Forgets what was reached. */
  forget(): void {
    this.take()
    this.#seen.fill(0)
  }
}

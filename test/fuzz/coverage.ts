/**
 * Which blocks of the library's code an input runs, and how often, as V8 counts them. An input is
 * kept if it takes one of these counts to a power of two that no other input reached.
 */
import { type Profiler, Session } from 'node:inspector'

/** The folders whose code is counted. */
const ROOMS = /\/lib\/(?:layout|placement|engine|hardened|heap|trace)\//

/** The coverage of one input. */
export interface Taken {
  /** Whether a count reached a new power of two. */
  readonly fresh: boolean
  /** Whether a block ran, or was left out, for the first time. */
  readonly first: boolean
  /** How often blocks ran, in all. */
  readonly steps: number
}

export class Coverage {
  readonly #session = new Session()
  /**
   * By file and position, a bit for each power of two that the count reached; bit 0 means that the
   * block did not run.
   */
  readonly #seen = new Map<string, number>()

  constructor() {
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** How many blocks were ever counted. */
  get reached(): number {
    return this.#seen.size
  }

  /** Reads and clears the counts since the last call. */
  take(): Taken {
    let fresh = false
    let first = false
    let steps = 0
    for (const { url, functions } of this.#counted()) {
      if (!ROOMS.test(url)) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          steps += count
          const key = `${url} ${startOffset} ${endOffset}`
          const bit = count === 0 ? 1 : 1 << Math.min(31, 33 - Math.clz32(count - 1))
          const bits = this.#seen.get(key) ?? 0
          if ((bits & bit) !== 0) continue
          fresh = true
          if (bits === 0 || bits === 1 || bit === 1) first = true
          this.#seen.set(key, bits | bit)
        }
      }
    }
    return { fresh, first, steps }
  }

  /** Forgets everything that was reached. */
  forget(): void {
    this.take()
    this.#seen.clear()
  }

  #counted(): Profiler.ScriptCoverage[] {
    let scripts: Profiler.ScriptCoverage[] = []
    // A session of the same thread answers at once.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw new Error(error.message)
      scripts = answer.result
    })
    return scripts
  }
}

/** The measurements of contenders at one piece of work. */
import { median, netOf, ratio } from '#lib/bench/statistics.js'
import { contenderOf, FLOORS } from '../contenders/contenders.js'
import type { Measurement } from '../process/entry.js'

/**
 * With this many page faults per 1,000 operations or more, most of the time is that of the system.
 */
export const MANY_FAULTS = 5

export class Race {
  readonly #measured: ReadonlyMap<string, Measurement>

  constructor(measurements: readonly Measurement[]) {
    this.#measured = new Map(measurements.map(one => [one.contender, one]))
  }

  get contenders(): string[] {
    return [...this.#measured.keys()]
  }

  /** ns per operation in each round; empty if it was not measured or failed. */
  samples(id: string): readonly number[] {
    return this.#measured.get(id)?.samples ?? []
  }

  /** The median ns per operation; NaN if there are no samples. */
  median(id: string): number {
    return median(this.samples(id))
  }

  /** A fact: the median over the processes; NaN if there is none. */
  fact(id: string, name: string): number {
    return median(this.#measured.get(id)?.facts.flatMap(facts => facts[name] ?? []) ?? [])
  }

  /** Why nothing was measured, in one line. */
  error(id: string): string | undefined {
    return this.#measured.get(id)?.error?.split('\n')[0]
  }

  /** ours / theirs as measured; NaN if one of them is missing. */
  ratio(ours: string, theirs: string): number {
    return ratio(this.samples(ours), this.samples(theirs))
  }

  /**
   * The ratio net of floors: without the time of each contender's loop, if it was measured too. NaN
   * if nothing remains.
   */
  netRatio(ours: string, theirs: string): number {
    const value = ratio(this.#net(ours), this.#net(theirs))
    return value > 0 && Number.isFinite(value) ? value : Number.NaN
  }

  /**
   * Whether the C library spends its time on page faults: it returns memory to the system and gets
   * it back.
   */
  get paysForPages(): boolean {
    return this.fact('glibc', 'faults') > MANY_FAULTS
  }

  #net(id: string): number[] {
    return netOf(this.samples(id), this.samples(FLOORS[contenderOf(id).loop]))
  }
}

/** The measurements of contenders at one piece of work. */
import { median, netOf, ratio } from '#lib/bench/statistics.js'
import { contenderOf, FLOORS } from '../contenders/contenders.js'
import type { Measurement } from '../process/entry.js'

/** From this many page faults per 1,000 operations on, mostly the system is measured. */
export const MANY_FAULTS = 5

export class Race {
  readonly #measured: ReadonlyMap<string, Measurement>

  constructor(measurements: readonly Measurement[]) {
    this.#measured = new Map(measurements.map(one => [one.contender, one]))
  }

  get contenders(): string[] {
    return [...this.#measured.keys()]
  }

  /** ns per operation in each round; empty when it was not measured or failed. */
  samples(id: string): readonly number[] {
    return this.#measured.get(id)?.samples ?? []
  }

  /** ns per operation; NaN when there are none. */
  median(id: string): number {
    return median(this.samples(id))
  }

  /** A figure beside the samples: the median over the processes, NaN when there is none. */
  fact(id: string, name: string): number {
    return median(this.#measured.get(id)?.facts.flatMap(facts => facts[name] ?? []) ?? [])
  }

  /** Why nothing was measured, in one line. */
  error(id: string): string | undefined {
    return this.#measured.get(id)?.error?.split('\n')[0]
  }

  /** ours / theirs as measured; NaN when one of them is not there. */
  ratio(ours: string, theirs: string): number {
    return ratio(this.samples(ours), this.samples(theirs))
  }

  /**
   * The ratio net of floors: without the time of each contender's loop, where it was measured too.
   * NaN when that leaves nothing.
   */
  netRatio(ours: string, theirs: string): number {
    const value = ratio(this.#net(ours), this.#net(theirs))
    return value > 0 && Number.isFinite(value) ? value : Number.NaN
  }

  /**
   * Whether the C library spends its time in page faults: it gives memory back and fetches it
   * again.
   */
  get paysForPages(): boolean {
    return this.fact('glibc', 'faults') > MANY_FAULTS
  }

  #net(id: string): number[] {
    return netOf(this.samples(id), this.samples(FLOORS[contenderOf(id).loop]))
  }
}

/** The settings of a run. */
import type { Asked, Clock, Entry, Measurement } from '../process/entry.js'
import { measure, measureOnce } from '../process/measure.js'
import { Race } from './race.js'

export interface Settings {
  readonly rounds: number
  /** Least milliseconds of a sample. */
  readonly sampleMs: number
  /** Operations before the first sample. */
  readonly warmOperations: number
  readonly clock: Clock
  /** The Node binary that measures. */
  readonly node: string
  /** Paths of the recordings. */
  readonly traces: readonly string[]
  /** Whether a contender can run on this machine. */
  has(id: string): boolean
  /** Called after each sample and each start. */
  onStep?(entry: Entry): void
}

/** Compares entries in warm processes or, with `once`, in a fresh process every round. */
export function measureAll(
  asked: readonly Asked[],
  settings: Settings,
  once = false
): Promise<Measurement[]> {
  const { warmOperations, clock } = settings
  const entries = asked.map(one => ({ ...one, warmOperations, clock, once }))
  return (once ? measureOnce : measure)(entries, settings)
}

/** Compares contenders at one piece of work. Leaves out those that can't run. */
export async function race(
  ids: readonly string[],
  work: Asked['work'],
  settings: Settings,
  once = false
): Promise<Race> {
  const asked = ids.filter(id => settings.has(id)).map(contender => ({ contender, work }))
  return new Race(await measureAll(asked, settings, once))
}

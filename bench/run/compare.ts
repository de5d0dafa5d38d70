/**
 * A few contenders on a few recordings, to tune an allocator: `npm run bench -- --compare
 * segregated-fit,glibc --traces ../shared/traces`.
 */
import { FLOORS } from '../contenders/contenders.js'
import type { Race } from './race.js'
import { race, type Settings } from './settings.js'
import { traceLabels } from './traces.js'

export interface Compared {
  /** The others are compared with the last one. */
  readonly contenders: readonly string[]
  readonly races: ReadonlyMap<string, Race>
}

/** Calls `onRace` after each recording. */
export async function compare(
  contenders: readonly string[],
  settings: Settings,
  onRace: (label: string) => void
): Promise<Compared> {
  const ids = [...new Set([...contenders, ...Object.values(FLOORS)])]
  const labels = traceLabels(settings.traces)
  const races = new Map<string, Race>()
  for (const [i, path] of settings.traces.entries()) {
    const label = labels[i] ?? path
    races.set(label, await race(ids, { kind: 'trace', path }, settings))
    onRace(label)
  }
  return { contenders, races }
}

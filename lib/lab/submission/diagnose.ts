/**
 * Runs the beginning of a trace with every access watched, to find the line that did what the judge
 * has seen, or something that only shows from inside: an access outside of the heap, a look into a
 * payload. All of it happens in the submission's own process. It finds words for a verdict, and
 * defects that the submission has no reason to make up; it acquits nobody.
 */

import { ACCESSES, type Channel, CREATING, OPERATION } from './channel.js'
import { type Fault, FaultFound } from './fault.js'
import { allocatorOf } from './load.js'
import { type Create, LabMemory } from './memory.js'
import type { Places } from './places.js'
import { spyOn } from './spy.js'
import { StrictWatcher } from './strict.js'
import { thrownFrom } from './thrown.js'
import { Verifier } from './verify.js'
import type { World } from './world.js'
import { Writers } from './writers.js'

export interface Diagnosis {
  readonly places: Places
  /** Bytes that `sbrk` hands out. */
  readonly limit: number
  /** The first operation that is not done. */
  readonly until: number
  /** Stops before an operation once there were so many accesses. */
  readonly most: number
  /** The id whose payload is compared after every operation; -1 for none. */
  readonly watch: number
  readonly checkInterval: number
  readonly alignment: number
  /** Whether to remember who wrote each word. */
  readonly writers: boolean
}

export function diagnose(
  world: World,
  create: Create,
  channel: Channel,
  options: Diagnosis
): Fault | undefined {
  const { fault, reads } = run(world, create, channel, options, new Writers([]))
  if (fault === undefined || !options.writers || reads.length === 0) return fault
  // Once more, now that it is known which words to watch.
  const writers = new Writers(reads)
  const again = run(world, create, channel, options, writers)
  if (again.fault?.operation !== fault.operation) return fault
  const lines = writers.describe(channel.trace(), again.valueAt)
  return {
    ...fault,
    details: [...fault.details, 'What it had read last:', ...lines.map(line => `  ${line}`)]
  }
}

interface Run {
  readonly fault: Fault | undefined
  /** The words that the last operation read last, the newest first. */
  readonly reads: readonly number[]
  readonly valueAt: (word: number) => number
}

function run(
  world: World,
  create: Create,
  channel: Channel,
  options: Diagnosis,
  writers: Writers
): Run {
  const { words } = channel
  const { places } = options
  words[OPERATION] = CREATING
  words[ACCESSES] = 0
  const lab = new LabMemory(options.limit)
  const watcher = new StrictWatcher(lab, places, words, writers)
  const found = (fault: Fault | undefined): Run => {
    const { reads } = watcher
    const values = new Map(reads.map(word => [word, lab.views.u32[word / 4]]))
    return { fault, reads, valueAt: word => values.get(word) ?? 0 }
  }
  try {
    lab.guard()
    const face = lab.faceOver(spyOn(lab.views, watcher))
    const thrown = (error: unknown) => thrownFrom(world.describe(error), places)
    const allocator = allocatorOf(create(face))
    const verifier = new Verifier(channel.trace(), lab, allocator, { ...options, thrown })
    watcher.follow(verifier)
    for (let i = 0; i < options.until && words[ACCESSES] >>> 0 < options.most; i++) {
      words[OPERATION] = i
      verifier.step(i)
      if (watcher.fault !== undefined) break
    }
    return found(watcher.fault)
  } catch (error) {
    if (watcher.fault !== undefined) return found(watcher.fault)
    if (!(error instanceof FaultFound)) throw error
    return found(watcher.explain(error.fault))
  } finally {
    lab.close()
  }
}

/**
 * Runs the beginning of a trace and watches every access, to find the line that caused what the
 * judge saw, or a defect that shows only from inside: an access outside the heap, a read of another
 * payload. It runs in the submission's process. It can describe a defect or find another one, but
 * it never makes a submission valid.
 */

import { causeOf, type Evidence } from './cause.js'
import { ACCESSES, type Channel, CREATING, OPERATION } from './channel.js'
import { type Fault, FaultFound } from './fault.js'
import { History } from './history.js'
import { allocatorOf } from './load.js'
import type { Create, LabMemory } from './memory.js'
import { type Places, thrownFrom } from './places.js'
import { spyOn } from './spy.js'
import { StrictWatcher } from './strict.js'
import { Verifier } from './verify.js'
import type { World } from './world.js'

export interface Diagnosis {
  readonly places: Places
  /** The memory of the allocator, with any contents. */
  readonly lab: LabMemory
  /** The end of the operations to run, exclusive. */
  readonly until: number
  /** Stop before the next operation after this many accesses. */
  readonly most: number
  /** The id whose payload is checked after every operation; -1 for none. */
  readonly watch: number
  readonly checkInterval: number
  readonly alignment: number
  readonly needsCalloc: boolean
  /** Whether to record who wrote each word. */
  readonly writers: boolean
}

export function diagnose(
  world: World,
  create: Create,
  channel: Channel,
  options: Diagnosis
): Fault | undefined {
  const { fault, evidence } = run(world, create, channel, options, new History())
  if (fault === undefined || !options.writers || evidence === undefined) return fault
  const wanted = new Set<number>()
  causeOf(evidence, write => {
    wanted.add(write)
    return ''
  })
  const reads = evidence.reads.slice(0, READS_TOLD)
  for (const { at } of reads) wanted.add(evidence.history.last(at))
  // Run again, and record the lines of the writes that the description needs.
  const again = run(world, create, channel, options, new History(wanted))
  if (again.fault?.operation !== fault.operation || again.evidence === undefined) return fault
  const { history } = again.evidence
  const cause = causeOf(again.evidence, write => history.nameOf(write))
  const lines = reads.map(
    ({ at, value }) => `  the word at byte ${at}, ${value}: ${history.describe(at)}`
  )
  const read = lines.length === 0 ? [] : ['What it had read last:', ...lines]
  return { ...fault, cause: cause || fault.cause, details: [...fault.details, ...read] }
}

/** The most words read by the operation that are reported. */
const READS_TOLD = 4

interface Run {
  readonly fault: Fault | undefined
  readonly evidence: Evidence | undefined
}

function run(
  world: World,
  create: Create,
  channel: Channel,
  options: Diagnosis,
  history: History
): Run {
  const { words } = channel
  const { lab, places } = options
  words[OPERATION] = CREATING
  words[ACCESSES] = 0
  const watcher = new StrictWatcher(lab, places, words, history)
  let verifier: Verifier | undefined
  const found = (fault: Fault | undefined): Run => ({
    fault,
    evidence:
      fault === undefined || verifier === undefined
        ? undefined
        : watcher.evidence(verifier, fault.kind)
  })
  try {
    lab.clear()
    lab.guard()
    const face = lab.faceOver(spyOn(lab.views, watcher))
    const thrown = (error: unknown) => thrownFrom(world.describe(error), places)
    const allocator = allocatorOf(create(face))
    verifier = new Verifier(channel.trace(), lab, allocator, { ...options, thrown })
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
  }
}

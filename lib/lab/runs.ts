/** The ways in which the worker runs a trace on a submission. */

import { Heap } from '../heap/heap.js'
import { type Fault, FaultFound, type FaultParts, faultOf, placesIn } from './fault.js'
import { HINTS } from './hints.js'
import type { Timing, TraceJob } from './job.js'
import type * as Mapped from './memory.js'
import { type Allocator, type Create, LabMemory, type Memory } from './memory.js'
import { ACCESSES, DIAGNOSING, OPERATION, PAIRING, PHASE, TIMING, VERIFYING } from './progress.js'
import type * as Reference from './reference.js'
import { spyOn } from './spy.js'
import { StrictWatcher } from './strict.js'
import type * as Timed from './timed.js'
import { Verifier, type VerifySettings } from './verify.js'

/** Loads the submission anew, with its top-level variables as they are at the beginning. */
export type Load = () => Promise<Create>

export interface RunJob extends Omit<TraceJob, 'task'> {
  /** Told where the run is; see `progress.ts`. */
  readonly progress: Int32Array
}

/** Accesses to watch for an explanation. Counted, as is all that a verdict depends on: it must be the same on every machine. */
export const DIAGNOSIS_ACCESSES = 30_000_000
/** Of a valid trace so many operations are watched, access by access… */
const STRICT_OPERATIONS = 3000
/** …and about so many accesses at most. */
const STRICT_ACCESSES = 4_000_000
/** So much of a trace is run on two heaps side by side. */
const PAIRED_OPERATIONS = 1000

export interface Verdict {
  readonly fault?: Fault
  readonly peakPayload: number
  readonly heap: number
}

/** Calls the student's `create`, which may do anything. */
export function createAllocator(create: Create, memory: Memory, sources: readonly string[]): Allocator {
  let made: unknown
  try {
    made = create(memory)
  } catch (error) {
    if (error instanceof FaultFound) throw error
    const isError = error instanceof Error
    throw new FaultFound(
      faultOf('exception', `create(memory) threw ${isError ? `${error.name}: ${error.message}` : String(error)}`, {
        stack: isError ? placesIn(error.stack ?? '', sources) : []
      })
    )
  }
  if (isAllocator(made)) return made
  throw new FaultFound(
    faultOf('load', 'create(memory) must return an object with the functions malloc, free and realloc', {
      hint: 'end create with: return { malloc, free, realloc }'
    })
  )
}

function isAllocator(value: unknown): value is Allocator {
  if (typeof value !== 'object' || value === null) return false
  return ['malloc', 'free', 'realloc'].every(name => typeof Reflect.get(value, name) === 'function')
}

/**
 * Verifies the whole trace; a fault is looked into until the line that did it is known, or time is up. `onFault` hears of it before
 * that, for the case that looking into it does not end.
 */
export async function verify(load: Load, job: RunJob, onFault: (fault: Fault) => void): Promise<Verdict> {
  const create = await load()
  job.progress[PHASE] = VERIFYING
  const lab = new LabMemory(job.memory)
  try {
    lab.guard()
    const verifier = new Verifier(job.trace, lab, createAllocator(create, lab.face, job.sources), settingsOf(job))
    for (let i = 0; i < job.trace.length; i++) {
      job.progress[OPERATION] = i
      verifier.step(i)
    }
    verifier.checkAll()
    const strict = await runStrictly(load, job, Math.min(STRICT_OPERATIONS, job.trace.length), STRICT_ACCESSES, -1)
    const verdict = { peakPayload: verifier.peakPayload, heap: lab.high - lab.low }
    return strict === undefined ? verdict : { ...verdict, fault: strict }
  } catch (error) {
    if (!(error instanceof FaultFound)) throw error
    onFault(error.fault)
    return { fault: await diagnose(load, job, error.fault), peakPayload: 0, heap: lab.high - lab.low }
  } finally {
    lab.close()
  }
}

/** The fault with the earliest cause that a strict run finds, or `found` itself. */
async function diagnose(load: Load, job: RunJob, found: Fault): Promise<Fault> {
  if (found.operation === -1) return found
  const interval = found.kind === 'check' ? 1 : job.checkInterval
  const strictly = { ...job, checkInterval: interval }
  // A strict run finds the same thing, only earlier, or with the line that did it.
  const cause = await runStrictly(load, strictly, found.operation + 1, DIAGNOSIS_ACCESSES, found.block)
  if (cause === undefined) return found
  if (found.kind !== 'overlap' || cause.kind === 'overlap' || cause.operation < found.operation) return cause
  // That a block was handed out twice says more than what was overwritten on the way to it.
  return { ...found, stack: cause.stack, details: [`On the way there, ${cause.what}.`, ...found.details] }
}

/**
 * Runs operations 0 to `until - 1` with every access watched, and stops before an operation once there were `most` accesses. Compares
 * the payload of the block with the id `watch` after each; -1 is none.
 */
export async function runStrictly(
  load: Load,
  job: RunJob,
  until: number,
  most: number,
  watch: number
): Promise<Fault | undefined> {
  job.progress[PHASE] = DIAGNOSING
  job.progress[OPERATION] = -1
  const before = job.progress[ACCESSES]
  const lab = new LabMemory(job.memory)
  const watcher = new StrictWatcher(lab, job.sources, job.progress)
  try {
    lab.guard()
    const face = lab.faceOver(spyOn(lab.views, watcher))
    const allocator = createAllocator(await load(), face, job.sources)
    const verifier = new Verifier(job.trace, lab, allocator, { ...settingsOf(job), watch })
    watcher.follow(verifier)
    for (let i = 0; i < until && (job.progress[ACCESSES] - before) >>> 0 < most; i++) {
      job.progress[OPERATION] = i
      verifier.step(i)
      if (watcher.fault !== undefined) return watcher.fault
    }
    return undefined
  } catch (error) {
    if (watcher.fault !== undefined) return watcher.fault
    if (!(error instanceof FaultFound)) throw error
    const { fault } = error
    return watcher.trespass === '' ? fault : { ...fault, details: [watcher.trespass, ...fault.details] }
  } finally {
    lab.close()
  }
}

/** Runs the beginning of a trace on two heaps in turn. Both must work as each does alone. */
export async function pair(load: Load, job: RunJob): Promise<Fault | undefined> {
  job.progress[PHASE] = PAIRING
  job.progress[OPERATION] = -1
  const labs = [new LabMemory(job.memory), new LabMemory(job.memory)]
  try {
    const create = await load()
    const verifiers = labs.map(lab => {
      lab.guard()
      return new Verifier(job.trace, lab, createAllocator(create, lab.face, job.sources), settingsOf(job))
    })
    const until = Math.min(PAIRED_OPERATIONS, job.trace.length)
    for (let i = 0; i < until; i++) {
      job.progress[OPERATION] = i
      for (const verifier of verifiers) verifier.step(i)
    }
    for (const verifier of verifiers) verifier.checkAll()
    return undefined
  } catch (error) {
    if (!(error instanceof FaultFound)) throw error
    return sharedState(error.fault.what, error.fault)
  } finally {
    for (const lab of labs) lab.close()
  }
}

/** @param what the second heap does to the first */
export function sharedState(what: string, more: FaultParts): Fault {
  const { operation = -1, where = '', stack = [] } = more
  const told =
    'two heaps at a time disturb each other, although each works alone: they share state outside their memory'
  return faultOf('shared-state', told, {
    operation,
    where,
    stack,
    details: [`With a second heap doing the same, ${what}.`],
    hint: HINTS.shared
  })
}

/** Rounds that are at least done, however slow. */
const MIN_ROUNDS = 5

/** How many traces this process has timed. */
let timings = 0

/**
 * Times the submission and the reference in turn, each with a replay loop of its own. What counts is the fastest replay of
 * each: on a busy machine that is the one that was not interrupted, and on any machine one that the JIT has compiled.
 */
export async function time(load: Load, job: RunJob, peakPayload: number): Promise<Timing> {
  job.progress[PHASE] = TIMING
  timings++
  const reference: typeof Reference = await import(anew('./reference.js'))
  const mine = await contender(await load(), job, 'submission')
  const theirs = await contender(reference.create, job, 'reference')
  const rival = job.builtIn ? await builtIn(job) : undefined
  try {
    let own = Number.POSITIVE_INFINITY
    let other = Number.POSITIVE_INFINITY
    let best = Number.POSITIVE_INFINITY
    let rounds = 0
    const begin = performance.now()
    while (rounds < MIN_ROUNDS || performance.now() - begin < job.timing) {
      own = Math.min(own, mine.replay())
      other = Math.min(other, theirs.replay())
      if (rival !== undefined) best = Math.min(best, rival.replay())
      job.progress[OPERATION] = ++rounds
    }
    const timing = { ratio: other / own, nsPerOperation: (own * 1e6) / job.trace.length, rounds }
    if (rival === undefined) return timing
    return { ...timing, builtIn: { utilization: peakPayload / rival.highWater(), throughput: other / best } }
  } finally {
    mine.lab.close()
    theirs.lab.close()
    rival?.lab.close()
  }
}

/**
 * The URL of a module that the JIT knows nothing about yet, whatever it has learned from earlier traces: the score of a trace must not
 * depend on those before it.
 */
function anew(module: string, name = ''): string {
  return new URL(`${module}?${name}${timings}`, import.meta.url).href
}

async function contender(create: Create, job: RunJob, name: string) {
  const { sizesOf, timeReplay }: typeof Timed = await import(anew('./timed.js', name))
  const { LabMemory }: typeof Mapped = await import(anew('./memory.js'))
  const { trace } = job
  const lab = new LabMemory(job.memory)
  const sizes = sizesOf(trace)
  const pointers = new Int32Array(trace.ids)
  return {
    lab,
    /** Milliseconds. */
    replay(): number {
      lab.clear()
      pointers.fill(0)
      return timeReplay(trace, sizes, createAllocator(create, lab.face, job.sources), pointers)
    }
  }
}

/** offheap's own heap as one more contender. */
async function builtIn(job: RunJob) {
  let heap: Heap | undefined
  const format: Create = ({ u8 }) => {
    // The views are made over the region's own buffer, which is no SharedArrayBuffer.
    if (!(u8.buffer instanceof ArrayBuffer)) throw new TypeError('expected the buffer of a region')
    const made = Heap.format(u8.buffer)
    heap = made
    return {
      malloc: size => made.malloc(size),
      free: pointer => made.free(pointer),
      realloc: (pointer, size) => made.realloc(pointer, size)
    }
  }
  const rival = await contender(format, job, 'built-in')
  return { ...rival, highWater: () => heap?.stats().highWater ?? 0 }
}

function settingsOf(job: RunJob): VerifySettings {
  return { alignment: job.alignment, checkInterval: job.checkInterval, sources: job.sources, watch: -1 }
}

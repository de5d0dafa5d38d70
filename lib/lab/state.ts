/**
 * Sees whether a submission keeps its books in JavaScript objects: with so many thousand blocks in use, or free, the JavaScript heap
 * must not have grown with them. A few variables and small tables don't show, and are nobody's concern.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Fault, faultOf } from './fault.js'
import { HINTS } from './hints.js'
import { type Create, LabMemory } from './memory.js'
import { OPERATION, PHASE, PROCESSOR, WEIGHING } from './progress.js'
import { createAllocator } from './runs.js'

const BLOCKS = 20_000
/** With fewer blocks than this the noise of the JavaScript heap is in the way. */
const FEWEST_BLOCKS = 5000
/** Milliseconds of processor time for the first blocks; a slow allocator gets fewer. */
const TIME = 700
/** The smallest record for a block that shows, in bytes. */
const RECORD_BYTES = 5
const ROUNDS = 5
/** What the JIT compiles on the way is counted too, but not again and again; records of blocks are. */
const BATCHES = 3

/**
 * The fault, or undefined when no state is seen outside, which is no proof. `progress` is told of every call of the allocator; see
 * `progress.ts`.
 */
export function stateOutside(
  create: Create,
  memory: number,
  sources: readonly string[],
  progress: Int32Array
): Fault | undefined {
  progress[PHASE] = WEIGHING
  setFlagsFromString('--expose-gc')
  const gc: unknown = runInNewContext('gc')
  const lab = new LabMemory(memory)
  // Whatever a round leaves behind stays, so that nothing of it is collected in the middle of the next.
  const kept: unknown[] = []
  const collect = () => {
    // Twice: what the first frees of finalizers and array buffers is counted only by the second.
    for (let times = 0; times < 2; times++) if (typeof gc === 'function') gc()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  /** Bytes of JavaScript for each block while they are in use, and for each that is free. */
  const round = (most: number) => {
    lab.clear()
    const before = collect()
    const allocator = createAllocator(create, lab.face, sources)
    const pointers = new Int32Array(most)
    kept.push(allocator, pointers)
    const deadline = progress[PROCESSOR] + TIME
    let count = 0
    // The first round finds out how many blocks there is time for.
    while (count < most && (most < BLOCKS || progress[PROCESSOR] < deadline)) {
      progress[OPERATION]++
      const pointer = allocator.malloc(24)
      if (pointer === 0) break
      pointers[count++] = pointer
    }
    const inUse = (collect() - before - pointers.byteLength) / count
    for (let i = 0; i < count; i++) {
      progress[OPERATION]++
      allocator.free(pointers[i])
    }
    const free = (collect() - before - pointers.byteLength) / count
    return { count, inUse, free }
  }
  try {
    const { count } = round(BLOCKS)
    if (count < FEWEST_BLOCKS) return undefined
    const batch = () => {
      const rounds = Array.from({ length: ROUNDS }, () => round(Math.min(count, BLOCKS - 1)))
      return { inUse: median(rounds.map(each => each.inUse)), free: median(rounds.map(each => each.free)) }
    }
    let growth = batch()
    for (let times = 1; times < BATCHES && isSuspect(growth); times++) growth = batch()
    if (!isSuspect(growth)) return undefined
    const { inUse, free } = growth
    const [rate, what] = inUse >= RECORD_BYTES ? [inUse, 'in use'] : [free, 'freed']
    return faultOf('state-outside', 'the allocator keeps its books in JavaScript objects, outside the mapped memory', {
      details: [
        `With ${count} blocks ${what}, the JavaScript heap has grown by about ${Math.round(rate)} bytes for each of them.`
      ],
      hint: HINTS.outsideState
    })
  } finally {
    lab.close()
  }
}

function isSuspect({ inUse, free }: { readonly inUse: number; readonly free: number }): boolean {
  return inUse >= RECORD_BYTES || free >= RECORD_BYTES
}

/** The middle one of an odd number of values: a round or two with a garbage collection in them do not decide. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

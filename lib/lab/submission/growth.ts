/**
 * Detects state in JavaScript objects: with thousands of blocks in use or free, the JavaScript
 * heap must not grow with their number. Nor may loading the file or creating a heap allocate a
 * table. A few variables and small tables are not detected, and are allowed. The figures come from
 * V8, not from the submission's context.
 */

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { OPERATION } from './channel.js'
import { type Fault, faultOf } from './fault.js'
import { HINTS } from './hints.js'
import { allocatorOf } from './load.js'
import type { Create, Memory } from './memory.js'

const BLOCKS = 20_000
/** With fewer blocks, noise of the JavaScript heap hides the effect. */
const FEWEST_BLOCKS = 5000
/** Milliseconds of processor time for the first round; a slow allocator gets fewer blocks. */
const TIME = 700
/** The smallest detectable record per block, in bytes. */
const RECORD_BYTES = 5
const ROUNDS = 5
/**
 * Code compiled during a batch is counted too. It does not recur in later batches, but records of
 * blocks do.
 */
const BATCHES = 3
/**
 * The number of heaps created, and the most bytes that each may take: for its functions, some
 * variables, the heads of some lists.
 */
const HEAPS = 40
const HEAP_BYTES = 6144
/** The most bytes of buffers, and in total, that loading the file may allocate. */
const LOAD_BUFFERS = 4096
const LOAD_BYTES = 2 ** 19

setFlagsFromString('--expose-gc')
const gc: unknown = runInNewContext('gc')

function bytesNow(): { readonly all: number; readonly buffers: number } {
  // Collect twice: the second one counts the buffers that the first one freed.
  for (let times = 0; times < 2; times++) if (typeof gc === 'function') gc()
  const { used_heap_size: heap, external_memory: buffers } = getHeapStatistics()
  return { all: heap + buffers, buffers }
}

/**
 * Returns the fault, or undefined if no state outside the memory is detected.
 * @param load returns the submission's `create`; the first call loads it
 * @param renew empties the heap, and returns a `memory` for it
 * @param words the channel's words, in which each call is counted
 */
export function growth(
  load: () => Create,
  renew: () => Memory,
  words: Int32Array
): Fault | undefined {
  const unloaded = bytesNow()
  const create = load()
  const loaded = bytesNow()
  const [buffers, all] = [loaded.buffers - unloaded.buffers, loaded.all - unloaded.all]
  if (buffers > LOAD_BUFFERS || all > LOAD_BYTES)
    return table(Math.max(buffers, all), 'Loading the file makes')
  // Keep everything that a round leaves, so that none of it is collected during the next one.
  const kept: unknown[] = [allocatorOf(create(renew()))]
  const heapsOf = () => {
    const before = bytesNow().all
    for (let i = 0; i < HEAPS; i++) kept.push(allocatorOf(create(renew())))
    return (bytesNow().all - before) / HEAPS
  }
  let perHeap = heapsOf()
  for (let times = 1; times < BATCHES && perHeap > HEAP_BYTES; times++) perHeap = heapsOf()
  if (perHeap > HEAP_BYTES) return table(perHeap, 'Every heap that create() makes takes')

  /**
   * Returns the bytes of JavaScript per block while the blocks are in use, and after they are
   * freed.
   */
  const round = (most: number) => {
    const before = bytesNow().all
    const allocator = allocatorOf(create(renew()))
    const pointers = new Int32Array(most)
    kept.push(allocator, pointers)
    const { user } = process.cpuUsage()
    let count = 0
    // The first round determines how many blocks there is time for.
    while (count < most && (most < BLOCKS || process.cpuUsage().user - user < TIME * 1000)) {
      words[OPERATION]++
      const pointer = allocator.malloc(24)
      if (pointer === 0) break
      pointers[count++] = pointer
    }
    const inUse = (bytesNow().all - before - pointers.byteLength) / count
    for (let i = 0; i < count; i++) {
      words[OPERATION]++
      allocator.free(pointers[i])
    }
    const free = (bytesNow().all - before - pointers.byteLength) / count
    return { count, inUse, free }
  }
  const { count } = round(BLOCKS)
  if (count < FEWEST_BLOCKS) return undefined
  const batch = () => {
    const rounds = Array.from({ length: ROUNDS }, () => round(Math.min(count, BLOCKS - 1)))
    return {
      inUse: median(rounds.map(each => each.inUse)),
      free: median(rounds.map(each => each.free))
    }
  }
  let found = batch()
  for (let times = 1; times < BATCHES && isSuspect(found); times++) found = batch()
  if (!isSuspect(found)) return undefined
  const { inUse, free } = found
  const [rate, what] = inUse >= RECORD_BYTES ? [inUse, 'in use'] : [free, 'freed']
  return outside(
    `With ${count} blocks ${what}, the JavaScript heap has grown by about ` +
      `${Math.round(rate)} bytes for each of them.`
  )
}

function table(bytes: number, what: string): Fault {
  return outside(`${what} about ${Math.round(bytes / 1024)} KiB of JavaScript objects.`)
}

function outside(detail: string): Fault {
  return faultOf(
    'state-outside',
    'the allocator keeps state in JavaScript objects, outside the mapped memory',
    {
      details: [detail],
      hint: HINTS.outsideState
    }
  )
}

function isSuspect({ inUse, free }: { readonly inUse: number; readonly free: number }): boolean {
  return inUse >= RECORD_BYTES || free >= RECORD_BYTES
}

/**
 * Returns the median of an odd number of values, so that single rounds with a garbage collection
 * don't matter.
 */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

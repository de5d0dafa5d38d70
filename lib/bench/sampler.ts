/**
 * Takes samples of a contender with tinybench. A sample lasts long enough to include its share of
 * garbage collections: the median of shorter ones would leave them out.
 */
import { type ContenderName, openContender } from './contenders.js'
import { type Loop, loopOf, verify } from './loop.js'
import type { Work } from './work.js'

/** Milliseconds of a sample on a quiet machine, and the least samples in a round. */
const SAMPLE_MS = 20
const LEAST_SAMPLES = 3

/**
 * Milliseconds before the first sample, in which V8 compiles the loop; and of each trial of its
 * speed.
 */
const WARM_MS = 150
const LOOK_MS = 5

/** About this many bytes are replaced between two readings of the clock. */
const BATCH_BYTES = 2 ** 21

/** The part of tinybench that is needed. It is optional, and the library compiles without it. */
interface Tinybench {
  readonly Bench: new (options: {
    time: number
    iterations: number
    warmup: boolean
    retainSamples: boolean
    throws: boolean
  }) => {
    add(name: string, task: () => object, options: { async: boolean }): unknown
    run(): Promise<
      { readonly result: { readonly latency?: { readonly samples?: readonly number[] } } }[]
    >
  }
}

async function loadTinybench(): Promise<Tinybench> {
  const name = 'tinybench'
  return import(name)
}

export interface Sampler {
  /**
   * Takes samples for at least `ms` milliseconds. Resolves to the nanoseconds per block of each.
   */
  take(ms: number): Promise<readonly number[]>
}

/** Runs for at least `least` milliseconds. Returns milliseconds per batch. */
function timed(loop: Loop, batch: number, least: number): number {
  const start = performance.now()
  let batches = 0
  let ms = 0
  do {
    loop.run(batch)
    batches++
    ms = performance.now() - start
  } while (ms < least)
  return ms / batches
}

/**
 * Opens, verifies and warms a contender. Every sample has the same number of blocks: if it ended by
 * the clock, it would mostly end while another program has the processor. Throws if the contender
 * fails.
 */
export async function samplerOf(
  name: ContenderName,
  work: Work,
  warmMs = WARM_MS
): Promise<Sampler> {
  const { Bench } = await loadTinybench()
  const allocator = await openContender(name, work)
  verify(allocator, work)
  const loop = loopOf(allocator, work)
  const batch = Math.max(1, Math.min(2000, Math.floor(BATCH_BYTES / work.size)))
  const end = performance.now() + warmMs
  let fastest = Number.POSITIVE_INFINITY
  do fastest = Math.min(fastest, timed(loop, batch, LOOK_MS))
  while (performance.now() < end)
  const batches = Math.ceil(SAMPLE_MS / fastest)
  const sample = () => {
    const start = performance.now()
    for (let i = 0; i < batches; i++) loop.run(batch)
    const ms = performance.now() - start
    return { overriddenDuration: ms / (batches * batch), overriddenIterationCost: ms }
  }
  return {
    async take(ms) {
      const options = {
        time: ms,
        iterations: LEAST_SAMPLES,
        warmup: false,
        retainSamples: true,
        throws: true
      }
      const bench = new Bench(options)
      bench.add(name, sample, { async: false })
      const [task] = await bench.run()
      return (task?.result.latency?.samples ?? []).map(perBlock => perBlock * 1e6)
    }
  }
}

/**
 * Samples of a contender at its work, taken by tinybench. A sample lasts long enough to hold its share of
 * garbage collections: the median over shorter ones would leave them out.
 */
import { type ContenderName, openContender } from './contenders.js'
import { loopOf, verify } from './loop.js'
import type { Work } from './work.js'

/** Least milliseconds of a sample, and fewest samples of a round. */
const SAMPLE_MS = 20
const LEAST_SAMPLES = 3

/** Milliseconds before the first sample, in which V8 compiles the loop. */
const WARM_MS = 150

/** About so many bytes are replaced between two looks at the clock. */
const BATCH_BYTES = 2 ** 21

/** The part of tinybench that is needed. It is an optional dependency: the library compiles without it. */
interface Tinybench {
  readonly Bench: new (options: {
    time: number
    iterations: number
    warmup: boolean
    retainSamples: boolean
    throws: boolean
  }) => {
    add(name: string, task: () => object, options: { async: boolean }): unknown
    run(): Promise<{ readonly result: { readonly latency?: { readonly samples?: readonly number[] } } }[]>
  }
}

async function loadTinybench(): Promise<Tinybench> {
  const name = 'tinybench'
  return import(name)
}

export interface Sampler {
  /** Nanoseconds per block, of one sample each, taken in at least `ms` milliseconds. */
  take(ms: number): Promise<readonly number[]>
}

/** Opens, verifies and warms a contender. Throws when it does not do its work. */
export async function samplerOf(name: ContenderName, work: Work, warmMs = WARM_MS): Promise<Sampler> {
  const { Bench } = await loadTinybench()
  const allocator = await openContender(name, work)
  verify(allocator, work)
  const loop = loopOf(allocator, work)
  const batch = Math.max(1, Math.min(2000, Math.floor(BATCH_BYTES / work.size)))
  const sample = () => {
    const start = performance.now()
    let count = 0
    let ms = 0
    do {
      loop.run(batch)
      count += batch
      ms = performance.now() - start
    } while (ms < SAMPLE_MS)
    return { overriddenDuration: ms / count, overriddenIterationCost: ms }
  }
  for (const end = performance.now() + warmMs; performance.now() < end; ) loop.run(batch)
  return {
    async take(ms) {
      const options = { time: ms, iterations: LEAST_SAMPLES, warmup: false, retainSamples: true, throws: true }
      const bench = new Bench(options)
      bench.add(name, sample, { async: false })
      const [task] = await bench.run()
      return (task?.result.latency?.samples ?? []).map(perBlock => perBlock * 1e6)
    }
  }
}

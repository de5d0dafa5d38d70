/**
 * The process that measures one contender at one piece of work, round by round, on request of its
 * parent.
 */
import { type Bench, openBench } from './benches.js'
import type { Answer, Entry, Facts, Question } from './entry.js'
import { single } from './single.js'

const WARM_LIMIT_MS = 1000

/** ns per operation, over whole repetitions of the work that last at least `least` ms together. */
function sample(bench: Bench, least: number): number {
  let ms = 0
  let operations = 0
  while (ms < least) {
    const once = bench.once()
    ms += once.ms
    operations += once.operations
  }
  return (ms * 1e6) / operations
}

function warm(bench: Bench, least: number): void {
  const limit = performance.now() + WARM_LIMIT_MS
  let operations = 0
  while (operations < least && performance.now() < limit) operations += bench.once().operations
}

function tell(answer: Answer): void {
  process.send?.(answer)
}

async function serve(entry: Entry): Promise<void> {
  const { work } = entry
  if (work.kind === 'gc' || work.kind === 'fresh') {
    return tell({ ready: true, facts: await single(entry.contender, work) })
  }
  const bench = await openBench(entry.contender, work, entry.clock)
  const first = bench.once()
  let facts: Facts = { ...bench.facts(), cold: (first.ms * 1e6) / first.operations }
  if (!entry.once) {
    bench.verify()
    warm(bench, entry.warmOperations)
    facts = { ...facts, ...bench.warmFacts?.() }
    process.on('message', (question: Question) => tell({ ns: sample(bench, question.sampleMs) }))
  }
  tell({ ready: true, facts })
}

process.once('message', (entry: Entry) => {
  serve(entry).catch((error: unknown) => {
    tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  })
})

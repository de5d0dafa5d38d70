/** Traces for property tests. */

import fc from 'fast-check'
import {
  ALIGNED,
  CALLOC,
  FREE,
  MALLOC,
  REALLOC,
  type Trace,
  TraceBuilder
} from '../../lib/trace/trace.js'
import { formatTrace } from '../../lib/trace/write.js'

const steps = fc.array(
  fc.record({
    pick: fc.nat(99),
    size: fc.oneof(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 5000 })
    ),
    count: fc.integer({ min: 0, max: 9 }),
    block: fc.nat()
  }),
  { maxLength: 300 }
)

/**
 * Valid traces of up to 300 operations on small blocks; ids are dense and come again after a free.
 * A counterexample prints as a file that `offheap replay --verify` can run.
 */
export const traces: fc.Arbitrary<Trace> = steps.map(list => {
  const builder = new TraceBuilder()
  const live: number[] = []
  const dead: number[] = []
  let ids = 0
  for (const { pick, size, count, block } of list) {
    const at = live.length === 0 ? -1 : block % live.length
    if (pick < 3) builder.add(FREE, -1)
    else if (pick < 30 && at >= 0) {
      const [id] = live.splice(at, 1)
      builder.add(FREE, id)
      dead.push(id)
    } else if (pick < 50 && at >= 0) builder.add(REALLOC, live[at], size)
    else {
      const id = (pick % 2 === 0 ? dead.pop() : undefined) ?? ids++
      live.push(id)
      if (pick < 65) builder.add(CALLOC, id, size, count)
      else if (pick < 75) builder.add(ALIGNED, id, size, 2 ** count)
      else builder.add(MALLOC, id, pick === 99 ? 0 : size)
    }
  }
  const trace = builder.build('random')
  return { ...trace, [fc.toStringMethod]: () => `\n${formatTrace(trace)}` }
})

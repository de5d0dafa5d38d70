/**
 * An exhausted stack can end a call between any two stores. The next call recovers the heap, and no
 * block is lost or leaked.
 */
import { describe, expect, test } from 'vitest'
import { randomSource } from '../../bench/work/synthetic.js'
import { Heap, placements } from '../../lib/index.js'

interface Call {
  readonly kind: 'malloc' | 'realloc' | 'free'
  readonly pointer: number
  readonly size: number
}

const CUT = -1

/**
 * Makes the calls with little stack left, one in each frame on the way back. Returns what each
 * returned, or CUT. `padding` makes the frames larger, so that the calls end elsewhere.
 */
function callAtTheEnd(heap: Heap, calls: readonly Call[], padding: number): Float64Array {
  const results = new Float64Array(calls.length).fill(CUT)
  let at = 0
  let unexpected: unknown
  // From here on, calls only the heap: there may be no stack for anything else.
  const dive = (...arguments_: number[]): void => {
    try {
      dive(...arguments_)
    } catch (error) {
      if (!(error instanceof RangeError)) unexpected = error
    }
    if (at >= calls.length) return
    const i = at++
    const { kind, pointer, size } = calls[i]
    if (kind === 'malloc') results[i] = heap.malloc(size)
    else if (kind === 'realloc') results[i] = heap.realloc(pointer, size)
    else {
      heap.free(pointer)
      results[i] = 0
    }
  }
  try {
    dive(...new Array<number>(padding).fill(0))
  } catch (error) {
    if (!(error instanceof RangeError)) unexpected = error
  }
  if (unexpected !== undefined) throw unexpected
  return results
}

describe.each(placements)('a %s heap, with too little stack for a call', placement => {
  test.each([false, true])('stays consistent, with slabs: %s', slabs => {
    const heap = Heap.map({ size: 2 ** 18, placement, slabs })
    const random = randomSource(7)
    const someSize = (): number => 1 + random(random(3) === 0 ? 2000 : 180)
    let live: number[] = []
    let cut = 0
    for (let padding = 0; padding < 60; padding++) {
      // Free blocks of all sizes, and full slabs.
      while (live.length < 150) live.push(heap.malloc(someSize()))
      for (let i = 0; i < 60; i++) heap.free(live.splice(random(live.length), 1)[0])
      const calls: Call[] = Array.from({ length: 40 }, () => {
        const kind = (['malloc', 'realloc', 'free'] as const)[random(3)]
        const pointer = kind === 'malloc' ? 0 : live.splice(random(live.length), 1)[0]
        return { kind, pointer, size: someSize() }
      })
      const results = callAtTheEnd(heap, calls, padding)
      heap.check()
      const used = new Set(
        [...heap.blocks()].filter(block => block.used).map(block => block.pointer)
      )
      for (const pointer of live) expect(used).toContain(pointer)
      for (const [i, { kind, pointer }] of calls.entries()) {
        const result = results[i]
        if (result === CUT) cut++
        else if (kind !== 'free') expect(used).toContain(result === 0 ? pointer : result)
      }
      // An interrupted call may have allocated a block, which only the heap knows.
      expect(used.size).toBeLessThanOrEqual(live.length + calls.length)
      live = [...used]
    }
    expect(cut).toBeGreaterThan(60)
    for (const pointer of live) heap.free(pointer)
    expect(heap.stats().used).toBe(0)
    heap.close()
  })
})

/**
 * A thread ends after any single store of a call while other threads are attached. The next thread
 * finds a sound heap, in which the call either took effect or did not. The stores include those to
 * outboxes between arenas. The recovering thread may end after any store as well. So may one that
 * opens the heap after all others have ended, such as a file whose processes were killed.
 */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PlacementName } from '../../lib/index.js'
import { adopt, BUSY, DAMAGED, LOCK, recordOf } from '../../lib/sharing/control.js'
import { scaled } from '../runs.js'
import { attach, copyOf, end, type Memory, newMemory, usedIn } from './support.js'
import { replay, unwatchAtomics, watch, watchAtomics } from './watched.js'

const ARENAS = 2
const THREADS = 3

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3000 }) }
)
const kind = fc.oneof(
  { weight: 6, arbitrary: fc.constant('malloc') },
  { weight: 3, arbitrary: fc.constant('realloc') },
  { weight: 6, arbitrary: fc.constant('free') },
  { weight: 1, arbitrary: fc.constantFrom('stats', 'leave', 'reset') }
)
const call = fc.record({ kind, size, thread: fc.nat(THREADS - 1), which: fc.nat() })
/** Fills half an outbox almost, so that the next calls post it. */
const flood = fc.record({
  by: fc.nat(THREADS - 1),
  to: fc.nat(THREADS - 1),
  count: fc.integer({ min: 28, max: 61 })
})
const calls = fc.array(fc.oneof({ weight: 8, arbitrary: call }, { weight: 1, arbitrary: flood }), {
  minLength: 6,
  maxLength: 14,
  size: 'max'
})

beforeEach(watchAtomics)
afterEach(unwatchAtomics)

/**
 * The used blocks that a new thread finds in a copy of the memory. `cut`: another new thread ends
 * first, after this many stores; negative for none. `alone`: all other threads have been killed.
 */
function found(memory: Memory, cut = -1, alone = false): number[] {
  if (cut >= 0) {
    const first = watch(copyOf(memory))
    if (alone) adopt(first.head, ARENAS, cut % 2 === 0, false)
    const [engine, token] = attach(first)
    engine.check()
    const again = copyOf(memory)
    for (const store of first.log.slice(0, cut % (first.log.length + 1))) replay(again, store)
    // The thread may have ended before its life began.
    const lives = Atomics.load(again.head, 1024 + (token & 0xff)) === token >>> 8
    if (lives && !alone) end(again, token)
    return found(again, -1, alone)
  }
  const copy = copyOf(memory)
  if (alone) adopt(copy.head, ARENAS, false, false)
  const [engine] = attach(copy)
  engine.check()
  return usedIn(engine)
}

function expectAllPrefixes(placement: PlacementName, slabs: boolean, runs: number): void {
  fc.assert(
    fc.property(calls, fc.nat(), (sequence, salt) => {
      const memory = newMemory(ARENAS, placement, slabs, slabs ? 65536 : 16384)
      const watched = watch(memory)
      const threads = Array.from({ length: THREADS }, () => attach(watched))
      const live = new Map<number, number>()
      const keep = (pointer: number, usable: number): void => {
        if (pointer === 0) return
        live.set(pointer, Math.floor(usable / 4))
        memory.words.fill(pointer, pointer / 4, pointer / 4 + Math.floor(usable / 4))
      }
      for (const step of sequence) {
        if ('by' in step) {
          const [one] = threads[step.by]
          const pointers = Array.from({ length: step.count }, () => one.allocate(8)).filter(Boolean)
          for (const pointer of pointers) threads[step.to][0].free(pointer)
          continue
        }
        const { kind, size, thread, which } = step
        const [engine, token] = threads[thread]
        const chosen = [...live.keys()][which % Math.max(1, live.size)]
        const before = copyOf(memory)
        const usedBefore = found(before)
        watched.log.length = 0
        let result = 0
        if (kind === 'malloc') result = engine.allocate(size)
        else if (kind === 'stats') engine.stats(0)
        else if (kind === 'leave') engine.leave()
        else if (kind === 'reset') engine.reset()
        else if (chosen === undefined) continue
        else if (kind === 'realloc') result = engine.resize(chosen, size + 1)
        else engine.free(chosen)
        const stores = watched.log.slice()
        const usedAfter = found(memory)
        const isBetween = kind === 'reset' || kind === 'realloc'
        const allowed = new Set([usedBefore, usedAfter].map(String))
        // A block that is moving to another arena may exist in both.
        if (kind === 'realloc')
          allowed.add(String([...new Set([...usedBefore, ...usedAfter])].sort((a, b) => a - b)))
        const lost =
          kind === 'reset'
            ? new Set(live.keys())
            : new Set(kind === 'free' || kind === 'realloc' ? [chosen] : [])
        for (let count = 0; count <= stores.length; count++) {
          if (count > 0) replay(before, stores[count - 1])
          const cut = copyOf(before)
          const alone = (salt + count) % 2 === 0
          if (!alone) end(cut, token)
          const used = found(cut, (salt + count) % 3 === 0 ? salt * 31 + count * 7 : -1, alone)
          if (!allowed.has(String(used)) && kind !== 'reset') {
            expect(
              `${kind} ${size} of ${chosen}, after ${count} of ${stores.length} stores: ${used}`
            ).toBe(isBetween ? [...allowed].join(' or ') : String(usedBefore))
          }
          for (const [pointer, words] of live) {
            if (lost.has(pointer)) continue
            for (let word = pointer / 4; word < pointer / 4 + words; word++) {
              if (cut.words[word] !== pointer)
                expect(`word ${word} of ${pointer}: ${cut.words[word]}`).toBe(`${pointer}`)
            }
          }
        }
        if (kind === 'reset') live.clear()
        if (kind === 'free' || (kind === 'realloc' && result !== 0)) live.delete(chosen)
        keep(result, result === 0 ? 0 : engine.usableSize(result))
        if (kind === 'leave') {
          end(watched, token)
          threads[thread] = attach(watched)
        }
      }
    }),
    { numRuns: runs, endOnFailure: true }
  )
}

describe('a thread that ends after any single store', () => {
  test.each([
    ['first-fit', false],
    ['segregated-fit', true],
    ['best-fit', false],
    ['next-fit', true]
  ] as const)('leaves a sound heap: %s, with slabs: %s', (placement, slabs) => {
    expectAllPrefixes(placement, slabs, scaled(10) || 1)
  })
})

test('an arena with an interrupted operation stays damaged if adopt() ends after any store', () => {
  for (const word of [BUSY, LOCK]) {
    const memory = newMemory(ARENAS, 'first-fit', false)
    memory.head[recordOf(1) + word] = 257
    const watched = watch(copyOf(memory))
    adopt(watched.head, ARENAS, false, false)
    for (let count = 0; count <= watched.log.length; count++) {
      const cut = copyOf(memory)
      for (const store of watched.log.slice(0, count)) replay(cut, store)
      adopt(cut.head, ARENAS, false, false)
      expect(cut.head[recordOf(1) + DAMAGED]).toBe(1)
      expect(cut.head[recordOf(0) + DAMAGED]).toBe(0)
    }
  }
})

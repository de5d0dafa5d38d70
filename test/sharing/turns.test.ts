/**
 * Simulated threads take turns on a shared heap, with random calls. What each of them sees must
 * agree with a list of blocks and their contents. Some of them end between two calls, and others
 * attach.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { placements } from '../../lib/index.js'
import { BUSY, LOCK, recordOf } from '../../lib/sharing/control.js'
import type { SharedEngine } from '../../lib/sharing/engine.js'
import { expectError } from '../heap/support.js'
import { scaled } from '../runs.js'
import { attach, copyOf, end, newMemory, usedIn } from './support.js'

const ARENAS = 3
/** More threads than arenas, so that some threads share one. */
const THREADS = 5

const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 5000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 70_000 }) }
)
const kind = fc.oneof(
  { weight: 8, arbitrary: fc.constant('malloc') },
  { weight: 8, arbitrary: fc.constant('free') },
  { weight: 4, arbitrary: fc.constant('realloc') },
  { weight: 2, arbitrary: fc.constantFrom('calloc', 'aligned', 'twice', 'wrong', 'leave') },
  { weight: 1, arbitrary: fc.constantFrom('end', 'check', 'trim') }
)
const call = fc.record({ kind, size, thread: fc.nat(THREADS - 1), which: fc.nat() })
/**
 * Many blocks that one thread allocates and another frees, so that outboxes are posted and fill up.
 */
const flood = fc.record({
  size: fc.constantFrom(8, 100, 200),
  count: fc.integer({ min: 1, max: 200 }),
  by: fc.nat(THREADS - 1),
  to: fc.nat(THREADS - 1)
})
const calls = fc.array(fc.oneof({ weight: 20, arbitrary: call }, { weight: 1, arbitrary: flood }), {
  minLength: 1,
  maxLength: 150,
  size: 'max'
})

describe.each(placements)('%s: threads that take turns', placement => {
  test.each([false, true])('see the same heap, with slabs: %s', slabs => {
    fc.assert(
      fc.property(calls, sequence => {
        const memory = newMemory(ARENAS, placement, slabs)
        const { words } = memory
        const bytes = words.byteLength
        const threads: [SharedEngine, number][] = Array.from({ length: THREADS }, () =>
          attach(memory)
        )
        /** For each pointer, the number of words that were filled with it. */
        const live = new Map<number, number>()

        const expectContents = (pointer: number, count: number): void => {
          for (let word = pointer / 4; word < pointer / 4 + count; word++) {
            if (words[word] !== pointer)
              expect(`word ${word} of ${pointer}: ${words[word]}`).toBe(`${pointer}`)
          }
        }
        const keep = (engine: SharedEngine, pointer: number, size: number): void => {
          if (pointer === 0) return
          expect(live.has(pointer)).toBe(false)
          expect(pointer % 8).toBe(0)
          const usable = engine.usableSize(pointer)
          expect(usable).toBeGreaterThanOrEqual(size)
          expect(pointer + usable).toBeLessThanOrEqual(bytes)
          words.fill(pointer, pointer / 4, pointer / 4 + Math.floor(usable / 4))
          live.set(pointer, Math.floor(usable / 4))
        }
        const drop = (engine: SharedEngine, pointer: number): void => {
          expectContents(pointer, live.get(pointer) ?? 0)
          expect(engine.free(pointer)).toBe(true)
          live.delete(pointer)
        }

        for (const step of sequence) {
          if ('by' in step) {
            const [one] = threads[step.by]
            const [other] = threads[step.to]
            const pointers = Array.from({ length: step.count }, () =>
              one.allocate(step.size)
            ).filter(Boolean)
            for (const pointer of pointers) keep(one, pointer, step.size)
            for (const pointer of pointers) drop(other, pointer)
            continue
          }
          const { kind, size, thread, which } = step
          const [engine, token] = threads[thread]
          const chosen = [...live.keys()][which % Math.max(1, live.size)]
          if (kind === 'malloc') keep(engine, engine.allocate(size), size)
          else if (kind === 'calloc') {
            const pointer = engine.allocateZeroed(size)
            if (pointer !== 0) {
              const zeros = new Uint8Array(words.buffer, words.byteOffset + pointer, size)
              expect(zeros.some(byte => byte !== 0)).toBe(false)
            }
            keep(engine, pointer, size)
          } else if (kind === 'aligned') {
            const alignment = 2 ** (which % 13)
            const pointer = engine.allocateAligned(alignment, size)
            expect(pointer % alignment).toBe(0)
            keep(engine, pointer, size)
          } else if (kind === 'free' && chosen !== undefined) drop(engine, chosen)
          else if (kind === 'realloc' && chosen !== undefined) {
            const count = live.get(chosen) ?? 0
            expectContents(chosen, count)
            const pointer = engine.resize(chosen, size + 1)
            if (pointer !== 0) {
              live.delete(chosen)
              const kept = Math.min(count, Math.floor((size + 1) / 4))
              for (let word = 0; word < kept; word++) {
                if (words[pointer / 4 + word] !== chosen)
                  expect(`word ${word}: ${words[pointer / 4 + word]}`).toBe(`${chosen}`)
              }
              keep(engine, pointer, size + 1)
            } else expectContents(chosen, count)
          } else if (kind === 'wrong') {
            const pointer = (which % (bytes / 4)) * 4
            if (live.has(pointer)) continue
            // Empty the outboxes: a block that waits in one looks used.
            engine.stats(0)
            expect(engine.usableSize(pointer)).toBe(-1)
            expect(engine.free(pointer)).toBe(false)
            expect(engine.resize(pointer, 10)).toBe(-1)
            const place =
              pointer === 0 ? /is NULL/ : new RegExp(`free: the (?:pointer|block at) ${pointer} `)
            expect(engine.refusal('free', pointer).message).toMatch(place)
          } else if (kind === 'twice' && chosen !== undefined) {
            drop(engine, chosen)
            engine.stats(0)
            expect(engine.free(chosen)).toBe(false)
            expect(threads[which % THREADS][0].free(chosen)).toBe(false)
          } else if (kind === 'leave') {
            engine.leave()
            end(memory, token)
            threads[thread] = attach(memory)
          } else if (kind === 'end') {
            end(memory, token)
            threads[thread] = attach(memory)
          } else if (kind === 'check') {
            engine.check()
            expect(usedIn(engine)).toEqual([...live.keys()].sort((a, b) => a - b))
            const stats = engine.stats(0)
            expect(stats.blocks).toBe(live.size)
            expect(stats.metadata + stats.used + stats.free).toBe(stats.size)
          } else if (kind === 'trim') {
            engine.trim({
              pageSize: 4096,
              decommit: (at, length) => void words.fill(0, at / 4, (at + length) / 4)
            })
          }
        }
        const [engine] = threads[0]
        engine.check()
        expect(usedIn(engine)).toEqual([...live.keys()].sort((a, b) => a - b))
        for (const [pointer, count] of live) expectContents(pointer, count)
        // No request fails while any arena has room.
        const { largestFree } = engine.stats(0)
        for (const [each] of threads) {
          if (largestFree === 0) continue
          const pointer = each.allocate(largestFree)
          expect(pointer).not.toBe(0)
          expect(each.free(pointer)).toBe(true)
        }
        expect(engine.allocate(largestFree + 1)).toBe(0)
        for (const pointer of live.keys())
          expect(threads[pointer % THREADS][0].free(pointer)).toBe(true)
        expect(engine.stats(0).blocks).toBe(0)
        engine.check()
        engine.reset()
        engine.check()
      }),
      { numRuns: scaled(30) + 1, endOnFailure: true }
    )
  })
})

describe('an arena that another thread does not leave', () => {
  test.each(['BUSY', 'LOCK'] as const)('makes calls throw ERR_OFFHEAP_BUSY: %s', word => {
    const memory = newMemory(2, 'first-fit', false)
    let slept = 0
    const sleep = (microseconds: number): void => {
      slept += microseconds
    }
    const [one, token] = attach(memory)
    const [two] = attach(memory, { sleep })
    const pointer = one.allocate(100)
    const large = two.allocate(60_000)
    const at = recordOf(Math.floor(pointer / 65536)) + (word === 'BUSY' ? BUSY : LOCK)
    memory.head[at] = word === 'BUSY' ? 1 : token
    const before = copyOf(memory)
    for (const call of [
      () => two.stats(0),
      () => two.check(),
      () => two.reset(),
      () => two.allocate(60_000),
      () => two.resize(pointer, 5000),
      () => two.free(pointer + 8)
    ]) {
      slept = 0
      expectError(call, 'ERR_OFFHEAP_BUSY', /Nothing was changed/)
      // The call slept for its timeout of 1 ms, and not much longer.
      expect(slept).toBeGreaterThanOrEqual(1000)
      expect(slept).toBeLessThan(3000)
      const isSame = memory.words.every((value, index) => value === before.words[index])
      expect(isSame).toBe(true)
      expect(memory.head[at]).toBe(before.head[at])
    }
    // A call that needs no other arena succeeds.
    expect(two.free(large)).toBe(true)
    expect(two.free(two.allocate(100))).toBe(true)
    memory.head[at] = 0
    two.check()
    expect(two.stats(0).blocks).toBe(1)
    expect(one.free(pointer)).toBe(true)
    // No call waits for a thread that has ended.
    memory.head[at] = word === 'BUSY' ? 1 : token
    end(memory, token)
    slept = 0
    two.check()
    expect(slept).toBe(0)
  })
})

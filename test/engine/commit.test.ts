/**
 * Memory that must be committed, as on Windows: a heap commits before it writes, and a failed
 * commit is the same as a full heap. The simulated system has a limited amount of memory; words
 * beyond it must not change.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { type Host, QUIET } from '../../lib/engine/engine.js'
import { ordinaryLayout, writeHeader } from '../../lib/engine/format.js'
import { WITH_SLABS } from '../../lib/layout/header.js'
import type { PlacementPolicy } from '../../lib/placement/placement.js'
import { placements, policyNamed } from '../../lib/placement/policies.js'
import { scaled } from '../runs.js'

const BYTES = 8 * 2 ** 20

/** A heap on a system with `available` bytes of memory. */
function make(policy: PlacementPolicy, slabs: boolean, available: number) {
  const words = new Int32Array(BYTES / 4)
  const system = { available, committed: 0, calls: 0 }
  const host: Host = {
    ...QUIET,
    commit: bytes => {
      expect(bytes).toBeLessThanOrEqual(BYTES)
      system.calls++
      if (bytes > system.available) return false
      system.committed = Math.max(system.committed, bytes)
      return true
    }
  }
  const header = { policy, options: slabs ? WITH_SLABS : 0, length: words.length }
  const layout = ordinaryLayout(words.length, policy, slabs)
  writeHeader(words, header, layout, 0, true)
  const heap = new Allocator(words, header, host)
  heap.reset()
  return { heap, words, system, first: layout.first * 4 }
}

const kinds = placements.flatMap(name =>
  [false, true].map(slabs => [name, slabs, policyNamed(name)] as const)
)

describe.each(kinds)('%s, slabs %s: a heap that commits memory as it grows', (_, slabs, policy) => {
  test('commits memory for many blocks at once', () => {
    const { heap, system } = make(policy, slabs, BYTES)
    for (let i = 0; i < 1000; i++) expect(heap.allocate(1000)).toBeGreaterThan(0)
    expect(system.calls).toBeGreaterThan(0)
    expect(system.calls).toBeLessThan(8)
  })

  test('is full when the system has no memory, and works again when it has', () => {
    const { heap, words, system, first } = make(policy, slabs, 0)
    system.available = first + 2 ** 20
    let last = 0
    while (true) {
      const pointer = heap.allocate(5000)
      if (pointer === 0) break
      last = pointer
    }
    const top = heap.stats(0).top
    expect(top).toBeLessThanOrEqual(system.available)
    expect(system.available - top).toBeLessThan(5008)
    expect(heap.resize(last, 2 ** 20)).toBe(0)
    expect(heap.allocateAligned(4096, 50_000)).toBe(0)
    expect(words.subarray(system.available / 4).every(word => word === 0)).toBe(true)
    heap.check()
    system.available = BYTES
    expect(heap.allocate(5000)).toBe(top + 4)
  })

  test('commits the wilderness again after trim() returned it to the system', () => {
    const { heap, system } = make(policy, slabs, BYTES)
    heap.free(heap.allocate(2 ** 20))
    heap.trim({
      pageSize: 4096,
      decommit: begin => {
        system.committed = begin
      }
    })
    const { calls } = system
    const pointer = heap.allocate(5000)
    expect(system.calls).toBeGreaterThan(calls)
    expect(system.committed).toBeGreaterThanOrEqual(pointer + 5000)
  })

  test('never writes beyond committed memory', () => {
    const step = fc.record({
      kind: fc.nat(4),
      bytes: fc.oneof(fc.nat(200), fc.nat(200_000)),
      which: fc.nat(50)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(2 ** 21), (steps, more) => {
        const { heap, words, system, first } = make(policy, slabs, 0)
        system.available = first + more
        const live: number[] = []
        for (const { kind, bytes, which } of steps) {
          const index = which % Math.max(1, live.length)
          const old = live[index] ?? 0
          let pointer = 0
          if (kind === 0 && old !== 0) heap.free(live.splice(index, 1)[0] ?? 0)
          else if (kind === 1 && old !== 0) live[index] = heap.resize(old, bytes + 1) || old
          else if (kind === 2) pointer = heap.allocateAligned(2 ** (4 + (which % 9)), bytes)
          else if (kind === 3) pointer = heap.allocateZeroed(bytes)
          else pointer = heap.allocate(bytes)
          if (pointer !== 0) live.push(pointer)
          expect(heap.stats(0).top).toBeLessThanOrEqual(Math.max(first + 4, system.committed))
        }
        heap.check()
        const end = Math.max(first + 4, system.committed)
        expect(words.subarray(end / 4).every(word => word === 0)).toBe(true)
      }),
      { numRuns: scaled(20) || 1 }
    )
  })
})

import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { placements } from '../../lib/placement/policies.js'
import { History } from '../../lib/report/history.js'
import type { Moment } from '../../lib/report/moment.js'
import { slotsOf } from '../../lib/report/slab-history.js'
import { recordTimeline, type TimelineTarget } from '../../lib/report/timeline.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import { peaksOf } from '../../lib/trace/trace.js'
import { Bump } from '../trace/bump.js'
import { randomTrace, timelineOf, traceOf } from './timelines.js'

/**
 * The moment's blocks as [offset, size], its slabs as [offset, size, slot size], and its free list.
 */
function shown(history: History, moment: Moment) {
  const used = Array.from(moment.blocks.subarray(0, moment.count), block => [
    history.offset(block),
    history.size(block)
  ])
  const granules = [...history.slabs.at(moment.operations)].map(({ offset, size, slot }) => [
    offset,
    size,
    slot
  ])
  return {
    used,
    free: moment.freeOffsets.map((offset, i) => [offset, moment.freeSizes[i]]),
    granules: granules.sort(([a], [b]) => a - b)
  }
}

/** The same from the heap itself, which has chunks of `chunk` bytes. */
function shownBy(heap: Heap, chunk = 4096) {
  const blocks = [...heap.blocks()]
  const used = blocks.filter(block => block.used).map(({ offset, size }) => [offset, size])
  const granules = new Map<number, number[]>()
  for (const { offset, slab } of blocks) {
    if (slab === undefined) continue
    const begin = offset - (offset % 512)
    granules.set(begin, [begin, begin % chunk === chunk - 512 ? 508 : 512, slab])
  }
  return {
    used,
    free: [...heap.freeBlocks()].map(({ offset, size }) => [offset, size]),
    granules: [...granules.values()]
  }
}

describe('History', () => {
  const kinds = placements.flatMap(placement => [false, true].map(slabs => ({ placement, slabs })))
  it.each(kinds)(
    'shows the heap after every operation: $placement, slabs: $slabs',
    ({ placement, slabs }) => {
      const trace = randomTrace(1500)
      const history = new History(trace, timelineOf(trace, placement, 2 ** 22, slabs))
      const moment = history.open()
      using heap = Heap.map({ size: 2 ** 22, placement, slabs })
      const pointers = pointersFor(trace, 2 ** 22)
      expect(shown(history, moment)).toEqual({ used: [], free: [], granules: [] })
      for (let i = 0; i < trace.length; i++) {
        replay(trace, heap, pointers, i, i + 1)
        history.seek(moment, i + 1)
        expect(shown(history, moment)).toEqual(shownBy(heap))
      }
    }
  )

  it.each([
    [2, 2 ** 16, 120],
    [4, 2 ** 19, 800]
  ])('shows a small heap, whose chunks have %i granules', (granules, size, operations) => {
    const trace = randomTrace(operations, 11)
    const timeline = timelineOf(trace, 'segregated-fit', size, true)
    expect(timeline.slabs?.chunkGranules).toBe(granules)
    const history = new History(trace, timeline)
    const moment = history.open()
    using heap = Heap.map({ size, placement: 'segregated-fit', slabs: true })
    const pointers = pointersFor(trace, size)
    for (let i = 0; i < trace.length; i++) {
      replay(trace, heap, pointers, i, i + 1)
      history.seek(moment, i + 1)
      expect(shown(history, moment)).toEqual(shownBy(heap, granules * 512))
    }
  })

  it('reaches the same moment from anywhere', () => {
    const trace = randomTrace(2500, 7)
    const history = new History(trace, timelineOf(trace))
    const walker = history.open()
    const straight = Array.from({ length: trace.length + 1 }, (_, t) => {
      history.seek(walker, t)
      return shown(history, walker)
    })
    const jumper = history.open()
    for (let i = 0; i < 300; i++) {
      const t = (i * 1031) % (trace.length + 1)
      history.seek(jumper, t)
      expect(jumper.operations).toBe(t)
      expect(shown(history, jumper)).toEqual(straight[t])
    }
  })

  it.each([false, true])(
    'has curves of payload, size, utilization and external fragmentation, slabs: %s',
    slabs => {
      const trace = randomTrace(800, 3)
      const { curves, low } = new History(trace, timelineOf(trace, 'first-fit', 2 ** 22, slabs))
      using heap = Heap.map({ size: 2 ** 22, slabs })
      const pointers = pointersFor(trace, 2 ** 22)
      for (let i = 0; i < trace.length; i++) {
        replay(trace, heap, pointers, i, i + 1)
        const sizes = [...heap.freeBlocks()].map(({ size }) => size)
        const total = sizes.reduce((sum, size) => sum + size, 0)
        expect(curves.heap[i + 1]).toBe(heap.stats().top - low)
        expect(curves.externalFragmentation[i + 1]).toBeCloseTo(
          total === 0 ? 0 : 1 - Math.max(...sizes) / total,
          12
        )
      }
      expect(Math.max(...curves.payload)).toBe(peaksOf(trace).payload)
      expect(Math.max(...curves.heap)).toBe(heap.stats().highWater)
      expect(curves.utilization[trace.length]).toBe(peaksOf(trace).payload / heap.stats().highWater)
    }
  )

  it('knows the operation that allocated a block, and the one that ends it', () => {
    const trace = traceOf(['a 0 24', 'a 1 24', 'r 0 500', 'f 1', 'a 2 8'])
    const history = new History(trace, timelineOf(trace))
    expect([...history.births]).toEqual([0, 1, 0, 3, 4])
    expect([...history.deaths]).toEqual([2, 3, 5, 5, 5])
    const moment = history.open()
    history.seek(moment, 3)
    const found = moment.blocks[moment.find(history.timeline.pointers[2])]
    expect([found, history.payload(found), history.births[found]]).toEqual([2, 500, 0])
  })

  it('reaches the same moments without reading headers: a plain heap, and an unsorted list', () => {
    const trace = randomTrace(1000, 5)
    const { curves } = new History(trace, timelineOf(trace))
    using heap = Heap.map(2 ** 22)
    expect(new History(trace, recordTimeline(trace, heap, 'first-fit')).curves).toEqual(curves)
    heap.reset()
    const gaps = new History(trace, {
      ...recordTimeline(trace, heap, 'first-fit'),
      freeList: undefined
    })
    for (const [i, value] of gaps.curves.externalFragmentation.entries()) {
      expect(value).toBeCloseTo(curves.externalFragmentation[i], 12)
    }
  })

  it('knows each slab from its creation to its reclaim', () => {
    // Ten slots of 48 bytes fill a slab. Once freed, it is reclaimed before memory grows.
    const lines = Array.from({ length: 11 }, (_, id) => `a ${id} 48`)
    for (let id = 0; id < 11; id++) lines.push(`f ${id}`)
    for (let id = 11; id < 60; id++) lines.push(`a ${id} 3000`)
    const trace = traceOf(lines)
    const { slabs, timeline } = new History(trace, timelineOf(trace, 'first-fit', 2 ** 22, true))
    expect([...(timeline.slabs?.inSlot ?? [])].indexOf(0)).toBe(11)
    const [first] = slabs.all.filter(({ slot }) => slot === 48)
    expect(first).toMatchObject({ size: 512, from: 1 })
    expect([
      slotsOf(first),
      slotsOf({ ...first, size: 508, slot: 16 }),
      slotsOf({ ...first, slot: 0 })
    ]).toEqual([10, 31, 0])
    expect(slabs.all.filter(({ slot }) => slot === 48)[1].from).toBe(11)
    expect(slabs.find(first.offset + 100, 1)).toBe(first)
    expect(slabs.find(first.offset + 100, 0)).toBeUndefined()
    expect(slabs.find(first.offset - 2 ** 16, 1)).toBeUndefined()
    expect(first.to).toBeGreaterThan(22)
    expect(first.to).toBeLessThan(trace.length)
    // One header for each chunk.
    expect([...slabs.at(5)].map(granule => granule.first)).toEqual([
      true,
      ...Array.from({ length: 7 }, () => false)
    ])
  })

  it('treats gaps between payloads as free if an allocator shows nothing', () => {
    const trace = traceOf(['a 0 64', 'a 1 64', 'a 2 64', 'a 3 64', 'f 0', 'f 2'])
    const bump = new Bump(4096)
    const target: TimelineTarget = Object.assign(bump, {
      extent: () => ({ low: 8, high: 8 + 4 * 64 + 64 })
    })
    const history = new History(trace, recordTimeline(trace, target, 'bump'))
    const { curves } = history
    expect(history.timeline.freeList).toBeUndefined()
    expect(curves.payload[6]).toBe(128)
    expect(curves.heap[6]).toBe(5 * 64)
    // The places of the first and the third block are free, and as much again after the last.
    expect(curves.externalFragmentation[6]).toBeCloseTo(1 - 1 / 3, 12)
  })

  it('is empty for a trace of nothing but free(NULL)', () => {
    const trace = traceOf(['f -1', 'f -1'])
    const history = new History(trace, timelineOf(trace))
    expect([history.high - history.low, ...history.curves.utilization]).toEqual([0, 0, 0, 0])
  })
})

describe('recordTimeline', () => {
  it('names the operation that throws, and the one that runs out of memory', () => {
    const trace = traceOf(['a 0 24', 'f 0'])
    const broken: TimelineTarget = Object.assign(new Bump(4096), {
      free: () => {
        throw new TypeError('no such list')
      }
    })
    expect(() => recordTimeline(trace, broken, 'broken')).toThrow(
      'operation 2 (line 2), free of id 0: the allocator threw TypeError: no such list'
    )
    const large = traceOf(['a 0 24', 'a 1 100000'])
    expect(() => timelineOf(large, 'first-fit', 65_536)).toThrow(
      expect.objectContaining({ code: 'ERR_OFFHEAP_OUT_OF_MEMORY' })
    )
  })

  it('refuses a pointer outside the heap', () => {
    const wild: TimelineTarget = Object.assign(new Bump(4096), { malloc: () => 5000 })
    expect(() => recordTimeline(traceOf(['a 0 24']), wild, 'wild')).toThrow(
      'returned 5000, where the heap of 4096 bytes'
    )
  })
})

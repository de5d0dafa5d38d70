import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { placements } from '../../lib/placement/policies.js'
import { History } from '../../lib/report/history.js'
import type { Moment } from '../../lib/report/moment.js'
import { recordTimeline, type TimelineTarget } from '../../lib/report/timeline.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import { peaksOf } from '../../lib/trace/trace.js'
import { Bump } from '../trace/bump.js'
import { randomTrace, timelineOf, traceOf } from './timelines.js'

/** The moment's blocks as [offset, size], and its free list. */
function shown(history: History, moment: Moment) {
  const used = Array.from(moment.blocks.subarray(0, moment.count), block => [
    history.offset(block),
    history.size(block)
  ])
  return { used, free: moment.freeOffsets.map((offset, i) => [offset, moment.freeSizes[i]]) }
}

function shownBy(heap: Heap) {
  const used = [...heap.blocks()].filter(block => block.used).map(({ offset, size }) => [offset, size])
  return { used, free: [...heap.freeBlocks()].map(({ offset, size }) => [offset, size]) }
}

describe('History', () => {
  it.each(placements)('shows a %s heap as it is after every operation', placement => {
    const trace = randomTrace(1500)
    const history = new History(trace, timelineOf(trace, placement))
    const moment = history.open()
    using heap = Heap.map({ size: 2 ** 22, placement, slabs: false })
    const pointers = pointersFor(trace, 2 ** 22)
    expect(shown(history, moment)).toEqual({ used: [], free: [] })
    for (let i = 0; i < trace.length; i++) {
      replay(trace, heap, pointers, i, i + 1)
      history.seek(moment, i + 1)
      expect(shown(history, moment)).toEqual(shownBy(heap))
    }
  })

  it('comes to the same moment from anywhere', () => {
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

  it('draws payload, heap size, utilization and external fragmentation as the heap itself has them', () => {
    const trace = randomTrace(800, 3)
    const { curves, low } = new History(trace, timelineOf(trace))
    using heap = Heap.map(2 ** 22)
    const pointers = pointersFor(trace, 2 ** 22)
    for (let i = 0; i < trace.length; i++) {
      replay(trace, heap, pointers, i, i + 1)
      const sizes = [...heap.freeBlocks()].map(({ size }) => size)
      const total = sizes.reduce((sum, size) => sum + size, 0)
      expect(curves.heap[i + 1]).toBe(heap.stats().top - low)
      expect(curves.externalFragmentation[i + 1]).toBeCloseTo(total === 0 ? 0 : 1 - Math.max(...sizes) / total, 12)
    }
    expect(Math.max(...curves.payload)).toBe(peaksOf(trace).payload)
    expect(Math.max(...curves.heap)).toBe(heap.stats().highWater)
    expect(curves.utilization[trace.length]).toBe(peaksOf(trace).payload / heap.stats().highWater)
  })

  it('knows who made a block, and until when it stays as it is', () => {
    const trace = traceOf(['a 0 24', 'a 1 24', 'r 0 500', 'f 1', 'a 2 8'])
    const history = new History(trace, timelineOf(trace))
    expect([...history.births]).toEqual([0, 1, 0, 3, 4])
    expect([...history.deaths]).toEqual([2, 3, 5, 5, 5])
    const moment = history.open()
    history.seek(moment, 3)
    const found = moment.blocks[moment.find(history.timeline.pointers[2])]
    expect([found, history.payload(found), history.births[found]]).toEqual([2, 500, 0])
  })

  it('takes gaps between payloads for free where an allocator tells nothing', () => {
    const trace = traceOf(['a 0 64', 'a 1 64', 'a 2 64', 'a 3 64', 'f 0', 'f 2'])
    const bump = new Bump(4096)
    const target: TimelineTarget = Object.assign(bump, { extent: () => ({ low: 8, high: 8 + 4 * 64 + 64 }) })
    const history = new History(trace, recordTimeline(trace, target, 'bump'))
    const { curves } = history
    expect(history.timeline.freeList).toBeUndefined()
    expect(curves.payload[6]).toBe(128)
    expect(curves.heap[6]).toBe(5 * 64)
    // Free are the first block's place, the third's, and as much again behind the last.
    expect(curves.externalFragmentation[6]).toBeCloseTo(1 - 1 / 3, 12)
  })

  it('is empty for a trace of nothing but free(NULL)', () => {
    const trace = traceOf(['f -1', 'f -1'])
    const history = new History(trace, timelineOf(trace))
    expect([history.low, history.high, ...history.curves.utilization]).toEqual([0, 0, 0, 0, 0])
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

import { describe, expect, it } from 'vitest'
import { describedTarget } from '../../lib/report/described-target.js'
import { History } from '../../lib/report/history.js'
import { recordTimeline } from '../../lib/report/timeline.js'
import { create } from '../play/list-allocator.js'
import { randomTrace, traceOf } from './timelines.js'

const LOW = 4096

/** The allocator of the lab, and a target of it. */
function open(change: (said: unknown) => unknown = said => said) {
  const buffer = new ArrayBuffer(2 ** 22)
  const u8 = new Uint8Array(buffer)
  let high = LOW
  const allocator = create({
    low: LOW,
    get high() {
      return high
    },
    u8,
    u32: new Uint32Array(buffer),
    sbrk: bytes => {
      high += bytes
      return high - bytes
    }
  })
  const { malloc, free, realloc } = allocator
  const target = describedTarget(
    {
      malloc,
      free,
      realloc,
      calloc: (count, size) => malloc(count * size),
      alignedAlloc: (_alignment, size) => malloc(size),
      check: () => {},
      u8,
      extent: () => ({ low: LOW, high })
    },
    () => change(allocator.describe())
  )
  return { allocator, target }
}

describe('a target that describes its heap', () => {
  it('shows header, footer and free list of each moment', () => {
    const trace = randomTrace(400)
    const { allocator, target } = open()
    const timeline = recordTimeline(trace, target, 'list')
    expect(timeline).toMatchObject({ headerBytes: 4, footerBytes: 4, wholeBlocks: true })
    const history = new History(trace, timeline)
    const moment = history.open()
    history.seek(moment, trace.length)
    const { blocks, freeList } = allocator.describe()
    expect(freeList.length).toBeGreaterThan(3)
    expect(moment.freeOffsets).toEqual(freeList)
    const used = blocks.filter(block => block.used)
    expect(
      Array.from(moment.blocks.subarray(0, moment.count), block => history.offset(block))
    ).toEqual(used.map(({ offset }) => offset))
    expect(
      Array.from(moment.blocks.subarray(0, moment.count), block => history.size(block))
    ).toEqual(used.map(({ size }) => size))
  })

  const says = (change: (said: unknown) => unknown) => () =>
    recordTimeline(
      traceOf(['a 0 24', 'a 1 24', 'f 0', 'a 2 8'], 'short'),
      open(change).target,
      'list'
    )

  it('refuses an invalid description with a message', () => {
    expect(says(() => ({ blocks: 5 }))).toThrow('describe(): blocks is not an array')
    expect(says(() => ({ blocks: [] }))).toThrow('describe(): no used block holds the pointer 4104')
    expect(
      says(() => {
        throw new Error('no idea')
      })
    ).toThrow('describe() threw no idea')
  })
})

/** Heaps that describe themselves: what describe() may return, and how it is shown. */
import { describe, expect, it } from 'vitest'
import { describedTarget } from '../../lib/report/described-target.js'
import { readDescription } from '../../lib/report/heap-description.js'
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

const block = (offset: number, size: number, used = true) => ({ offset, size, used })
const read = (value: unknown) => readDescription(value, 4096, 4196)

describe('the description of a heap', () => {
  it('has its blocks in address order, and its free list in its own order', () => {
    const blocks = [
      block(4100, 16, false),
      { ...block(4116, 24), header: 4, footer: 4 },
      block(4150, 46, false)
    ]
    expect(read({ blocks, freeList: [4150, 4100] })).toEqual({ blocks, freeList: [4150, 4100] })
    expect(read({ blocks: new Set(blocks).values() })).toEqual({ blocks, freeList: undefined })
  })

  it.each([
    [null, 'describe() must return { blocks'],
    [[], 'blocks is not an array'],
    [{ blocks: 'abc' }, 'blocks is not an array'],
    [{ blocks: [7] }, 'describe() must return { blocks'],
    [{ blocks: [block(4092, 8)] }, 'blocks[0] begins at byte 4092'],
    [
      { blocks: [block(4096, 16), block(4104, 8)] },
      'blocks[1] begins at byte 4104, inside what is before it, up to byte 4112'
    ],
    [{ blocks: [block(4096, 0)] }, 'blocks[0] has 0 bytes'],
    [
      { blocks: [block(4096, 101)] },
      'blocks[0] has 101 bytes from byte 4096 on, but the heap ends at 4196'
    ],
    [{ blocks: [block(4096.5, 8)] }, 'blocks[0].offset is 4096.5'],
    [{ blocks: [block(Number.NaN, 8)] }, 'blocks[0].offset is NaN'],
    [
      { blocks: [{ ...block(4096, 8), header: 9 }] },
      'blocks[0].header is 9, more than the block has'
    ],
    [{ blocks: [{ ...block(4096, 8), header: 4, footer: 8 }] }, 'blocks[0].footer is 8'],
    [
      { blocks: [block(4096, 8)], freeList: [4096] },
      'freeList[0] is 4096, where no free block begins'
    ],
    [{ blocks: [], freeList: 3 }, 'freeList is not an array']
  ])('%j is refused with a sentence', (value, message) => {
    expect(read(value)).toContain(message)
  })

  it('is refused with the error of a throwing property', () => {
    const thrower = {
      get blocks() {
        throw new Error('from describe itself')
      }
    }
    expect(read(thrower)).toBe('from describe itself')
  })

  it('is refused if an iterator does not end', () => {
    function* endless() {
      for (;;) yield 4096
    }
    expect(read({ blocks: [block(4096, 8, false)], freeList: endless() })).toContain(
      'freeList does not end'
    )
  })
})

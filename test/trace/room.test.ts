import { constants } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import { MOST_HEAP_BYTES, roomFor } from '../../lib/trace/room.js'

describe('roomFor', () => {
  it('returns whole MiB, more than the trace needs, and no more than can be mapped', () => {
    expect(roomFor(parseTrace('a 0 8\n'))).toBe(2 ** 21)
    expect(roomFor(parseTrace('a 0 10000000\n'))).toBeGreaterThan(4e7)
    expect(roomFor(parseTrace('a 0 9007199254740991\n'))).toBeLessThanOrEqual(2 ** 33)
  })
})

describe('outOfMemory', () => {
  /** The end of the message for a trace on a heap of `size` bytes that is too small for it. */
  function advice(text: string, size: number): string {
    using heap = Heap.map(size)
    const trace = parseTrace(text)
    try {
      replay(trace, heap, pointersFor(trace, size))
    } catch (error) {
      return error instanceof Error ? (/; (.*) \(see/.exec(error.message)?.[1] ?? '') : ''
    }
    return 'it fits'
  }
  const most = `this Node has heaps of up to ${MOST_HEAP_BYTES}`
  const newer =
    constants.MAX_LENGTH < 2 ** 33 ? '; Node 22 and later have heaps of up to 8589934592' : ''

  it('advises a larger heap if one is possible', () => {
    expect(advice('a 0 100000\n', 65_536)).toBe('give it more with --size')
    expect(advice('a 0 3000000000\n', 2 ** 21)).toBe('give it more with --size')
  })

  it('advises none if this heap is the largest possible', () => {
    expect(advice(`a 0 ${MOST_HEAP_BYTES}\n`, MOST_HEAP_BYTES)).toBe(
      `the trace needs at least ${MOST_HEAP_BYTES} bytes, but ${most}${newer}`
    )
  })

  it('advises none if the trace needs more than any heap has', () => {
    const tail = `but ${most}`
    expect(advice(`a 0 8\nf 0\nr 1 9000000000\n`, 2 ** 21)).toBe(
      `the trace needs at least 9000000000 bytes, ${tail}`
    )
    expect(advice(`c 0 3 3000000000\n`, MOST_HEAP_BYTES)).toBe(
      `the trace needs at least 9000000000 bytes, ${tail}`
    )
  })
})

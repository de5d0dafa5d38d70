/** What a trace needs: its peaks, the size of its heap; and its operations in words. */
import { constants } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import { MOST_HEAP_BYTES, roomFor } from '../../lib/trace/room.js'
import {
  describeOperation,
  MALLOC,
  payloadOf,
  peaksOf,
  TraceBuilder
} from '../../lib/trace/trace.js'
import { traces } from './arbitrary.js'

describe('peaksOf', () => {
  it('finds the most requested bytes at one time, and when that was first', () => {
    const trace = parseTrace('a 0 100\nc 1 3 10\nf 0\nr 1 131\nf -1\na 2 0\nf 1\n')
    // 100, 130, 30, 131, 131, 131, 0
    expect(peaksOf(trace)).toMatchObject({ payload: 131, operations: 4 })
  })

  it('counts whole blocks: header, rounding, smallest block, alignment', () => {
    expect(peaksOf(parseTrace('a 0 1\n')).blocks).toBe(16)
    expect(peaksOf(parseTrace('a 0 12\na 1 13\n')).blocks).toBe(16 + 24)
    expect(peaksOf(parseTrace('m 0 64 12\nf 0\n')).blocks).toBe(16 + 64)
  })

  it('agrees with a map of live blocks', () => {
    fc.assert(
      fc.property(traces, trace => {
        const live = new Map<number, number>()
        let peak = 0
        for (let i = 0; i < trace.length; i++) {
          live.set(trace.idOf[i], payloadOf(trace, i))
          live.delete(-1)
          peak = Math.max(
            peak,
            [...live.values()].reduce((sum, size) => sum + size, 0)
          )
        }
        expect(peaksOf(trace).payload).toBe(peak)
      })
    )
  })

  it('is zero for an empty trace', () => {
    expect(peaksOf(new TraceBuilder().build('empty'))).toEqual({
      payload: 0,
      operations: 0,
      blocks: 0
    })
  })
})

describe('describeOperation', () => {
  it('describes every kind in words', () => {
    const trace = parseTrace('a 0 8\nc 1 2 3\nm 2 64 5\nr 0 9\nf 0\nf -1\n')
    expect(Array.from({ length: 6 }, (_, i) => describeOperation(trace, i))).toEqual([
      'operation 1 (line 1), malloc of 8 bytes for id 0',
      'operation 2 (line 2), calloc of 2 × 3 bytes for id 1',
      'operation 3 (line 3), alignedAlloc of 5 bytes at 64 for id 2',
      'operation 4 (line 4), realloc of id 0 to 9 bytes',
      'operation 5 (line 5), free of id 0',
      'operation 6 (line 6), free of NULL'
    ])
  })

  it('leaves out the line without a file', () => {
    const builder = new TraceBuilder()
    builder.add(MALLOC, 0, 8)
    expect(describeOperation(builder.build('t'), 0)).toBe('operation 1, malloc of 8 bytes for id 0')
  })
})

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

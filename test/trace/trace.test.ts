import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseTrace } from '../../lib/trace/parse.js'
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

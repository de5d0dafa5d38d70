import { describe, expect, it } from 'vitest'
import type { Heap } from '../../lib/heap/heap.js'
import { measure } from '../../lib/trace/measure.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import { Bump } from './bump.js'

const TEXT = 'a 0 100\nc 1 3 10\nm 2 256 7\nf 0\nr 1 5000\nf -1\na 3 0\na 0 9\n'

describe('replay', () => {
  it('makes every call with its arguments, in order', () => {
    const calls: string[] = []
    const answer = (call: string) => {
      calls.push(call)
      return calls.length * 8
    }
    replay(
      parseTrace(TEXT),
      {
        u8: new Uint8Array(0),
        malloc: size => answer(`malloc ${size}`),
        calloc: (count, size) => answer(`calloc ${count} ${size}`),
        realloc: (pointer, size) => answer(`realloc ${pointer} ${size}`),
        alignedAlloc: (alignment, size) => answer(`aligned ${alignment} ${size}`),
        free: pointer => void answer(`free ${pointer}`),
        check() {}
      },
      new Int32Array(4)
    )
    expect(calls).toEqual([
      'malloc 100',
      'calloc 3 10',
      'aligned 256 7',
      'free 8',
      'realloc 16 5000',
      'free 0',
      'malloc 0',
      'malloc 9'
    ])
  })

  it('stores the pointers of live blocks, and continues from where it stopped', () => {
    const trace = parseTrace(TEXT)
    for (const pointers of [new Int32Array(4), new Float64Array(4)]) {
      const target = new Bump()
      replay(trace, target, pointers, 0, 4)
      expect(Array.from(pointers)).toEqual([0, 112, 256, 0])
      replay(trace, target, pointers, 4)
      expect(Array.from(pointers)).toEqual([5272, 264, 256, 5264])
    }
  })

  it('reports where memory ran out', () => {
    expect(() => replay(parseTrace('a 0 8\nr 0 900\n'), new Bump(64), new Int32Array(1))).toThrow(
      expect.objectContaining({
        code: 'ERR_OFFHEAP_OUT_OF_MEMORY',
        message: expect.stringMatching(
          /^operation 2 \(line 2\), realloc of id 0 to 900 bytes: .*--size \(see/
        )
      })
    )
  })

  it('keeps pointers as int32 if they fit', () => {
    const trace = parseTrace('a 0 8\n')
    expect(pointersFor(trace, 2 ** 31)).toBeInstanceOf(Int32Array)
    expect(pointersFor(trace, 2 ** 31 + 4096)).toBeInstanceOf(Float64Array)
  })
})

describe('measure', () => {
  it('reports the heap at its peak and at its end', () => {
    const seen: number[] = []
    const shares: number[] = []
    const result = measure(parseTrace(TEXT, 'small'), {
      verify: true,
      inspect: (heap, operations) => seen.push(heap.stats().blocks, operations),
      progress: share => shares.push(share)
    })
    expect(result).toMatchObject({
      trace: 'small',
      operations: 8,
      placement: 'first-fit',
      peakPayload: 5016,
      verified: true,
      size: 2 ** 21,
      notes: ['there is no header'],
      atPeak: { blocks: 4 },
      atEnd: { blocks: 4 }
    })
    expect(seen).toEqual([4, 8])
    expect(result.utilization).toBeCloseTo(5016 / result.highWater, 12)
    expect(result.utilization).toBeGreaterThan(0)
    expect(result.utilization).toBeLessThan(1)
    expect(result.nsPerOperation).toBeGreaterThan(0)
    expect(result.rounds).toBeGreaterThanOrEqual(5)
    expect(shares.at(-1)).toBe(1)
    expect(shares).toEqual([...shares].sort((a, b) => a - b))
  })

  it('measures the same heap with and without verification', () => {
    const trace = parseTrace('a 0 100\na 1 200\na 2 300\nf 1\na 3 50\nf 0\nf 2\nf 3\n')
    const plain = measure(trace)
    const verified = measure(trace, { verify: true, heap: { placement: 'first-fit' } })
    expect(plain.verified).toBe(false)
    expect({ ...plain, verified: true, rounds: 0, nsPerOperation: 0 }).toEqual({
      ...verified,
      rounds: 0,
      nsPerOperation: 0
    })
    expect(plain.atPeak).toMatchObject({ blocks: 3, freeBlocks: 0 })
    expect(plain.atEnd).toMatchObject({ blocks: 0, freeBlocks: 0, used: 0 })
  })

  it('reads a trace without operations', () => {
    const result = measure(parseTrace('1\n0\n0\n1\n'), { verify: true })
    expect(result).toMatchObject({
      operations: 0,
      peakPayload: 0,
      utilization: Number.NaN,
      nsPerOperation: Number.NaN
    })
  })

  it('times nothing if not asked to', () => {
    const result = measure(parseTrace('a 0 8\n'), { verify: true, timed: false })
    expect(result).toMatchObject({ verified: true, rounds: 0, nsPerOperation: Number.NaN })
  })

  it('closes its heap, even after a failure', () => {
    const heaps: Heap[] = []
    const inspect = (heap: Heap) => heaps.push(heap)
    measure(parseTrace('a 0 8\n'), { inspect })
    // The peak is at the second operation; the third does not fit.
    const trace = parseTrace('a 0 8\na 1 20000\nf 1\na 1 9000\na 2 9000\n')
    expect(() => measure(trace, { size: 24_576, inspect })).not.toThrow()
    expect(() =>
      measure(parseTrace('a 0 8\nf 0\nr 1 9000\na 2 9000\nr 1 9500\n'), { size: 24_576, inspect })
    ).toThrow('give it more with --size')
    expect(heaps.length).toBeGreaterThanOrEqual(2)
    expect(heaps.every(heap => heap.closed)).toBe(true)
  })
})

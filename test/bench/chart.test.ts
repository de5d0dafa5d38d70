import { describe, expect, it } from 'vitest'
import { chart } from '../../lib/bench/chart.js'
import type { ContenderName } from '../../lib/bench/contenders.js'
import type { Figure } from '../../lib/bench/race.js'
import { humanTime, inWords, type Results } from '../../lib/bench/results.js'
import { svgChart } from '../../lib/bench/svg.js'

function figure(contender: ContenderName, ns: number, timesAsFast: number): Figure {
  return { contender, ns, spread: 0.02, timesAsFast, samples: [ns, ns, ns] }
}

const failed: Figure = {
  contender: '@thi.ng/malloc',
  ns: Number.NaN,
  spread: Number.NaN,
  timesAsFast: Number.NaN,
  samples: [],
  error: 'no memory for 64 bytes'
}

const results: Results = {
  node: 'v20.0.0',
  cpu: 'Some <Processor>',
  as: 'buffer',
  cleared: false,
  live: 1000,
  sizes: [
    {
      size: 1024,
      figures: [
        figure('segregated-fit', 100, 10),
        figure('Buffer.alloc', 1000, 1),
        figure('new Uint8Array', 9000, 1 / 9),
        failed
      ]
    }
  ]
}

describe('times and ratios, as people read them', () => {
  it('have three digits and a unit', () => {
    expect([3.1399, 999.4, 999.6, 45_678, 2_000_000, 3.2e9].map(humanTime)).toEqual([
      '3.14 ns',
      '999 ns',
      '1 µs',
      '45.7 µs',
      '2 ms',
      '3.2 s'
    ])
    expect(humanTime(Number.NaN)).toBe('-')
  })

  it('say which contender is faster, unambiguously', () => {
    expect(inWords(figure('first-fit', 1, 2.345))).toBe('2.3 times as fast')
    expect(inWords(figure('first-fit', 1, 0.25))).toBe('4 times as slow')
    expect(inWords(figure('first-fit', 1, 345.6))).toBe('346 times as fast')
    expect(inWords(figure('first-fit', 1, 0.98))).toBe('as fast')
    expect(inWords(figure('Buffer.alloc', 1, 1))).toBe('')
    expect(inWords(failed)).toBe('no memory for 64 bytes')
  })
})

describe('the chart on a terminal', () => {
  it('has a bar for each contender, and cuts off one that would dwarf the others', () => {
    const lines = chart(results, { width: 100 }).split('\n')
    expect(lines.slice(0, 8)).toEqual([
      'Buffers: 1,000 alive, one after the other replaced',
      'Node v20.0.0, Some <Processor>',
      '',
      '1 KiB',
      '  offheap segregated-fit: allocBuffer  ▋                         100 ns ±2 %  10 ' +
        'times as fast',
      '  Buffer.alloc (cleared)               ██████                      1 µs ±2 %',
      '  new Uint8Array (cleared)             ███████████████████████▶    9 µs ±2 %  9 ' +
        'times as slow',
      '  @thi.ng/malloc: mallocAs                                            -       no ' +
        'memory for 64 bytes'
    ])
  })

  it('keeps to the width and to ASCII', () => {
    for (const width of [80, 100, 160]) {
      const text = chart(results, { width, ascii: true })
      expect(text).toMatch(/^[\n -~]*$/)
      for (const line of text.split('\n'))
        expect(line.length).toBeLessThanOrEqual(Math.max(width, 90))
    }
  })
})

describe('the picture', () => {
  it('is an SVG with a bar and the figures of each contender', () => {
    const svg = svgChart(results)
    expect(svg.match(/<rect /g)).toHaveLength(1 + 4)
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
    expect(texts).toEqual(
      expect.arrayContaining([
        '1 KiB',
        'offheap segregated-fit: allocBuffer',
        '100 ns, 10 times as fast',
        '1 µs'
      ])
    )
    expect(svg).toContain('Some &lt;Processor&gt;')
  })
})

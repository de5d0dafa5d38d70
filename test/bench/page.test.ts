import { describe, expect, it } from 'vitest'
import { apart, dotChart, lineChart } from '../../bench/page/draw.js'
import { type Figures, page, pictures } from '../../bench/page/page.js'
import { programsTable } from '../../bench/page/programs.js'
import { type Series, seriesTable } from '../../bench/page/series.js'

const environment = { node: 'v20.0.0', cpu: 'A processor', system: 'linux 6', date: '2026-11-26' }

const series: Series = {
  x: [
    { value: 100, label: '100' },
    { value: 10_000, label: '10,000' }
  ],
  samples: 5,
  rows: [
    { id: 'segregated-fit', ns: [20, 40], spread: [0.01, 0.03], times: [10, 40] },
    { id: 'Buffer.alloc', ns: [200, 1600], spread: [0.02, 0.2], times: [1, 1] },
    { id: 'tlsf-wasm', ns: [400, null], spread: [0.02, null], times: [0.5, null] },
    { id: 'floor-js', ns: [5, 5], spread: [0, 0], times: [40, 320] }
  ]
}

const programs = {
  recordings: [
    { label: 'vim', heldOut: false, paging: false },
    { label: 'gdb', heldOut: true, paging: true }
  ],
  samples: 5,
  rows: [
    {
      id: 'segregated-fit',
      ns: [10, 40],
      spread: [0.02, 0.02],
      besideAlloc: [8, 2],
      besideC: [2, 0.5],
      net: [4, 0.25],
      cold: [100, 400],
      utilization: [0.9, 0.96]
    },
    {
      id: 'glibc',
      ns: [20, 20],
      spread: [0.02, 0.02],
      besideAlloc: [4, 4],
      besideC: [1, 1],
      net: [1, 1],
      cold: [30, null],
      utilization: [null, null]
    },
    {
      id: 'floor-js',
      ns: [5, 5],
      spread: [0, 0],
      besideAlloc: [],
      besideC: [],
      net: [],
      cold: [],
      utilization: []
    }
  ]
}

const figures: Figures = {
  environment,
  clock: 'wall',
  absent: { mimalloc: 'not there' },
  live: series,
  sizes: series,
  programs
}

/** The words of an SVG. */
function texts(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text)
}

describe('positions moved apart', () => {
  it('keep their order, their distances and their bounds', () => {
    expect(apart([50, 10, 12], [10, 10, 10], [0, 100])).toEqual([50, 10, 20])
    expect(apart([95, 96, 97], [10, 10, 10], [0, 100])).toEqual([80, 90, 100])
    expect(apart([1, 0], [10, 20], [5, 100])).toEqual([20, 5])
    expect(apart([], [], [0, 1])).toEqual([])
  })
})

describe('pictures', () => {
  const labels = { title: 'Title', subtitle: 'Subtitle' }

  it('have axes with readable units', () => {
    const lines = [{ label: 'one', color: 'red', values: [30, 4_000_000] }]
    const svg = lineChart(labels, series.x, 'blocks alive', lines)
    expect(texts(svg)).toEqual(
      expect.arrayContaining([
        '100 ns',
        '1 µs',
        '10 µs',
        '100 µs',
        '1 ms',
        '100',
        '10,000',
        'blocks alive'
      ])
    )
    const near = [{ label: 'one', color: 'red', values: [30, 150] }]
    expect(texts(lineChart(labels, series.x, '', near))).toEqual(
      expect.arrayContaining(['20 ns', '50 ns', '100 ns', '200 ns'])
    )
  })

  it('label each line at its end, and each dot above the first row', () => {
    const lines = [
      { label: 'one', color: 'red', values: [30, 40] },
      { label: 'two & three', color: 'blue', values: [30, Number.NaN] },
      { label: 'none', color: 'green', values: [Number.NaN, Number.NaN] }
    ]
    expect(texts(lineChart(labels, series.x, '', lines))).toEqual(
      expect.arrayContaining(['one', 'two &amp; three'])
    )
    expect(texts(lineChart(labels, series.x, '', lines))).not.toContain('none')
    const dots = dotChart(labels, ['vim', 'gdb'], '', lines)
    expect(texts(dots)).toEqual(expect.arrayContaining(['vim', 'gdb', 'one', 'two &amp; three']))
    expect(dots.match(/<circle /g)).toHaveLength(3)
  })

  it('are three, of at most six lines or dots, and include Buffer.alloc if it was measured', () => {
    const drawn = pictures(figures)
    expect([...drawn.keys()]).toEqual(['churn', 'sizes', 'recordings'])
    expect(texts(drawn.get('churn') ?? '')).toContain('Buffer.alloc')
    for (const svg of drawn.values()) expect(svg).not.toContain('NaN')
  })
})

describe('the table over blocks or sizes', () => {
  const { head, rows, note } = seriesTable([
    { node: '20', series },
    { node: '24', series: { ...series, rows: series.rows.slice(0, 1) } }
  ])

  it('has times, and the comparison with Buffer.alloc on each Node', () => {
    expect(head).toEqual([
      '',
      '100',
      '10,000',
      'beside Buffer.alloc, Node 20',
      'beside Buffer.alloc, Node 24'
    ])
    const words = '20 times as fast (10 … 40)'
    expect(rows[0]).toEqual(['offheap, segregated fit', '20 ns', '40 ns', words, words])
    expect(rows[1]).toEqual(['Buffer.alloc', '200 ns', '1.6 µs', '', ''])
    expect(rows[2]?.slice(2, 4)).toEqual(['-', '2 times as slow (0.5 … 0.5)'])
    expect(rows[3]?.slice(3)).toEqual(['', ''])
  })

  it('shows the spread of the samples', () => {
    expect(note).toMatch(/at least 5 samples.* 2 % of the median, at worst 20 %/)
  })
})

describe('the table of programs', () => {
  const { head, rows, note } = programsTable([
    { node: '20', programs },
    { node: '24', programs }
  ])

  it('compares with the C library as measured, net of floors, without paging and held out', () => {
    expect(head).toEqual([
      '',
      'time per operation',
      'beside Buffer.alloc',
      'beside the C library',
      'without *',
      'held out',
      'net of floors',
      'worst program',
      'first run',
      'utilization',
      'beside the C library, Node 24'
    ])
    expect(rows[0]).toEqual([
      'offheap, segregated fit',
      '20 ns',
      '4 times as fast',
      'as fast',
      '2 times as fast',
      '2 times as slow',
      'as fast',
      '2 times as slow (gdb)',
      '200 ns',
      '93.0 %',
      'as fast'
    ])
  })

  it('has no mean if a recording is missing, and compares no floor', () => {
    expect(rows[1]).toEqual([
      'C library (C++)',
      '20 ns',
      '4 times as fast',
      '',
      '',
      '',
      '',
      '',
      '-',
      '-',
      ''
    ])
    expect(rows[2]).toEqual(['floor: the JavaScript loop', '5 ns', ...Array(9).fill('')])
    expect(rows.every(cells => cells.length === head.length)).toBe(true)
    expect(note).toMatch(/2 recordings on Node 20/)
  })
})

describe('docs/benchmarks.md', () => {
  it('answers three questions of a reader, each with a picture and a table', () => {
    const text = page([figures])
    expect(text.match(/^## .*$/gm)).toEqual([
      '## Is it faster than what I use?',
      '## Is it faster for my sizes?',
      '## Is it faster for my program?'
    ])
    expect(text.match(/^!\[.*$/gm)).toHaveLength(3)
    expect(text.match(/^\| --- \|/gm)).toHaveLength(3)
    expect(text).toContain('Not measured: mimalloc.')
    expect(text).not.toContain('CPU time')
    expect(page([{ ...figures, clock: 'cpu' }])).toContain(
      'by CPU time on a machine that had other work'
    )
  })
})

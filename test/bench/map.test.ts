/**
 * The tables of `npm run bench -- --map` and `-- --shared`, and each contender of the former that
 * needs no package.
 */
import { describe, expect, test } from 'vitest'
import { MAKERS } from '../../bench/map/contenders.js'
import { FIGURES, type Figures } from '../../bench/map/figures.js'
import { mapGrid } from '../../bench/map/race.js'
import { sharedGrid, sharedPicture } from '../../bench/shared/race.js'

const figures = (value: number): Figures => ({
  insert: value,
  hit: value,
  hitKept: value,
  miss: value,
  many: Number.NaN,
  overwrite: value,
  mixed: value,
  churn: value,
  pause: value,
  longest: value,
  rss: value
})

test('the table has medians, and in brackets the comparison with Map', () => {
  const results = new Map([
    ['Map', { figures: [figures(100), figures(300), figures(200)] }],
    ['HeapMap', { figures: [figures(100), figures(50), figures(900)] }],
    ['lmdb', { figures: [], error: 'it failed' }]
  ])
  const { rows, head } = mapGrid({ entries: 1000, bytes: 10 }, results)
  expect(head).toHaveLength(FIGURES.length + 1)
  expect(rows.map(row => row[1])).toEqual(['200', '100 (0.50)', '-'])
  expect(rows.map(row => row[5])).toEqual(['-', '-', '-'])
})

describe.each(['Map', 'HeapMap', 'HeapCache'])('%s', name => {
  test('returns what was stored in it', () => {
    const subject = MAKERS[name]?.(100, 10)
    subject?.all(() => {
      for (let i = 0; i < 100; i++) subject.set(`key ${i}`, `value ${i}`)
    })
    expect(subject?.get('key 50')).toBe('value 50')
    expect(subject?.get('none')).toBe(undefined)
    subject?.close()
  })
})

test('the table and the picture of shared heaps have a line for each kind', () => {
  const chart = {
    file: 'x.svg',
    labels: { title: 'Title', subtitle: 'lower is better' },
    xTitle: 'threads',
    x: [1, 2].map(value => ({ value, label: `${value} x` })),
    lines: ['one', 'two'].map((label, i) => ({
      label,
      color: '#111',
      values: [12.3, 1e6 * (i + 1)]
    }))
  }
  const { head, rows } = sharedGrid(chart)
  expect(head).toEqual(['', '1 x', '2 x'])
  expect(rows).toEqual([
    ['one', '12.3', '1,000,000'],
    ['two', '12.3', '2,000,000']
  ])
  expect(sharedPicture(chart).match(/>(one|two|2 x|threads)</g)).toHaveLength(4)
})

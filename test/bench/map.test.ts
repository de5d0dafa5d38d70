/**
 * The tables of `npm run bench -- --map` and `-- --shared`, and each contender of the former that
 * needs no package.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { MAKERS } from '../../bench/map/contenders.js'
import { FIGURES, type Figures } from '../../bench/map/figures.js'
import { mapGrid, ratioTable } from '../../bench/map/race.js'
import { replaceTable } from '../../bench/page/table.js'
import { sharedGrid, sharedPicture } from '../../bench/shared/race.js'

const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

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

test('the table of the docs has ratios of medians, and replaces the one before', () => {
  const results = new Map([
    ['Map', { figures: [figures(100)] }],
    ['HeapMap', { figures: [figures(50)] }],
    ['lru-cache', { figures: [figures(200)] }],
    ['HeapCache', { figures: [figures(50)] }]
  ])
  const table = ratioTable([{ entries: 1000, bytes: 10, results }])
  const page = join(folder, 'page.md')
  writeFileSync(page, 'before\n<!-- table: a command -->\nold\n<!-- end of table -->\nafter\n')
  replaceTable(page, table)
  const text = readFileSync(page, 'utf8')
  expect(text).toMatch(
    /^before\n<!-- table: a command -->\n\n[\s\S]*\n<!-- end of table -->\nafter\n$/
  )
  expect(text).toContain('| 1,000 of 10 B | 0.50 | 0.50 | 0.50 | 0.50 | 0.50 | 0.25 | 100 | 50 |')
  expect(text).not.toContain('old')
  replaceTable(page, table)
  expect(readFileSync(page, 'utf8')).toBe(text)
  writeFileSync(page, 'no markers')
  expect(() => replaceTable(page, table)).toThrow('has no markers for a table')
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

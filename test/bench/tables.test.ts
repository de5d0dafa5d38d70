import { describe, expect, it } from 'vitest'
import type { Measurement } from '../../bench/process/entry.js'
import { compareGrid } from '../../bench/report/compare.js'
import { comparison, gridOf } from '../../bench/report/grids.js'
import { Race } from '../../bench/run/race.js'
import { type TargetRow, verdict } from '../../bench/run/targets.js'

const work = { kind: 'growth' } as const

function measured(contender: string, samples: readonly number[], facts = {}): Measurement {
  return { contender, work, samples, facts: [facts] }
}

const NANOSECONDS = [
  measured('first-fit', [30, 31, 60]),
  measured('glibc', [20, 20, 40]),
  measured('floor-js', [10, 10, 20]),
  measured('floor-c++', [0, 0, 0])
]

describe('a race', () => {
  const race = new Race(NANOSECONDS)

  it('compares as measured, and without the floor of each loop', () => {
    expect(race.ratio('first-fit', 'glibc')).toBe(1.5)
    expect(race.netRatio('first-fit', 'glibc')).toBe(1)
  })

  it('has no ratio to a missing contender, or for a loop that is all floor', () => {
    expect(race.ratio('first-fit', 'mimalloc')).toBeNaN()
    expect(race.netRatio('first-fit', 'floor-js')).toBeNaN()
  })

  it('recognizes that the C library spends its time on page faults', () => {
    expect(race.paysForPages).toBe(false)
    expect(new Race([measured('glibc', [300], { faults: 80 })]).paysForPages).toBe(true)
  })
})

describe('a comparison in words', () => {
  const words = (...ratios: number[]) =>
    comparison(new Map(ratios.map((value, i) => [`c${i}`, value])))

  it('has the ratio and the name of the other contender', () => {
    expect(words(2, 2)).toBe('2x slower')
    expect(words(0.25)).toBe('4x faster')
    expect(words(1.02)).toBe('as fast')
    expect(words()).toBe('')
  })

  it('names the columns where it is the other way round', () => {
    expect(words(2, 0.5)).toBe('as fast, but slower at c0')
    expect(words(0.1, 1.6, 0.1)).toBe('3.97x faster, but slower at c1')
    expect(words(0.5, 4)).toBe('1.41x slower, but faster at c0')
    expect(words(2, 2, 2, 2, 0.01)).toBe('1.44x faster, but slower at 4 of 5')
    expect(words(0.5, 4, 4, 4, 4)).toBe('2.64x slower, but faster at c0')
  })
})

describe('the table of a part', () => {
  const part = { name: 'growth', title: 'Growth', ours: ['first-fit'], facts: [] }

  it('compares as measured and net of the floors', () => {
    const { head, rows } = gridOf({ ...part, cases: [{ label: 'one', measurements: NANOSECONDS }] })
    expect(head).toEqual(['', 'one', 'offheap first-fit is', 'net of floor'])
    expect(rows[0]).toEqual(['offheap first-fit', '31', '', ''])
    expect(rows[1]).toEqual(['C library, C++ loop', '20', '1.5x slower', 'as fast'])
    expect(rows[2]).toEqual(['floor: the JavaScript loop', '10', '', ''])
  })

  it('shows a spread of three samples, but not of two', () => {
    const note = (samples: number[]) =>
      gridOf({ ...part, cases: [{ label: 'one', measurements: [measured('first-fit', samples)] }] })
        .note
    expect(note([10, 20])).toMatch(/no spread is known/)
    expect(note([10, 20, 30])).toMatch(/25.0 % of the median/)
  })

  it('shows memory without comparing it', () => {
    const facts = { utilization: 0.9, overNeeded: 1.5 }
    const measurements = [measured('first-fit', [], facts), measured('glibc', [])]
    const grid = gridOf({
      ...part,
      facts: ['utilization', 'overNeeded'],
      cases: [{ label: 'pinning', measurements }]
    })
    expect(grid.head).toEqual(['', 'pinning: utilization', 'pinning: memory / needed'])
    expect(grid.rows[0]).toEqual(['offheap first-fit', '0.9', '1.5'])
    expect(grid.note).toBe('The same in each run.')
  })
})

describe('the table of --compare', () => {
  const grid = compareGrid({
    contenders: ['first-fit', 'glibc'],
    races: new Map([
      [
        'calm',
        new Race([...NANOSECONDS, measured('first-fit', [30, 30, 60], { utilization: 0.5 })])
      ],
      ['paging', new Race([measured('first-fit', [30]), measured('glibc', [300], { faults: 80 })])]
    ])
  })

  it('has the ratio to the last contender beside each figure', () => {
    expect(grid.head).toEqual(['', 'first-fit', '/ glibc', 'net', 'utilization', 'glibc'])
    expect(grid.rows[0]).toEqual(['calm', '30 ±25%', '1.50', '1.00', '0.50', '20 ±25%'])
  })

  it('marks recordings where the C library pays for pages, and has the mean without them', () => {
    expect(grid.rows[1]).toEqual(['paging *', '30', '0.10', '-', '-', '300'])
    expect(grid.rows.map(cells => cells[2])).toEqual(['1.50', '0.10', '0.39', '1.50'])
  })
})

describe('a target', () => {
  const row = (measured: number, atLeast = false): TargetRow => {
    return {
      measure: '',
      bound: atLeast ? 0.9 : 1.5,
      stretch: atLeast ? 0.95 : 1,
      atLeast,
      measured,
      detail: []
    }
  }

  it('is missed, reached, or beaten by far, below or above its bound', () => {
    expect([0.9, 1.2, 1.6].map(value => verdict(row(value)))).toEqual([
      'stretch',
      'reached',
      'MISSED'
    ])
    expect([0.96, 0.9, 0.8].map(value => verdict(row(value, true)))).toEqual([
      'stretch',
      'reached',
      'MISSED'
    ])
    expect(verdict(row(Number.NaN))).toBe('not measured')
  })
})

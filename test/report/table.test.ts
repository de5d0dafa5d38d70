import { describe, expect, it } from 'vitest'
import { meansOf, replayTable } from '../../lib/report/table.js'
import { humanBytes, humanCount, humanShare } from '../../lib/sizes.js'
import type { Measurement } from '../../lib/trace/measure.js'

function measurement(values: Partial<Measurement>): Measurement {
  const shape = { used: 0, free: 0, blocks: 5826, freeBlocks: 507, largestFree: 0, top: 0 }
  return {
    trace: 'sqlite',
    operations: 317_821,
    placement: 'first-fit',
    peakPayload: 12_270_148,
    utilization: 0.968,
    nsPerOperation: 31.26,
    rounds: 5,
    verified: false,
    size: 2 ** 26,
    highWater: 2 ** 24,
    atPeak: shape,
    atEnd: { ...shape, blocks: 1, freeBlocks: 2 },
    notes: [],
    ...values
  }
}

/** The words of a line. */
function words(line: string): string[] {
  return line.trim().split(/ {2,}/)
}

describe('replayTable', () => {
  it('has a line for each trace, and the means over several', () => {
    const other = measurement({
      trace: 'vim',
      utilization: 0.5,
      nsPerOperation: 68.74,
      operations: 7
    })
    const lines = replayTable([measurement({}), other]).split('\n')
    expect(words(lines[2])).toEqual([
      'trace',
      'operations',
      'payload',
      'utilization',
      'ns/op',
      'blocks',
      'blocks'
    ])
    expect(words(lines[3])).toEqual([
      'sqlite',
      '317,821',
      '11.7 MiB',
      '96.8 %',
      '31.3',
      '5,826',
      '507'
    ])
    expect(words(lines[4])).toEqual(['vim', '7', '11.7 MiB', '50.0 %', '68.7', '5,826', '507'])
    expect(words(lines[5])).toEqual(['mean', '73.4 %', '50.0'])
    expect(lines).toHaveLength(7)
  })

  it('has no means for a single trace', () => {
    expect(replayTable([measurement({})])).not.toContain('mean')
  })

  it('marks verified traces, in ASCII if necessary', () => {
    const results = [measurement({ verified: true }), measurement({})]
    expect(words(replayTable(results).split('\n')[2]).at(-1)).toBe('valid')
    expect(replayTable(results).split('\n')[3]).toMatch(/507 +✓ *$/)
    expect(replayTable(results).split('\n')[4]).toMatch(/507 *$/)
    const ascii = replayTable(results, { ascii: true })
    expect(ascii).toMatch(/507 +yes *\n/)
    expect(ascii).toMatch(/^[\n -~]*$/)
  })

  it('colours only on request', () => {
    const green = '\u001b[32m'
    expect(replayTable([measurement({ verified: true })], { color: true })).toContain(`${green}✓`)
    expect(replayTable([measurement({ verified: true })])).not.toContain('\u001b[')
  })

  it('fits a terminal of 80 columns', () => {
    const results = [
      measurement({ verified: true, trace: 'wee-source-map' }),
      measurement({ verified: true })
    ]
    for (const line of replayTable(results).split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it('shows a dash for values that an empty trace does not have', () => {
    const empty = measurement({
      operations: 0,
      utilization: Number.NaN,
      nsPerOperation: Number.NaN
    })
    expect(words(replayTable([empty]).split('\n')[3]).slice(3, 5)).toEqual(['-', '-'])
  })
})

describe('meansOf', () => {
  it('ignores traces without operations', () => {
    const empty = measurement({
      operations: 0,
      utilization: Number.NaN,
      nsPerOperation: Number.NaN
    })
    const means = meansOf([
      measurement({ utilization: 0.4, nsPerOperation: 10 }),
      empty,
      measurement({ utilization: 0.6, nsPerOperation: 30 })
    ])
    expect(means.utilization).toBeCloseTo(0.5, 12)
    expect(means.nsPerOperation).toBe(20)
  })
})

describe('numbers', () => {
  it('are written as people read them', () => {
    const sizes = [0, 999, 1000, 1024, 1536, 10_240, 12_345_678, 2 ** 30, 4 * 2 ** 30, 2 ** 61]
    expect(sizes.map(humanBytes)).toEqual([
      '0 B',
      '999 B',
      '0.98 KiB',
      '1 KiB',
      '1.5 KiB',
      '10 KiB',
      '11.8 MiB',
      '1 GiB',
      '4 GiB',
      '2048 PiB'
    ])
    expect(humanCount(1_234_567)).toBe('1,234,567')
    expect(humanShare(0.98765)).toBe('98.8 %')
  })
})

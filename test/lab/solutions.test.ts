import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import type { Grade } from '../../lib/lab/grade/grade.js'
import { ENDLESS } from '../../lib/lab/judge/limits.js'
import { type CompiledLab, compileLab, labTrace, shippedConfig } from './compiled.js'
import { solution } from './solutions.js'

const TRACES = [
  'buffers',
  'calloc',
  'cc1',
  'comb',
  'edges',
  'grow',
  'hello',
  'merge',
  'queue',
  'random',
  'split',
  'sqlite',
  'stack',
  'vim'
]
const config = { ...readConfig(shippedConfig), timing: 0 }

let lab: CompiledLab
const grades: Grade[] = []
beforeAll(async () => {
  lab = compileLab()
  const { grade } = await lab.grading()
  for (const step of [1, 2, 3, 4, 5, 6]) {
    const submission = join(lab.folder, `step${step}.ts`)
    writeFileSync(submission, solution(step))
    grades.push(await grade({ submission, config, traces: TRACES.map(labTrace), limits: ENDLESS }))
  }
})
afterAll(() => lab.remove())

function utilization(step: number, trace: string): number {
  return grades[step - 1]?.results.find(result => result.trace === trace)?.utilization ?? Number.NaN
}

function meanUtilization(step: number): number {
  const measured = TRACES.filter(trace => trace !== 'edges')
  return measured.reduce((sum, trace) => sum + utilization(step, trace), 0) / measured.length
}

// By words, which are counted: the same on every machine. Time is looked at by hand.
describe('a clean solution of each step', () => {
  it.each([1, 2, 3, 4, 5, 6, 8])('earns full marks for step %i', async number => {
    const { grade } = await lab.grading()
    const step = readConfig(shippedConfig).steps.find(each => each.step === number)
    const submission = join(lab.folder, `step${number}.ts`)
    writeFileSync(submission, solution(number))
    const names = step?.traces ?? TRACES
    const { points, results } = await grade({
      submission,
      config: { ...config, throughputBy: 'cost', timing: 0.01 },
      traces: names.map(labTrace),
      limits: ENDLESS,
      ...(step === undefined ? {} : { step })
    })
    expect(points.score, JSON.stringify(results, null, 1)).toBe(100)
  })
})

describe('a solution of each step', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'step %i is valid on every trace, and keeps no state outside',
    step => {
      const { fault, results, points } = grades[step - 1] ?? expect.fail()
      expect(fault).toBeUndefined()
      expect(results.filter(result => result.fault !== undefined)).toEqual([])
      expect(points.correctness).toBe(20)
    }
  )

  it('each gets better at what the step is about', () => {
    expect(utilization(2, 'stack')).toBeGreaterThan(4 * utilization(1, 'stack'))
    expect(utilization(2, 'split')).toBeGreaterThan(0.95)
    expect(utilization(2, 'merge')).toBeLessThan(0.2)
    expect(utilization(3, 'merge')).toBeGreaterThan(0.95)
    expect(utilization(4, 'grow')).toBeLessThan(0.5)
    expect(utilization(5, 'grow')).toBeGreaterThan(0.95)
    expect(utilization(5, 'comb')).toBeLessThan(0.7)
    expect(utilization(6, 'comb')).toBeGreaterThan(0.9)
    expect(meanUtilization(2)).toBeGreaterThan(meanUtilization(1))
    expect(meanUtilization(3)).toBeGreaterThan(meanUtilization(2))
    expect(meanUtilization(6)).toBeGreaterThan(meanUtilization(5))
  })
})

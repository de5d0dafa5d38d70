import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LabConfig, readConfig } from '../../lib/lab/grade/config.js'
import type { Grade } from '../../lib/lab/grade/grade.js'
import { performanceOf, scalesOf } from '../../lib/lab/grade/score.js'
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
const STEPS = [1, 2, 3, 4, 5, 6, 8]
// Throughput by cost is the same on every machine.
const shipped = readConfig(shippedConfig)
const config: LabConfig = { ...shipped, throughputBy: 'cost', timing: 0.01 }

let lab: CompiledLab
const grades = new Map<number, Grade>()
beforeAll(async () => {
  lab = compileLab()
  const { grade } = await lab.grading()
  for (const step of STEPS) {
    const submission = join(lab.folder, `step${step}.ts`)
    writeFileSync(submission, solution(step))
    const names = step === 8 ? ['edges', 'calloc'] : TRACES
    const traces = names.map(labTrace)
    grades.set(step, await grade({ submission, config, traces, limits: ENDLESS }))
  }
})
afterAll(() => lab.remove())

function utilization(step: number, trace: string): number {
  return grades.get(step)?.results.find(result => result.trace === trace)?.utilization ?? Number.NaN
}

function meanUtilization(step: number): number {
  const measured = TRACES.filter(trace => trace !== 'edges')
  return measured.reduce((sum, trace) => sum + utilization(step, trace), 0) / measured.length
}

describe('a clean solution of each step', () => {
  it.each(STEPS)('earns full marks for step %i', number => {
    const step = shipped.steps.find(each => each.step === number)
    if (step === undefined) throw new Error(`there is no step ${number}`)
    const names = step.traces ?? TRACES
    const results = (grades.get(number)?.results ?? []).filter(({ trace }) => names.includes(trace))
    expect(results.map(({ trace }) => trace).sort()).toEqual([...names].sort())
    for (const { trace, utilization = 0, throughput = 0, performance } of results) {
      if (performance === undefined) continue
      const scales = scalesOf(step, 'cost', trace)
      const earned = performanceOf({ utilization, throughput }, scales, config.weights)
      expect({ trace, utilization, throughput, earned }).toMatchObject({ earned: 1 })
    }
  })
})

describe('a solution of each step', () => {
  it.each([1, 2, 3, 4, 5, 6])(
    'step %i is valid on every trace, and keeps no state outside the memory',
    step => {
      const { fault, results, points } = grades.get(step) ?? expect.fail()
      expect(fault).toBeUndefined()
      expect(results.filter(result => result.fault !== undefined)).toEqual([])
      expect(points.correctness).toBe(20)
    }
  )

  it('each improves what its step is about', () => {
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

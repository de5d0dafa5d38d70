import { describe, expect, it } from 'vitest'
import { ACCESSES, OPERATION, PROGRESS_WORDS } from '../../lib/lab/progress.js'
import { pair, type RunJob, runStrictly } from '../../lib/lab/runs.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { create } from './solutions/step2.js'

const TRACE = parseTrace(Array.from({ length: 500 }, (_, id) => `a ${id} 24\n`).join(''))

function job(): RunJob {
  const progress = new Int32Array(PROGRESS_WORDS)
  const rest = { url: '', sources: [], alignment: 8, checkInterval: 1000, pair: true, timing: 0, builtIn: false }
  return { ...rest, memory: 2 ** 20, trace: TRACE, progress }
}

const load = async () => create

describe('a strict run', () => {
  it('watches as many accesses as it is given, then ends before the next operation', async () => {
    const all = job()
    expect(await runStrictly(load, all, TRACE.length, 1_000_000, -1)).toBeUndefined()
    expect(all.progress[OPERATION]).toBe(TRACE.length - 1)
    const some = job()
    expect(await runStrictly(load, some, TRACE.length, 10_000, -1)).toBeUndefined()
    expect(some.progress[ACCESSES]).toBeGreaterThanOrEqual(10_000)
    expect(some.progress[ACCESSES]).toBeLessThan(12_000)
    expect(some.progress[OPERATION]).toBeLessThan(TRACE.length - 1)
  })

  it('ends in the same place on every machine', async () => {
    const places = []
    for (let time = 0; time < 3; time++) {
      const each = job()
      await runStrictly(load, each, TRACE.length, 20_000, -1)
      places.push([...each.progress])
    }
    expect(places[1]).toEqual(places[0])
    expect(places[2]).toEqual(places[0])
  })

  it('counts on when the number of accesses wraps around', async () => {
    const each = job()
    each.progress[ACCESSES] = 2 ** 31 - 100
    await runStrictly(load, each, TRACE.length, 10_000, -1)
    const { progress } = job()
    const fresh = { ...job(), progress }
    await runStrictly(load, fresh, TRACE.length, 10_000, -1)
    expect(each.progress[OPERATION]).toBe(progress[OPERATION])
  })
})

it('two heaps side by side do all of the beginning of a trace', async () => {
  const both = job()
  expect(await pair(load, both)).toBeUndefined()
  expect(both.progress[OPERATION]).toBe(TRACE.length - 1)
})

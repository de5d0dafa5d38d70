import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseConfig, readConfig } from '../../lib/lab/grade/config.js'
import { scalesOf } from '../../lib/lab/grade/score.js'
import { shippedConfig } from './compiled.js'

const text = readFileSync(shippedConfig, 'utf8')

describe('the configuration that ships', () => {
  const config = readConfig(shippedConfig)

  it('names only traces that ship', () => {
    const traces = readdirSync(join(dirname(shippedConfig), 'traces')).map(name =>
      name.replace(/\.rep(\.gz)?$/, '')
    )
    for (const step of config.steps)
      for (const name of step.traces ?? []) expect(traces).toContain(name)
    expect(config.steps.map(step => step.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it.each(config.steps)('is what the handout of step $step says', ({ step, traces }) => {
    const handout = join(dirname(shippedConfig), 'handout')
    const page = readdirSync(handout).find(name => name.startsWith(`step-${step}-`)) ?? ''
    const text = readFileSync(join(handout, page), 'utf8')
    const [, list = ''] = /\*\*Graded on\*\* ([^:.]*):/.exec(text) ?? []
    const named = list.match(/(?<=`)\w+(?=`)/g) ?? []
    const before = list.startsWith('the traces of step 2') ? (config.steps[1]?.traces ?? []) : []
    if (traces === undefined) expect(list).toBe('all traces')
    else expect([...before, ...named]).toEqual(traces)
  })

  it('adds up to 100 points', () => {
    expect(config.points.correctness + config.points.performance).toBe(100)
  })
})

describe('a configuration', () => {
  it.each([
    ['"alignment": 8', '"alignment": 12', 'lab.jsonc: "alignment" must be a power of two'],
    [
      '"alignment": 8',
      '"alignment": "8"',
      `lab.jsonc: "alignment" must be an integer from 8 to 4096; found '8'`
    ],
    ['"timeout": 15,', '', 'lab.jsonc: "timeout" must be a number from 0.1 to 3600; it is missing'],
    [
      '"timeout": 15,',
      '"timeout": 15, "timeuot": 3,',
      `lab.jsonc: "timeuot" is no entry of a lab's configuration`
    ],
    ['"utilization": 0.6', '"utilization": 0.7', 'lab.jsonc: the two "weights" must add up to 1'],
    [
      '{ "none": 0, "full": 0.05 }',
      '{ "none": 0.5, "full": 0.5 }',
      'lab.jsonc: in "steps[0].utilization", "none" must be less than "full"'
    ],
    ['"title": "bump"', '"title": 1', 'lab.jsonc: "steps[0].title" must be a string; found 1'],
    [
      '"traces": ["hello"',
      '"traces": [1',
      'lab.jsonc: "steps[0].traces" must be a list of strings; found an array'
    ],
    [
      '"builtIn": true',
      '"builtIn": 1',
      'lab.jsonc: "steps[6].builtIn" must be true or false; found 1'
    ],
    [
      '"queue": 0.33',
      '"queeu": 0.33',
      'in "steps[1]", "queeu" is neither an entry nor one of its "traces"'
    ],
    [
      '"throughput": { "none": 0.002, "full": 1 },\n  "cost"',
      '"throughput": "words",\n  "cost"',
      `lab.jsonc: "throughput" must be "time" or "cost"; found 'words'`
    ],
    [
      '"stateOutside": "fault"',
      '"stateOutside": "maybe"',
      `lab.jsonc: "stateOutside" must be "fault" or "note"; found 'maybe'`
    ]
  ])('with %s replaced by %j is rejected', (from, to, message) => {
    expect(text).toContain(from)
    expect(() => parseConfig(text.replace(from, to), 'lab.jsonc')).toThrow(message)
  })

  it('with "throughput": "cost" uses the scales of "cost"', () => {
    const own = '"throughput": { "none": 0.002, "full": 1 },\n  "cost"'
    expect(text).toContain(own)
    const config = parseConfig(text.replace(own, '"throughput": "cost",\n  "cost"'), 'lab.jsonc')
    expect(config.throughputBy).toBe('cost')
    expect(scalesOf(config, 'cost').throughput).toMatchObject({ none: 0.0005, full: 0.3 })
    const [, second] = config.steps
    if (second === undefined) throw new Error('there is no second step')
    expect(scalesOf(second, 'cost', 'queue')).toMatchObject({
      utilization: { none: 0, full: 0.33 },
      throughput: { none: 0.0001, full: 0.008 }
    })
    expect(scalesOf(second, 'time', 'stack').utilization.full).toBe(0.5)
  })

  it('that is missing or not JSON is rejected', () => {
    expect(() => parseConfig('{ // here\n}', 'lab.jsonc')).toThrow(
      /^lab\.jsonc: .*comments need lines of their own$/
    )
    expect(() => parseConfig('[]', 'lab.jsonc')).toThrow(
      'lab.jsonc: the file must be an object; found an array'
    )
    expect(() => readConfig('no/such/lab.jsonc')).toThrow("no/such/lab.jsonc: can't be read")
  })

  it('that is endless is rejected', () => {
    expect(() => readConfig('/dev/zero')).toThrow(
      "/dev/zero: can't be read: it is larger than 1048576 bytes"
    )
  })
})

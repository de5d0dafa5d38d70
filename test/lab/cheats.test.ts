import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import { describeFault } from '../../lib/lab/grade/describe.js'
import { ENDLESS } from '../../lib/lab/judge/limits.js'
import { cheats } from './cheats.js'
import { type CompiledLab, compileLab, labTrace, shippedConfig } from './compiled.js'
import { sourceOf } from './wrong.js'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
  mkdirSync(join(lab.folder, 'cheat'))
})
afterAll(() => lab.remove())

const config = { ...readConfig(shippedConfig), timing: 0.01, memory: 64, javascriptMemory: 64 }

describe('a submission that cheats gets nothing, and hears what was seen', () => {
  it.each(cheats.map(cheat => [cheat.name, cheat] as const))('one that %s', async (_, cheat) => {
    const submission = join(lab.folder, 'cheat', 'allocator.ts')
    writeFileSync(submission, sourceOf({ ...cheat, check: true }))
    const { grade } = await lab.grading()
    const traces = [labTrace(cheat.trace ?? 'queue')]
    const result = await grade({ submission, config, traces, limits: ENDLESS })
    const fault = result.fault ?? result.results[0]?.fault
    if (fault === undefined) throw new Error('it was not caught')
    const text = describeFault(fault, lab.folder).join('\n')
    expect(text).toMatch(cheat.says)
    expect(fault.kind, text).toBe(cheat.kind)
    expect(result.points.score).toBe(0)
  })
})

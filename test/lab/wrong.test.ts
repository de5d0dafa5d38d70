import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import { describeFault } from '../../lib/lab/grade/describe.js'
import { ENDLESS } from '../../lib/lab/judge/limits.js'
import { type CompiledLab, compileLab, labTrace, shippedConfig } from './compiled.js'
import { sourceOf, wrongs } from './wrong.js'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
})
afterAll(() => lab.remove())

// Little memory, so that what runs away gets there soon.
const config = { ...readConfig(shippedConfig), timing: 0.01, memory: 64, javascriptMemory: 64 }

describe('a wrong allocator', () => {
  it.each(wrongs.map(wrong => [wrong.name, wrong] as const))(
    'is told what is wrong with it: %s',
    async (_, wrong) => {
      const submission = join(lab.folder, 'allocator.ts')
      writeFileSync(submission, sourceOf(wrong))
      const { grade } = await lab.grading()
      const traces = [labTrace(wrong.trace ?? 'hello')]
      const result = await grade({
        submission,
        config,
        traces,
        limits: { ...ENDLESS, suspicion: 0.1, ...wrong.limits }
      })
      const fault = result.fault ?? result.results[0]?.fault
      if (fault === undefined) throw new Error('it was not caught')
      const text = describeFault(fault, lab.folder).join('\n')
      expect(text).toMatch(wrong.says)
      expect([wrong.kind].flat(), text).toContain(fault.kind)
      if (wrong.in !== undefined) expect(fault.stack[0]?.function, text).toBe(wrong.in)
      expect(result.points.score).toBe(0)
    }
  )
})

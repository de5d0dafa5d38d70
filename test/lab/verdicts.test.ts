/**
 * What the grader says about wrong allocators and cheats, and docs/lab-verdicts.md, which lists it.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import { describeFault } from '../../lib/lab/grade/describe.js'
import { ENDLESS, type TimeLimits } from '../../lib/lab/judge/limits.js'
import type { Fault } from '../../lib/lab/submission/fault.js'
import { cheats } from './cheats.js'
import { type CompiledLab, compileLab, labTrace, shippedConfig } from './compiled.js'
import { sourceOf, wrongs } from './wrong.js'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
})
afterAll(() => lab.remove())

// Little memory, so that endless allocation reaches the limits soon.
const config = { ...readConfig(shippedConfig), timing: 0.01, memory: 64, javascriptMemory: 64 }

/** Grades a submission on one trace. It must get a fault and no points. */
async function graded(source: string, trace: string, limits: Partial<TimeLimits>) {
  const submission = join(lab.folder, 'allocator.ts')
  writeFileSync(submission, source)
  const { grade } = await lab.grading()
  const result = await grade({
    submission,
    config,
    traces: [labTrace(trace)],
    limits: { ...ENDLESS, ...limits }
  })
  const fault = result.fault ?? result.results[0]?.fault
  if (fault === undefined) throw new Error('the grader found nothing')
  expect(result.points.score).toBe(0)
  return { fault, text: describeFault(fault, lab.folder).join('\n') }
}

/**
 * Formats a fault for a table: the cause, or otherwise the symptom and the hint. How far a slow
 * submission gets depends on the machine.
 */
function shortly({ cause, what: all, hint }: Fault): string {
  const what = all.replace(/\d+(?= of \d+ operations were done)/, 'n')
  const seen = hint === '' ? what : `${what}. Hint: ${hint}`
  return (cause === '' ? seen : cause).replaceAll('|', '\\|').replaceAll(lab.folder, '')
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map(cells => `| ${cells.join(' | ')} |\n`).join('')
}

const mistakes: string[][] = []
const attempts: string[][] = []

describe('a wrong allocator', () => {
  it.each(wrongs.map(wrong => [wrong.name, wrong] as const))(
    'is detected, and its mistake named: %s',
    async (name, wrong) => {
      const limits = { suspicion: 0.1, ...wrong.limits }
      const { fault, text } = await graded(sourceOf(wrong), wrong.trace ?? 'hello', limits)
      expect(text).toMatch(wrong.says)
      expect([wrong.kind].flat(), text).toContain(fault.kind)
      if (wrong.in !== undefined) expect(fault.stack[0]?.function, text).toBe(wrong.in)
      mistakes.push([name, wrong.symptom ? 'symptom' : 'named', shortly(fault)])
    }
  )
})

describe('a submission that cheats gets no points, and a reason', () => {
  it.each(cheats.map(cheat => [cheat.name, cheat] as const))('one that %s', async (name, cheat) => {
    const source = sourceOf({ ...cheat, check: true })
    const { fault, text } = await graded(source, cheat.trace ?? 'queue', {})
    expect(text).toMatch(cheat.says)
    expect(fault.kind, text).toBe(cheat.kind)
    // Pointers and counts differ between runs, because variants of traces are random.
    attempts.push([name, fault.kind, shortly({ ...fault, hint: '' }).replace(/\d+/g, 'n')])
  })
})

describe('the tables', () => {
  const symptoms = wrongs.filter(({ symptom }) => symptom === true).length

  it('list at least forty mistakes, of which all but two are named', () => {
    expect(wrongs.length).toBeGreaterThanOrEqual(40)
    expect(symptoms).toBeLessThanOrEqual(2)
  })

  // On other systems, the page size and the limits on processes differ, and so do some messages.
  it.runIf(process.platform === 'linux')('equal those in docs/lab-verdicts.md', async () => {
    await expect(`# What the grader says

\`test/lab/verdicts.test.ts\` grades all of these submissions, and compares the results with this
page.

## Mistakes

${wrongs.length} wrong allocators, each a correct one with one mistake. The grader detects all of
them. "named" means that it names the mistake, "symptom" that it describes the consequence:
${wrongs.length - symptoms} are named; of ${symptoms}, the symptom is described.

${tableOf(['mistake', '', 'what the grader says'], mistakes)}
## Attempts to cheat

${cheats.length} submissions that try to get points without earning them. All of them get 0 points.

${tableOf(['a submission that …', 'kind', 'what the grader says'], attempts)}`).toMatchFileSnapshot(
      '../../docs/lab-verdicts.md'
    )
  })
})

/** What the grader says of wrong allocators and of cheats, and the page in docs/ that lists it. */
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

// Little memory, so that what runs away gets there soon.
const config = { ...readConfig(shippedConfig), timing: 0.01, memory: 64, javascriptMemory: 64 }

/** What the grader says of a submission on one trace. It must find something, and give no points. */
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
  if (fault === undefined) throw new Error('it was not caught')
  expect(result.points.score).toBe(0)
  return { fault, text: describeFault(fault, lab.folder).join('\n') }
}

/** For a table: the cause, or else what was seen and what that usually means. */
function shortly({ cause, what, hint }: Fault): string {
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
    'is told what is wrong with it: %s',
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

describe('a submission that cheats gets nothing, and hears what was seen', () => {
  it.each(cheats.map(cheat => [cheat.name, cheat] as const))('one that %s', async (name, cheat) => {
    const source = sourceOf({ ...cheat, check: true })
    const { fault, text } = await graded(source, cheat.trace ?? 'queue', {})
    expect(text).toMatch(cheat.says)
    expect(fault.kind, text).toBe(cheat.kind)
    // Pointers and counts differ from run to run where traces are drawn at random.
    attempts.push([name, fault.kind, shortly({ ...fault, hint: '' }).replace(/\d+/g, 'n')])
  })
})

describe('the tables', () => {
  const symptoms = wrongs.filter(({ symptom }) => symptom === true).length

  it('have at least forty mistakes, of which at most two are not named', () => {
    expect(wrongs.length).toBeGreaterThanOrEqual(40)
    expect(symptoms).toBeLessThanOrEqual(2)
  })

  // With pages of another size, and processes that are watched less closely, some words differ.
  it.runIf(process.platform === 'linux')('stand in the documentation', async () => {
    await expect(`# What the grader says

\`test/lab/verdicts.test.ts\` grades all of these, and compares this page with what it finds.

## Mistakes

${wrongs.length} wrong allocators, each a right one with one mistake. The grader finds all of them.
"named" means that it says what the mistake is; "symptom", that it says what the mistake leads to:
${wrongs.length - symptoms} are named, ${symptoms} are told by a symptom.

${tableOf(['mistake', '', 'what the grader says'], mistakes)}
## Attempts to cheat

${cheats.length} submissions that try to get points for nothing. All of them get 0 points.

${tableOf(['a submission that …', 'kind', 'what the grader says'], attempts)}`).toMatchFileSnapshot(
      '../../docs/lab-verdicts.md'
    )
  })
})

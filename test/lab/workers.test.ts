import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/config.js'
import { ENDLESS } from '../../lib/lab/limits.js'
import { type CompiledLab, compileLab, labTrace, shippedConfig } from './compiled.js'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
})
afterAll(() => lab.remove())

const config = { ...readConfig(shippedConfig), timing: 0.01, memory: 64, javascriptMemory: 64 }
const solution = readFileSync(fileURLToPath(new URL('solutions/step1.ts', import.meta.url)), 'utf8')

/** Grades a solution that prints its process's id whenever it is loaded. Resolves to the ids, each once, and the kinds of faults. */
async function processes(source: string, traces: readonly string[]) {
  const submission = join(lab.folder, 'allocator.ts')
  writeFileSync(submission, `console.log('process', process.pid)\n${source}`)
  const { grade } = await lab.grading()
  let out = ''
  const { results } = await grade({
    submission,
    config,
    traces: traces.map(labTrace),
    limits: ENDLESS,
    onOutput: text => {
      out += text
    }
  })
  const pids = new Set([...out.matchAll(/process (\d+)/g)].map(match => Number(match[1])))
  return { pids: [...pids], faults: results.map(result => result.fault?.kind) }
}

/** Resolves when there is no such process any more. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await delay(20)
  }
}

describe('the workers of a grading', () => {
  it('are one for all traces of a submission without a fault, and one to count its bytes of JavaScript', async () => {
    const { pids, faults } = await processes(solution, ['hello', 'stack', 'queue'])
    expect(faults).toEqual([undefined, undefined, undefined])
    expect(pids).toHaveLength(2)
    expect(pids).not.toContain(process.pid)
    await Promise.all(pids.map(gone))
  })

  it('are new ones after each fault', async () => {
    const broken = solution.replace('return block + HEADER', 'return size === 40 ? 4 : block + HEADER')
    const { pids, faults } = await processes(broken, ['hello', 'stack', 'hello'])
    expect(faults).not.toContain(undefined)
    // Every fault spends one. An allocator that works on no trace is not examined for state outside the memory.
    expect(pids).toHaveLength(faults.length)
    await Promise.all(pids.map(gone))
  })

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'end when %s ends the grader, whatever the submission does',
    async signal => {
      const loop = "console.log('process', process.pid)\nexport function create() {\n  for (;;);\n}\n"
      writeFileSync(join(lab.folder, 'loop.ts'), loop)
      const grader = lab.start('lab', 'grade', 'loop.ts', '-f', labTrace('hello'), '--timeout', '3600')
      const [text] = await once(grader.stderr ?? expect.fail(), 'data')
      const pid = Number(/process (\d+)/.exec(String(text))?.[1])
      expect(pid).toBeGreaterThan(0)
      grader.kill(signal)
      await gone(pid)
    }
  )
})

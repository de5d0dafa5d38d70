import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CompiledLab, compileLab, labTrace } from './compiled.js'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
})
afterAll(() => lab.remove())

/** Returns the ids of the processes that run submissions for this test. */
function seats(): number[] {
  const main = join(dirname(dirname(lab.main)), 'lab/submission/main.js')
  return readdirSync('/proc').flatMap(name => {
    if (!/^\d+$/.test(name)) return []
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(main) ? [Number(name)] : []
    } catch {
      return []
    }
  })
}

describe.runIf(process.platform === 'linux')('the processes of a grading', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'end when %s ends the grader, even in an endless loop, and leave no files',
    async signal => {
      const loop = "console.log('here')\nexport function create() {\n  for (;;);\n}\n"
      writeFileSync(join(lab.folder, 'loop.ts'), loop)
      const scratch = join(lab.folder, signal)
      mkdirSync(scratch)
      const command = ['lab', 'grade', 'loop.ts', '-f', labTrace('hello'), '--timeout', '3600']
      const grader = lab.startIn({ TMPDIR: scratch }, ...command)
      await once(grader.stderr ?? expect.fail(), 'data')
      expect(seats().length).toBeGreaterThan(0)
      grader.kill(signal)
      const [code, by] = await once(grader, 'exit')
      expect({ code, by }).toEqual({ code: null, by: signal })
      while (seats().length > 0) await delay(20)
      // A killed process can't remove its files.
      expect(signal === 'SIGKILL' ? [] : readdirSync(scratch)).toEqual([])
    }
  )

  it('end with the grading', async () => {
    const { code } = lab.offheap(
      'lab',
      'grade',
      join(dirname(labTrace('hello')), '../starter/allocator.ts'),
      '-f',
      labTrace('hello')
    )
    expect(code).toBe(0)
    expect(seats()).toEqual([])
  })
})

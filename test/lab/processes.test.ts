import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
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

  it('end with their files when SIGINT comes while the compiler checks types', async () => {
    const started = join(lab.folder, 'started')
    const compiler = join(lab.folder, 'types/node_modules/typescript')
    mkdirSync(join(compiler, 'bin'), { recursive: true })
    writeFileSync(join(compiler, 'package.json'), '{ "name": "typescript" }')
    const note = `require('node:fs').writeFileSync('${started}', String(process.pid))`
    writeFileSync(join(compiler, 'bin/tsc'), `${note}\nsetInterval(() => {}, 1e6)\n`)
    const submission = join(lab.folder, 'types/allocator.ts')
    writeFileSync(submission, 'export function create() {\n  for (;;);\n}\n')
    const scratch = join(lab.folder, 'types/scratch')
    mkdirSync(scratch)
    const command = ['lab', 'grade', submission, '-f', labTrace('hello'), '--timeout', '3600']
    const grader = lab.startIn({ TMPDIR: scratch }, ...command)
    while (!existsSync(started) || readFileSync(started, 'utf8') === '') await delay(20)
    expect(readdirSync(scratch).length).toBeGreaterThan(2)
    grader.kill('SIGINT')
    await once(grader, 'exit')
    expect(readdirSync(scratch)).toEqual([])
    const id = Number(readFileSync(started, 'utf8'))
    while (seats().length > 0 || existsSync(`/proc/${id}`)) await delay(20)
  })

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

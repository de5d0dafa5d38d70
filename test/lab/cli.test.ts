import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BROKEN, type CompiledLab, compileLab, labTrace, layWorkspace } from './compiled.js'

const HELLO = labTrace('hello')
let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
  layWorkspace(lab)
})
afterAll(() => lab.remove())

const at = (...names: string[]) => join(lab.folder, ...names)

describe('offheap lab init', () => {
  it('creates a workspace that can be graded as it is', () => {
    for (const name of [
      'allocator.ts',
      'memory.ts',
      'tsconfig.json',
      'lab.jsonc',
      'handout/README.md',
      'traces/hello.rep'
    ]) {
      expect(existsSync(at('ws', name)), name).toBe(true)
    }
    const { scripts, devDependencies, type } = JSON.parse(
      readFileSync(at('ws', 'package.json'), 'utf8')
    )
    expect(scripts.grade).toContain('offheap lab grade allocator.ts')
    expect(scripts.watch).toContain('--watch')
    expect(type).toBe('module')
    expect(devDependencies.offheap).toMatch(/^\d/)
    expect(devDependencies['offheap-labs']).toBe(devDependencies.offheap)
    expect(devDependencies.esbuild).toBe(
      JSON.parse(readFileSync('package.json', 'utf8')).peerDependencies.esbuild
    )
  })

  it("does not copy the lecturer's files", () => {
    expect(existsSync(at('ws', 'GUIDE.md'))).toBe(false)
    expect(existsSync(at('ws', 'make-traces.js'))).toBe(false)
  })

  it('overwrites nothing', () => {
    mkdirSync(at('mine'))
    writeFileSync(at('mine', 'allocator.ts'), 'my work')
    const first = lab.offheap('lab', 'init', 'mine')
    expect(first.code).toBe(0)
    expect(first.out).toContain('mine: left as they were: allocator.ts\n')
    expect(readFileSync(at('mine', 'allocator.ts'), 'utf8')).toBe('my work')
    const again = lab.offheap('lab', 'init', 'mine')
    expect(again.code).toBe(0)
    expect(again.out).not.toContain('wrote')
  })
})

describe('offheap lab grade', () => {
  it('reports what is wrong, and exits with 1', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'broken.ts', '-f', HELLO)
    expect(code).toBe(1)
    expect(out).toContain(
      'Operation 1 (line 5), malloc of 24 bytes for id 0:\n  malloc returned 4, which is ' +
        'not a multiple of 8.'
    )
    expect(out).toContain('(0 of 1 traces valid)')
  })

  it('prints JSON and nothing else', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'broken.ts', '-f', HELLO, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      valid: false,
      score: 0,
      maximum: 100,
      traces: [
        {
          trace: 'hello',
          valid: false,
          fault: { kind: 'misaligned', operation: 0, text: expect.any(String) }
        }
      ]
    })
  })

  it('keeps the output of a submission out of its own output', () => {
    writeFileSync(at('chatty.ts'), `console.log('hello there')\n${BROKEN}`)
    const { out, err } = lab.offheap('lab', 'grade', 'chatty.ts', '-f', HELLO, '--json')
    expect(JSON.parse(out).valid).toBe(false)
    expect(err).toContain('hello there')
  })

  it('supports imported files, and names their lines', () => {
    writeFileSync(
      at('helper.ts'),
      'export function fail(): never {\n  throw new TypeError("from the helper")\n}\n'
    )
    writeFileSync(
      at('two.ts'),
      "import { fail } from './helper.ts'\nexport function create() {\n  return { malloc: " +
        'fail, free: fail, realloc: fail }\n}\n'
    )
    const { out } = lab.offheap('lab', 'grade', 'two.ts', '-f', HELLO)
    expect(out).toContain('malloc threw TypeError: from the helper.')
    expect(out).toContain('in fail, helper.ts:2:9')
  })

  it.each([
    [['--step', '9'], 'there is no step 9; the steps are 1, 2, 3, 4, 5, 6, 7, 8'],
    [['--step', 'two'], 'Give a number from 1 to 100.'],
    [['--timeout', '0'], 'Give a number from 0.1 to 3600.'],
    [['-f', 'no.rep'], 'there is no file or folder no.rep'],
    [['-t', 'empty'], 'the folder empty holds no .rep or .rep.gz file'],
    [['--config', 'no.jsonc'], "no.jsonc: can't be read"],
    [['--format', 'xml'], 'Allowed choices are text, json, gradescope.']
  ])('exits with 2 for %j', (args, message) => {
    mkdirSync(at('empty'), { recursive: true })
    const { code, out, err } = lab.offheap('lab', 'grade', 'broken.ts', ...args)
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain(message)
  })

  it('reports a missing submission', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'nothing.ts', '-f', HELLO)
    expect(code).toBe(1)
    expect(out).toContain('There is no file nothing.ts.')
  })
})

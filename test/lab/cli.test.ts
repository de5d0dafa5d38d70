import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CompiledLab, compileLab, labTrace } from './compiled.js'

const HELLO = labTrace('hello')
const BROKEN =
  'export function create() {\n  return { malloc: () => 4, free() {}, realloc: () => 4 }\n}\n'

let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
  expect(lab.offheap('lab', 'init', 'ws').code).toBe(0)
  // Counted, so that the exit code doesn't depend on how busy the machine is.
  const config = readFileSync(at('ws', 'lab.jsonc'), 'utf8')
    .replace('"throughput": { "none": 0.002', '"throughput": { "by": "cost", "none": 0.002')
    .replace('"timing": 0.8', '"timing": 0.01')
  writeFileSync(at('ws', 'lab.jsonc'), config)
  writeFileSync(join(lab.folder, 'broken.ts'), BROKEN)
})
afterAll(() => lab.remove())

const at = (...names: string[]) => join(lab.folder, ...names)

describe('offheap lab init', () => {
  it('lays out a workspace that can be graded as it is', () => {
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
    expect(devDependencies.esbuild).toBe(
      JSON.parse(readFileSync('package.json', 'utf8')).peerDependencies.esbuild
    )
    const { code, out } = lab.offheap('lab', 'grade', 'ws/allocator.ts', '--step', '1')
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /hello .*\nedges .*\nstack .*\nqueue [\s\S]*score +\d+\.\d {2}of 100/
      )
    })
    expect(out).toContain('(4 of 4 traces valid)')
  })

  it('gives the lecturer’s files to nobody', () => {
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
  it('tells what is wrong, and exits with 1', () => {
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

  it('writes results.json for Gradescope', () => {
    const { code, out } = lab.offheap(
      'lab',
      'grade',
      'ws/allocator.ts',
      '--step',
      '1',
      '--format',
      'gradescope'
    )
    expect({ code, out }).toEqual({ code: 0, out: '' })
    const results = JSON.parse(readFileSync(at('results.json'), 'utf8'))
    const names = results.tests.map((test: { name: string }) => test.name)
    expect(names).toEqual([
      'hello: valid',
      'edges: valid',
      'stack: valid',
      'stack: performance',
      'queue: valid',
      'queue: performance'
    ])
    const sum = (key: 'score' | 'max_score') =>
      results.tests.reduce(
        (total: number, test: Record<string, number>) => total + (test[key] ?? 0),
        0
      )
    expect(sum('max_score')).toBeCloseTo(100, 1)
    expect(sum('score')).toBeCloseTo(results.score, 1)
    expect(results.tests[0]).toMatchObject({ status: 'passed', output_format: 'text' })
  })

  it('measures the built-in allocator in the open step', () => {
    const { code, out } = lab.offheap(
      'lab',
      'grade',
      'ws/allocator.ts',
      '--step',
      '7',
      '-f',
      labTrace('stack'),
      '--json'
    )
    expect(code).toBe(0)
    const [{ builtIn }] = JSON.parse(out).traces
    expect(builtIn.utilization).toBeGreaterThan(0.8)
    expect(builtIn.throughput).toBeGreaterThan(0)
  })

  it('keeps what a submission prints out of its own output', () => {
    writeFileSync(at('chatty.ts'), `console.log('hello there')\n${BROKEN}`)
    const { out, err } = lab.offheap('lab', 'grade', 'chatty.ts', '-f', HELLO, '--json')
    expect(JSON.parse(out).valid).toBe(false)
    expect(err).toContain('hello there')
  })

  it('calls check() after every operation when asked to', () => {
    // Wrong for one moment only, which 50 looks at a trace of 4,000 operations do not see.
    const source = readFileSync(at('ws', 'allocator.ts'), 'utf8').replace(
      '  return { malloc, free, realloc }',
      '  let frees = 0\n  const counted = (_p: number) => void frees++\n  return { malloc, ' +
        "free: counted, realloc, check: () => (frees === 7 ? 'seven' : '') }"
    )
    writeFileSync(at('ws', 'moment.ts'), source)
    expect(lab.offheap('lab', 'grade', 'ws/moment.ts', '-f', labTrace('queue')).code).toBe(0)
    const { code, out } = lab.offheap(
      'lab',
      'grade',
      'ws/moment.ts',
      '-f',
      labTrace('queue'),
      '--check-every'
    )
    expect(code).toBe(1)
    expect(out).toContain('after this operation your check() says: seven.')
  })

  it('reads files that a submission imports, and names their lines', () => {
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
    [['--step', '9'], 'there is no step 9; the steps are 1, 2, 3, 4, 5, 6, 7'],
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

  it('grades what it can read, and exits with 2 for the rest', () => {
    mkdirSync(at('mixed'))
    writeFileSync(at('mixed', 'bad.rep'), 'f 0\n')
    writeFileSync(at('mixed', 'hello.rep'), readFileSync(HELLO))
    const { code, out, err } = lab.offheap('lab', 'grade', 'ws/allocator.ts', '-t', 'mixed')
    expect(out).toMatch(
      /hello .*[\s\S]*Note: A trace was left out of the grade\. mixed\/bad\.rep:1: id 0 is freed/
    )
    expect(out).toContain('(1 of 1 traces valid)')
    expect(err).toMatch(/^offheap: mixed\/bad\.rep:1: id 0 is freed but was never allocated .*\n$/)
    expect(code).toBe(2)
    const none = lab.offheap('lab', 'grade', 'ws/allocator.ts', '-f', 'mixed/bad.rep')
    expect(none).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('mixed/bad.rep:1: id 0 is freed')
    })
  })

  it('says so when there is no submission', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'nothing.ts', '-f', HELLO)
    expect(code).toBe(1)
    expect(out).toContain('There is no file nothing.ts.')
  })

  it('grades again when a watched file changes, also while it is being graded', async () => {
    // Printed when the first version is loaded; the second one is there before its grade is.
    // Renamed into place, as editors do it: nobody sees half a file.
    const save = (text: string) => {
      writeFileSync(at('saved'), text)
      renameSync(at('saved'), at('watched.ts'))
    }
    save(`console.log('first')\n${BROKEN}`)
    const child = lab.start('lab', 'grade', 'watched.ts', '-f', HELLO, '--watch')
    let out = ''
    let err = ''
    const until = async (done: () => boolean) => {
      while (!done())
        await Promise.race([
          once(child.stdout ?? expect.fail(), 'data'),
          once(child.stderr ?? expect.fail(), 'data')
        ])
    }
    child.stdout?.on('data', text => {
      out += text
    })
    child.stderr?.on('data', text => {
      err += text
    })
    try {
      await until(() => err.includes('first'))
      save(`console.log('second')\n${BROKEN}`)
      await until(() => err.includes('second') && err.split('watching').length === 3)
      await until(() => out.split('(0 of 1 traces valid)').length === 3)
      save(readFileSync(at('ws', 'allocator.ts'), 'utf8'))
      await until(() => out.includes('(1 of 1 traces valid)'))
    } finally {
      child.kill()
    }
  })
})

/** `offheap lab grade` on whole traces, as students and autograders run it. */
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../../lib/lab/grade/config.js'
import {
  BROKEN,
  type CompiledLab,
  compileLab,
  labTrace,
  layWorkspace,
  shippedConfig
} from './compiled.js'
import { solution } from './solutions.js'

const HELLO = labTrace('hello')
let lab: CompiledLab
beforeAll(() => {
  lab = compileLab()
  layWorkspace(lab)
})
afterAll(() => lab.remove())

const at = (...names: string[]) => join(lab.folder, ...names)

describe('offheap lab grade', () => {
  it('grades a new workspace as it is', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'ws/allocator.ts', '--step', '1')
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /hello .*\nedges .*\nstack .*\nqueue [\s\S]*score +\d+\.\d {2}of 100/
      )
    })
    expect(out).toContain('(4 of 4 traces valid)')
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

  it('runs a submission in a new JavaScript context for each trace', async () => {
    const head = 'export function create(memory: Memory): Allocator {'
    const counting = solution(1).replace(
      head,
      `${head}
  const heaps = Number(Reflect.get(globalThis, 'heaps') ?? 0) + 1
  Reflect.set(globalThis, 'heaps', heaps)
  if (heaps > 3) throw new Error('a fourth heap')`
    )
    writeFileSync(at('counting.ts'), counting)
    const { grade } = await lab.grading()
    // Of a short trace, one heap is verified, and two run out of step.
    const { results } = await grade({
      submission: at('counting.ts'),
      config: readConfig(shippedConfig),
      traces: [HELLO, HELLO, HELLO],
      state: false
    })
    expect(results.map(({ fault }) => fault)).toEqual([undefined, undefined, undefined])
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

  it('calls check() after every operation with --check-every', () => {
    // The error exists for one operation only, so the 50 checks of a trace without the option miss
    // it.
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

  it('grades the traces that it can read, and exits with 2 if there are others', () => {
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

  it('grades again when a watched file changes, even during grading', async () => {
    // The first version prints when it is loaded. The second one is saved before the first is
    // graded. Rename it into place, as editors do, so that no incomplete file is read.
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

describe('the report for a student', () => {
  it('includes a command that opens the heap at the failed operation', () => {
    const { out } = lab.offheap('lab', 'grade', 'broken.ts', '-f', 'ws/traces/hello.rep')
    const [, command = ''] = /See the heap at this operation: npx offheap (.*)\n/.exec(out) ?? []
    expect(command).toBe('play broken.ts --trace ws/traces/hello.rep --at 1')
    // The page's script, as built.
    cpSync('dist/play/page', join(dirname(lab.main), '../play/page'), { recursive: true })
    expect(lab.offheap(...command.split(' '), '-o', 'heap.html')).toMatchObject({ code: 0 })
    expect(readFileSync(at('heap.html'), 'utf8')).toContain('broken.ts')
  })

  // Outside a workspace, neither memory.ts nor package.json lies beside it.
  it.each(['ws/typed.ts', 'typed.ts'])('includes type errors, which cost nothing: %s', file => {
    const source = readFileSync(at('ws', 'allocator.ts'), 'utf8')
    writeFileSync(at(file), `${source}\nconst wrong: string = 8\n`)
    const { code, out } = lab.offheap('lab', 'grade', file, '-f', HELLO)
    const errors = out.match(/(?<=Note: Type error \(no points lost\): ).*/g) ?? []
    expect(errors).toEqual([expect.stringMatching(/typed\.ts:\d+:\d+: Type 'number' is not /)])
    expect(code).toBe(0)
  })

  it('reports a missing calloc in the step about it', () => {
    const { code, out } = lab.offheap('lab', 'grade', 'ws/allocator.ts', '--step', '8')
    expect(code).toBe(1)
    expect(out).toContain('the allocator has no calloc, which this step is about.')
  })

  it('reports a calloc that does not clear', () => {
    const source = solution(8).replace(
      '    if (pointer !== 0) u8.fill(0, pointer, pointer + bytes)\n',
      ''
    )
    writeFileSync(at('dirty.ts'), source)
    const { out } = lab.offheap('lab', 'grade', 'dirty.ts', '-f', labTrace('calloc'))
    expect(out).toMatch(
      /calloc of \d+ × \d+ bytes for id \d+:\n {2}calloc must return zeros, but byte/
    )
  })

  it('depends on --seed', () => {
    const grade = (...args: string[]) => {
      const { out } = lab.offheap('lab', 'grade', 'ws/allocator.ts', '-f', ...args, '--json')
      return JSON.parse(out).traces[0].utilization
    }
    expect(lab.offheap('lab', 'traces', 'own', '--seed', 'a/b').out).toContain('stack.rep.gz')
    const seeded = grade(labTrace('stack'), '--seed', 'a/b')
    expect(seeded).toBe(grade('own/stack.rep.gz'))
    expect(seeded).not.toBe(grade(labTrace('stack')))
  })

  it('is a failed test on Gradescope if the submission is invalid', () => {
    writeFileSync(at('nothing.ts'), 'export const nothing = 0\n')
    lab.offheap('lab', 'grade', 'nothing.ts', '-f', HELLO, '--format', 'gradescope', '-o', 'r.json')
    const { score, tests } = JSON.parse(readFileSync(at('r.json'), 'utf8'))
    expect({ score, tests }).toMatchObject({ score: 0, tests: [{ status: 'failed', score: 0 }] })
  })
})

describe('offheap lab break', () => {
  it('reports which of ten wrong allocators a test breaks', () => {
    mkdirSync(at('tests'))
    const lines = ['a 0 24', 'a 1 24', 'a 2 24', 'f 0', 'a 3 20', 'r 1 80', 'f 2', 'f 1', 'f 3']
    writeFileSync(at('tests', 'one.rep'), `${lines.join('\n')}\n`)
    const { code, out } = lab.offheap('lab', 'break', 'tests')
    const [count = ''] = /\d+(?= of 10 broken)/.exec(out) ?? []
    expect(Number(count)).toBeGreaterThan(0)
    expect(out.match(/^allocator .* broken by tests\/one\.rep: /gm)?.length).toBe(Number(count))
    expect(out).not.toContain('unfair')
    expect(code).toBe(count === '10' ? 0 : 1)
  })

  it('rejects long tests', () => {
    writeFileSync(at('long.rep'), 'a 0 8\nf 0\n'.repeat(101))
    const { code, err } = lab.offheap('lab', 'break', 'long.rep')
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining('it has 202 operations; a test has 200 at most')
    })
  })
})

describe('offheap lab grade-all', () => {
  beforeAll(() => {
    for (const name of ['=anna', 'bert']) {
      mkdirSync(join(lab.folder, 'all', name), { recursive: true })
    }
    const own = solution(2)
    writeFileSync(join(lab.folder, 'all', '=anna', 'allocator.ts'), own)
    writeFileSync(
      join(lab.folder, 'all', 'bert', 'allocator.ts'),
      own.replace('return (block + 1) * 4', 'return block * 4')
    )
    writeFileSync(join(lab.folder, 'hello.rep'), readFileSync('labs/traces/hello.rep'))
  })

  it('writes a table and a leaderboard, lists similar submissions, and grades each once', () => {
    const command = [
      'lab',
      'grade-all',
      'all',
      '-t',
      'hello.rep',
      '--csv',
      'grades.csv',
      '--html',
      'grades.html'
    ]
    const { code, err } = lab.offheap(...command)
    expect({ code, lines: err.trim().split('\n').length }).toEqual({ code: 0, lines: 2 })
    const [head, first, second] = readFileSync(join(lab.folder, 'grades.csv'), 'utf8').split('\r\n')
    expect(head).toBe('name,score,maximum,correctness,performance,valid,what')
    expect(first).toMatch(/^'=anna,20,100,20,0,true,$/)
    expect(second).toMatch(
      /^bert,0,100,0,0,false,"Operation 1 \(line 5\), malloc of 24 bytes for id/
    )
    expect(second).toMatch(/ 0: malloc returned \d+, which is/)
    expect(readFileSync(join(lab.folder, 'grades.html'), 'utf8')).toContain('<li>=anna and bert: 9')
    expect(existsSync(join(lab.folder, 'all', '.grades', 'bert.json'))).toBe(true)
    writeFileSync(
      join(lab.folder, 'all', '.grades', 'bert.json'),
      readFileSync(join(lab.folder, 'all', '.grades', 'bert.json'), 'utf8').replace(
        '"score":0',
        '"score":7'
      )
    )
    expect(lab.offheap(...command).err).toContain('bert, 7.0 points')
  })
})

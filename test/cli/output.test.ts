/** The command with failing output: a closed pipe, a full disk. */
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, constants, existsSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { guardOutput } from '../../lib/cli/output.js'
import { HANG } from '../hang.js'
import { type CompiledLab, compileLab } from '../lab/compiled.js'
import { offheap } from './terminal.js'

const why = existsSync('/dev/full') ? '' : 'there is no /dev/full'

/** A command line for each subcommand, and for what the program itself prints. `lab` has two. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  '--help': ['--help'],
  '--version': ['--version'],
  replay: ['replay', 'small.rep'],
  'replay --json': ['replay', '--json', 'small.rep'],
  view: ['view', 'small.rep', '--svg', '-o', 'heap.svg'],
  'lab init': ['lab', 'init', 'workspace'],
  'lab grade': ['lab', 'grade', 'allocator.ts', '--file', 'small.rep'],
  bench: ['bench', '--help'],
  play: ['play', '--help'],
  inspect: ['inspect', '--help'],
  recover: ['recover', '--help']
}
/** Its standard output is that of the recorded program. */
const OTHERS = ['record']

let lab: CompiledLab
let gone = 0
beforeAll(() => {
  lab = compileLab()
  writeFileSync(join(lab.folder, 'small.rep'), 'a 0 8\na 1 8\nf 0\nf 1\n')
  writeFileSync(join(lab.folder, 'bad.rep'), 'f 0\n')
  writeFileSync(
    join(lab.folder, 'allocator.ts'),
    'export function create() { return { malloc: () => 4 } }\n'
  )
  if (why !== '') return
  // The writing end of a pipe without a reader.
  const fifo = join(lab.folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  gone = openSync(fifo, 'w')
  closeSync(reader)
})
afterAll(() => {
  if (gone !== 0) closeSync(gone)
  lab.remove()
})

function run(args: readonly string[], stdout: number | 'pipe', stderr: number | 'pipe') {
  const { status, ...said } = spawnSync(process.execPath, [lab.main, ...args], {
    cwd: lab.folder,
    encoding: 'utf8',
    stdio: ['ignore', stdout, stderr],
    timeout: HANG
  })
  return { code: status, out: said.stdout, err: said.stderr }
}

function onFull<Result>(use: (full: number) => Result): Result {
  const full = openSync('/dev/full', 'w')
  try {
    return use(full)
  } finally {
    closeSync(full)
  }
}

describe.skipIf(why !== '')(`output that fails${why === '' ? '' : ` (skipped: ${why})`}`, () => {
  it('every subcommand is tested', async () => {
    const { out } = await offheap(['--help'])
    const listed = Array.from(out.matchAll(/^ {2}([a-z]+) .*/gm), ([, name]) => name).filter(
      name => name !== 'help'
    )
    const tried = new Set([...Object.keys(COMMANDS), ...OTHERS].map(name => name.split(' ')[0]))
    expect(listed.length).toBeGreaterThanOrEqual(5)
    expect(listed.filter(name => !tried.has(name ?? ''))).toEqual([])
  })

  describe.each(Object.entries(COMMANDS))('offheap %s', (_name, args) => {
    it('ends with a message if the disk is full', () => {
      expect(onFull(full => run(args, full, 'pipe'))).toMatchObject({
        code: 1,
        err: expect.stringMatching(
          /^(offheap: .*\n)*offheap: can't write to the standard output: ENOSPC: .*\n$/
        )
      })
    })

    it('ends silently if its reader is gone', () => {
      const { code, err } = run(args, gone, 'pipe')
      expect(err).not.toMatch(/EPIPE|^ +at /m)
      expect(code).toBe(141)
    })
  })

  it("errors that can't be written change no exit code", () => {
    for (const args of [
      ['replay', 'bad.rep'],
      ['replay', 'bad.rep', 'small.rep']
    ]) {
      expect(onFull(full => run(args, 'pipe', full)).code).toBe(1)
      expect(run(args, 'pipe', gone).code).toBe(1)
    }
    expect(run(['nonsense'], 'pipe', gone).code).toBe(2)
    expect(run(['replay', 'small.rep'], 'pipe', gone)).toMatchObject({
      code: 0,
      out: expect.stringContaining('small')
    })
  })

  it('names a file that can’t be written', async () => {
    for (const args of [
      ['view', 'small.rep', '--svg', '-o', '/dev/full'],
      ['lab', 'grade', 'allocator.ts', '--file', 'small.rep', '-o', '/dev/full']
    ]) {
      const { code, err } = run(args, 'pipe', 'pipe')
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringMatching(/^offheap: can't write \/dev\/full: ENOSPC: .*\n$/)
      })
    }
  })
})

describe('guardOutput', () => {
  function guarded() {
    const stdout = new PassThrough()
    const stderr = new PassThrough()
    const codes: number[] = []
    guardOutput({ stdout, stderr, exit: code => codes.push(code) })
    return { stdout, stderr, codes }
  }
  const failure = (code: string) => Object.assign(new Error(`${code}: told`), { code })

  it('reports any failure except that of a reader that left', () => {
    const { stdout, stderr, codes } = guarded()
    stdout.emit('error', failure('EPIPE'))
    expect(stderr.read()).toBe(null)
    stdout.emit('error', failure('EIO'))
    expect(String(stderr.read())).toBe("offheap: can't write to the standard output: EIO: told\n")
    expect(codes).toEqual([141, 1])
  })

  it('continues without standard error', () => {
    const { stderr, codes } = guarded()
    stderr.emit('error', failure('EPIPE'))
    expect(codes).toEqual([])
  })
})

import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { recordCommand } from '../../lib/cli/record.js'
import { linkOf } from '../../lib/errors.js'
import { createEvents, readEventsHeader } from '../../lib/trace/events.js'
import { type RecordSummary, record } from '../../lib/trace/record.js'
import { HANG } from '../hang.js'

const SOURCE = fileURLToPath(new URL('../../native/recorder.c', import.meta.url))
const PROGRAMS = fileURLToPath(new URL('./recorded-program.c', import.meta.url))

const hasCompiler = spawnSync('cc', ['--version']).status === 0
const why =
  process.platform !== 'linux' ? 'recording needs Linux' : hasCompiler ? '' : 'no C compiler (cc)'

let folder = ''
let recorder = ''
let program = ''
const cc = (...args: string[]) =>
  execFileSync('cc', ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', ...args])

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-record-'))
  recorder = join(folder, 'recorder.so')
  program = join(folder, 'program')
  if (why !== '') return
  cc('-fPIC', '-shared', '-fno-builtin', '-fvisibility=hidden', SOURCE, '-o', recorder, '-ldl')
  cc('-fno-builtin', PROGRAMS, '-o', program, '-pthread')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Recording {
  readonly summary: RecordSummary
  readonly header: readonly number[]
  readonly lines: readonly string[]
  readonly comments: readonly string[]
  /** Sizes of the blocks that the trace leaves alive, by id. */
  readonly alive: ReadonlyMap<number, number>
  readonly peakBytes: number
}

/** Records one part of recorded-program.c, and checks the invariants of every trace. */
async function run(part: string, maximumEvents = 2 ** 24, name = 'trace.rep'): Promise<Recording> {
  const output = join(folder, name)
  const summary = await record({ program, args: [part], output, recorder, maximumEvents })
  expect(readdirSync(folder).filter(entry => entry.startsWith(`${name}-`))).toEqual([])
  const bytes = readFileSync(output)
  const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  const all = text.trimEnd().split('\n')
  const header = all.slice(0, 4).map(Number)
  const lines = all.slice(4).filter(line => !line.startsWith('#'))
  const comments = all.slice(4).filter(line => line.startsWith('#'))
  const { alive, peakBytes, ids } = simulate(lines)
  const aliveBytes = [...alive.values()].reduce((sum, size) => sum + size, 0)
  expect(header.slice(1)).toEqual([ids, lines.length, 1])
  expect(header[0]).toBeGreaterThan(peakBytes)
  expect(comments).toEqual([`# alive at the end: ${alive.size} blocks, ${aliveBytes} bytes`])
  expect(summary).toMatchObject({
    operations: lines.length,
    ids,
    peakBytes,
    aliveBlocks: alive.size,
    aliveBytes
  })
  return { summary, header, lines, comments, alive, peakBytes }
}

function simulate(lines: readonly string[]) {
  const alive = new Map<number, number>()
  let ids = 0
  let bytes = 0
  let peakBytes = 0
  for (const line of lines) {
    const [kind, id = -1, first = 0, second = 0] = line
      .split(' ')
      .map((word, i) => (i === 0 ? word : Number(word)))
    if (typeof id !== 'number' || typeof first !== 'number' || typeof second !== 'number')
      throw new Error(line)
    const old = alive.get(id)
    if (kind === 'f' || kind === 'r') {
      if (old === undefined) throw new Error(`${line}: not alive`)
      bytes -= old
      alive.delete(id)
    } else if (id !== ids++) throw new Error(`${line}: ids are dense`)
    if (kind === 'f') continue
    const size = kind === 'c' ? first * second : kind === 'm' ? second : first
    alive.set(id, size)
    bytes += size
    peakBytes = Math.max(peakBytes, bytes)
  }
  return { alive, ids, peakBytes }
}

const sized = (lines: readonly string[], size: number) =>
  lines.filter(line => line.startsWith('a ') && line.endsWith(` ${size}`))

describe.skipIf(why !== '')(`record${why === '' ? '' : ` (skipped: ${why})`}`, () => {
  test('writes every kind of call, in order, and nothing else', async () => {
    const { summary, lines, alive } = await run('sequence')
    const start = lines.findIndex(line => line.endsWith(' 12345'))
    const base = Number(lines[start]?.split(' ')[1])
    const page = Number(execFileSync('getconf', ['PAGESIZE']))
    const relative = lines
      .slice(start)
      .map(line => line.replace(/ (\d+)/, (_, id) => ` ${Number(id) - base}`))
    expect(relative).toEqual([
      'a 0 12345',
      'c 1 3 111',
      'a 2 77',
      'f 2',
      'm 3 64 1000',
      'm 4 128 256',
      'm 5 4096 10',
      `m 6 ${page} 5`,
      `m 7 ${page} ${page}`,
      'r 1 700',
      'a 8 0',
      'r 0 5000000',
      'a 9 12345',
      'f 1',
      'f 3',
      'f 4',
      'f 5',
      'f 6',
      'f 7',
      'f 0',
      'a 10 31'
    ])
    expect([...alive].filter(([id]) => id >= base).map(([id, size]) => [id - base, size])).toEqual([
      [8, 0],
      [9, 12345],
      [10, 31]
    ])
    expect(summary).toMatchObject({ exitCode: 7, failed: 4, lost: 0, dropped: 0 })
  })

  test('a block that another thread gets during a free was freed before', async context => {
    const allocator = join(folder, 'handover.so')
    const source = fileURLToPath(new URL('./handover-allocator.c', import.meta.url))
    if (spawnSync('cc', ['-fPIC', '-shared', '-fno-builtin', source, '-o', allocator]).status !== 0)
      context.skip('no cc')
    // The user's own preloads stay in effect, after the recorder.
    process.env.LD_PRELOAD = allocator
    const recording = await run('handover').finally(() => delete process.env.LD_PRELOAD)
    expect(recording.summary).toMatchObject({ exitCode: 0, dropped: 0 })
    const marked = new Map<string, string[]>()
    for (const line of recording.lines) {
      const [, id = ''] = line.split(' ')
      const name = line.replace(` ${id}`, ' _')
      if (/ (777|778)$/.test(name)) marked.set(id, [])
      marked.get(id)?.push(name)
    }
    expect([...marked.values()]).toEqual([
      ['a _ 777', 'f _'],
      ['a _ 777', 'f _'],
      ['a _ 778', 'f _'],
      ['a _ 777', 'r _ 888', 'f _'],
      ['a _ 777', 'r _ 999'],
      ['a _ 778', 'f _']
    ])
  })

  test('every block of three busy threads is allocated and freed once', async () => {
    const { summary, lines, alive } = await run('threads')
    expect(summary).toMatchObject({ exitCode: 0, dropped: 0, lost: 0, failed: 0 })
    for (const size of [1600, 1616, 1632]) {
      expect(sized(lines, size)).toHaveLength(60_000)
    }
    expect(lines.filter(line => line.startsWith('r'))).toHaveLength(60_000)
    expect([...alive.values()].filter(size => [1600, 1616, 1632, 5000].includes(size))).toEqual([])
  })

  test('does not record children, forked or executed, and keeps their environment', async () => {
    const { summary, lines } = await run('children')
    expect(summary.exitCode).toBe(0)
    expect(sized(lines, 11111)).toHaveLength(1)
    expect(sized(lines, 22222)).toHaveLength(0)
    expect(sized(lines, 44444)).toHaveLength(0)
    expect(sized(lines, 33333)).toHaveLength(1)
  })

  test('does not record a program started by execve', async () => {
    const { summary, lines } = await run('execute')
    expect(summary.exitCode).toBe(5)
    expect(sized(lines, 12345)).toHaveLength(1)
    expect(sized(lines, 44444)).toHaveLength(0)
  })

  test('keeps the calls of a killed program, even if it had closed every descriptor', async () => {
    const { summary, lines, alive } = await run('killed')
    expect(summary.exitCode).toBe(128 + 9)
    expect(sized(lines, 12345)).toHaveLength(1)
    expect([...alive.values()]).toContain(12345)
  })

  test('keeps the calls of a crashed program', async () => {
    const { summary, lines } = await run('crashed')
    expect(summary.exitCode).toBe(128 + 11)
    expect(sized(lines, 12345)).toHaveLength(1)
  })

  test('works with a limit of address space', async () => {
    // The shell that sets the limit is not the program to record, so its child is given the
    // recorder directly.
    const events = join(folder, 'events')
    await createEvents(events, 2 ** 14)
    const env = { ...process.env, RECORDER: recorder, EVENTS: events }
    const script =
      'ulimit -v 400000; LD_PRELOAD="$RECORDER" OFFHEAP_RECORD_FILE="$EVENTS" exec "$0" ' +
      'sequence'
    expect(spawnSync('sh', ['-c', script, program], { env }).status).toBe(7)
    expect(await readEventsHeader(events)).toMatchObject({ attached: true, lost: 0 })
    expect((await readEventsHeader(events)).events).toBeGreaterThan(20)
  })

  test('a recording longer than a window is complete', async () => {
    const { summary, lines } = await run('many', 2 ** 24, 'many.rep.gz')
    expect(summary).toMatchObject({ exitCode: 0, lost: 0, dropped: 0 })
    expect(sized(lines, 345)).toHaveLength(200_000)
    expect(summary.operations).toBeGreaterThanOrEqual(400_000)
  })

  test('a full recording has the first calls, and counts lost ones', async () => {
    const { summary, lines } = await run('many', 65_536)
    expect(summary.exitCode).toBe(0)
    expect(lines).toHaveLength(65_536)
    expect(summary.lost).toBeGreaterThanOrEqual(400_000 - 65_536)
  })

  test('supports a recorder whose path has spaces and colons', async () => {
    const strange = join(folder, 'a b:c')
    mkdirSync(strange)
    const library = join(strange, 'recorder.so')
    writeFileSync(library, readFileSync(recorder))
    const output = join(folder, 'strange.rep')
    const summary = await record({
      program,
      args: ['sequence'],
      output,
      recorder: library,
      maximumEvents: 1
    })
    expect(summary.exitCode).toBe(7)
  })

  test('a statically linked program is a named error, and leaves no file', async context => {
    const fixed = join(folder, 'static')
    if (
      spawnSync('cc', ['-static', '-fno-builtin', PROGRAMS, '-o', fixed, '-pthread']).status !== 0
    ) {
      context.skip('no static libc')
    }
    const output = join(folder, 'static.rep')
    await expect(
      record({ program: fixed, args: ['sequence'], output, recorder })
    ).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_UNSUPPORTED',
      message:
        'nothing was recorded: the program is statically linked or ' +
        `setuid${linkOf('ERR_OFFHEAP_UNSUPPORTED')}`
    })
    expect(existsSync(output)).toBe(false)
  })

  test('an output that cannot be written is an error before the program runs', async () => {
    const proof = join(folder, 'proof')
    const touch = { program: 'touch', args: [proof], recorder }
    const missing = join(folder, 'missing', 'x.rep')
    await expect(record({ ...touch, output: missing })).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      syscall: 'mkdtemp',
      errno: 2,
      message: `can't write ${missing}: no such file or folder${linkOf('ERR_OFFHEAP_SYSTEM')}`
    })
    await expect(record({ ...touch, output: folder })).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      message: `can't write ${folder}: it is not a file${linkOf('ERR_OFFHEAP_SYSTEM')}`
    })
    expect(existsSync(proof)).toBe(false)
  })

  test('a missing program, and a recorder that is not built, are errors', async () => {
    const output = join(folder, 'none.rep')
    await expect(record({ program: '/no/such/program', output, recorder })).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_SYSTEM',
      errno: 2
    })
    await expect(record({ program, output, recorder: '/no/such.so' })).rejects.toMatchObject({
      code: 'ERR_OFFHEAP_NO_ADDON',
      message: expect.stringContaining('npm run build:native')
    })
    expect(existsSync(output)).toBe(false)
  })

  describe('while the program runs, a signal to this process', () => {
    const exits: Partial<Record<NodeJS.Signals, number>> = { SIGTERM: 9, SIGHUP: 8 }

    /**
     * Records a shell that exits with 9 on SIGTERM, 8 on SIGHUP, and 7 on request. Signals it after
     * its start.
     */
    async function signalled(name: NodeJS.Signals): Promise<number> {
      const ready = join(folder, `ready-${name}`)
      const end = join(folder, `end-${name}`)
      const script = `trap 'exit 9' TERM; trap 'exit 8' HUP; trap 'exit 6' INT QUIT; : >'${ready}'
        i=0; while [ ! -e '${end}' ] && [ $i -lt 36000 ]; do i=$((i + 1)); sleep 0.05; done; exit 7`
      const before = process.listeners(name)
      const output = join(folder, `${name}.rep`)
      const recording = record({
        program: 'sh',
        args: ['-c', script],
        output,
        recorder,
        maximumEvents: 1
      })
      await vi.waitUntil(() => existsSync(ready), { timeout: HANG })
      // As if it came from outside, but without the test runner's own listeners.
      const added = process.listeners(name).filter(listener => !before.includes(listener))
      expect(added).toHaveLength(1)
      for (const listener of added) listener.call(process, name)
      if (!(name in exits)) writeFileSync(end, '')
      const { exitCode } = await recording
      expect(process.listeners(name)).toEqual(before)
      return exitCode
    }

    test.each(['SIGTERM', 'SIGHUP'] as const)('is passed on: %s', async name => {
      expect(await signalled(name)).toBe(exits[name])
    })

    test.each(['SIGINT', 'SIGQUIT'] as const)(
      'ends neither process if a terminal sends it to both: %s',
      async name => {
        expect(await signalled(name)).toBe(7)
      }
    )
  })

  test('the subcommand reports one line and exits like the program', async () => {
    const output = join(folder, 'command.rep.gz')
    const written: string[] = []
    const before = process.exitCode
    const write = process.stderr.write
    process.stderr.write = chunk => written.push(String(chunk)) > 0
    try {
      await recordCommand().parseAsync(['-o', output, '--', 'sh', '-c', 'exit 3'], { from: 'user' })
      expect(process.exitCode).toBe(3)
    } finally {
      process.stderr.write = write
      process.exitCode = before
    }
    expect(written.join('')).toMatch(
      /^\S+command\.rep\.gz: [\d,]+ operations on [\d,]+ blocks; peak [\d,]+ bytes; alive .*\n$/
    )
    expect(gunzipSync(readFileSync(output)).toString()).toMatch(/^\d+\n\d+\n\d+\n1\n[acm] 0 /)
  })
})

test('wrong options are rejected before anything happens', async () => {
  const good = { program: 'true', output: '/tmp/never' }
  await expect(record({ ...good, output: '' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE'
  })
  await expect(record({ ...good, program: '' })).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_TYPE'
  })
  for (const maximumEvents of [0, -1, 1.5, Number.NaN, 2 ** 31]) {
    await expect(record({ ...good, maximumEvents })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_RANGE'
    })
  }
})

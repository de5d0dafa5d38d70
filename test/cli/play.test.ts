import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { servePage } from '../../lib/play/serve.js'
import { offheap } from './terminal.js'

let folder = ''
const at = (name: string) => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-play-'))
  writeFileSync(
    at('small.rep'),
    '100\n4\n7\n1\na 0 100\na 1 200\nf 0\nr 1 400\nm 2 64 40\na 0 8\nf 1\n'
  )
  writeFileSync(
    at('bump.ts'),
    'export function create(memory: { sbrk(n: number): number }) {\n  return { malloc: (n: ' +
      'number) => memory.sbrk(n), free() {}, realloc: () => 0 }\n}\n'
  )
  writeFileSync(at('broken.ts'), 'export function create( {')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Returns the configuration embedded in a page. */
function configOf(name: string) {
  const html = readFileSync(at(name), 'utf8')
  return JSON.parse(
    /<script type="application\/json" id="data">(.*?)<\/script>/.exec(html)?.[1] ?? ''
  ).config
}

describe('offheap play', () => {
  it('writes a page of less than 600 KiB, and reports its size', async () => {
    const { code, out, err } = await offheap(['play', '-o', at('play.html')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const [, kib] = /play\.html: (\d+) KiB\n$/.exec(out) ?? []
    expect(Number(kib)).toBeLessThan(600)
    expect(configOf('play.html')).toEqual({
      placement: 'first-fit',
      slabs: false,
      size: 4096,
      calls: ''
    })
  })

  it.each([
    [['-p', 'best-fit'], { placement: 'best-fit', slabs: false, size: 4096 }],
    [['--slabs'], { placement: 'first-fit', slabs: true, size: 65_536 }],
    [['--size', '2K'], { placement: 'first-fit', slabs: false, size: 2048 }],
    [['--trace', 'small.rep'], { calls: 'm100.m200.f0.r1x400.l64x40.m8.f1' }],
    [['--trace', 'small.rep', '--at', '4'], { calls: 'm100.m200.f0.r1x400', at: 3 }],
    [['bump.ts'], { submission: 'bump.ts', size: 65_536 }],
    [['bump.ts', '-t', 'small.rep', '--at', '1'], { submission: 'bump.ts', calls: 'm100', at: 0 }]
  ])('%j', async (args, config) => {
    const paths = args.map(arg => (/\.(ts|rep)$/.test(arg) ? at(arg) : arg))
    const { code, err } = await offheap(['play', ...paths, '-o', at('other.html')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(configOf('other.html')).toMatchObject(config)
  })

  it.each([
    [['-p', 'worst-fit'], 2, 'Allowed choices are first-fit'],
    [['--size', '5000'], 2, '--size 5000: choose one of 1024, 2048'],
    [['--slabs', '--size', '4K'], 2, '--slabs needs a heap of 64K or 256K'],
    [['--at', '3'], 2, '--at needs --trace'],
    [['--trace', 'small.rep', '--at', '9'], 2, 'has 7 operations'],
    [['--trace', 'small.rep', '--at', '0'], 2, 'the number of an operation, from 1'],
    [['bump.ts', '--slabs'], 2, "for offheap's own allocator, and not for a file"],
    [['bump.ts', '--size', '1G'], 2, 'is too large to look at'],
    [['broken.ts'], 1, 'broken.ts does not compile: broken.ts:1: '],
    [['missing.ts'], 1, 'missing.ts does not compile']
  ])('rejects %j', async (args, code, message) => {
    const paths = args.map(arg => (/\.(ts|rep)$/.test(arg) ? at(arg) : arg))
    const result = await offheap(['play', ...paths, '-o', at('none.html')])
    expect(result).toMatchObject({ code, out: '' })
    expect(result.err).toContain(message)
  })

  it('serves the page to this machine until Ctrl-C', async () => {
    const program = spawn(process.execPath, ['dist/cli/main.js', 'play'], {
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const [line] = await once(program.stdout, 'data')
    const url = String(line).trim()
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/)
    expect(await (await fetch(url)).text()).toMatch(/^<!doctype html>/)
    program.kill('SIGINT')
    const [code, signal] = await once(program, 'exit')
    expect([code, signal]).toEqual([null, 'SIGINT'])
  })
})

describe('the server of the page', () => {
  it('creates the page again for each load, and reports errors', async () => {
    let loads = 0
    const server = await servePage(async () => {
      loads++
      if (loads === 2) throw new Error('allocator.ts:3: no')
      return `page ${loads}`
    })
    const answers = []
    for (let i = 0; i < 3; i++) {
      const answer = await fetch(server.url)
      answers.push([answer.status, await answer.text()])
    }
    expect(answers).toEqual([
      [200, 'page 1'],
      [500, 'allocator.ts:3: no\n\nFix it, and reload this page.\n'],
      [200, 'page 3']
    ])
    expect((await fetch(`${server.url}other`)).status).toBe(404)
    expect((await fetch(server.url, { method: 'POST' })).status).toBe(404)
    await server.close()
  })

  it('rejects requests for any other host name', async () => {
    const server = await servePage(async () => 'page')
    const request = get(server.url, { headers: { host: 'evil.example' } })
    const [response] = await once(request, 'response')
    expect([response.statusCode, await textOf(response)]).toEqual([403, ''])
    await server.close()
  })
})

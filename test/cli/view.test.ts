import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { offheap } from './terminal.js'

const BUMP = `interface Memory { sbrk(bytes: number): number; readonly u8: Uint8Array }
export function create(memory: Memory) {
  const malloc = (size: number): number => Math.max(0, memory.sbrk(Math.ceil((size + 1) / 8) * 8))
  return { malloc, free() {}, realloc(from: number, size: number): number {
    const to = malloc(size)
    memory.u8.copyWithin(to, from, from + size)
    return to
  } }
}`

let folder = ''
const at = (name: string) => join(folder, name)
const text = (name: string) => readFileSync(at(name), 'utf8')

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-view-'))
  writeFileSync(at('small.rep'), '100\n3\n6\n1\na 0 100\na 1 200\nf 0\nr 1 400\nm 2 64 40\nf 1\n')
  writeFileSync(at('bump.ts'), BUMP)
  writeFileSync(at('nothing.ts'), 'export const malloc = 1')
  writeFileSync(at('endless.ts'), "import '/dev/zero'\n")
  writeFileSync(at('broken.ts'), 'export function create( {')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The allocators in the page. */
function allocators(name: string) {
  const data =
    /<script type="application\/json" id="data">(.*?)<\/script>/.exec(text(name))?.[1] ?? ''
  return JSON.parse(data).allocators
}

describe('offheap view', () => {
  it('shows blocks and free list of an allocator that describes them', async () => {
    const list = 'test/play/list-allocator.ts'
    const { code, err } = await offheap([
      'view',
      at('small.rep'),
      '-a',
      list,
      '-o',
      at('list.html')
    ])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(allocators('list.html')).toMatchObject([
      { label: list, hasFreeList: true, wholeBlocks: true, headerBytes: 4, footerBytes: 4 }
    ])
  })

  it('writes a page and reports its size', async () => {
    const { code, out, err } = await offheap(['view', at('small.rep'), '-o', at('heap.html')])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/heap\.html: 6 operations, \d+(\.\d+)? KiB\n$/)
    expect(text('heap.html')).toMatch(/^<!doctype html>/)
    expect(allocators('heap.html')).toMatchObject([
      { label: 'first-fit', hasFreeList: true, headerBytes: 4 }
    ])
  })

  it('shows a file and a placement side by side, in the order of the command line', async () => {
    const page = at('two.html')
    const args = ['view', at('small.rep'), '-a', at('bump.ts'), '-p', 'first-fit', '-o', page]
    expect((await offheap(args)).code).toBe(0)
    expect(allocators('two.html')).toMatchObject([
      { label: at('bump.ts'), hasFreeList: false, hasEnds: true, wholeBlocks: false },
      { label: 'first-fit' }
    ])
    // Memory between payloads is not called free if nothing is known about it.
    expect(text('two.html')).toContain('no payload: headers, footers, padding or free')
    expect(text('heap.html')).not.toContain('no payload')
  })

  it.each([
    [[], 'first-fit'],
    [['--slabs'], 'first-fit, with slabs'],
    [['-p', 'segregated-fit'], 'segregated-fit, with slabs'],
    [['-p', 'segregated-fit', '--no-slabs'], 'segregated-fit'],
    [['--slabs', '-s', '16K'], 'first-fit']
  ])('with %j looks at a heap %s', async (args, label) => {
    expect((await offheap(['view', at('small.rep'), ...args, '-o', at('slabs.html')])).code).toBe(0)
    const slabs = label.includes('slabs') ? { granuleBytes: 512, chunkGranules: 8 } : null
    expect(allocators('slabs.html')).toMatchObject([{ label, slabs }])
  })

  it('writes a picture with --svg', async () => {
    expect((await offheap(['view', at('small.rep'), '--svg', '-o', at('heap.svg')])).code).toBe(0)
    expect(text('heap.svg')).toMatch(
      /^<svg xmlns[\s\S]*<title>operation 1 \(line 5\), malloc of 100 bytes[\s\S]*<\/svg>\n$/
    )
  })

  it.each([
    ['nothing.ts', 'the submission exports no function "create"'],
    ['broken.ts', 'the submission does not compile'],
    ['missing.ts', 'does not compile'],
    ['endless.ts', 'does not compile: /dev/zero is not a file']
  ])('says why %s is no allocator', async (file, message) => {
    const { code, err } = await offheap([
      'view',
      at('small.rep'),
      '-a',
      at(file),
      '-o',
      at('none.html')
    ])
    expect(code).toBe(1)
    expect(err).toContain(message)
    expect(err).toContain(file)
  })

  it('reports the operation for which a small heap had no room', async () => {
    writeFileSync(at('large.rep'), 'a 0 8\na 1 1000000\n')
    const { code, err } = await offheap([
      'view',
      at('large.rep'),
      '-s',
      '64K',
      '-o',
      at('none.html')
    ])
    expect(code).toBe(1)
    expect(err).toContain('operation 2 (line 2), malloc of 1000000 bytes for id 1')
  })

  it.each([
    [['view', 'x.rep'], "required option '-o, --output <file>' not specified"],
    [['view', 'x.rep', '-o', 'x', '-p', 'worst-fit'], 'Allowed choices are first-fit'],
    [
      ['view', 'x.rep', '-o', 'x', ...Array.from({ length: 3 }, () => '-pfirst-fit')],
      '3 allocators; at most 2 fit'
    ]
  ])('exits with 2 for the command line %j', async (args, message) => {
    const { code, err } = await offheap(args)
    expect(code).toBe(2)
    expect(err).toContain(message)
  })
})

/**
 * Facts that are stated in several places: figures and names in the README, in docs/, in docstrings
 * and in help texts are compared with what the code does. Each fact is listed here once.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Heap } from '../../lib/heap/heap.js'
import { MAXIMUM_HEAP_BYTES } from '../../lib/layout/block.js'
import { placements } from '../../lib/placement/policies.js'
import { offheap } from '../cli/terminal.js'
import { root } from './package.js'
import { pages, readPage } from './pages.js'

/** All texts for users, by path. */
const texts = new Map<string, string>()
const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter(name =>
  name.endsWith('.ts')
)
const guides = [
  'CONTRIBUTING.md',
  'labs/GUIDE.md',
  'labs/handout/README.md',
  'traces/README.md',
  'native/faults.h'
]
for (const file of [...pages, ...guides, ...sources.map(name => `lib/${name}`)]) {
  // Sentences continue after the frame of a comment and the end of a line.
  texts.set(file, readFileSync(join(root, file), 'utf8').replace(/\n *(\*|\/\/)? */g, ' '))
}

/** All matches of the pattern in all texts: `path: the first group`. */
function said(pattern: RegExp): { file: string; what: string }[] {
  return [...texts].flatMap(([file, text]) =>
    Array.from(text.matchAll(new RegExp(pattern, 'gi')), ([, what = '']) => ({
      file,
      what: what.replaceAll(',', '')
    }))
  )
}

/** The bytes that one request takes from a heap. */
function cost(heap: Heap, size: number): number {
  const before = heap.stats().used
  heap.malloc(size)
  return heap.stats().used - before
}

const packageFile: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const engines = /"node":">=(\d+\.\d+)"/.exec(JSON.stringify(packageFile))?.[1] ?? ''
const hardened = () => Heap.map({ size: 2 ** 20, hardened: true })
const constant = (name: string) =>
  new RegExp(`${name} = (\\d+);`).exec(readFileSync(join(root, 'native/faults.h'), 'utf8'))?.[1]
const rowsOf = (page: string) => Array.from(readPage(page).matchAll(/^\| (?!kind|---)/gm)).length

/** A pattern with the figure as its group, the right figure, and the least number of places. */
const FACTS: readonly (readonly [
  name: string,
  pattern: RegExp,
  truth: () => unknown,
  places: number
])[] = [
  [
    'a request of 100 bytes in a hardened heap',
    /request of 100 bytes takes (\d+)/,
    () => cost(hardened(), 100),
    1
  ],
  [
    'the same, beside ledger and seals',
    /100 bytes take (\d+) \+ \d+/,
    () => cost(hardened(), 100),
    1
  ],
  [
    'what a used block costs',
    /a (?:used )?block costs (\d) bytes/,
    () => cost(Heap.map(2 ** 20), 100) - 100,
    1
  ],
  ['the smallest block', /smallest block is (\d+) bytes/, () => cost(Heap.map(2 ** 20), 1), 1],
  ['the largest heap', /heap uses at most (\d+) GiB/, () => MAXIMUM_HEAP_BYTES / 2 ** 30, 1],
  ['the oldest Node', /Node (\d+\.\d+)(?: or|,? and) later/, () => engines, 3],
  ['kinds of misuse', /(\d+) kinds of misuse/, () => rowsOf('docs/faults.md'), 1],
  [
    'faults that are remembered',
    /at most the first (\d+) are kept/,
    () => constant('kRemembered'),
    1
  ],
  [
    'regions with protection',
    /(\d[\d,]*) other open regions have used protection/,
    () => constant('kWatches'),
    1
  ]
]

describe('every page is right about', () => {
  test.each(FACTS)('%s', (_name, pattern, truth, places) => {
    const found = said(pattern)
    expect(found.length).toBeGreaterThanOrEqual(places)
    expect(found).toEqual(found.map(({ file }) => ({ file, what: String(truth()) })))
  })

  test('the byte order of a heap', () => {
    const heap = Heap.format(new ArrayBuffer(4096))
    heap.root = heap.malloc(8)
    const inOrder = new Int32Array(heap.buffer).includes(heap.root / 4)
    expect(inOrder).toBe(true)
    expect(said(/(heap's bytes are \S+-endian)/)).toEqual([])
  })

  test.each(['README.md', 'docs/choosing-a-placement.md'])(
    'the placements: %s has a row for each, the default first',
    page => {
      const rows = Array.from(
        readPage(page).matchAll(/^\| `([a-z-]+)`( \(default\))? +\|/gm),
        row => ({
          name: row[1] ?? '',
          isDefault: row[2] !== undefined
        })
      ).filter(({ name }) => placements.some(placement => placement === name))
      const [standard] = rows
      expect(standard).toEqual({
        name: Heap.format(new ArrayBuffer(4096)).placement,
        isDefault: true
      })
      for (const placement of placements)
        expect(rows).toContainEqual({ name: placement, isDefault: placement === standard?.name })
    }
  )

  test('the subcommands: the README has a row for each', async () => {
    const { out } = await offheap(['--help'])
    const commands = Array.from(out.matchAll(/^ {2}([a-z]+) /gm), ([, name]) => name).filter(
      name => name !== 'help'
    )
    expect(commands.length).toBeGreaterThanOrEqual(5)
    for (const command of commands)
      expect(readPage('README.md')).toMatch(new RegExp(`^\\| \`offheap ${command}`, 'm'))
  })

  test('the events: docs/observability.md has a row for each, and no other', () => {
    const events = new Set(readPage('lib/events.ts').match(/(?<=^ {2}')offheap:[a-z-]+/gm))
    const rows = readPage('docs/observability.md').match(/(?<=^\| `)offheap:[a-z-]+/gm)
    expect(events.size).toBeGreaterThan(3)
    expect(new Set(rows)).toEqual(events)
  })

  test('the error codes: docs/troubleshooting.md has a section for each, and no other', () => {
    const codes = new Set(readPage('lib/errors.ts').match(/(?<=\| ')ERR_OFFHEAP_[A-Z_]+/g))
    expect(codes.size).toBeGreaterThan(5)
    expect(
      new Set(readPage('docs/troubleshooting.md').match(/(?<=^## )ERR_OFFHEAP_[A-Z_]+/gm))
    ).toEqual(codes)
  })

  test('the options: each is in the README or in docs/hardening.md', () => {
    const [, body = ''] =
      /^export interface HeapOptions \{([\s\S]*?)^\}/m.exec(readPage('lib/heap/options.ts')) ?? []
    const options = body.match(/(?<=^ {2}readonly )\w+(?=\?: )/gm) ?? []
    expect(options.length).toBeGreaterThan(4)
    const told = readPage('README.md') + readPage('docs/hardening.md')
    expect(options.filter(option => !told.includes(`\`${option}`))).toEqual([])
  })

  test.each(['replay', 'record', 'view', 'lab init', 'lab grade'])(
    'the options of offheap %s: each that is shown exists',
    async name => {
      const { out } = await offheap([...name.split(' '), '--help'], { width: 160 })
      const options = new Set(out.match(/--[a-z][a-z-]*/g))
      const wrong = [...texts.keys()].flatMap(file => {
        // A command ends with its line, its quotation or its pipe; arguments after -- are for
        // another program.
        const uses = readPage(file).match(new RegExp(`offheap ${name} [^\`|;)'\n]*`, 'g')) ?? []
        const shown = uses.flatMap(
          use => use.split(' -- ')[0]?.match(/(?<= )--[a-z][a-z-]+/g) ?? []
        )
        return shown.filter(option => !options.has(option)).map(option => `${file}: ${option}`)
      })
      expect(wrong).toEqual([])
    }
  )
})

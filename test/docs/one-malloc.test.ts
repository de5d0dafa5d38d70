/**
 * The tour of the source in docs/one-malloc.md: every file and function that it names exists, and
 * each of its tables lists the functions that such a call runs.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Allocator } from '../../lib/engine/allocator.js'
import { Blocks } from '../../lib/engine/blocks.js'
import { Slabs } from '../../lib/engine/slabs.js'
import { Slots } from '../../lib/engine/slots.js'
import { Heap } from '../../lib/heap/heap.js'
import { CardIndex } from '../../lib/placement/card-index.js'
import { FirstFit } from '../../lib/placement/first-fit.js'
import { root } from './package.js'
import { readPage } from './pages.js'

const text = readPage('docs/one-malloc.md')
/** Everything but the samples, whose calls are those of a user. */
const page = text.replace(/^```js\n[\s\S]*?^```/gm, '')

const read = (file: string): string => readFileSync(join(root, file), 'utf8')

const sources = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts'))
  .map(name => `lib/${name}`)

/** The body of a class, in the one file that has it; undefined if none has. */
function classNamed(name: string): { file: string; body: string } | undefined {
  for (const file of sources) {
    const body = new RegExp(`^(?:export )?class ${name}\\b[\\s\\S]*?^}`, 'm').exec(read(file))?.[0]
    if (body !== undefined) return { file, body }
  }
  return undefined
}

/** Whether a method of this name is defined in the body of a class, and not only called. */
function hasMethod(body: string, name: string): boolean {
  return new RegExp(
    `^ {2}(?:(?:private|protected|override|static) )*\\*?${name}(?:<[^>]*>)?\\(.*\\{$`,
    'm'
  ).test(body)
}

function hasFunction(file: string, name: string): boolean {
  return new RegExp(`^(?:export )?(?:function\\*? ${name}\\(|const ${name} = )`, 'm').test(
    read(file)
  )
}

/** Functions that are named as `name()` or `Class.name()`. */
const mentions = [
  ...new Set(
    [...page.matchAll(/(?<![\w.])((?:[A-Z]\w*\.)?[a-z]\w*)\(\)/g)].map(([, name = '']) => name)
  )
]
/** The files of the library that the page names. */
const files = [
  ...new Set([...text.matchAll(/`(lib\/[\w./-]+\.(?:ts|js))`/g)].map(([, file = '']) => file))
]

/** The rows of each table, by the heading above it. */
interface Table {
  readonly heading: string
  readonly rows: readonly { readonly call: string; readonly file: string }[]
}

const tables: readonly Table[] = page
  .split(/^## /m)
  .slice(1)
  .flatMap(section => {
    const heading = section.slice(0, section.indexOf('\n'))
    return [...section.matchAll(/^\| call .*\n\|[- |]+\n((?:\|.*\n)+)/gm)].map(([, body = '']) => ({
      heading,
      rows: body
        .trimEnd()
        .split('\n')
        .map(line => {
          const [, call = '', file = ''] =
            /^\| `([\w.]+)\(\)` +\| `([\w./-]+)` +\| .*\S +\|$/.exec(line) ?? []
          return { call, file }
        })
    }))
  })

describe('the names on the page of one malloc', () => {
  test('are found by the test', () => {
    expect(mentions.length).toBeGreaterThan(40)
    expect(files.length).toBeGreaterThan(8)
    expect(tables.map(({ heading }) => heading)).toEqual(Object.keys(scenes))
  })

  test.each(files)('%s is a file', file => expect(existsSync(join(root, file))).toBe(true))

  test.each(mentions.filter(name => name.includes('.')))('%s() is a method', name => {
    const [className = '', method = ''] = name.split('.')
    const found = classNamed(className)
    expect(found, `class ${className}`).toBeDefined()
    expect(hasMethod(found?.body ?? '', method)).toBe(true)
  })

  test.each(mentions.filter(name => !name.includes('.')))(
    '%s() is a function of a file on the page',
    name => {
      // In the text, the methods of policies are named without a class: every policy has them.
      const isVerb = hasMethod(
        read('lib/placement/placement.ts').replaceAll(': void\n', ': void {\n'),
        name
      )
      const layouts = sources.filter(file => file.startsWith('lib/layout/'))
      expect(
        isVerb ||
          [...files, ...layouts].some(file => file.endsWith('.ts') && hasFunction(file, name))
      ).toBe(true)
    }
  )

  test('are in the tables with their files', () => {
    for (const { call, file } of tables.flatMap(({ rows }) => rows)) {
      expect([call, classNamed(call.split('.')[0] ?? '')?.file]).toEqual([call, file])
    }
  })
})

/** The one table that omits what others show. */
const LEAVES_OUT = 'Realloc that moves'

/** The calls of the tables, by the headings above them, in the order of the page. */
const scenes: Readonly<Record<string, () => string[]>> = {
  'Malloc from a free block': () => {
    const { heap } = example()
    return trace(() => heap.malloc(30))
  },
  'Malloc from the wilderness': () => {
    const { heap, a } = example()
    heap.realloc(a, 60)
    heap.realloc(a, 200)
    return trace(() => heap.malloc(1000))
  },
  'Malloc of a slot': () => {
    const { heap } = slots()
    return trace(() => heap.malloc(40))
  },
  'Free, with a merge': () => {
    const { heap } = example()
    const d = heap.malloc(30)
    return trace(() => heap.free(d))
  },
  'Free of a slot': () => {
    const { heap, slot } = slots()
    return trace(() => heap.free(slot))
  },
  'Realloc in place': () => {
    const { heap, a } = example()
    return trace(() => heap.realloc(a, 60))
  },
  [LEAVES_OUT]: () => {
    const { heap, a } = example()
    heap.realloc(a, 60)
    return trace(() => heap.realloc(a, 200))
  }
}

/** Runs `action`, and returns the methods that it called, in order. */
function trace(action: () => unknown): string[] {
  const calls: string[] = []
  const restore: (() => void)[] = []
  for (const { name: className, prototype } of [
    Heap,
    Slots,
    Allocator,
    Blocks,
    Slabs,
    FirstFit,
    CardIndex
  ]) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      const { value } = descriptor
      if (typeof value !== 'function' || name === 'constructor') continue
      Object.defineProperty(prototype, name, {
        ...descriptor,
        value(this: unknown, ...given: unknown[]) {
          calls.push(`${className}.${name}`)
          return Reflect.apply(value, this, given)
        }
      })
      restore.push(() => Object.defineProperty(prototype, name, descriptor))
    }
  }
  try {
    action()
    return calls
  } finally {
    for (const undo of restore) undo()
  }
}

/** Whether all of `some` are in `whole`, in the same order. */
function inOrder(some: readonly string[], whole: readonly string[]): boolean {
  let from = 0
  return some.every(name => {
    from = whole.indexOf(name, from) + 1
    return from > 0
  })
}

/** The heap of the page, with what its sample allocates. */
function example() {
  const heap = Heap.format(new ArrayBuffer(4096))
  const a = heap.malloc(24)
  const b = heap.malloc(100)
  heap.malloc(8)
  heap.free(b)
  return { heap, a }
}

/** A heap with slabs, and a slot that is not the first. */
function slots() {
  const heap = Heap.format(new ArrayBuffer(2 ** 16), { slabs: true })
  heap.malloc(40)
  return { heap, slot: heap.malloc(40) }
}

describe('the tables of one malloc', () => {
  test.each(tables)('$heading: lists the functions that run', ({ heading, rows }) => {
    const calls = scenes[heading]?.() ?? []
    const listed = rows.map(({ call }) => call)
    if (heading !== LEAVES_OUT) expect(listed).toEqual(calls)
    else expect(inOrder(listed, calls)).toBe(true)
  })
})

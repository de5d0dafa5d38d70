import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseTrace } from '../../lib/trace/parse.js'
import { readTrace } from '../../lib/trace/read.js'
import type { Trace } from '../../lib/trace/trace.js'
import { formatTrace, writeTrace } from '../../lib/trace/write.js'
import { traces } from './arbitrary.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'offheap-write-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Everything in a trace but its name and its lines. */
function content({ length, ids, kinds, idOf, sizes, extras, notes }: Trace) {
  return { length, ids, kinds, idOf, sizes, extras, notes }
}

describe('formatTrace', () => {
  it('writes the CS:APP header and one line for each operation', () => {
    const text = 'a 0 512\nc 1 4 16\nm 2 64 100\nr 0 640\nf 1\nf -1\n'
    expect(formatTrace(parseTrace(text))).toBe(`804\n3\n6\n1\n${text}`)
  })

  it('writes what parseTrace reads back', () => {
    fc.assert(
      fc.property(traces, trace => {
        const again = parseTrace(formatTrace(trace))
        expect(content(again)).toEqual(content(trace))
        expect(Array.from(again.lines)).toEqual(
          Array.from({ length: trace.length }, (_, i) => i + 5)
        )
      })
    )
  })
})

describe('writeTrace', () => {
  it('writes plain and gzipped files that readTrace reads back', async () => {
    const text = Array.from({ length: 10_000 }, (_, i) => `a ${i} ${i % 77}\n`).join('')
    const trace = parseTrace(`1\n10000\n10000\n1\n${text}`)
    for (const name of ['t.rep', 't.rep.gz']) {
      const path = join(folder, name)
      await writeTrace(path, trace)
      expect(content(await readTrace(path))).toEqual(content(trace))
    }
    expect(
      readFileSync(join(folder, 't.rep'), 'utf8').startsWith('379665\n10000\n10000\n1\na 0 0\n')
    ).toBe(true)
    expect(readFileSync(join(folder, 't.rep.gz'))[0]).toBe(0x1f)
  })

  it('rejects if the file cannot be written', async () => {
    await expect(
      writeTrace(join(folder, 'no', 't.rep'), parseTrace('a 0 8\n'))
    ).rejects.toMatchObject({
      code: 'ENOENT'
    })
  })
})

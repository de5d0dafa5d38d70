import { SourceMap as NodeSourceMap } from 'node:module'
import { transformSync } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { SourceMap } from '../../lib/play/source-map.js'
import { lineOf, Sources } from '../../lib/play/sources.js'

const SOURCE = `
export class Heap {
  constructor(readonly words: Int32Array) {}
  store(at: number, value: number): void {
    // A comment that is not in the script.
    const where = at * 2; this.words[where] = value
  }
}
const text: string = 'ünïcödé'; export const shout = (): string => text.toUpperCase()
`
const { code, map } = transformSync(SOURCE, {
  loader: 'ts',
  sourcemap: true,
  sourcefile: 'heap.ts',
  target: 'es2022'
})

describe('a source map', () => {
  it("maps every position of a script to the same source position as Node's SourceMap", () => {
    const json = JSON.parse(map)
    const own = new SourceMap(json)
    const node = new NodeSourceMap(json)
    let found = 0
    for (const [i, line] of code.split('\n').entries()) {
      for (let column = 0; column < line.length; column++) {
        const expected = node.findEntry(i, column)
        const place = own.find(i + 1, column + 1)
        if (!('originalLine' in expected) || expected.generatedLine !== i) continue
        expect(place).toEqual({
          source: 0,
          line: expected.originalLine + 1,
          column: expected.originalColumn + 1
        })
        found++
      }
    }
    expect(found).toBeGreaterThan(100)
  })
})

describe('a stack', () => {
  const sources = new Sources([
    { map: JSON.parse(map), firstLine: 100, lines: code.split('\n').length }
  ])
  const line = code.split('\n').findIndex(text => text.includes('this.words[where] = value'))
  const column = code.split('\n')[line].indexOf('this.words[where]') + 1
  const frame = { name: 'Heap.store', file: 'heap.ts', line: 6 }

  it.each([
    [
      'Chromium',
      `Error\n    at Heap.store (file:///tmp/play.html:${100 + line}:${column})\n    at ` +
        'draw (file:///tmp/play.html:900:3)'
    ],
    [
      'Firefox',
      `Heap.store@file:///tmp/play.html:${100 + line}:${column}\ndraw@file:///tmp/play.html:900:3\n`
    ],
    [
      'V8, for a method called by another name,',
      `Error\n    at Heap.store [as put] (http://127.0.0.1:80/:${100 + line}:${column})`
    ]
  ])('of %s is resolved to the line of the source', (_browser, stack) => {
    expect(sources.resolve(stack)).toEqual([frame])
    expect(lineOf(stack)).toBe(100 + line)
  })

  it('without a known script is resolved to nothing', () => {
    expect(
      sources.resolve('Error: at least\n    at native code\n    at x (file:///play.html:5:1)')
    ).toEqual([])
    expect(sources.textOf('heap.ts')[5]).toContain('this.words[where] = value')
    expect(sources.textOf('other.ts')).toEqual([])
  })
})

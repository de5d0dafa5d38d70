/** Every sample of the README runs, and prints what the comment behind its console.log says. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { OffheapError } from '../lib/errors.js'
import * as offheap from '../lib/index.js'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const samples = [...readme.matchAll(/^```(?:js|ts)\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)

/** Runs a module's text as a function, its import of 'offheap' taken from lib/. Returns the lines that it printed. */
async function run(code: string): Promise<string[]> {
  const printed: string[] = []
  const console = { log: (...values: unknown[]) => printed.push(values.map(String).join(' ')) }
  const body = code.replace(/^import (\{.*?\}) from 'offheap'$/m, 'const $1 = offheap')
  const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor
  await new AsyncFunction('offheap', 'console', body)(offheap, console)
  return printed
}

describe('the samples of the README', () => {
  test('are there', () => {
    expect(samples.length).toBeGreaterThanOrEqual(4)
  })

  test.each(samples)('sample %#', async code => {
    const expected = [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, comment]) => comment)
    expect(await run(code)).toEqual(expected)
    expect(code.split('console.log(')).toHaveLength(expected.length + 1)
  })

  test('and its table of errors names every code', () => {
    const source = readFileSync(new URL('../lib/errors.ts', import.meta.url), 'utf8')
    const codes = new Set(source.match(/ERR_OFFHEAP_[A-Z_]+/g))
    expect(codes.size).toBeGreaterThan(5)
    for (const code of codes) expect(readme).toMatch(new RegExp(`^\\| \`${code}\` +\\|`, 'm'))
    expect(new OffheapError('ERR_OFFHEAP_CLOSED', '').code).toBe('ERR_OFFHEAP_CLOSED')
  })
})

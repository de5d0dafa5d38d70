/**
 * Replaces vitest where vitest itself can't run: on Node for Windows under Wine, on Bun, on Deno.
 * It consists of vitest's runner and its expect, in one process, without workers, esbuild or pipes.
 */
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  customMatchers,
  getState,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState
} from '@vitest/expect'
import { startTests } from '@vitest/runner'
import * as chai from 'chai'

export {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  it,
  onTestFinished,
  test
} from '@vitest/runner'

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)

export function expect(value, message) {
  return chai.expect(value, message)
}
Object.assign(expect, chai.expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT])
expect.getState = () => getState(expect)
expect.setState = state => setState(state, expect)
setState({ assertionCalls: 0, isExpectingAssertions: false }, expect)
expect.extend = matchers => chai.expect.extend(expect, matchers)
expect.extend(customMatchers)

/** Types are tested by the compiler. */
export const expectTypeOf = () => ({ toEqualTypeOf() {} })

const CONFIG = {
  root: process.cwd(),
  setupFiles: [],
  name: '',
  passWithNoTests: false,
  allowOnly: false,
  sequence: { seed: 1, hooks: 'stack', setupFiles: 'list' },
  chaiConfig: undefined,
  maxConcurrency: 1,
  testTimeout: 0,
  hookTimeout: 0,
  retry: 0,
  tags: [],
  tagsFilter: undefined,
  strictTags: false
}

/** Message and stack of an error, or of its cause. In Bun, a stack does not include the message. */
function describe(error) {
  if (error === undefined) return undefined
  if (typeof error.cause?.message === 'string') return describe(error.cause)
  const stack = error.stack ?? ''
  return stack.includes(error.message) ? stack : `${error.message}\n${stack}`
}

/** Runs a test file. Resolves to an array with [name, state, error] of each test. */
export async function runFile(file) {
  const [done] = await startTests([file], {
    config: CONFIG,
    importFile: path => import(path)
  })
  const rows = []
  const walk = (task, names) => {
    const path = [...names, task.name]
    const error = task.result?.errors?.[0]
    if (task.type === 'test') {
      const state =
        task.mode === 'skip' || task.mode === 'todo' ? 'skip' : (task.result?.state ?? 'fail')
      rows.push([path.slice(1).join(' > '), state, describe(error)])
    } else {
      if (error !== undefined) rows.push([path.join(' > '), 'fail', describe(error)])
      for (const child of task.tasks) walk(child, path)
    }
  }
  walk(done, [])
  return rows
}

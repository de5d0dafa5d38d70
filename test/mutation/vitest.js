/**
 * What the tests import as `vitest` while mutants are judged (see runner.js): the same functions,
 * and vitest's own `expect`. But tests are only collected, so that they can be run thousands of
 * times in one process.
 */
import { setTimeout } from 'node:timers/promises'
import { format } from 'node:util'
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
  setState
} from '@vitest/expect'
import { fn, spyOn } from '@vitest/spy'

async function waitUntil(isTrue, { timeout = 1000, interval = 50 } = {}) {
  const end = performance.now() + timeout
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${timeout} ms`)
    await setTimeout(interval)
  }
}

export const vi = { fn, spyOn, waitUntil }

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin)
export const expect = Object.assign((value, message) => chai.expect(value, message), chai.expect)
Object.assign(expect, globalThis[ASYMMETRIC_MATCHERS_OBJECT])
globalThis[GLOBAL_EXPECT] = expect
setState({ assertionCalls: 0 }, expect)

/** A group of tests with its hooks; the group of a file is the outermost. */
function group(name, outer) {
  return { name, outer, beforeAll: [], afterAll: [], beforeEach: [], afterEach: [] }
}

let current = group('', undefined)
/** Every test, in the order in which they were declared. */
export const tests = []

/** The tests that are declared from here on are those of a file. */
export function beginFile(file) {
  current = group(file, undefined)
}

const title = (name, values) => format(name, ...values)

function withTable(declare) {
  return Object.assign(declare, {
    each: table => (name, body) => {
      const spread = table.every(Array.isArray)
      for (const row of table) {
        const values = spread ? row : [row]
        declare(title(name, values), context => body(...values, context))
      }
    },
    skipIf: condition => (condition ? withTable(() => {}) : declare),
    runIf: condition => (condition ? declare : withTable(() => {}))
  })
}

export const describe = withTable((name, body) => {
  const outer = current
  current = group(name, outer)
  body()
  current = outer
})

export const test = withTable((name, body) => {
  const names = [name]
  for (let at = current; at !== undefined; at = at.outer) names.unshift(at.name)
  tests.push({ name: names.join(' > '), file: names[0], group: current, body })
})
export const it = test

export const beforeAll = hook => current.beforeAll.push(hook)
export const afterAll = hook => current.afterAll.push(hook)
export const beforeEach = hook => current.beforeEach.push(hook)
export const afterEach = hook => current.afterEach.push(hook)

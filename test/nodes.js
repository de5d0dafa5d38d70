/**
 * Runs tests on other Node versions, with the addon that this one built: `node test/check.js
 * nodes`, or `node test/check.js nodes 22 24 test/heap` for some versions and some tests. The other
 * versions come from npm, as packages that contain Node.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import Table from 'cli-table3'

/** What may differ between Node versions: the addon, views of large buffers, processes, files. */
const TESTS = [
  'test/memory',
  'test/heap',
  'test/hardened',
  'test/sharing',
  'test/trace',
  'test/cli',
  'test/lab/cli.test.ts',
  'test/lab/confine.test.ts'
]
/** Milliseconds for the tests on one version, even on a busy machine. A hang is a failure too. */
const LIMIT = 3 * 60 * 60_000

const root = fileURLToPath(new URL('../', import.meta.url))
const cache = join(root, 'node_modules/.cache/nodes')
const here = process.versions.node.split('.')[0]
const others = JSON.parse(readFileSync(join(root, 'test/node-versions.json'), 'utf8')).map(String)
const words = process.argv.slice(2)
const isMajor = word => /^\d+$/.test(word)
const majors = words.some(isMajor) ? words.filter(isMajor) : others.filter(major => major !== here)
const named = words.filter(word => !isMajor(word))
const filters = named.length > 0 ? named : TESTS

/** Resolves to the exit code; null if it was killed. */
async function run(command, args, options) {
  const child = spawn(command, args, {
    cwd: root,
    stdio: 'inherit',
    killSignal: 'SIGKILL',
    ...options
  })
  const [code] = await once(child, 'exit')
  return code
}

/** The path of a Node of this major version: the one that runs this, or one from npm. */
async function binaryOf(major) {
  if (major === here) return process.execPath
  const name = `node-${process.platform}-${process.arch}`
  const folder = join(cache, major)
  const binary = join(folder, 'node_modules', name, 'bin/node')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const wanted = ['install', '--ignore-scripts', '--no-save', '--silent', `${name}@${major}`]
  const code = await run('npm', wanted, { cwd: folder })
  if (code === 0 && existsSync(binary)) return binary
  throw new Error(`npm has no Node ${major} for this machine: ${name}@${major} can't be installed`)
}

/** Runs the tests on one version. Resolves to a row of the table. */
async function test(major) {
  const binary = await binaryOf(major)
  const version = execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim()
  const report = join(cache, `${major}.json`)
  rmSync(report, { force: true })
  console.log(`\nNode ${version}`)
  const began = performance.now()
  const args = [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--reporter=dot',
    '--reporter=json',
    `--outputFile.json=${report}`
  ]
  const code = await run(binary, [...args, ...filters], {
    timeout: LIMIT,
    // A test that starts `node` starts this one.
    env: {
      OFFHEAP_TESTS: 'all',
      OFFHEAP_RUNS: '0.1',
      ...process.env,
      PATH: `${dirname(binary)}${delimiter}${process.env.PATH}`
    }
  })
  const minutes = ((performance.now() - began) / 60_000).toFixed(1)
  if (!existsSync(report))
    return { version, passed: 0, failed: 0, skipped: 0, minutes, failures: [], isGood: false }
  const told = JSON.parse(readFileSync(report, 'utf8'))
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = told
  return {
    version,
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests + numTodoTests,
    minutes,
    failures: failuresOf(told),
    isGood: code === 0 && numPassedTests > 0
  }
}

/** The failures in vitest's report, with their reasons, to be printed at the end of the log. */
function failuresOf({ testResults }) {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name)
    const failed = assertionResults.filter(result => result.status === 'failed')
    if (failed.length === 0 && status === 'failed') return [`${file}\n${message}`]
    return failed.map(
      ({ fullName, failureMessages }) => `${file}: ${fullName}\n${failureMessages.join('\n')}`
    )
  })
}

mkdirSync(cache, { recursive: true })
const rows = []
for (const major of majors) rows.push(await test(major))

const table = new Table({
  head: ['Node', 'passed', 'failed', 'skipped', 'minutes', ''],
  style: { head: [], border: [] }
})
for (const { version, passed, failed, skipped, minutes, isGood } of rows) {
  table.push([version, passed, failed, skipped, minutes, isGood ? '✓' : '✗'])
}
console.log(`\n${table}`)
for (const { version, failures } of rows) {
  for (const failure of failures) console.log(`\nNode ${version}: ${failure}`)
}
process.exitCode = rows.every(row => row.isGood) ? 0 : 1

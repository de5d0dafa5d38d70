/**
 * The workflows of the public forge do what .ci/run and .ci/release.js do, on every Node and system
 * that the package names.
 */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'

interface Tables {
  /** The files that have a table of platforms. */
  readonly TABLES: Readonly<Record<string, unknown>>
  withTable(path: string): string
}

interface Targets {
  readonly TARGETS: readonly { readonly runner?: string }[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
const manifest = JSON.parse(read('package.json'))
const nodes: number[] = JSON.parse(read('test/node-versions.json'))

const prebuild = (name: string): string => pathToFileURL(`${root}native/prebuild/${name}`).href
const { TABLES, withTable }: Tables = await import(prebuild('table.js'))
const { TARGETS }: Targets = await import(prebuild('targets.js'))

/** The jobs of a workflow by name, as text. */
function jobsOf(name: string): Map<string, string> {
  const [, jobs = ''] = read(`.github/workflows/${name}`).split(/^jobs:\n/m)
  const parts = jobs.split(/^ {2}(\w+):\n/m).slice(1)
  return new Map(parts.flatMap((part, i) => (i % 2 === 0 ? [[part, parts[i + 1] ?? '']] : [])))
}

/** The commands of a job's steps, in order. */
function commands(job = ''): string[] {
  return [...job.matchAll(/^ +- run: (.+)$/gm)].map(([, command = '']) => command)
}

/** The machines of a job's matrix. */
function machines(job = ''): { os: string; node: number }[] {
  return [...job.matchAll(/^ +- \{ os: (\S+), node: (\d+) \}$/gm)].map(([, os = '', node]) => ({
    os,
    node: Number(node)
  }))
}

describe('the workflows', () => {
  test('are exactly these', () => {
    expect(readdirSync(`${root}.github/workflows`).sort()).toEqual(['ci.yml', 'release.yml'])
  })

  test('of ci runs .ci/run and nothing else, on pushes and pull requests', () => {
    expect(read('.github/workflows/ci.yml')).toMatch(/^on:\n {2}push:\n {2}pull_request:\n/m)
    const jobs = jobsOf('ci.yml')
    expect(commands(jobs.get('run'))).toEqual(['.ci/run'])
    // A container has to be prepared first.
    const [prepare = '', ...rest] = commands(jobs.get('alpine'))
    expect(prepare).toMatch(/^apk add /)
    expect(rest).toEqual(['.ci/run'])
    accessSync(`${root}.ci/run`, constants.X_OK)
  })

  test('of ci run each binary on a real machine, and every Node version somewhere', () => {
    const jobs = jobsOf('ci.yml')
    const all = ['run', 'windows'].flatMap(name => machines(jobs.get(name)))
    const runners = TARGETS.flatMap(({ runner }) => runner ?? [])
    expect([...new Set(all.map(({ os }) => os))].sort()).toEqual([...new Set(runners)].sort())
    expect([...new Set(all.map(({ node }) => node))].sort()).toEqual(nodes)
    const [, oldest] = manifest.engines.node.match(/>=(\d+)/)
    expect(nodes[0]).toBe(Number(oldest))
  })

  test('on Windows run tests without other processes, and an addon of its compiler', () => {
    const windows = commands(jobsOf('ci.yml').get('windows'))
    expect(windows).toEqual(['npm ci', 'node test/check.js elsewhere --need node'])
  })

  test('agree with the tables of platforms and native/prebuild/targets.js', () => {
    for (const path of Object.keys(TABLES)) expect(read(path)).toBe(withTable(path))
  })

  test('of a release run .ci/release.js, then publish with provenance', () => {
    const text = read('.github/workflows/release.yml')
    expect(text).toMatch(/^on:\n {2}push:\n {4}tags: \["v\*"\]\n/m)
    expect(commands(jobsOf('release.yml').get('publish'))).toEqual([
      'npm ci',
      'node .ci/release.js',
      'npm publish --provenance --access public .release/offheap-[0-9]*.tgz',
      'npm publish --provenance --access public .release/offheap-labs-*.tgz'
    ])
    expect(text).toMatch(
      /^ {4}permissions:\n {6}contents: read\n( {6}#.*\n)* {6}id-token: write\n/m
    )
    expect(read('.ci/release.js')).toContain("join(ROOT, '.release')")
  })

  test('run only npm scripts and checks that exist', () => {
    const workflows = ['.github/workflows/ci.yml', '.github/workflows/release.yml']
    const texts = ['.ci/run', '.ci/release.js', ...workflows].map(read)
    const scripts = texts.flatMap(text => [
      ...text.matchAll(/npm run (?:--silent )?([a-z][\w:]*\w)/g)
    ])
    expect(scripts.length).toBeGreaterThan(4)
    for (const [, name = ''] of scripts) expect(Object.keys(manifest.scripts)).toContain(name)
    const checks = texts.flatMap(text => [...text.matchAll(/test\/check\.js (\w+)/g)])
    for (const [, name] of checks) expect(read('test/check.js')).toContain(`\n  ${name}: {`)
  })

  test('both packages have the same version', () => {
    expect(JSON.parse(read('labs/package.json')).version).toBe(manifest.version)
  })
})

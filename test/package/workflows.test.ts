/** The workflows of the public forge do what .ci/run and `npm run release` do, on every Node and platform that the package names. */
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

interface Step {
  readonly uses?: string
  readonly run?: string
}

interface Job {
  readonly steps: readonly Step[]
  readonly strategy?: {
    readonly matrix: { readonly include: readonly { readonly os: string; readonly node: number }[] }
  }
  readonly permissions?: Readonly<Record<string, string>>
}

interface Tables {
  /** The files that have a table of platforms. */
  readonly TABLES: Readonly<Record<string, unknown>>
  withTable(path: string): string
}

interface Targets {
  readonly TARGETS: readonly { readonly runner?: string }[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8'))

const prebuild = (name: string): string => pathToFileURL(`${root}native/prebuild/${name}`).href
const { TABLES, withTable }: Tables = await import(prebuild('table.js'))
const { TARGETS }: Targets = await import(prebuild('targets.js'))

function workflow(name: string): { on: Record<string, unknown>; jobs: Record<string, Job> } {
  return parse(readFileSync(`${root}.github/workflows/${name}`, 'utf8'))
}

function commands(job: Job | undefined): string[] {
  return (job?.steps ?? []).flatMap(({ run }) => (run === undefined ? [] : [run]))
}

describe('the workflows', () => {
  test('are these', () => {
    expect(readdirSync(`${root}.github/workflows`).sort()).toEqual(['ci.yml', 'release.yml'])
  })

  test('ci runs .ci/run and nothing beside it, on pushes and pull requests', () => {
    const { on, jobs } = workflow('ci.yml')
    expect(Object.keys(on)).toEqual(expect.arrayContaining(['push', 'pull_request']))
    expect(commands(jobs.run)).toEqual(['.ci/run'])
    // A container has to be furnished first.
    const [furnish = '', ...rest] = commands(jobs.alpine)
    expect(furnish).toMatch(/^apk add /)
    expect(rest).toEqual(['.ci/run'])
    accessSync(`${root}.ci/run`, constants.X_OK)
  })

  test('ci runs each binary of the package on a real machine, and every line of Node somewhere', () => {
    const { jobs } = workflow('ci.yml')
    const machines = ['run', 'windows'].flatMap(name => jobs[name]?.strategy?.matrix.include ?? [])
    const runners = TARGETS.flatMap(({ runner }) => runner ?? [])
    expect([...new Set(machines.map(({ os }) => os))].sort()).toEqual([...new Set(runners)].sort())
    const nodes = [...new Set(machines.map(({ node }) => node))].sort()
    const [, oldest] = manifest.engines.node.match(/>=(\d+)/)
    expect(nodes[0]).toBe(Number(oldest))
    const [, majors = ''] =
      readFileSync(`${root}test/package/install.package.ts`, 'utf8').match(/MAJORS = \[(.*)\]/) ?? []
    expect(majors.split(', ').map(Number)).toEqual(nodes)
    expect(readFileSync(`${root}.ci/run`, 'utf8')).toContain(`printf '%s\\n' ${nodes.join(' ')}`)
  })

  test('Windows runs the tests that need no other process, and an addon from its own compiler', () => {
    expect(commands(workflow('ci.yml').jobs.windows)).toEqual(['npm ci', 'npm run test:elsewhere -- --need node'])
  })

  test('both packages have the same version', () => {
    expect(JSON.parse(readFileSync(`${root}labs/package.json`, 'utf8')).version).toBe(manifest.version)
  })

  test('the tables of platforms are those of native/prebuild/targets.js', () => {
    for (const path of Object.keys(TABLES)) expect(readFileSync(`${root}${path}`, 'utf8')).toBe(withTable(path))
  })

  test('a release is npm run release, then published with provenance, and the tarball is the one that was checked', () => {
    const { on, jobs } = workflow('release.yml')
    expect(on).toEqual({ push: { tags: ['v*'] } })
    expect(commands(jobs.publish)).toEqual([
      'npm ci',
      'npm run release',
      'npm publish --provenance --access public .release/offheap-[0-9]*.tgz',
      'npm publish --provenance --access public .release/offheap-labs-*.tgz'
    ])
    expect(jobs.publish?.permissions).toEqual({ contents: 'read', 'id-token': 'write' })
    expect(readFileSync(`${root}.ci/release.js`, 'utf8')).toContain("join(ROOT, '.release')")
  })

  test('every npm script that .ci/run and the workflows name is there', () => {
    const texts = ['.ci/run', '.ci/release.js', '.github/workflows/ci.yml', '.github/workflows/release.yml']
    const named = texts.flatMap(path => [
      ...readFileSync(`${root}${path}`, 'utf8').matchAll(/npm run (?:--silent )?([a-z][\w:]*\w)/g)
    ])
    expect(named.length).toBeGreaterThan(5)
    for (const [, name = ''] of named) expect(Object.keys(manifest.scripts)).toContain(name)
  })
})

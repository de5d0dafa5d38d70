/**
 * Before all tests of the package: packs it, or uses the tarball in OFFHEAP_TARBALL. After them:
 * prints what was installed where.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import type { Row } from './support.js'

declare module 'vitest' {
  interface ProvidedContext {
    tarball: string
    /** Of offheap-labs. */
    labs: string
    work: string
  }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HEADINGS: Row = {
  what: 'what',
  node: 'Node',
  installer: 'installed by',
  packages: 'packages',
  size: 'KiB',
  addon: 'addon'
}

export default function setup(project: TestProject): () => void {
  // Files here must be readable by another user: one test runs as one.
  const work = mkdtempSync(join(tmpdir(), 'offheap-package-'))
  execFileSync('chmod', ['755', work])
  project.provide('work', work)
  project.provide(
    'tarball',
    process.env.OFFHEAP_TARBALL ? resolve(process.env.OFFHEAP_TARBALL) : pack(work, '.')
  )
  project.provide('labs', pack(work, './labs'))
  return () => {
    printTable(join(work, 'rows.jsonl'))
    execFileSync('chmod', ['-R', 'u+w', work])
    rmSync(work, { recursive: true, force: true })
  }
}

/** Packs the package in a folder of the repository; returns the path of its tarball. */
function pack(work: string, folder: string): string {
  const destination = mkdtempSync(join(work, 'pack-'))
  execFileSync('chmod', ['755', destination])
  execFileSync('npm', ['pack', '--silent', '--pack-destination', destination, folder], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const name = readdirSync(destination).find(file => file.endsWith('.tgz'))
  if (name === undefined) throw new Error(`npm pack left no tarball in ${destination}`)
  return join(destination, name)
}

function printTable(file: string): void {
  if (!existsSync(file)) return
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const rows: Row[] = [HEADINGS, ...lines.map(line => JSON.parse(line))]
  const keys = ['what', 'node', 'installer', 'packages', 'size', 'addon'] as const
  const widths = keys.map(key => Math.max(...rows.map(row => row[key].length)))
  const text = rows.map(row =>
    keys
      .map((key, i) => row[key].padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  )
  console.log(`\nWhat was installed where:\n${text.join('\n')}`)
}

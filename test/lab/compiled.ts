/**
 * The package as it is installed: compiled, with its data. Submissions run in processes of their
 * own, which can load only JavaScript.
 */

import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as Grading from '../../lib/lab/grade/grade.js'
import { HANG } from '../hang.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface CompiledLab {
  /** A folder for the files of the test. */
  readonly folder: string
  /** The compiled `lib/cli/main.ts`. */
  readonly main: string
  grading(): Promise<typeof Grading>
  /** Runs `offheap` with these arguments, and waits until it ends. */
  offheap(...args: string[]): {
    readonly code: number | null
    readonly out: string
    readonly err: string
  }
  /** Starts `offheap` with these arguments. */
  start(...args: string[]): ReturnType<typeof spawn>
  /** Starts `offheap` with these environment variables and arguments. */
  startIn(env: Readonly<Record<string, string>>, ...args: string[]): ReturnType<typeof spawn>
  remove(): void
}

export function compileLab(): CompiledLab {
  const home = mkdtempSync(join(tmpdir(), 'offheap-test-'))
  for (const name of ['package.json', 'node_modules', 'build', 'labs', 'bench'])
    symlinkSync(join(root, name), join(home, name))
  const config = {
    extends: join(root, 'tsconfig.json'),
    // Types are checked elsewhere.
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      rootDir: join(root, 'lib'),
      outDir: join(home, 'dist')
    },
    include: [join(root, 'lib')]
  }
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify(config))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', home], {
    stdio: 'inherit'
  })
  const folder = join(home, 'work')
  mkdirSync(folder)
  const main = join(home, 'dist/cli/main.js')
  return {
    folder,
    main,
    grading: () => import(pathToFileURL(join(home, 'dist/lab/grade/grade.js')).href),
    offheap(...args) {
      const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
        cwd: folder,
        encoding: 'utf8',
        timeout: HANG
      })
      return { code: status, out: stdout, err: stderr }
    },
    startIn: (env, ...args) =>
      spawn(process.execPath, [main, ...args], { cwd: folder, env: { ...process.env, ...env } }),
    start: (...args) => spawn(process.execPath, [main, ...args], { cwd: folder }),
    remove: () => rmSync(home, { recursive: true, force: true })
  }
}

/** The source of an allocator whose payloads are not aligned. */
export const BROKEN =
  'export function create() {\n  return { malloc: () => 4, free() {}, realloc: () => 4 }\n}\n'

/** Creates the workspace `ws`, and an allocator `broken.ts` next to it. */
export function layWorkspace({ folder, offheap }: CompiledLab): void {
  const { code, err } = offheap('lab', 'init', 'ws')
  if (code !== 0) throw new Error(err)
  // Use the cost, so that the exit code does not depend on how busy the machine is.
  const path = join(folder, 'ws', 'lab.jsonc')
  const config = readFileSync(path, 'utf8')
    .replace(/"throughput": \{[^}]*\},\n {2}"cost"/, '"throughput": "cost",\n  "cost"')
    .replace('"timing": 0.8', '"timing": 0.01')
  writeFileSync(path, config)
  writeFileSync(join(folder, 'broken.ts'), BROKEN)
}

/** Returns the path of a trace that ships with the lab. */
export function labTrace(name: string): string {
  return join(
    root,
    'labs/traces',
    name === 'hello' || name === 'edges' ? `${name}.rep` : `${name}.rep.gz`
  )
}

export const shippedConfig = join(root, 'labs/lab.jsonc')

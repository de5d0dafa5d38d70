/** Creates a student's workspace: the starter, the handout, the traces. Overwrites nothing. */

import { cpSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { labsFolder, ownVersion } from '../../labs-package.js'

/** The parts of `labs/` that a student gets, and their names there. The rest is for lecturers. */
const PARTS: readonly (readonly [from: string, to: string])[] = [
  ['starter', '.'],
  ['handout', 'handout'],
  ['traces', 'traces'],
  ['lab.jsonc', 'lab.jsonc']
]

export interface InitResult {
  /** The paths of the files written, relative to the workspace. */
  readonly written: readonly string[]
  /** The paths of files that existed already, and were not changed. */
  readonly kept: readonly string[]
}

/**
 * Fills `folder`, and creates it if it does not exist. Throws Node's error if it can't be written.
 */
export function initLab(folder: string): InitResult {
  const written: string[] = []
  const kept: string[] = []
  const put = (path: string, write: (path: string) => void) => {
    const name = relative(folder, path)
    if (existsSync(path)) kept.push(name)
    else {
      write(path)
      written.push(name)
    }
  }
  const copy = (from: string, to: string) => {
    if (!statSync(from).isDirectory()) {
      put(to, path => cpSync(from, path))
      return
    }
    mkdirSync(to, { recursive: true })
    for (const name of readdirSync(from).sort()) copy(join(from, name), join(to, name))
  }
  mkdirSync(folder, { recursive: true })
  for (const [from, to] of PARTS) copy(join(labsFolder, from), join(folder, to))
  put(join(folder, 'package.json'), path => writeFileSync(path, manifest()))
  return { written, kept }
}

/**
 * Returns the workspace's package.json. It has this version of offheap, so that grades don't
 * change during a course, and esbuild and TypeScript, which offheap does not depend on.
 */
function manifest(): string {
  const workspace = {
    name: 'allocator-lab',
    private: true,
    type: 'module',
    scripts: {
      grade: 'npx --yes offheap lab grade allocator.ts',
      watch: 'npx --yes offheap lab grade allocator.ts --watch'
    },
    devDependencies: {
      esbuild: '>=0.25',
      offheap: ownVersion(),
      'offheap-labs': ownVersion(),
      typescript: '>=5.7'
    }
  }
  return `${JSON.stringify(workspace, null, 2)}\n`
}

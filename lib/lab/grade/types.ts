/**
 * Reports the type errors of a submission, with the TypeScript that is installed near it or near
 * offheap. They cost no points: only the behaviour of the allocator counts.
 */

import { type ChildProcess, execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { labsFolder } from '../../labs-package.js'
import { onInterrupt, temporaryFolder } from './interrupt.js'

/** The most errors reported. */
const MOST_ERRORS = 5
/** Milliseconds after which a check is stopped, for types whose computation does not end. */
const PATIENCE = 120_000
const ERROR = /^(.+)\((\d+),(\d+)\): error TS\d+: (.*)$/

/**
 * Returns notes for the student: the type errors, at most five, or that types could not be
 * checked.
 * @param sources the absolute paths of the submission's files
 */
export async function typeNotes(sources: readonly string[]): Promise<string[]> {
  const files = sources.filter(path => path.endsWith('.ts'))
  const [first] = files
  if (first === undefined) return []
  const compiler = [first, import.meta.url].map(compilerNear).find(path => path !== undefined)
  if (compiler === undefined)
    return ['Types were not checked. To have them checked: npm install --save-dev typescript']
  const output = await check(compiler, files)
  if (output === undefined) return ['Types were not checked: it took too long.']
  const errors = output.split('\n').flatMap(line => {
    const match = ERROR.exec(line)
    if (match === null) return []
    const [, path = '', row, column, text] = match
    return `Type error (no points lost): ${relative('.', path)}:${row}:${column}: ${text}`
  })
  const more = errors.length - MOST_ERRORS
  return more > 0 ? [...errors.slice(0, MOST_ERRORS), `Type errors: ${more} more.`] : errors
}

/** Returns the path of the compiler that a file would resolve, if there is one. */
function compilerNear(path: string): string | undefined {
  try {
    const manifest = createRequire(path).resolve('typescript/package.json')
    const compiler = join(dirname(manifest), 'bin/tsc')
    return existsSync(compiler) ? compiler : undefined
  } catch {
    return undefined
  }
}

/** Returns the output of the compiler; undefined if it does not end. */
async function check(compiler: string, files: readonly string[]): Promise<string | undefined> {
  const folder = temporaryFolder()
  let child: ChildProcess | undefined
  const drop = onInterrupt(() => child?.kill())
  try {
    const config = join(folder.path, 'tsconfig.json')
    const starter = resolve(labsFolder, 'starter')
    // A file outside a workspace has neither a memory.ts nor a package.json beside it.
    const compilerOptions = {
      rootDirs: [...new Set(files.map(path => dirname(path))), starter],
      verbatimModuleSyntax: false
    }
    const extended = join(starter, 'tsconfig.json')
    writeFileSync(
      config,
      JSON.stringify({ extends: extended, compilerOptions, include: [], files })
    )
    return await new Promise(done => {
      const args = [compiler, '--project', config, '--pretty', 'false']
      child = execFile(process.execPath, args, { timeout: PATIENCE }, (error, stdout) =>
        done(error?.killed === true ? undefined : stdout)
      )
    })
  } finally {
    drop()
    folder.remove()
  }
}

/**
 * Reports the type errors of a submission, with the TypeScript that is installed beside it or
 * beside
 * offheap. They cost no points: what counts is what the allocator does.
 */

import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { labsFolder } from '../../labs-package.js'

/** Errors reported of one submission. */
const MOST_ERRORS = 5
/** Milliseconds until a check is given up, for types that compute without end. */
const PATIENCE = 120_000
const ERROR = /^(.+)\((\d+),(\d+)\): error TS\d+: (.*)$/

/**
 * Notes for the student: an error each, at most five; or that types could not be checked.
 * @param sources absolute paths of the submission's files
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

/** The compiler that a file would find, if there is one. */
function compilerNear(path: string): string | undefined {
  try {
    const manifest = createRequire(path).resolve('typescript/package.json')
    const compiler = join(dirname(manifest), 'bin/tsc')
    return existsSync(compiler) ? compiler : undefined
  } catch {
    return undefined
  }
}

/** What the compiler prints; undefined when it does not end. */
async function check(compiler: string, files: readonly string[]): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  try {
    const config = join(folder, 'tsconfig.json')
    const extended = resolve(labsFolder, 'starter/tsconfig.json')
    writeFileSync(config, JSON.stringify({ extends: extended, include: [], files }))
    return await new Promise(done => {
      const args = [compiler, '--project', config, '--pretty', 'false']
      execFile(process.execPath, args, { timeout: PATIENCE }, (error, stdout) =>
        done(error?.killed === true ? undefined : stdout)
      )
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

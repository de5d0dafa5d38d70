/**
 * Makes one JavaScript module of a submission, with the types taken out and a source map in, so that every stack names the
 * student's own lines. Files that it imports come along. esbuild is loaded only here, when something is graded.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure } from 'esbuild'
import { type Fault, faultOf } from './fault.js'

export interface Submission {
  /** URL of the module. */
  readonly url: string
  /** Absolute paths of all source files. */
  readonly sources: readonly string[]
  /** Deletes the module. */
  remove(): void
}

/** Compiles the submission at `path`. Resolves to a fault of kind `load` when it can't be. */
export async function compileSubmission(path: string): Promise<Submission | Fault> {
  const entry = resolve(path)
  const folder = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  const outfile = join(folder, 'submission.mjs')
  const remove = () => rmSync(folder, { recursive: true, force: true })
  const { build } = await import('esbuild')
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [entry],
      outfile,
      absWorkingDir: dirname(entry),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      metafile: true,
      logLevel: 'silent',
      // The submission is judged as it stands, whatever a tsconfig near it says.
      tsconfigRaw: '{}'
    })
    for (const { contents } of outputFiles) writeFileSync(outfile, contents)
    const sources = Object.keys(metafile.inputs).map(input => resolve(dirname(entry), input))
    return { url: pathToFileURL(outfile).href, sources, remove }
  } catch (error) {
    remove()
    const failure: Partial<BuildFailure> = error instanceof Error ? error : {}
    const [first] = failure.errors ?? []
    if (first === undefined) throw error
    const { text, location } = first
    if (location === null) return faultOf('load', `the submission does not compile: ${text}`)
    const { file, line, column } = location
    const place = { file: resolve(dirname(entry), file), line, column: column + 1, function: '' }
    return faultOf('load', `the submission does not compile: ${text}`, { stack: [place] })
  }
}

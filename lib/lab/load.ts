/**
 * Makes one JavaScript module of a submission, with the types taken out and a source map in, so that every stack names the
 * student's own lines. Files that it imports come along. esbuild is loaded only here, when something is graded. And finds `create`
 * in the module.
 */

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Plugin } from 'esbuild'
import { OffheapError } from '../errors.js'
import { type Fault, FaultFound, faultOf } from './fault.js'
import type { Create } from './memory.js'

export interface Submission {
  /** URL of the module. */
  readonly url: string
  /** Absolute paths of all source files. */
  readonly sources: readonly string[]
  /** Deletes the module. */
  remove(): void
}

/** An optional peer: 10 MB that only a grader needs. */
async function loadEsbuild(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild')
  } catch (error) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'submissions are compiled with esbuild, which could not be loaded. Install it where offheap is installed: ' +
        'npm install esbuild (with --global when offheap is global). ' +
        `The reason: ${error instanceof Error ? error.message : String(error)}`
    )
  }
}

/** esbuild reads what is named, and a device such as /dev/zero until memory is full. */
const FILES_ONLY: Plugin = {
  name: 'files-only',
  setup(build) {
    build.onLoad({ filter: /.*/, namespace: 'file' }, ({ path }) => {
      const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() ?? true
      return isFile ? undefined : { errors: [{ text: `${path} is not a file` }] }
    })
  }
}

/**
 * Compiles the submission at `path`. Resolves to a fault of kind `load` when it can't be.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` when esbuild is not installed.
 */
export async function compileSubmission(path: string): Promise<Submission | Fault> {
  const { build } = await loadEsbuild()
  const entry = resolve(path)
  const folder = mkdtempSync(join(tmpdir(), 'offheap-lab-'))
  const outfile = join(folder, 'submission.mjs')
  const remove = () => rmSync(folder, { recursive: true, force: true })
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
      plugins: [FILES_ONLY],
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

/** The `create` of a submission's module, or its default export. Throws `FaultFound`. */
export function createOf(module: unknown): Create {
  if (typeof module !== 'object' || module === null) {
    throw new FaultFound(faultOf('load', 'the submission is no module'))
  }
  for (const name of ['create', 'default']) {
    const create: unknown = Reflect.get(module, name)
    if (typeof create === 'function') return memory => Reflect.apply(create, undefined, [memory])
  }
  const names = Object.keys(module)
  const found = names.length === 0 ? 'It exports nothing' : `It exports ${names.join(', ')}`
  throw new FaultFound(
    faultOf('load', 'the submission exports no function "create"', {
      details: [`${found}.`],
      hint: 'export function create(memory: Memory): Allocator { … }'
    })
  )
}

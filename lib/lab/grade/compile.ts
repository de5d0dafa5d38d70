/**
 * Compiles a submission to one JavaScript file without types and with an inline source map, so
 * that stacks can be mapped to the student's lines. It includes the submission's own files that it
 * imports; nothing else can be imported. esbuild is loaded only here, on first use.
 */

import { statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { BuildFailure, Plugin } from 'esbuild'
import { OffheapError } from '../../errors.js'
import { type Fault, faultOf } from '../submission/fault.js'
import { HINTS } from '../submission/hints.js'
import { EXPORTS } from '../submission/world.js'
import { temporaryFolder } from './interrupt.js'

export interface Submission {
  /** The path of the compiled file. */
  readonly path: string
  /** Its URL. */
  readonly url: string
  /** The absolute paths of all source files. */
  readonly sources: readonly string[]
  /** Deletes the compiled file. */
  remove(): void
}

/** esbuild is an optional peer dependency: only those who grade need it. */
async function loadEsbuild(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild')
  } catch (error) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'submissions are compiled with esbuild, which could not be loaded. Install it where ' +
        'offheap is installed: ' +
        'npm install esbuild (with --global when offheap is global). ' +
        `The reason: ${error instanceof Error ? error.message : String(error)}`
    )
  }
}

/** esbuild would read a device such as /dev/zero until memory is full. */
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
 * A submission may import only its own files: Node's modules and packages are not available to it.
 */
const OWN_FILES_ONLY: Plugin = {
  name: 'own-files-only',
  setup(build) {
    build.onResolve({ filter: /.*/ }, ({ path, kind, importer, resolveDir }) => {
      if (kind === 'entry-point' || importer === '') return undefined
      const folder = build.initialOptions.absWorkingDir ?? '.'
      const isOwn =
        /^\.\.?\//.test(path) && !relative(folder, resolve(resolveDir, path)).startsWith('..')
      return isOwn
        ? undefined
        : { errors: [{ text: `it imports ${path}, which is not one of its own files` }] }
    })
  }
}

/**
 * Compiles the submission at `path`, to a module that can be imported, or to a script for a
 * separate context that stores its exports in a global variable. Resolves to a fault of kind `load`
 * if it can't be compiled.
 * @throws OffheapError `ERR_OFFHEAP_UNSUPPORTED` if esbuild is not installed.
 */
export async function compileSubmission(
  path: string,
  form: 'module' | 'script'
): Promise<Submission | Fault> {
  const { build } = await loadEsbuild()
  const entry = resolve(path)
  const { path: folder, remove } = temporaryFolder()
  const outfile = join(folder, form === 'module' ? 'submission.mjs' : 'submission.js')
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [entry],
      outfile,
      absWorkingDir: dirname(entry),
      bundle: true,
      write: false,
      ...(form === 'module'
        ? { format: 'esm' as const }
        : { format: 'iife' as const, globalName: EXPORTS, banner: { js: '"use strict";' } }),
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      metafile: true,
      logLevel: 'silent',
      plugins: form === 'module' ? [FILES_ONLY] : [OWN_FILES_ONLY, FILES_ONLY],
      // Ignore any tsconfig.json near the submission.
      tsconfigRaw: '{}'
    })
    for (const { contents } of outputFiles) writeFileSync(outfile, contents)
    const sources = Object.keys(metafile.inputs).map(input => resolve(dirname(entry), input))
    return { path: outfile, url: pathToFileURL(outfile).href, sources, remove }
  } catch (error) {
    remove()
    const failure: Partial<BuildFailure> = error instanceof Error ? error : {}
    const [first] = failure.errors ?? []
    if (first === undefined) throw error
    const { text, location } = first
    if (location === null) return faultOf('load', `the submission does not compile: ${text}`)
    const { file, line, column } = location
    const place = { file: resolve(dirname(entry), file), line, column: column + 1, function: '' }
    const hint = text.startsWith('it imports') ? HINTS.world : ''
    return faultOf('load', `the submission does not compile: ${text}`, { stack: [place], hint })
  }
}

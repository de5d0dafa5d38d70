/**
 * Compiles a lab's allocator into a script for the page, with a source map to the student's lines.
 */

import { basename, dirname, resolve } from 'node:path'
import type { BuildFailure } from 'esbuild'
import { OffheapError } from '../errors.js'
import type { FramedScript } from './play-page.js'
import { framed } from './script.js'

/** esbuild is an optional peer dependency: only users who view their own allocator need it. */
async function loadEsbuild(): Promise<typeof import('esbuild')> {
  try {
    return await import('esbuild')
  } catch (error) {
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      'an allocator.ts is compiled with esbuild, which could not be loaded. Install it ' +
        'where offheap is installed: ' +
        'npm install esbuild (with --global when offheap is global). ' +
        `The reason: ${error instanceof Error ? error.message : String(error)}`
    )
  }
}

/**
 * Compiles the allocator at `path`. Throws ERR_OFFHEAP_UNSUPPORTED if it can't be compiled, with
 * the reason.
 */
export async function compileAllocator(path: string): Promise<FramedScript> {
  const { build } = await loadEsbuild()
  const folder = dirname(resolve(path))
  try {
    const { outputFiles } = await build({
      ...framed('submission'),
      entryPoints: [resolve(path)],
      absWorkingDir: folder,
      outfile: `${folder}/offheap-play.js`,
      write: false,
      platform: 'browser',
      logLevel: 'silent',
      tsconfigRaw: '{}'
    })
    const textOf = (end: string) => outputFiles.find(file => file.path.endsWith(end))?.text ?? ''
    return { code: textOf('.js'), map: textOf('.js.map') }
  } catch (error) {
    const failure: Partial<BuildFailure> = error instanceof Error ? error : {}
    const [first] = failure.errors ?? []
    if (first === undefined) throw error
    const place =
      first.location === null ? basename(path) : `${first.location.file}:${first.location.line}`
    throw new OffheapError(
      'ERR_OFFHEAP_UNSUPPORTED',
      `${path} does not compile: ${place}: ${first.text}`
    )
  }
}

/**
 * Bundles the pages of `offheap view` and `offheap play` into dist: style and script of each, and
 * the allocator of the package as a script of its own with its source map, which the play page
 * steps through.
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const options = { absWorkingDir: root, bundle: true, target: 'es2022', logLevel: 'warning' }

for (const room of ['report', 'play']) {
  const page = `lib/${room}/page`
  await build({
    ...options,
    entryPoints: [`${page}/main.ts`, `${page}/main.css`],
    minify: true,
    outdir: `dist/${room}/page`
  })
}
// The frame also shows the allocator of a lab, which is compiled when the page is opened.
const frame = await transform(readFileSync(join(root, 'lib/play/script.ts'), 'utf8'), {
  loader: 'ts'
})
const { framed } = await import(`data:text/javascript,${encodeURIComponent(frame.code)}`)
await build({
  ...options,
  ...framed('engine'),
  entryPoints: ['lib/play/page/engine.ts'],
  alias: { 'node:buffer': './lib/play/page/node-buffer.ts' },
  outfile: 'dist/play/page/engine.js'
})

/**
 * Programs that include offheap: with each bundler, in each format, and as a single executable. A
 * heap on an ArrayBuffer needs nothing else; one on mapped memory finds the addon beside the
 * program, on any machine.
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import {
  addRow,
  attempt,
  cached,
  install,
  nodeOf,
  PREBUILT,
  project,
  report,
  run
} from './support.js'

const PROGRAM = `
  import { Heap } from 'offheap'
  import { HeapMap } from 'offheap/map'
  // Node would first print the line of the error: in a bundle it may be longer than a pipe holds.
  process.on('uncaughtException', error => {
    console.error(error)
    process.exitCode = 1
  })
  const plain = Heap.format(new ArrayBuffer(65536))
  plain.free(plain.malloc(100))
  HeapMap.create(plain).set('key', 'value').destroy()
  console.log('needs no addon')
  const heap = Heap.map(2 ** 20)
  heap.free(heap.malloc(100))
  heap.close()
  const { sharedObjects } = process.report.getReport()
  const addon = sharedObjects.find(path => /offheap[^/]*[.]node$/.test(path))
  console.log(JSON.stringify({ node: process.version, arch: process.arch, addon }))
`

/** Bundles a program that imports offheap, with the bundler's defaults for programs on Node. */
const WEBPACK = `
  import { resolve } from 'node:path'
  import webpack from 'webpack'
  const esm = { experiments: { outputModule: true } }
  const output = (folder, filename, more) => ({
    output: { path: resolve(folder), filename, ...more }
  })
  const module = { module: true, chunkFormat: 'module' }
  const program = { target: 'node', mode: 'production', devtool: false, entry: './program.mjs' }
  webpack([
    { ...program, ...output('webpack-cjs', 'main.cjs') },
    { ...program, ...output('webpack-eval', 'main.cjs'), mode: 'development', devtool: 'eval' },
    { ...program, ...output('webpack-esm', 'main.mjs', module), ...esm },
    {
      ...program,
      ...output('webpack-chunks', 'main.mjs', { ...module, chunkFilename: 'chunks/[name].mjs' }),
      ...esm,
      mode: 'none',
      entry: './lazy.mjs'
    }
  ], (error, stats) => {
    const failed = error ?? (stats.hasErrors() || stats.hasWarnings())
    if (failed) throw new Error(error ?? stats.toString())
  })
`
const VITE = `
  import { build } from 'vite'
  const output = (outDir, input, format, entryFileNames) =>
    build({
      configFile: false,
      logLevel: 'warn',
      ssr: { noExternal: true },
      build: { ssr: true, outDir, rollupOptions: { input, output: { format, entryFileNames } } }
    })
  await output('vite-esm', 'lazy.mjs', 'es', 'main.mjs')
  await output('vite-cjs', 'program.mjs', 'cjs', 'main.cjs')
`
/** Without the code of offheap, which the program imports when it runs. */
const WEBPACK_EXTERNAL = WEBPACK.replace(
  /webpack\(\[[\s\S]*\], /,
  `
  const type = kind => ({ offheap: kind + ' offheap', 'offheap/map': kind + ' offheap/map' })
  webpack([
    { ...program, ...output('webpack-external-cjs', 'main.cjs'), externals: [type('commonjs')] },
    {
      ...program,
      ...output('webpack-external-esm', 'main.mjs', module),
      ...esm,
      externals: [type('module')]
    }
  ], `
)
const VITE_EXTERNAL = VITE.replace('ssr: { noExternal: true },', '')
  .replace('vite-esm', 'vite-external-esm')
  .replace('vite-cjs', 'vite-external-cjs')
const esbuild = (format: string, file: string) => [
  ...[
    'npx',
    '--no',
    '--',
    'esbuild',
    'program.mjs',
    '--bundle',
    '--platform=node',
    '--log-level=warning'
  ],
  ...[`--format=${format}`, `--outfile=${file}`]
]
const rolldown = (format: string, file: string) => [
  ...[
    'npx',
    '--no',
    '--',
    'rolldown',
    'program.mjs',
    '--platform',
    'node',
    '--format',
    format,
    '--file',
    file
  ]
]

/** Commands that make bundles, and the files of these. */
const BUNDLERS: [name: string, command: readonly string[], files: readonly string[]][] = [
  ['esbuild, ESM', esbuild('esm', 'esbuild-esm/main.mjs'), ['esbuild-esm/main.mjs']],
  ['esbuild, CommonJS', esbuild('cjs', 'esbuild-cjs/main.cjs'), ['esbuild-cjs/main.cjs']],
  ['rolldown, ESM', rolldown('esm', 'rolldown-esm/main.mjs'), ['rolldown-esm/main.mjs']],
  ['rolldown, CommonJS', rolldown('cjs', 'rolldown-cjs/main.cjs'), ['rolldown-cjs/main.cjs']],
  [
    'webpack, in four ways',
    ['node', 'webpack.mjs'],
    [
      'webpack-cjs/main.cjs',
      'webpack-eval/main.cjs',
      'webpack-esm/main.mjs',
      'webpack-chunks/main.mjs'
    ]
  ],
  ['vite, in two ways', ['node', 'vite.mjs'], ['vite-esm/main.mjs', 'vite-cjs/main.cjs']]
]

let folder: string

beforeAll(() => {
  folder = project({
    'program.mjs': PROGRAM,
    'lazy.mjs': `await import('./program.mjs')`,
    'webpack.mjs': WEBPACK,
    'vite.mjs': VITE,
    'webpack-external.mjs': WEBPACK_EXTERNAL,
    'vite-external.mjs': VITE_EXTERNAL
  })
  install(folder, 'esbuild', 'rolldown', 'webpack@5', 'vite')
})

/**
 * Runs a program whose files are in a folder: moved elsewhere, where nothing is installed, without
 * the addon, then with it.
 */
function expectToFindItsAddon(
  name: string,
  from: string,
  command: (elsewhere: string) => readonly string[]
): void {
  const elsewhere = join(mkdtempSync(join(inject('work'), 'elsewhere-')), 'program')
  cpSync(from, elsewhere, { recursive: true })
  const [program = '', ...args] = command(elsewhere)
  const without = attempt('/', program, args)
  expect(without.output).toMatch(/needs no addon[\s\S]*ERR_OFFHEAP_NO_ADDON/)
  const [, place = ''] =
    without.output.match(/Copy the folder "prebuilds" of the package offheap to (\/.*?), where/) ??
    []
  cpSync(join(folder, 'node_modules/offheap/prebuilds'), join(elsewhere, 'prebuilds'), {
    recursive: true
  })
  expect(`${place}/`).toMatch(new RegExp(`^${elsewhere}/`))
  const { status, output } = attempt('/', program, args)
  expect({ status, output }).toMatchObject({ status: 0 })
  const [node, addon] = resultIn(output)
  expect(addon).toBe(join(elsewhere, PREBUILT))
  const kept = {
    installer: 'copied',
    packages: '0',
    size: '0',
    addon: `beside the program: ${PREBUILT}`
  }
  addRow({ what: name, node: `${node} ${process.arch}`, ...kept })
}

function resultIn(output: string): [node: string, addon: string] {
  const line = output.split('\n').find(text => text.startsWith('{"node"')) ?? '{}'
  const { node, addon } = JSON.parse(line)
  return [String(node), String(addon)]
}

describe('offheap in a bundle', () => {
  test.each(BUNDLERS)('works with %s', (name, [command = '', ...args], files) => {
    const printed = run(folder, command, args)
    expect(printed).not.toMatch(/warn/i)
    for (const file of files) {
      const [from = '', main = ''] = file.split('/')
      expectToFindItsAddon(files.length > 1 ? from : name, join(folder, from), place => [
        process.execPath,
        join(place, main)
      ])
    }
  })
})

describe('offheap external to a bundle', () => {
  const bundlers: [name: string, command: readonly string[], mains: readonly string[]][] = [
    [
      'esbuild',
      [...esbuild('esm', 'esbuild-external/main.mjs'), '--external:offheap'],
      ['esbuild-external/main.mjs']
    ],
    [
      'rolldown',
      [
        ...rolldown('esm', 'rolldown-external/main.mjs'),
        ...['--external', 'offheap', '--external', 'offheap/map']
      ],
      ['rolldown-external/main.mjs']
    ],
    [
      'webpack',
      ['node', 'webpack-external.mjs'],
      ['webpack-external-esm/main.mjs', 'webpack-external-cjs/main.cjs']
    ],
    [
      'vite',
      ['node', 'vite-external.mjs'],
      ['vite-external-esm/main.mjs', 'vite-external-cjs/main.cjs']
    ]
  ]

  test.each(bundlers)('works with %s', (name, [command = '', ...args], mains) => {
    run(folder, command, args)
    for (const main of mains) {
      const printed = run(folder, process.execPath, [main])
      const format = main.endsWith('.cjs') ? 'CommonJS' : 'ESM'
      expect(report(`${name}, external, ${format}`, folder, printed).addon).toBe(PREBUILT)
    }
  })
})

// npm has Node for Linux with glibc.
describe.runIf(PREBUILT.includes('.glibc'))('offheap in a single executable', () => {
  /** A folder with the bundle, and the settings that make it an executable called \`program\`. */
  function prepare(name: string, settings: object): string {
    const from = join(folder, name)
    mkdirSync(from)
    run(folder, 'npx', esbuild('cjs', `${name}.cjs`).slice(1))
    const all = { main: `${name}.cjs`, disableExperimentalSEAWarning: true, ...settings }
    run(folder, process.execPath, [
      '-e',
      `fs.writeFileSync('${name}.json', '${JSON.stringify(all)}')`
    ])
    return from
  }

  test('of Node 22, with postject', () => {
    const from = prepare('executable-22', { output: 'blob' })
    run(folder, nodeOf(22), ['--experimental-sea-config', 'executable-22.json'])
    copyFileSync(nodeOf(22), join(from, 'program'))
    chmodSync(join(from, 'program'), 0o755)
    const fuse = ['--sentinel-fuse', 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2']
    const postject = join(cached('postject', '1.0.0-alpha.6'), 'dist/cli.js')
    run(folder, process.execPath, [
      postject,
      join(from, 'program'),
      'NODE_SEA_BLOB',
      'blob',
      ...fuse
    ])
    expectToFindItsAddon('single executable', from, place => [join(place, 'program')])
  })

  test('of Node 26, with Node itself', () => {
    const from = prepare('executable-26', { output: 'executable-26/program' })
    run(folder, nodeOf(26), ['--build-sea', 'executable-26.json'])
    expectToFindItsAddon('single executable', from, place => [join(place, 'program')])
  })
})

/**
 * How the library finds its own location: in the package, in bundles of all formats, in evaluated
 * code, with flags of V8.
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Format } from 'esbuild'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { location, locationOf, runningFile } from '../../lib/memory/location.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

describe('the location', () => {
  test('of this code is the package', () => {
    expect(runningFile()).toBe(join(root, 'lib/memory/location.ts'))
    expect(location()).toEqual({ bundled: false, folders: [root.replace(/\/$/, '')] })
    expect(locationOf('/a/node_modules/offheap/dist/memory/location.js').folders).toEqual([
      '/a/node_modules/offheap'
    ])
  })

  test.each([
    ['/app/dist/main.js', ['/app/dist', '/app']],
    ['/app/dist/location.js', ['/app/dist', '/app']],
    ['/app/memory/location.cjs', ['/app/memory', '/app']]
  ])('of a bundle %s is its folder, then the parent', (file, folders) => {
    expect(locationOf(file)).toEqual({ bundled: true, folders })
  })

  test('in a single executable is its folder, unless the package was loaded from a file', () => {
    const at = { bundled: true, folders: ['/opt/app'] }
    expect(locationOf('/build/machine/out/main.cjs', '/opt/app/program')).toEqual(at)
    expect(locationOf(undefined, '/opt/app/program')).toEqual(at)
    const loaded = '/opt/node_modules/offheap/dist/memory/location.js'
    expect(locationOf(loaded, '/opt/app/program')).toEqual({
      bundled: false,
      folders: ['/opt/node_modules/offheap']
    })
  })

  test('of code without a file is the folder of the main script', () => {
    const nowhere = ['', 'node:internal/vm', 'evalmachine.<anonymous>', '[eval]']
    expect(runningFile(nowhere)).toBe(undefined)
    expect(locationOf(undefined)).toEqual({
      bundled: true,
      folders: [dirname(process.argv[1] ?? '')]
    })
  })

  test('does not change how errors capture their stack', () => {
    const before = Object.getOwnPropertyDescriptors(Error)
    const format = () => 'formatted'
    const { prepareStackTrace, stackTraceLimit } = Error
    try {
      Error.prepareStackTrace = format
      Error.stackTraceLimit = 0
      expect(runningFile()).toBe(join(root, 'lib/memory/location.ts'))
      expect([Error.prepareStackTrace, Error.stackTraceLimit]).toEqual([format, 0])
    } finally {
      Object.assign(Error, { prepareStackTrace, stackTraceLimit })
    }
    expect(Object.keys(Object.getOwnPropertyDescriptors(Error))).toEqual(Object.keys(before))
  })
})

/** The program to bundle. Its first part needs no addon. */
const PROGRAM = `
  import { Heap } from '${join(root, 'lib/index.ts')}'
  const plain = Heap.format(new ArrayBuffer(65536))
  plain.free(plain.malloc(100))
  console.log('without addon')
  const heap = Heap.map(2 ** 20)
  heap.free(heap.malloc(100))
  heap.close()
  console.log(process.report.getReport().sharedObjects.find(path => path.endsWith('.node')))
`

describe('a bundle', () => {
  let work: string
  let input: string
  const folders: Record<string, string> = {}

  beforeAll(async () => {
    // A path with spaces and parentheses, without the name of a package.
    work = join(realpathSync(mkdtempSync(join(tmpdir(), 'offheap (bundle) '))), 'a b')
    mkdirSync(work)
    input = join(work, 'program.ts')
    writeFileSync(input, PROGRAM)
    for (const format of ['esm', 'cjs'] as const) {
      await bundleByEsbuild(format)
      await bundleByRolldown(format)
    }
  })
  afterAll(() => rmSync(dirname(work), { recursive: true }))

  function nameOf(bundler: string, format: Format): string {
    const folder = join(work, `${bundler}-${format}`)
    folders[`${bundler}, ${format}`] = folder
    return join(folder, format === 'esm' ? 'main.mjs' : 'main.cjs')
  }

  async function bundleByEsbuild(format: Format): Promise<void> {
    const outfile = nameOf('esbuild', format)
    const options = { bundle: true, platform: 'node', sourcemap: true, logLevel: 'silent' } as const
    const { warnings } = await build({ ...options, entryPoints: [input], format, outfile })
    expect(warnings).toEqual([])
  }

  async function bundleByRolldown(format: 'esm' | 'cjs'): Promise<void> {
    const warnings: string[] = []
    const bundle = await rolldown({
      input,
      platform: 'node',
      onLog: (_, { message }) => warnings.push(message)
    })
    await bundle.write({ format, file: nameOf('rolldown', format), sourcemap: true })
    await bundle.close()
    expect(warnings).toEqual([])
  }

  function run(
    folder: string,
    flags: string[] = [],
    name = folder.endsWith('esm') ? 'main.mjs' : 'main.cjs'
  ): string[] {
    const command = [...flags, join(folder, name)]
    try {
      return execFileSync(process.execPath, command, { cwd: '/', encoding: 'utf8', stdio: 'pipe' })
        .trim()
        .split('\n')
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)]
    }
  }

  const kinds = ['esbuild, esm', 'esbuild, cjs', 'rolldown, esm', 'rolldown, cjs']

  test.each(kinds)(
    'by %s needs no addon before memory is mapped, and finds the addon beside it',
    kind => {
      const folder = folders[kind] ?? ''
      const [message = ''] = run(folder)
      expect(message).toMatch(/ERR_OFFHEAP_NO_ADDON/)
      expect(message).toContain(
        `Copy the folder "prebuilds" of the package offheap to ${folder}, where the bundle is`
      )
      cpSync(join(root, 'build/Release/offheap.node'), join(folder, 'build/Release/offheap.node'))
      const found = ['without addon', join(folder, 'build/Release/offheap.node')]
      expect(run(folder)).toEqual(found)
      expect(run(folder, ['--enable-source-maps'])).toEqual(found)
      expect(run(folder, ['--no-warnings', '--frozen-intrinsics'])).toEqual(found)
      expect(run(folder, ['--stack-trace-limit=0'])).toEqual(found)
    }
  )

  // Development builds of webpack evaluate each module separately.
  test.each([
    [
      'many calls deep',
      'deep/elsewhere/start.cjs',
      '(function deep(n) { if (n > 0) return deep(n - 1);',
      '})(30)'
    ],
    ['by a timer, with no file on the stack', 'timer/main.cjs', 'setTimeout(() => {', '}, 1)']
  ])('that evaluates its code %s finds the addon beside it', (_, start, before, after) => {
    const folder = join(work, dirname(start).split('/')[0] ?? '')
    mkdirSync(dirname(join(work, start)), { recursive: true })
    cpSync(join(root, 'build/Release/offheap.node'), join(folder, 'build/Release/offheap.node'))
    const code = readFileSync(join(folders['esbuild, cjs'] ?? '', 'main.cjs'), 'utf8').replace(
      /^\/\/#.*/gm,
      ''
    )
    const evaluated = `${before}\n${code}\n${after}\n//# sourceURL=webpack://user/main.js`
    const common = 'globalThis.require = require; globalThis.module = module'
    writeFileSync(join(folder, 'main.cjs'), `${common}; (0, eval)(${JSON.stringify(evaluated)})`)
    if (start !== 'timer/main.cjs') writeFileSync(join(work, start), `require('../main.cjs')`)
    expect(run(join(work, dirname(start)), [], basename(start))).toEqual([
      'without addon',
      join(folder, 'build/Release/offheap.node')
    ])
  })
})

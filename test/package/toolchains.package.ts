/** What stands between a program and Node: TypeScript, bundlers, vitest. */
import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { addRow, install, installed, nodeOf, PREBUILT, project, report, run } from './support.js'

describe('TypeScript', () => {
  const source = `
    import Module from 'node:module'
    import { Heap, OffheapError, Region, type Pointer } from 'offheap'
    const heap: Heap = Heap.map({ size: 2 ** 20, placement: 'best-fit' })
    const pointer: Pointer = heap.malloc(100)
    const bytes: Uint8Array<ArrayBuffer> = heap.alloc(8)
    heap.free(bytes)
    heap.free(pointer)
    let code: string = ''
    try { heap.free(pointer) } catch (error) { if (error instanceof OffheapError) code = error.code }
    heap.close()
    const region: Region = Region.map(4096)
    region.close()
    if (code !== 'ERR_OFFHEAP_DOUBLE_FREE') throw new Error(code)
    const cache: object = Reflect.get(Module, '_cache')
    const addon = Object.keys(cache).find(path => path.endsWith('.node'))
    console.log(JSON.stringify({ node: process.version, arch: process.arch, addon }))
  `
  const commonjs = `
    import offheap = require('offheap')
    const heap: offheap.Heap = offheap.Heap.map(2 ** 20)
    heap.close()
    console.log(heap.closed)
  `
  const options = (module: string, moduleResolution: string) =>
    JSON.stringify({
      // The declarations of offheap itself are checked too.
      compilerOptions: {
        module,
        moduleResolution,
        target: 'es2022',
        strict: true,
        skipLibCheck: false,
        types: ['node']
      },
      files: moduleResolution === 'nodenext' ? ['main.mts', 'common.cts'] : ['main.mts']
    })
  let folder: string

  beforeAll(() => {
    folder = project({
      'main.mts': source,
      'common.cts': commonjs,
      'node16.json': options('node16', 'node16'),
      'nodenext.json': options('nodenext', 'nodenext'),
      'bundler.json': options('esnext', 'bundler')
    })
    install(folder, 'typescript', '@types/node@20')
  })

  test.each(['node16', 'nodenext', 'bundler'])('moduleResolution %s', name => {
    run(folder, 'npx', ['--no', '--', 'tsc', '-p', `${name}.json`])
    const printed = run(folder, process.execPath, ['main.mjs'])
    expect(report(`TypeScript, ${name}`, folder, printed).addon).toBe(PREBUILT)
    if (name === 'nodenext') expect(run(folder, process.execPath, ['common.cjs'])).toContain('true')
  })
})

describe('a bundler', () => {
  let folder: string

  beforeAll(() => {
    folder = project()
    install(folder, 'esbuild', 'rolldown')
  })

  const bundlers = {
    esbuild: (external: boolean, out: string) => [
      ...['esbuild', 'probe.mjs', '--bundle', '--platform=node', '--format=esm', `--outfile=${out}`],
      ...(external ? ['--external:offheap'] : [])
    ],
    rolldown: (external: boolean, out: string) => [
      ...['rolldown', 'probe.mjs', '--platform', 'node', '--format', 'esm', '--file', out],
      ...(external ? ['--external', 'offheap'] : [])
    ]
  }

  test.each(Object.entries(bundlers))('%s with offheap external', (name, args) => {
    run(folder, 'npx', ['--no', '--', ...args(true, `${name}-external/main.mjs`)])
    const printed = run(folder, process.execPath, [`${name}-external/main.mjs`])
    expect(report(`${name}, external`, folder, printed).addon).toBe(PREBUILT)
  })

  test.each(Object.entries(bundlers))('%s with offheap in the bundle, and prebuilds beside it', (name, args) => {
    run(folder, 'npx', ['--no', '--', ...args(false, `${name}/main.mjs`)])
    // Somewhere else, where there is no node_modules.
    const elsewhere = project()
    cpSync(join(folder, name), elsewhere, { recursive: true })
    cpSync(join(folder, 'node_modules/offheap/prebuilds'), join(elsewhere, 'prebuilds'), { recursive: true })
    const printed = run(elsewhere, process.execPath, ['main.mjs'])
    const { addon } = JSON.parse(printed)
    expect(addon).toBe(join(elsewhere, PREBUILT))
    expect(readdirSync(elsewhere)).not.toContain('node_modules')
    const kept = { installer: 'copied', packages: '0', size: '0', addon: `beside the bundle: ${PREBUILT}` }
    addRow({ what: `${name}, bundled`, node: `${process.version} ${process.arch}`, ...kept })
  })
})

describe('vitest', () => {
  const check = `
    import Module from 'node:module'
    import { Heap } from 'offheap'
    import { expect, test } from 'vitest'
    test('heap', () => {
      const heap = Heap.map(2 ** 20)
      const bytes = heap.alloc(10)
      expect(bytes).toHaveLength(10)
      heap.free(bytes)
      expect(heap.stats().blocks).toBe(0)
      heap.close()
      const addon = Object.keys(Module._cache).find(path => path.endsWith('.node'))
      console.log(JSON.stringify({ node: process.version, arch: process.arch, addon }))
    })`
  let folder: string

  beforeAll(() => {
    folder = project({ 'a.test.js': check, 'b.test.js': check })
    install(folder, 'vitest@4')
  })

  test.each(['threads', 'forks'])('pool %s', pool => {
    const printed = run(folder, nodeOf(22), ['node_modules/vitest/vitest.mjs', 'run', `--pool=${pool}`])
    expect(printed).toMatch(/Tests .*2 passed/)
    expect(report(`vitest, ${pool}`, folder, printed).addon).toBe(PREBUILT)
    expect(installed(folder).names).toContain('vitest')
  })
})

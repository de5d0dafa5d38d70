/**
 * Tools between a program and Node: TypeScript and vitest. bundlers.package.ts tests the others.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { install, installed, nodeOf, PREBUILT, project, report, run } from './support.js'

describe('TypeScript', () => {
  const source = `
    import { Heap, OffheapError, Region, type Pointer, struct } from 'offheap'
    import { HeapCache, type MapKey, SharedMap } from 'offheap/map'
    const heap: Heap = Heap.map({ size: 2 ** 20, placement: 'best-fit' })
    const pointer: Pointer = heap.malloc(100)
    const bytes: Uint8Array<ArrayBuffer> = heap.alloc(8)
    heap.free(bytes)
    heap.free(pointer)
    let code: string = ''
    try {
      heap.free(pointer)
    } catch (error) {
      if (error instanceof OffheapError) code = error.code
    }
    heap.close()
    const region: Region = Region.map(4096)
    region.close()
    const cache = new HeapCache<string, string>({ max: 10 })
    const key: MapKey = 'key'
    cache.set(key, 'value')
    const text: string | undefined = cache.get(key)
    const Point = struct({ x: 'f64', name: 'utf8:8' })
    const { x, name }: { x: number; name: string } = Point.over(new Uint8Array(Point.size))
    const shared: (heap: Heap) => SharedMap = heap => SharedMap.create(heap)
    if (text !== 'value' || x !== 0 || name !== '' || !shared) throw new Error(text)
    if (code !== 'ERR_OFFHEAP_DOUBLE_FREE') throw new Error(code)
    const report: unknown = process.report?.getReport()
    const [addon] = JSON.stringify(report).match(/[^"]+offheap[^"/]*\\.node(?=")/) ?? []
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

  test.each(['node16', 'nodenext', 'bundler'])('works with moduleResolution %s', name => {
    run(folder, 'npx', ['--no', '--', 'tsc', '-p', `${name}.json`])
    const printed = run(folder, process.execPath, ['main.mjs'])
    expect(report(`TypeScript, ${name}`, folder, printed).addon).toBe(PREBUILT)
    if (name === 'nodenext') expect(run(folder, process.execPath, ['common.cjs'])).toContain('true')
  })
})

describe('vitest', () => {
  const check = `
    import { Heap } from 'offheap'
    import { expect, test } from 'vitest'
    test('heap', () => {
      const heap = Heap.map(2 ** 20)
      const bytes = heap.alloc(10)
      expect(bytes).toHaveLength(10)
      heap.free(bytes)
      expect(heap.stats().blocks).toBe(0)
      heap.close()
      const { sharedObjects } = process.report.getReport()
      const addon = sharedObjects.find(path => /offheap[^/]*[.]node$/.test(path))
      console.log(JSON.stringify({ node: process.version, arch: process.arch, addon }))
    })`
  let folder: string

  beforeAll(() => {
    folder = project({ 'a.test.js': check, 'b.test.js': check })
    install(folder, 'vitest@4')
  })

  test.each(['threads', 'forks'])('works with pool %s', pool => {
    const printed = run(folder, nodeOf(22), [
      'node_modules/vitest/vitest.mjs',
      'run',
      `--pool=${pool}`
    ])
    expect(printed).toMatch(/Tests .*2 passed/)
    expect(report(`vitest, ${pool}`, folder, printed).addon).toBe(PREBUILT)
    expect(installed(folder).names).toContain('vitest')
  })
})

/**
 * The contents of the tarball: its size, its platforms, and the reports of tools that check
 * packages.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { PREBUILT } from './support.js'

/** Bytes of offheap without its binaries. */
const BUDGET = 970_000
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

let folder: string
let files: { path: string; bytes: number }[]
let manifest: Record<string, Record<string, unknown> | undefined>

beforeAll(() => {
  const parent = mkdtempSync(join(inject('work'), 'tarball-'))
  execFileSync('tar', ['-xzf', inject('tarball'), '-C', parent])
  folder = join(parent, 'package')
  files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(path => statSync(join(folder, path)).isFile())
    .map(path => ({ path, bytes: statSync(join(folder, path)).size }))
  manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
})

describe('the tarball', () => {
  test(`is under ${BUDGET} bytes unpacked, without binaries`, () => {
    const sizes = new Map<string, number>()
    for (const { path, bytes } of files) {
      const [part = ''] = path.split('/')
      sizes.set(part, (sizes.get(part) ?? 0) + bytes)
    }
    const total = [...sizes].reduce(
      (sum, [part, bytes]) => (part === 'prebuilds' ? sum : sum + bytes),
      0
    )
    const parts = [...sizes]
      .sort(([, a], [, b]) => b - a)
      .map(([part, bytes]) => `${part} ${bytes}`)
    const packed = statSync(inject('tarball')).size
    console.log(`tarball ${packed} bytes; unpacked: ${parts.join(', ')}; without binaries ${total}`)
    expect(total).toBeLessThan(BUDGET)
  })

  test('has nothing that only a course, a checkout or a reader of the repository needs', () => {
    const paths = files.map(({ path }) => path)
    expect([...new Set(paths.map(path => path.split('/')[0]))].sort()).toEqual(
      [
        ...['CHANGELOG.md', 'LICENSE', 'README.md', 'dist', 'docs', 'native', 'package.json'],
        'prebuilds'
      ].sort()
    )
    // The picture of the README, and the page that errors refer to.
    expect(paths.filter(path => path.startsWith('docs/')).sort()).toEqual([
      'docs/images/sqlite.svg',
      'docs/troubleshooting.md'
    ])
    // It links to no page that is not there.
    expect(readFileSync(join(folder, 'docs/troubleshooting.md'), 'utf8')).not.toMatch(/\]\((?!#)/)
  })

  test('declares what users can import, and little else', () => {
    const declared = files.filter(({ path }) => path.endsWith('.d.ts'))
    expect(declared.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(100_000)
    for (const internal of ['engine/allocator.d.ts', 'sharing/engine.d.ts', 'map/table.d.ts'])
      expect(declared.map(({ path }) => path)).not.toContain(`dist/${internal}`)
    const heap = readFileSync(join(folder, 'dist/heap/heap.d.ts'), 'utf8')
    expect(heap).toMatch(/\*\/\n {4}malloc\(size: number\): Pointer;/)
    expect(heap).toMatch(/;\n {4}private reallocSlowly;/)
  })

  test('of offheap-labs has the files of the course, and nothing else', () => {
    const list = execFileSync('tar', ['-tzf', inject('labs')], { encoding: 'utf8' })
    const parts = new Set(
      list
        .trim()
        .split('\n')
        .map(path => path.split('/')[1])
    )
    expect([...parts].sort()).toEqual(
      [
        ...['GUIDE.md', 'LICENSE', 'README.md', 'broken.br', 'handout', 'kit', 'lab.jsonc'],
        ...['package.json', 'play', 'starter', 'traces']
      ].sort()
    )
  })

  test('runs no script when it is installed', () => {
    const { preinstall, install, postinstall } = manifest.scripts ?? {}
    expect([preinstall, install, postinstall]).toEqual([undefined, undefined, undefined])
    expect(manifest).toMatchObject({ gypfile: false })
    // yarn, pnpm and bun compile a package that contains this file, whatever its package.json says.
    expect(files.map(({ path }) => path)).not.toContain('binding.gyp')
  })

  test('has no dependency that the library does not need', () => {
    expect(manifest.dependencies ?? {}).toEqual({})
    expect(manifest.peerDependenciesMeta).toEqual({ esbuild: { optional: true } })
  })

  test('has an addon for this platform, and a recorder beside each for Linux', () => {
    const prebuilt = files.map(({ path }) => path).filter(path => path.startsWith('prebuilds/'))
    expect(prebuilt).toContain(PREBUILT)
    for (const addon of prebuilt.filter(path => /linux.*\.node$/.test(path))) {
      expect(prebuilt).toContain(addon.replace('/offheap', '/recorder').replace(/\.node$/, '.so'))
    }
  })

  test('has everything for a build on another platform', () => {
    const paths = files.map(({ path }) => path)
    const sources = readdirSync(join(ROOT, 'native')).filter(name => /\.(cc|c|h)$/.test(name))
    expect(sources).toContain('addon.cc')
    expect(paths).toEqual(
      expect.arrayContaining([
        'native/binding.gyp',
        'native/build.js',
        ...sources.map(name => `native/${name}`)
      ])
    )
  })

  test('has every file that its code and its declarations import', () => {
    const paths = new Set(files.map(({ path }) => path))
    const imports = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*['"`](\.\.?\/[^'"`$]+\.js)['"`]/g
    let count = 0
    for (const path of paths) {
      if (
        !/^(dist|bench\/build)\/.*\.(js|d\.ts)$/.test(path) ||
        path.startsWith('dist/report/page/')
      )
        continue
      for (const [, target = ''] of readFileSync(join(folder, path), 'utf8').matchAll(imports)) {
        const wanted = join(
          dirname(path),
          path.endsWith('.d.ts') ? target.replace(/\.js$/, '.d.ts') : target
        )
        expect(paths, `${path} imports ${wanted}`).toContain(wanted)
        count++
      }
    }
    expect(count).toBeGreaterThan(100)
  })

  test('passes publint', async () => {
    const { messages, pkg } = await publint({ pkgDir: folder, strict: true })
    expect(messages.map(message => formatMessage(message, pkg))).toEqual([])
  })
})

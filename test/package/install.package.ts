/** The tarball in an empty folder: every way to install it, and every version of Node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import {
  attempt,
  cached,
  install,
  installed,
  nodeOf,
  PREBUILT,
  project,
  ROOT,
  report,
  run
} from './support.js'

const REGISTRY = fileURLToPath(new URL('registry.mjs', import.meta.url))
const MAJORS: number[] = JSON.parse(
  readFileSync(new URL('../node-versions.json', import.meta.url), 'utf8')
)

describe('a plain install', () => {
  let folder: string

  beforeAll(() => {
    folder = project({
      'worker.mjs': `
        import { once } from 'node:events'
        import { Worker } from 'node:worker_threads'
        for (const _ of [1, 2]) {
          const worker = new Worker(new URL('./probe.mjs', import.meta.url))
          const [code] = await once(worker, 'exit')
          if (code !== 0) process.exit(code)
        }
        await import('./probe.mjs')`
    })
    install(folder)
  })

  test('runs no script of any package', () => {
    expect(installed(folder).scripts).toEqual([])
  })

  test.each(MAJORS)('works on Node %d with import and require', major => {
    const node = nodeOf(major)
    const version = run(folder, node, ['--version']).trim()
    expect(version).toMatch(new RegExp(`^v${major}\\.`))
    const imported = report('import', folder, run(folder, node, ['probe.mjs']))
    const required = report('require', folder, run(folder, node, ['probe.cjs']))
    expect([imported, required]).toEqual(Array(2).fill({ node: version, addon: PREBUILT }))
  })

  test('works in two workers, then in the main thread', () => {
    const printed = run(folder, process.execPath, ['worker.mjs'])
    expect(printed.match(/^\{"node".*offheap.*\.node/gm)).toHaveLength(3)
    report('worker', folder, printed)
  })

  test('includes the command', () => {
    expect(run(folder, 'npx', ['--no', '--', 'offheap', '--version'])).toMatch(/^\d+\.\d+\.\d+/)
    const trace = join(ROOT, 'traces/vim.rep.gz')
    expect(run(folder, 'npx', ['--no', '--', 'offheap', 'replay', '--verify', trace])).toContain(
      'vim'
    )
    run(folder, 'npx', ['--no', '--', 'offheap', 'view', trace, '-o', 'heap.html'])
  })

  test.runIf(process.platform === 'linux')(
    'the command records with the recorder of the package',
    () => {
      run(folder, 'npx', ['--no', '--', 'offheap', 'record', '-o', 'ls.rep', '--', 'ls', '/'])
      expect(
        run(folder, 'npx', ['--no', '--', 'offheap', 'replay', '--verify', 'ls.rep'])
      ).toContain('ls')
    }
  )

  test('reports that the lab needs offheap-labs, and installs that offline', () => {
    const init = ['--no', '--', 'offheap', 'lab', 'init', 'course']
    const play = ['--no', '--', 'offheap', 'play', '-o', 'play.html']
    for (const words of [init, play]) {
      const without = attempt(folder, 'npx', words)
      expect(without.status).not.toBe(0)
      expect(without.output).toMatch(/npm install offheap-labs@.*npm install --offline \.\//s)
    }
    run(folder, 'npm', ['install', '--no-audit', '--no-fund', '--offline', inject('labs')])
    expect(run(folder, 'npx', init)).toContain('handout')
    expect(run(folder, 'npx', play)).toContain('play.html')
  })

  test('reports that grading needs esbuild, and grades with it', () => {
    const grade = [
      '--no',
      '--',
      'offheap',
      'lab',
      'grade',
      'course/allocator.ts',
      '-t',
      'course/traces',
      '--step',
      '1'
    ]
    const without = attempt(folder, 'npx', grade)
    expect(without.status).not.toBe(0)
    expect(without.output).toContain('npm install esbuild')
    run(folder, 'npm', ['install', '--no-audit', '--no-fund', 'esbuild'])
    expect(attempt(folder, 'npx', grade).output).toContain('hello')
  })
})

describe('an install', () => {
  test('of only the library has one package, and the command reports what is missing', () => {
    const folder = project()
    install(folder, '--omit=optional')
    const { addon } = report(
      '--omit=optional',
      folder,
      run(folder, process.execPath, ['probe.mjs'])
    )
    expect(addon).toBe(PREBUILT)
    expect(installed(folder).names.filter(name => name !== 'offheap')).toEqual([])
    const { status, output } = attempt(folder, 'npx', ['--no', '--', 'offheap', '--version'])
    expect(status).toBe(1)
    expect(output).toMatch(/--omit=optional.*npm install commander@\d+ cli-table3 picocolors/)
  })

  test('works with --ignore-scripts', () => {
    const folder = project()
    install(folder, '--ignore-scripts')
    expect(
      report('--ignore-scripts', folder, run(folder, process.execPath, ['probe.mjs'])).addon
    ).toBe(PREBUILT)
  })

  test("works without network, from npm's cache", () => {
    const cache = mkdtempSync(join(inject('work'), 'cache-'))
    install(project(), '--cache', cache)
    const folder = project()
    install(folder, '--offline', '--cache', cache)
    expect(report('--offline', folder, run(folder, process.execPath, ['probe.mjs'])).addon).toBe(
      PREBUILT
    )
  })

  test('works into a read-only node_modules', () => {
    const folder = project()
    install(folder)
    run(folder, 'chmod', ['-R', 'a-w,a+rX', 'node_modules'])
    // For root, nothing is read-only.
    const nobody =
      process.getuid?.() === 0 ? { uid: 65534, gid: 65534, env: { PATH: process.env.PATH } } : {}
    const write = 'fs.writeFileSync("node_modules/offheap/x", "")'
    expect(attempt(folder, nodeOf(20), ['-e', write], nobody).output).toMatch(/EACCES|EROFS/)
    const printed = run(folder, nodeOf(20), ['probe.mjs'], nobody)
    expect(report('read-only node_modules', folder, printed).addon).toBe(PREBUILT)
  })

  test('works from a registry with npm 12, which finds no script to ask about', async () => {
    const folder = project()
    run(folder, 'tar', ['-xzf', inject('tarball'), 'package/package.json'])
    const registry = spawn(process.execPath, [
      REGISTRY,
      inject('tarball'),
      join(folder, 'package/package.json')
    ])
    const [url] = await once(registry.stdout, 'data')
    const npm = join(cached('npm', '12'), 'bin', 'npm-cli.js')
    const flags = [
      '--no-audit',
      '--no-fund',
      '--strict-allow-scripts',
      `--registry=${String(url).trim()}`
    ]
    const output = run(folder, nodeOf(22), [npm, 'install', ...flags, 'offheap'])
    registry.kill()
    expect(output).not.toMatch(/allow-?scripts.*offheap|install scripts/i)
    const version = run(folder, nodeOf(22), [npm, '--version', '--loglevel=error']).trim()
    const { addon } = report(
      'from a registry',
      folder,
      run(folder, nodeOf(22), ['probe.mjs']),
      `npm ${version}`
    )
    expect(addon).toBe(PREBUILT)
  })
})

describe('without a binary for the platform', () => {
  test('the error names a command, which builds the addon', () => {
    const folder = project()
    install(folder)
    rmSync(join(folder, 'node_modules/offheap/prebuilds'), { recursive: true })
    const { status, output } = attempt(folder, process.execPath, ['probe.mjs'])
    expect(status).not.toBe(0)
    expect(output).toContain('ERR_OFFHEAP_NO_ADDON')
    const [command = ''] = output.match(/npm --prefix .* run build:native/) ?? []
    run(folder, 'sh', ['-c', command])
    const { addon } = report(
      'built by the command of the error',
      folder,
      run(folder, process.execPath, ['probe.mjs'])
    )
    expect(addon).toBe('build/Release/offheap.node')
  })

  test('a broken and a missing file have different errors', () => {
    const folder = project()
    install(folder)
    writeFileSync(join(folder, 'node_modules/offheap', PREBUILT), 'not a library')
    const { output } = attempt(folder, process.execPath, ['probe.mjs'])
    expect(output).toMatch(new RegExp(`${PREBUILT} \\((?!no such file)[^)]+`))
  })
})

/**
 * The tarball installed by each package manager, with permission to run the scripts of packages:
 * none may compile anything, and the command in the error message builds the addon wherever the
 * manager put the package.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { addRow, attempt, cached, environment, PREBUILT, project, run } from './support.js'

interface Manager {
  /** The command line of the manager, without arguments. */
  readonly program: () => readonly string[]
  readonly install: (tarball: string) => readonly string[]
  /** Files of the project that configure the manager. */
  readonly files?: Readonly<Record<string, string>>
  /** The place of the package, if it isn't node_modules/offheap. */
  readonly place?: (folder: string) => string
  /** Arguments of the manager that run Node, if Node alone would not find packages. */
  readonly node?: readonly string[]
}

/** Each has its cache in the project, so that runs don't affect each other. */
const CACHES = {
  YARN_CACHE_FOLDER: '.cache',
  YARN_ENABLE_TELEMETRY: '0',
  npm_config_store_dir: '.cache',
  npm_config_cache_dir: '.cache',
  BUN_INSTALL_CACHE_DIR: '.cache'
}

const manifest = (more: object = {}) =>
  JSON.stringify({ name: 'user', version: '1.0.0', private: true, ...more })
const inNode = (name: string, version: string, file: string) => () => [
  process.execPath,
  join(cached(name, version), file)
]
const yarn4 = inNode('@yarnpkg/cli-dist', '4', 'bin/yarn.js')
const rc = (linker: string) =>
  `nodeLinker: ${linker}\nenableScripts: true\nenableGlobalCache: false\n`
/** The package with bun for this machine. */
const bun = [
  `@oven/bun-${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}`,
  ...(PREBUILT.includes('.musl') ? ['musl'] : [])
].join('-')

const MANAGERS: Readonly<Record<string, Manager>> = {
  npm: {
    program: () => ['npm'],
    install: tarball => ['install', '--no-audit', '--no-fund', tarball]
  },
  'yarn 1': {
    program: inNode('yarn', '1', 'bin/yarn.js'),
    install: tarball => ['add', '--non-interactive', tarball]
  },
  'yarn 4': {
    program: yarn4,
    install: tarball => ['add', `offheap@file:${tarball}`],
    files: { 'yarn.lock': '', '.yarnrc.yml': rc('node-modules') }
  },
  'yarn 4, plug and play': {
    program: yarn4,
    install: tarball => ['add', `offheap@file:${tarball}`],
    files: { 'yarn.lock': '', '.yarnrc.yml': rc('pnp') },
    place: folder => {
      const unplugged = join(folder, '.yarn/unplugged')
      const [name = ''] = readdirSync(unplugged).filter(entry => entry.startsWith('offheap-'))
      return join(unplugged, name, 'node_modules/offheap')
    },
    node: ['node']
  },
  pnpm: {
    program: inNode('pnpm', '12', 'bin/pnpm.mjs'),
    install: tarball => ['add', '--allow-build=offheap', tarball]
  },
  // It fails to install a package that has a build script without permission to run it.
  'pnpm 12.4': {
    program: inNode('pnpm', '12.4', 'bin/pnpm.mjs'),
    install: tarball => ['add', tarball]
  },
  bun: {
    program: () => [join(cached(bun, '1'), 'bin/bun')],
    install: tarball => ['add', tarball],
    files: { 'package.json': manifest({ trustedDependencies: ['offheap'] }) }
  }
}

describe.each(Object.entries(MANAGERS))('%s', (name, manager) => {
  const { install, files, place = folder => join(folder, 'node_modules/offheap'), node } = manager
  let folder: string
  let program: readonly string[]
  const options = { env: { ...environment(), ...CACHES, CI: '1' } }

  function call(args: readonly string[]): string {
    const [command = '', ...words] = program
    return run(folder, command, [...words, ...args], options)
  }

  function probe(file = 'probe.mjs'): { status: number | null; output: string } {
    const [command = '', ...words] = node === undefined ? [process.execPath] : [...program, ...node]
    return attempt(folder, command, [...words, file], options)
  }

  /** The addon that the probe loaded, from the folder of the package. */
  function loaded(file?: string): string {
    const { status, output } = probe(file)
    expect({ status, output }).toMatchObject({ status: 0 })
    const line = output.split('\n').find(text => text.startsWith('{"node"')) ?? ''
    return String(JSON.parse(line).addon).replace(/^.*\/node_modules\/offheap\//, '')
  }

  beforeAll(() => {
    program = manager.program()
    folder = project({ 'package.json': manifest(), ...files })
  })

  test('installs offheap, for import and require, without compiling anything', () => {
    expect(call(install(inject('tarball')))).not.toMatch(/node-gyp|gyp info/)
    expect(readdirSync(place(folder))).not.toContain('build')
    const installer = `${name.split(' ')[0]} ${call(['--version']).trim()}`
    for (const [format, file] of Object.entries({ ESM: 'probe.mjs', CommonJS: 'probe.cjs' })) {
      const addon = loaded(file)
      expect(addon).toBe(PREBUILT)
      const node = `${process.version} ${process.arch}`
      addRow({ what: `${name}, ${format}`, node, installer, packages: '', size: '', addon })
    }
  })

  test('runs the command of the error to build the addon', () => {
    for (const name of ['prebuilds', 'build'])
      rmSync(join(place(folder), name), { recursive: true, force: true })
    const { status, output } = probe()
    expect(status).not.toBe(0)
    const [command = ''] = output.match(/npm --prefix .* run build:native/) ?? []
    expect(command).not.toBe('')
    run(folder, 'sh', ['-c', command])
    expect(existsSync(join(place(folder), 'native/build'))).toBe(false)
    expect(loaded()).toBe('build/Release/offheap.node')
  })
})

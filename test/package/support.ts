/**
 * Shared by the tests of the package: empty folders, installs, other versions of Node, and the rows
 * of the table.
 */
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'vitest'

export interface Row {
  readonly what: string
  readonly node: string
  readonly installer: string
  /** How many packages were installed, and their size on disk in KiB. */
  readonly packages: string
  readonly size: string
  /** The file that was loaded, from the folder of offheap. */
  readonly addon: string
}

export interface Outcome {
  readonly status: number | null
  readonly output: string
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Other versions of Node and npm are stored here, so that a second run downloads nothing. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'offheap-package')

const LIBC =
  process.platform !== 'linux' ? '' : existsSync('/etc/alpine-release') ? '.musl' : '.glibc'
/** Path in the package of the addon that this machine must load. */
export const PREBUILT = `prebuilds/${process.platform}-${process.arch}/offheap${LIBC}.node`

/**
 * Uses the heap and a map, makes the heap detect a double free, and prints the versions of Node and
 * the addon. The code before it imports the names.
 */
const USE = `
const heap = Heap.map(2 ** 20)
const pointer = heap.calloc(10, 8)
heap.u8[pointer] = 42
heap.check()
heap.free(pointer)
let code = ''
try {
  heap.free(pointer)
} catch (error) {
  code = error instanceof OffheapError ? error.code : String(error)
}
heap.close()
const map = HeapMap.create({ size: 2 ** 20 })
map.set('key', 'value')
if (map.get('key') !== 'value') throw new Error('offheap/map does not work')
map.close()
if (code !== 'ERR_OFFHEAP_DOUBLE_FREE' || !heap.closed) {
  throw new Error('the heap does not work: ' + code)
}
const { sharedObjects } = process.report.getReport()
const addon = sharedObjects.find(path => /offheap[^/]*[.]node$/.test(path))
console.log(JSON.stringify({ node: process.version, arch: process.arch, addon }))
`
export const PROBES = {
  'probe.mjs': `
import { Heap, OffheapError } from 'offheap'
import { HeapMap } from 'offheap/map'
${USE}`,
  'probe.cjs': `
const { Heap, OffheapError } = require('offheap')
const { HeapMap } = require('offheap/map')
${USE}`
}

/** An empty project: a package.json, the probes, and these files. */
export function project(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(inject('work'), 'user-'))
  const manifest = JSON.stringify({ name: 'user', version: '1.0.0', private: true, type: 'module' })
  for (const [name, content] of Object.entries({ 'package.json': manifest, ...PROBES, ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  spawnSync('chmod', ['755', folder])
  return folder
}

/** A connection without data is retried after a minute instead of five. */
const NETWORK = { npm_config_fetch_timeout: '60000', npm_config_fetch_retries: '4' }
/** Milliseconds for a command. One that hangs, in spite of NETWORK, is a failure too. */
const LIMIT = 400_000

/** The environment without the variables that an outer npm or vitest set. */
export function environment(): Record<string, string | undefined> {
  const outer =
    /^(npm_(?!config_nodedir)|VITEST|NODE_ENV$|NODE_OPTIONS$|NODE_PATH$|INIT_CWD$|FORCE_COLOR$)/
  const entries = Object.entries(process.env).filter(([name]) => !outer.test(name))
  return { ...Object.fromEntries(entries), ...NETWORK, NO_COLOR: '1' }
}

/** Runs a command there. */
export function attempt(
  folder: string,
  command: string,
  args: readonly string[],
  options: object = {}
): Outcome {
  const limits = { timeout: LIMIT, killSignal: 'SIGKILL' } as const
  const settings = {
    cwd: folder,
    encoding: 'utf8',
    env: environment(),
    ...limits,
    ...options
  } as const
  const result = spawnSync(command, args, settings)
  return { status: result.status, output: `${result.stdout}${result.stderr}${result.error ?? ''}` }
}

/** Runs a command there, which must succeed. Returns its output. */
export function run(
  folder: string,
  command: string,
  args: readonly string[],
  options: object = {}
): string {
  const { status, output } = attempt(folder, command, args, options)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${output}`)
  return output
}

/** Installs the tarball into the folder, with npm's flags and further packages. */
export function install(folder: string, ...args: string[]): string {
  return run(folder, 'npm', ['install', '--no-audit', '--no-fund', inject('tarball'), ...args])
}

/** The names of the packages in a folder, their bytes, and those with install scripts. */
export function installed(folder: string): { names: string[]; scripts: string[]; bytes: number } {
  const lock = JSON.parse(readFileSync(join(folder, 'node_modules', '.package-lock.json'), 'utf8'))
  const paths = Object.keys(lock.packages)
  const nameOf = (path: string) => path.replace(/^.*node_modules\//, '')
  return {
    names: paths.map(nameOf).sort(),
    scripts: paths.filter(path => lock.packages[path].hasInstallScript === true).map(nameOf),
    bytes: bytesIn(join(folder, 'node_modules'))
  }
}

function bytesIn(path: string): number {
  const status = lstatSync(path)
  if (!status.isDirectory()) return status.size
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0)
}

/**
 * Reads the output of a probe, and adds a row to the table. Returns which Node ran, and the addon's
 * path in the package.
 */
export function report(
  what: string,
  folder: string,
  printed: string,
  installer = npmVersion()
): { node: string; addon: string } {
  const line = printed.split('\n').find(text => text.startsWith('{"node"'))
  if (line === undefined) throw new Error(`${what}: the probe printed no result\n${printed}`)
  const { node, arch, addon } = JSON.parse(line)
  const { names, bytes } = installed(folder)
  const path = String(addon)
    .replace(/^.*node_modules\/offheap\//, '')
    .replace(`${folder}/`, '')
  const size = String(Math.round(bytes / 1024))
  addRow({
    what,
    node: `${node} ${arch}`,
    installer,
    packages: String(names.length),
    size,
    addon: path
  })
  return { node, addon: path }
}

function npmVersion(): string {
  return `npm ${run(ROOT, 'npm', ['--version', '--loglevel=error']).trim()}`
}

export function addRow(row: Row): void {
  appendFileSync(join(inject('work'), 'rows.jsonl'), `${JSON.stringify(row)}\n`)
}

/** The folder of a package that npm installs into the cache, once. */
export function cached(name: string, version: string, ...flags: string[]): string {
  const prefix = join(CACHE, `${name}@${version}`)
  const folder = join(prefix, 'node_modules', name)
  if (!existsSync(folder)) {
    mkdirSync(prefix, { recursive: true })
    const quiet = ['--silent', '--ignore-scripts', '--no-package-lock', '--no-audit']
    run(prefix, 'npm', ['install', ...quiet, '--prefix', prefix, ...flags, `${name}@${version}`])
  }
  return folder
}

/** The executable of another major version of Node, from npm. */
export function nodeOf(major: number, arch: string = process.arch): string {
  const name = `node-${process.platform}-${arch}`
  const flags = arch === process.arch ? [] : ['--force', `--cpu=${arch}`]
  // `node test/check.js nodes` may have downloaded it already.
  const there = join(
    ROOT,
    'node_modules/.cache/nodes',
    String(major),
    'node_modules',
    name,
    'bin/node'
  )
  return existsSync(there) ? there : join(cached(name, String(major), ...flags), 'bin', 'node')
}

/** Whether a program is in PATH. */
export function has(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
}

/**
 * Builds the addon and the recorder for this machine into build/Release. `npm run build:native`
 * runs it, both in a checkout and in an installed package. An installed package has no
 * node-addon-api, so its headers are downloaded for the build. With `--if-changed`, it does nothing
 * if build/Release is up to date with the sources.
 *
 * Needs a C++ compiler, make (not on Windows), python3, and node-gyp in PATH. `npm run` adds the
 * node-gyp of npm to PATH.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the package. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const STAMP = join(ROOT, 'build', 'sources.sha256')
const HEADERS = 'node-addon-api@8'

/** The paths, from the root, of the sources of the addon and the recorder. */
export function sources() {
  const native = readdirSync(join(ROOT, 'native')).filter(name => /\.(cc|c|h)$/.test(name))
  return ['native/binding.gyp', ...native.sort().map(name => `native/${name}`)]
}

/** The SHA-256, in hex, of the sources and of other inputs of the build. */
export function digest(...rest) {
  const hash = createHash('sha256')
  for (const path of sources()) hash.update(`${path}\n`).update(readFileSync(join(ROOT, path)))
  for (const text of rest) hash.update(`\n${text}`)
  return hash.digest('hex')
}

/** Runs a command in this terminal. Throws if it fails. */
export function run(command, args, options = {}) {
  // npm and node-gyp are shell scripts on Windows.
  const shell = process.platform === 'win32'
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', shell, ...options })
  if (error !== undefined) throw new Error(`${command}: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} exited with code ${status}`)
}

/** Options for node-gyp: the headers of this Node, if it has them. */
export function headersOfThisNode() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
}

/** Calls `build` with an environment in which binding.gyp can find node-addon-api. */
export function withNodeAddonApi(build) {
  const paths = createRequire(import.meta.url).resolve.paths('node-addon-api') ?? []
  const installed = paths.find(path => existsSync(join(path, 'node-addon-api')))
  if (installed !== undefined) return build({ ...process.env, NODE_PATH: installed })
  const folder = mkdtempSync(join(tmpdir(), 'offheap-build-'))
  try {
    run('npm', [
      'install',
      '--silent',
      '--ignore-scripts',
      '--no-package-lock',
      '--prefix',
      folder,
      HEADERS
    ])
    return build({ ...process.env, NODE_PATH: join(folder, 'node_modules') })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function builtFrom() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : ''
}

/** Builds into build/Release. With `ifChanged`, does nothing if that is up to date. */
export function buildHere(ifChanged) {
  const stamp = digest(process.platform, process.arch)
  if (ifChanged && builtFrom() === stamp) return
  const args = ['rebuild', '--loglevel=warn', ...headersOfThisNode()]
  // The package has no binding.gyp at its root, because package managers would then build it.
  const folder = existsSync(join(ROOT, 'binding.gyp')) ? ROOT : join(ROOT, 'native')
  withNodeAddonApi(env => run('node-gyp', args, { cwd: folder, env }))
  if (folder !== ROOT) {
    rmSync(join(ROOT, 'build'), { recursive: true, force: true })
    renameSync(join(folder, 'build'), join(ROOT, 'build'))
  }
  writeFileSync(STAMP, stamp)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    buildHere(process.argv.includes('--if-changed'))
  } catch (error) {
    console.error(`offheap: the addon could not be built: ${error.message}`)
    console.error(
      'The build needs node-gyp, Python 3, and a C++ compiler: with make on Linux, the Xcode ' +
        'Command Line Tools on macOS, the Visual Studio Build Tools on Windows. ' +
        'Run it with: npm run build:native'
    )
    process.exitCode = 1
  }
}

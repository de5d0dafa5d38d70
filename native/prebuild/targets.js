/**
 * The platforms for which a release has binaries, the paths of these, and whether they are up to
 * date.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { digest, ROOT } from '../build.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/**
 * The binaries of a release. docs/platforms.md, README.md and .github/workflows/ci.yml have the
 * same list, and a test compares them. The oldest systems are those of the official Node 20.
 *
 * `zig`: the name of the target for the compiler. `tested`: how the binary was tested. `suite`:
 * with all tests; `emulated`: with some tests on an emulated system; `bun`: with some tests on Bun;
 * `built`: not at all. `runner`: the machine of the CI that runs it.
 */
export const TARGETS = [
  {
    name: 'linux-x64-glibc',
    system: 'Linux with glibc 2.28 or later',
    platform: 'linux',
    arch: 'x64',
    libc: 'glibc',
    zig: 'x86_64-linux-gnu.2.28',
    runner: 'ubuntu-24.04',
    tested: 'suite',
    how: 'all tests, on Node 20, 22, 24 and 26'
  },
  {
    name: 'linux-arm64-glibc',
    system: 'Linux with glibc 2.28 or later',
    platform: 'linux',
    arch: 'arm64',
    libc: 'glibc',
    zig: 'aarch64-linux-gnu.2.28',
    runner: 'ubuntu-24.04-arm',
    tested: 'emulated',
    how: 'tests of regions, heaps, shared heaps and verified replays, under qemu with Node 22'
  },
  {
    name: 'linux-x64-musl',
    system: 'Linux with musl',
    platform: 'linux',
    arch: 'x64',
    libc: 'musl',
    zig: 'x86_64-linux-musl',
    runner: 'ubuntu-24.04',
    tested: 'bun',
    how: 'tests of regions, heaps and verified replays, on Bun for musl'
  },
  {
    name: 'linux-arm64-musl',
    system: 'Linux with musl',
    platform: 'linux',
    arch: 'arm64',
    libc: 'musl',
    zig: 'aarch64-linux-musl',
    runner: undefined,
    tested: 'built',
    how: 'built and inspected, not run'
  },
  {
    name: 'darwin-x64',
    system: 'macOS 11 or later',
    platform: 'darwin',
    arch: 'x64',
    zig: 'x86_64-macos.11.0-none',
    runner: 'macos-15-intel',
    tested: 'built',
    how: 'built and inspected, not run'
  },
  {
    name: 'darwin-arm64',
    system: 'macOS 11 or later',
    platform: 'darwin',
    arch: 'arm64',
    zig: 'aarch64-macos.11.0-none',
    runner: 'macos-15',
    tested: 'built',
    how: 'built and inspected, not run'
  },
  {
    name: 'win32-x64',
    system: 'Windows 10 or later',
    platform: 'win32',
    arch: 'x64',
    zig: 'x86_64-windows-gnu',
    runner: 'windows-2025',
    tested: 'emulated',
    how: 'tests of regions, heaps, maps and verified replays, under Wine with Node 22'
  },
  {
    name: 'win32-arm64',
    system: 'Windows 10 or later',
    platform: 'win32',
    arch: 'arm64',
    zig: 'aarch64-windows-gnu',
    runner: 'windows-11-arm',
    tested: 'built',
    how: 'built and inspected, not run'
  }
]

/** The target of this machine. Only Linux has several C libraries. */
export function hostTarget() {
  const { platform, arch } = process
  const libc =
    platform !== 'linux' ? undefined : existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
  const name = [platform, arch, libc].filter(Boolean).join('-')
  return TARGETS.find(target => target.name === name) ?? { name, platform, arch, libc }
}

/**
 * The paths of a target's addon, where node-gyp-build looks for it, of the recorder beside it, and
 * of the note about their build.
 */
export function filesOf({ platform, arch, libc }) {
  const folder = join('prebuilds', `${platform}-${arch}`)
  const tag = libc === undefined ? '' : `.${libc}`
  return {
    addon: join(folder, `offheap${tag}.node`),
    recorder: platform === 'linux' ? join(folder, `recorder${tag}.so`) : undefined,
    note: join(folder, `offheap${tag}.json`)
  }
}

/** A digest of the inputs of a cross build: sources, compiler flags, and linked objects. */
export function crossDigest({ zig }) {
  const flags = ['compile.js', 'demangle.c', 'exports.map', 'node_api.js'].map(name =>
    readFileSync(join(HERE, name), 'utf8')
  )
  return digest(zig, ...flags)
}

export function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/**
 * Stores binaries in prebuilds/, with a note: the compiler, the digest of the sources, and those of
 * the binaries.
 */
export function store(target, binaries, compiler, sources) {
  const { addon, recorder, note } = filesOf(target)
  const sha = {}
  mkdirSync(join(ROOT, dirname(addon)), { recursive: true })
  for (const [path, bytes] of [
    [addon, binaries.addon],
    [recorder, binaries.recorder]
  ]) {
    if (path === undefined) continue
    rmSync(join(ROOT, path), { force: true })
    writeFileSync(join(ROOT, path), bytes, { mode: 0o755 })
    sha[path] = sha256(join(ROOT, path))
  }
  const text = JSON.stringify({ target: target.name, compiler, sources, sha256: sha }, null, 2)
  writeFileSync(join(ROOT, note), `${text}\n`)
}

/** Deletes the binaries of a target. An outdated addon in a package is worse than none. */
export function remove(target) {
  for (const path of Object.values(filesOf(target))) {
    if (path !== undefined) rmSync(join(ROOT, path), { force: true })
  }
}

/**
 * The note about a target's binaries; undefined if it is missing, or the binaries have changed.
 */
export function noteOf(target) {
  const { note } = filesOf(target)
  if (!existsSync(join(ROOT, note))) return undefined
  const read = JSON.parse(readFileSync(join(ROOT, note), 'utf8'))
  const intact = Object.entries(read.sha256).every(
    ([path, sha]) => existsSync(join(ROOT, path)) && sha256(join(ROOT, path)) === sha
  )
  return intact ? read : undefined
}

/**
 * Whether a target has binaries for a release: cross-built from the current sources.
 */
export function isReleasable(target) {
  return target.zig !== undefined && noteOf(target)?.sources === crossDigest(target)
}

/**
 * For which platforms a release has binaries, where they lie, and whether those that lie there are
 * right.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { digest, ROOT } from '../build.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))

/**
 * What a release must have; docs/platforms.md, README.md and .github/workflows/ci.yml say the same,
 * and a test compares them. The oldest systems are those of an official Node 20.
 *
 * `zig` is the compiler's name of the target; `tested` says how well this binary is known to work:
 * `suite`, all tests; `emulated`, parts of them on an emulated system; `loaded`, without a Node;
 * `built`, nobody has run it. `runner` is the machine of the forge that runs it.
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
    how: 'regions, heaps, a shared heap and a verified replay, under qemu with Node 22'
  },
  {
    name: 'linux-x64-musl',
    system: 'Linux with musl',
    platform: 'linux',
    arch: 'x64',
    libc: 'musl',
    zig: 'x86_64-linux-musl',
    runner: 'ubuntu-24.04',
    tested: 'loaded',
    how: 'an earlier build: the recorder, and the addon loaded without Node'
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
    how: 'built and inspected; nobody has run it'
  },
  {
    name: 'darwin-x64',
    system: 'macOS 11 or later',
    platform: 'darwin',
    arch: 'x64',
    zig: 'x86_64-macos.11.0-none',
    runner: 'macos-15-intel',
    tested: 'built',
    how: 'built and inspected; nobody has run it'
  },
  {
    name: 'darwin-arm64',
    system: 'macOS 11 or later',
    platform: 'darwin',
    arch: 'arm64',
    zig: 'aarch64-macos.11.0-none',
    runner: 'macos-15',
    tested: 'built',
    how: 'built and inspected; nobody has run it'
  },
  {
    name: 'win32-x64',
    system: 'Windows 10 or later',
    platform: 'win32',
    arch: 'x64',
    zig: 'x86_64-windows-gnu',
    runner: 'windows-2025',
    tested: 'emulated',
    how: 'tests of regions, engines and hardened heaps, under Wine with Node 22'
  },
  {
    name: 'win32-arm64',
    system: 'Windows 10 or later',
    platform: 'win32',
    arch: 'arm64',
    zig: 'aarch64-windows-gnu',
    runner: 'windows-11-arm',
    tested: 'built',
    how: 'built and inspected; nobody has run it'
  }
]

/** The target that this machine is. Only Linux has a choice of C libraries. */
export function hostTarget() {
  const { platform, arch } = process
  const libc =
    platform !== 'linux' ? undefined : existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
  const name = [platform, arch, libc].filter(Boolean).join('-')
  return TARGETS.find(target => target.name === name) ?? { name, platform, arch, libc }
}

/**
 * Where node-gyp-build looks for the addon of a target, the recorder beside it, and how both came
 * about.
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

/** What a cross build is made from: sources, compiler flags, and what is linked in. */
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
 * Puts binaries where they belong, with a note: which compiler, from which sources, and what came
 * out.
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

/** Deletes the binaries of a target: an old addon in a package is worse than none. */
export function remove(target) {
  for (const path of Object.values(filesOf(target))) {
    if (path !== undefined) rmSync(join(ROOT, path), { force: true })
  }
}

/**
 * The note of a target's binaries, when it is there and the binaries are those that it was written
 * for.
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
 * Whether a target has binaries fit for a release: cross-built, from the sources as they are now.
 */
export function isReleasable(target) {
  return target.zig !== undefined && noteOf(target)?.sources === crossDigest(target)
}

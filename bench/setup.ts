/** Builds what the benchmark needs once: the C++ loop, and TLSF as WebAssembly. What can't be built is left out. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ADDON, DLMALLOC, NATIVE, ROOT, require, TLSF, TLSF_SOURCE } from './paths.js'

/** A contender that can't take part, and why. */
export interface Absent {
  readonly id: string
  readonly reason: string
}

function older(file: string, source: string): boolean {
  return !existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}

function buildAddon(): string {
  if (!older(ADDON, `${NATIVE}/bench.cc`)) return ''
  let gyp: string
  try {
    gyp = require.resolve('node-gyp/bin/node-gyp.js')
  } catch {
    return 'the npm package node-gyp, which would build the C++ loop, is not installed'
  }
  const built = spawnSync(process.execPath, [gyp, 'rebuild', '--loglevel=error'], { cwd: NATIVE, encoding: 'utf8' })
  return built.status === 0
    ? ''
    : `the C++ loop did not build: ${lastLine(built.stderr)}; see node-gyp rebuild in ${NATIVE}`
}

function buildTlsf(): string {
  if (!older(TLSF, TLSF_SOURCE)) return ''
  let asc: string
  try {
    asc = require.resolve('assemblyscript/bin/asc.js')
  } catch {
    return 'the npm package assemblyscript is not installed'
  }
  const folder = mkdtempSync(join(tmpdir(), 'offheap-bench-'))
  copyFileSync(TLSF_SOURCE, join(folder, 'tlsf.ts'))
  const options = ['tlsf.ts', '-o', 'tlsf.wasm', '--runtime', 'minimal', '-O3', '--use', 'abort=']
  const compiled = spawnSync(process.execPath, [asc, ...options], { cwd: folder, encoding: 'utf8' })
  if (compiled.status === 0) copyFileSync(join(folder, 'tlsf.wasm'), TLSF)
  rmSync(folder, { recursive: true })
  return compiled.status === 0 ? '' : `TLSF did not compile: ${lastLine(compiled.stderr)}`
}

/** The libraries that the C++ loop can open, by contender. */
export const LIBRARIES: Readonly<Record<string, { readonly file: string; readonly prefix: string }>> = {
  'mimalloc-c++': { file: 'libmimalloc.so.2', prefix: 'mi_' },
  'jemalloc-c++': { file: 'libjemalloc.so.2', prefix: '' }
}

/** jemalloc's thread-local data need more room than the loader keeps for libraries that are opened late. */
export const CHILD_ENV = { ...process.env, GLIBC_TUNABLES: 'glibc.rtld.optional_static_tls=16384' }

/** What the loader says against a library, or '', found out in a process of its own. */
function libraryProblem(id: string): string {
  const { file, prefix } = LIBRARIES[id]
  const script = `process.stdout.write(require(${JSON.stringify(ADDON)}).open('${file}', '${prefix}'))`
  return spawnSync(process.execPath, ['-e', script], { env: CHILD_ENV, encoding: 'utf8' }).stdout
}

/** Builds what is missing; returns who can't take part on this machine. */
export function setUp(): Absent[] {
  const absent: Absent[] = []
  const leaveOut = (reason: string, ...ids: string[]) => {
    if (reason !== '') absent.push(...ids.map(id => ({ id, reason })))
  }
  const addon = buildAddon()
  leaveOut(addon, 'glibc-c++', 'glibc-call', 'mimalloc-c++', 'jemalloc-c++')
  if (addon === '') {
    for (const id of Object.keys(LIBRARIES)) leaveOut(libraryProblem(id), id)
  }
  leaveOut(buildTlsf(), 'tlsf-wasm')
  leaveOut(existsSync(DLMALLOC) ? '' : `${DLMALLOC} is missing`, 'dlmalloc-wasm')
  try {
    require.resolve('@thi.ng/malloc', { paths: [ROOT] })
  } catch {
    leaveOut('the npm package @thi.ng/malloc is not installed', 'thi.ng')
  }
  return absent
}

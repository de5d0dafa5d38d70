/**
 * Builds what the benchmark needs: the C++ loop, and TLSF as WebAssembly. Leaves out what can't be
 * built.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { ADDON, DLMALLOC, NATIVE, ROOT, require, TLSF, TLSF_SOURCE } from '../paths.js'
import { ALL, contenderOf } from './contenders.js'
import { environmentFor } from './native.js'

/** A contender that can't run on this machine, and why. */
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

/** The exports of native/build.js, which builds the library's own addon. */
interface Builder {
  headersOfThisNode(): string[]
}

async function buildAddon(): Promise<string> {
  if (!older(ADDON, `${NATIVE}/bench.cc`)) return ''
  let gyp: string
  try {
    gyp = require.resolve('node-gyp/bin/node-gyp.js')
  } catch {
    return 'the npm package node-gyp, which would build the C++ loop, is not installed'
  }
  const { headersOfThisNode }: Builder = await import(`${ROOT}native/build.js`)
  const args = [gyp, 'rebuild', '--loglevel=error', ...headersOfThisNode()]
  const built = spawnSync(process.execPath, args, { cwd: NATIVE, encoding: 'utf8' })
  if (built.status === 0) return ''
  return `the C++ loop did not build: ${lastLine(built.stderr)}; see node-gyp rebuild in ${NATIVE}`
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
  if (compiled.status === 0) {
    mkdirSync(dirname(TLSF), { recursive: true })
    copyFileSync(join(folder, 'tlsf.wasm'), TLSF)
  }
  rmSync(folder, { recursive: true })
  return compiled.status === 0 ? '' : `TLSF did not compile: ${lastLine(compiled.stderr)}`
}

/** Why a library can't replace the system's malloc; '' if it can. */
function preloadProblem(id: string, preload: string): string {
  if (process.platform !== 'linux') return 'it is loaded by LD_PRELOAD, which only Linux has'
  const use = `require(${JSON.stringify(ADDON)}).useLibrary('${preload}')`
  const script = `process.exitCode = ${use} ? 0 : 1`
  const { status } = spawnSync(process.execPath, ['-e', script], { env: environmentFor(id) })
  if (status === 0) return ''
  return `${preload} is not installed (on Debian: apt-get install libmimalloc2.0 libjemalloc2)`
}

/** Builds what these contenders need. Returns those that can't run on this machine. */
export async function setUp(wanted: readonly string[] = ALL): Promise<Absent[]> {
  const absent: Absent[] = []
  const leaveOut = (reason: string, ...ids: string[]) => {
    if (reason !== '') absent.push(...ids.map(id => ({ id, reason })))
  }
  const addon = await buildAddon()
  leaveOut(addon, 'glibc', 'glibc-call', 'mimalloc', 'jemalloc', 'floor-c++')
  if (addon === '') {
    for (const id of wanted) {
      const { preload } = contenderOf(id)
      if (preload !== undefined) leaveOut(preloadProblem(id, preload), id)
    }
  }
  if (wanted.includes('tlsf-wasm')) leaveOut(buildTlsf(), 'tlsf-wasm')
  leaveOut(existsSync(DLMALLOC) ? '' : `${DLMALLOC} is missing`, 'dlmalloc-wasm')
  try {
    require.resolve('@thi.ng/malloc', { paths: [ROOT] })
  } catch {
    leaveOut('the npm package @thi.ng/malloc is not installed', 'thi.ng')
  }
  return absent
}

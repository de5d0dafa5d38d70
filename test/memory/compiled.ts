/**
 * Compiles the library for a child process or a worker, into a folder that looks like the package.
 * Used by tests that end a process, or measure a whole process.
 */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { HANG } from '../hang.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

export interface Compiled {
  readonly folder: string
  /** The URL of the compiled `lib/memory/region.ts`. */
  readonly region: string
  /** The URL of the compiled `lib/heap/heap.ts`, if `room` is `heap` or `map`. */
  readonly heap: string
  /** The URL of the compiled `lib/map/index.ts`, if `room` is `map`. */
  readonly map: string
  /**
   * Runs the body of a module in a new Node process, with `Region` in scope, and also `Heap` if
   * `room` is `heap`.
   * @param prefix a command that runs another command, such as `prlimit --memlock=0`
   */
  run(body: string, prefix?: readonly string[]): SpawnSyncReturns<string>
  remove(): void
}

const ENTRIES = { memory: 'memory/region.ts', heap: 'heap/heap.ts', map: 'map/index.ts' }

export function compile(room: keyof typeof ENTRIES = 'memory'): Compiled {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-test-'))
  for (const name of ['package.json', 'node_modules', 'build'])
    symlinkSync(join(root, name), join(folder, name))
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      noEmitOnError: true,
      rootDir: join(root, 'lib'),
      outDir: join(folder, 'dist')
    },
    // This replaces the files of the package's own tsconfig, which include the tests.
    include: [join(root, 'lib', ENTRIES[room])]
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
    stdio: 'inherit'
  })
  const region = pathToFileURL(join(folder, 'dist/memory/region.js')).href
  const heap = pathToFileURL(join(folder, 'dist/heap/heap.js')).href
  const map = pathToFileURL(join(folder, 'dist/map/index.js')).href
  const imports = [`import { Region } from ${JSON.stringify(region)}`]
  if (room === 'heap') imports.push(`import { Heap } from ${JSON.stringify(heap)}`)
  let scripts = 0
  return {
    folder,
    region,
    heap,
    map,
    run(body, prefix = []) {
      const script = join(folder, `script-${scripts++}.mjs`)
      writeFileSync(script, `${[...imports, body].join('\n')}\n`)
      const [command = '', ...words] = [...prefix, process.execPath, '--expose-gc', script]
      return spawnSync(command, words, { encoding: 'utf8', timeout: HANG })
    },
    remove: () => rmSync(folder, { recursive: true, force: true })
  }
}

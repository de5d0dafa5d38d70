/**
 * The package as a reader of the documentation has it: compiled from the sources, in a folder in
 * which `import … from 'offheap'` finds it.
 */
import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transform } from 'esbuild'
import { HANG } from '../hang.js'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** How a program ended. */
export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface InstalledPackage {
  /**
   * Runs the text of a module, JavaScript or TypeScript, as if it were in `docs` or `docs/recipes`.
   */
  sample(text: string, folder: string): Promise<Outcome>
  /** Runs a file of `docs/recipes`. */
  recipe(name: string, ...args: readonly string[]): Promise<Outcome>
  remove(): void
}

/** What the package consists of besides its compiled sources. */
const PARTS = ['package.json', 'node_modules', 'build', 'prebuilds', 'traces']

export function installPackage(): InstalledPackage {
  const home = mkdtempSync(join(tmpdir(), 'offheap-docs-'))
  for (const part of PARTS)
    if (existsSync(join(root, part))) symlinkSync(join(root, part), join(home, part))
  cpSync(join(root, 'docs/recipes'), join(home, 'docs/recipes'), { recursive: true })
  const config = {
    extends: join(root, 'tsconfig.json'),
    // Types are checked separately.
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      rootDir: join(root, 'lib'),
      outDir: join(home, 'dist')
    },
    include: [join(root, 'lib')]
  }
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify(config))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', home], {
    stdio: 'inherit'
  })
  let samples = 0
  return {
    async sample(text, folder) {
      const file = join(home, folder, `sample-${samples++}.mjs`)
      // Node 20 supports neither types nor `using`.
      const { code } = await transform(text, { loader: 'ts', format: 'esm', target: 'node20' })
      writeFileSync(file, code)
      return run([file])
    },
    recipe: (name, ...args) => run([join(home, 'docs/recipes', name), ...args]),
    remove: () => rmSync(home, { recursive: true, force: true })
  }
}

function run(args: readonly string[]): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, ['--expose-gc', ...args], { timeout: HANG }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err })
    })
  })
}

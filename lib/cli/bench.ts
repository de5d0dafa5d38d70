/** `offheap bench`: hands over to the benchmark, a program of its own that is compiled into `bench/build/`. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { OffheapError } from '../errors.js'

const PROGRAM = fileURLToPath(new URL('../../bench/build/main.js', import.meta.url))

/** Every option, `--help` too, is the benchmark's own. Sets the exit code of this process to the benchmark's. */
export function benchCommand(program = PROGRAM): Command {
  return new Command('bench')
    .summary('measure offheap against other allocators')
    .description('Measures offheap against other allocators. offheap bench --help lists its options.')
    .argument('[options...]', 'options of the benchmark, such as --quick')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (options: string[]) => {
      if (!existsSync(program)) {
        throw new OffheapError(
          'ERR_OFFHEAP_UNSUPPORTED',
          `The benchmark is not compiled: there is no ${program}. In a checkout of offheap, run: npm run build:bench`
        )
      }
      const child = spawn(process.execPath, [program, ...options], { stdio: 'inherit' })
      const [code] = await once(child, 'exit')
      process.exitCode = typeof code === 'number' ? code : 1
    })
}

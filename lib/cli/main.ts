#!/usr/bin/env node
/**
 * The `offheap` command. program.ts does the work; this file connects it to the process. Packages
 * that only the command needs are optional dependencies, so users of the library can leave them
 * out.
 */

import { terminalIo } from './io.js'
import { guardOutput } from './output.js'

guardOutput()

async function run(): Promise<number> {
  let program: typeof import('./program.js')
  try {
    program = await import('./program.js')
  } catch (error) {
    const missing =
      error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    if (!missing) throw error
    const packages = 'commander@14 cli-table3 picocolors tinybench'
    process.stderr.write(
      `offheap: the packages that the command needs were not installed (--omit=optional). ` +
        `Install them: npm install ${packages}\n${error.message}\n`
    )
    return 1
  }
  return program.run(process.argv.slice(2), terminalIo())
}

const code = await run()
// `offheap record` has set the exit code of the program that it ran.
if (code !== 0) process.exitCode = code

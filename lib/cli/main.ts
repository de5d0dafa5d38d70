#!/usr/bin/env node
/**
 * The `offheap` command. Everything it does is in program.ts; this file ties it to the process. What only the command needs is an
 * optional dependency, so that a program which uses the library alone can leave it out.
 */

import { terminalIo } from './io.js'
import { guardOutput } from './output.js'

guardOutput()

async function run(): Promise<number> {
  let program: typeof import('./program.js')
  try {
    program = await import('./program.js')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    if (!missing) throw error
    const packages = 'commander@14 cli-table3 cli-progress picocolors tinybench'
    process.stderr.write(
      `offheap: the packages that the command needs were left out when offheap was installed (--omit=optional). ` +
        `Install them: npm install ${packages}\n${error.message}\n`
    )
    return 1
  }
  return program.run(process.argv.slice(2), terminalIo())
}

const code = await run()
// `offheap record` has set the exit code of the program that it ran.
if (code !== 0) process.exitCode = code

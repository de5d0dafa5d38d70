#!/usr/bin/env node
/** The `offheap` command. Everything it does is in program.ts; this file ties it to the process. */

import { terminalIo } from './io.js'
import { run } from './program.js'

// `offheap … | head` closes the pipe early; what is left to say then has no reader.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit()
  })
}

const code = await run(process.argv.slice(2), terminalIo())
// `offheap record` has set the exit code of the program that it ran.
if (code !== 0) process.exitCode = code

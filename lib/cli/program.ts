/** The command line. `main.ts` runs it on the real terminal, tests on streams of their own. */

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { UsageError } from './arguments.js'
import { benchCommand } from './bench.js'
import { inspectCommand } from './inspect.js'
import type { Io } from './io.js'
import { labCommand } from './lab.js'
import { playCommand } from './play.js'
import { recordCommand } from './record.js'
import { recoverCommand } from './recover.js'
import { replayCommand } from './replay.js'
import { viewCommand } from './view.js'

const EXIT_CODES = `
Exit codes:
  0  success
  1  something failed, such as the verification of a replay
  2  the command line was not valid
  130  interrupted by Ctrl-C
  141  the program that read the output has ended, as in: offheap ... | head`

/** Runs `offheap` with these arguments. Resolves to the exit code; never rejects. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code = 0
  const program = new Command('offheap')
    .description(
      'malloc, free, calloc and realloc on mapped memory: record programs, replay them, ' +
        'inspect heaps'
    )
    .version(version())
    .enablePositionalOptions()
    .showHelpAfterError('(see offheap --help, or offheap help COMMAND)')
    .addHelpText('after', EXIT_CODES)
    .exitOverride()
    .configureOutput({
      writeOut: text => io.out.write(text),
      writeErr: text => io.err.write(text),
      getOutHelpWidth: () => io.width,
      getErrHelpWidth: () => io.width,
      getOutHasColors: () => io.color,
      getErrHasColors: () => io.color
    })
  const commands = [
    replayCommand(io, exitCode => {
      code = exitCode
    }),
    recordCommand(),
    labCommand(io, exitCode => {
      code = exitCode
    }),
    viewCommand(io),
    playCommand(io),
    benchCommand(io, exitCode => {
      code = exitCode
    }),
    inspectCommand(io, exitCode => {
      code = exitCode
    }),
    recoverCommand(io)
  ]
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program))
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    // Commander has printed its own errors already; help and --version come here too, with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    io.err.write(`offheap: ${error instanceof Error ? error.message : String(error)}\n`)
    return error instanceof UsageError ? 2 : 1
  }
}

function version(): string {
  const manifest: unknown = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  )
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest)
    return String(manifest.version)
  return 'unknown'
}

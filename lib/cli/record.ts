/** `offheap record`: runs a program and records its allocations. */
import { Command } from 'commander'
import { type RecordSummary, record } from '../trace/record.js'

/**
 * The subcommand. Its exit code is the program's, or 128 + the signal's number if a signal ended
 * it.
 */
export function recordCommand(): Command {
  return new Command('record')
    .summary('record the allocations of a program as a .rep trace (Linux)')
    .description(
      'Records the calls to malloc, calloc, realloc, memalign and free that a program makes, ' +
        'as a .rep trace (Linux).'
    )
    .usage('-o FILE -- PROGRAM [ARGUMENTS...]')
    .requiredOption('-o, --output <file>', 'trace to write; gzipped if the name ends in .gz')
    .argument('<program>', 'program to run: a path, or a name in PATH')
    .argument('[arguments...]', 'its arguments')
    .addHelpText(
      'after',
      `
Threads are recorded, child processes are not: for a script, record its interpreter; for a wrapper,
the program that it starts. The exit code is that of the program, or 128 + the signal's number.

Example:
  offheap record -o sqlite.rep.gz -- sqlite3 :memory: "select 1"`
    )
    .action(async (program: string, args: string[], options: { output: string }) => {
      const summary = await record({ program, args, output: options.output })
      process.stderr.write(`${describe(summary, options.output)}\n`)
      process.exitCode = summary.exitCode
    })
}

function describe(summary: RecordSummary, output: string): string {
  const count = (n: number) => n.toLocaleString('en-US')
  const parts = [
    `${count(summary.operations)} operations on ${count(summary.ids)} blocks`,
    `peak ${count(summary.peakBytes)} bytes`,
    `alive at the end ${count(summary.aliveBlocks)} blocks, ${count(summary.aliveBytes)} bytes`
  ]
  if (summary.failed > 0) parts.push(`${count(summary.failed)} refused by the program's allocator`)
  if (summary.dropped > 0)
    parts.push(`${count(summary.dropped)} on blocks older than the recording left out`)
  if (summary.lost > 0) parts.push(`${count(summary.lost)} lost: the recording was full`)
  return `${output}: ${parts.join('; ')}`
}

/** `offheap inspect`: shows the state and contents of a heap file. */
import { Command } from 'commander'
import type { Io } from './io.js'

/** Calls `done` with the exit code: 1 if something is wrong with the heap. */
export function inspectCommand(io: Io, done: (code: number) => void): Command {
  return new Command('inspect')
    .summary('show the state and contents of a heap file')
    .description(
      'Shows the state, statistics, roots and a picture of a heap file, and verifies it. ' +
        'Changes no byte of the file. ' +
        'For a heap that was not closed, shows the result of a recovery.'
    )
    .argument('<file>', 'a file that Heap.open created')
    .option('--json', 'print the report as JSON, without the picture')
    .action(async (path: string, { json = false }: { json?: boolean }) => {
      const { fileReportText, inspectFile } = await import('../report/file-report.js')
      const report = inspectFile(path, io)
      const { picture, ...plain } = report
      io.out.write(`${json ? JSON.stringify(plain, null, 2) : fileReportText(report)}\n`)
      // A heap that is in use may look inconsistent.
      if (report.fault !== undefined && report.state !== 'open') done(1)
    })
}

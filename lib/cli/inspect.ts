/** `offheap inspect`: shows the state and contents of a heap file. */
import { Command } from 'commander'
import type { Io } from './io.js'

/** Calls `done` with the exit code: 1 if something is wrong with the heap. */
export function inspectCommand(io: Io, done: (code: number) => void): Command {
  return new Command('inspect')
    .summary('show what a heap file holds')
    .description(
      'Shows the state, figures, roots and a picture of a heap file, and verifies it. ' +
        'Changes no byte of it. ' +
        'Of a heap that was not closed, it shows what recovery would make of it.'
    )
    .argument('<file>', 'a file that Heap.open made')
    .option('--json', 'print it as JSON, without the picture')
    .action(async (path: string, { json = false }: { json?: boolean }) => {
      const { fileReportText, inspectFile } = await import('../report/file-report.js')
      const report = inspectFile(path, io)
      const { picture, ...plain } = report
      io.out.write(`${json ? JSON.stringify(plain, null, 2) : fileReportText(report)}\n`)
      // A heap that is in use may look inconsistent.
      if (report.fault !== undefined && report.state !== 'open') done(1)
    })
}

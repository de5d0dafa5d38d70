/** `offheap recover`: recovers a heap file whose process was killed. */
import { Command } from 'commander'
import type { Io } from './io.js'

export function recoverCommand(io: Io): Command {
  return new Command('recover')
    .summary('recover a heap file that was not closed')
    .description(
      'Recovers a heap file whose process was killed, verifies it, writes it to the disk ' +
        'and closes it. ' +
        'The next Heap.open of the file would recover it as well.'
    )
    .argument('<file>', 'a file that Heap.open created')
    .action(async (path: string) => {
      const [{ Heap }, { HeapFile, inUse }, { humanCount }] = await Promise.all([
        import('../heap/heap.js'),
        import('../sharing/heap-file.js'),
        import('../sizes.js')
      ])
      const { file, inUse: isInUse } = HeapFile.look(path)
      const { isShared: shared } = file
      file.release()
      // A file that other processes have open needs no recovery, even if it is shared.
      if (isInUse) throw inUse(path)
      const heap = Heap.open(path, { shared })
      const { recovered } = heap
      try {
        heap.check()
      } finally {
        heap.close()
      }
      io.out.write(
        recovered === undefined
          ? `${path}: was closed; nothing to recover\n`
          : `${path}: ${told(recovered, humanCount)}\n`
      )
    })
}

function told(
  { blocks, undone, milliseconds }: { blocks: number; undone: number; milliseconds: number },
  count: (count: number) => string
): string {
  const parts = [`recovered ${count(blocks)} blocks in ${milliseconds.toFixed(1)} ms`]
  if (undone > 0) parts.push('undid a realloc that had not been completed')
  return parts.join(', ')
}

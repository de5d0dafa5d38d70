/** `offheap view`: shows what allocators do with a trace, as a page or as a picture. */

import { Command, InvalidArgumentError, Option } from 'commander'
import { isPlacement, placements } from '../placement/policies.js'
import type { Timeline, TimelineTarget } from '../report/timeline.js'
import type { Trace } from '../trace/trace.js'
import { parseBytes, UsageError } from './arguments.js'
import type { Io } from './io.js'
import { writeOutput } from './output.js'
import { startProgress } from './progress.js'

/** An allocator to show: a placement of the built-in heap, or the file of a lab's allocator. */
interface Choice {
  readonly kind: 'placement' | 'file'
  readonly name: string
}

interface ViewOptions {
  readonly output: string
  readonly size?: number
  readonly svg?: boolean
  readonly slabs?: boolean
}

/** The most allocators that fit side by side. */
const MOST_ALLOCATORS = 2

/**
 * A description takes time proportional to the size of the heap, and there is one for each
 * operation.
 */
const MOST_DESCRIBED = 20_000

export function viewCommand(io: Io): Command {
  // In the order of the command line, whichever option each came from.
  const choices: Choice[] = []
  return new Command('view')
    .summary('write a page that shows the heap at every moment of a trace')
    .description(
      'Writes an HTML page that needs no network: address against time, the heap at each ' +
        'moment with its free list and slabs, and curves of used and wasted memory.'
    )
    .argument('<trace>', 'a .rep or .rep.gz file')
    .requiredOption('-o, --output <file>', 'page or picture to write')
    .addOption(
      new Option(
        '-p, --placement <policy>',
        `which free block a request gets: ${placements.join(', ')}`
      ).argParser(name => {
        if (!isPlacement(name))
          throw new InvalidArgumentError(`Allowed choices are ${placements.join(', ')}.`)
        choices.push({ kind: 'placement', name })
      })
    )
    .option('-a, --allocator <file>', "a lab's allocator.ts instead of the built-in heap", name => {
      choices.push({ kind: 'file', name })
    })
    .option(
      '-s, --size <bytes>',
      'size of each heap, such as 64MiB (default: ample for the trace)',
      parseBytes
    )
    .option('--slabs', 'serve small requests from slabs (default for segregated-fit)')
    .option('--no-slabs', 'serve every request from a block of its own')
    .option('--svg', 'write a picture of address against time instead, for a paper or a slide')
    .addHelpText(
      'after',
      `
Give --placement or --allocator twice, or one of each, to see two heaps side by side.
--slabs and --no-slabs apply to all built-in heaps.

Examples:
  offheap view sqlite.rep.gz -o heap.html
  offheap view sqlite.rep.gz -o heap.html --placement ${placements[0]} --allocator allocator.ts
  offheap view sqlite.rep.gz -o heap.html --slabs
  offheap view sqlite.rep.gz --svg -o heap.svg`
    )
    .action((path: string, options: ViewOptions) => view(io, path, choices, options))
}

async function view(
  io: Io,
  path: string,
  chosen: readonly Choice[],
  options: ViewOptions
): Promise<void> {
  const { size, slabs, svg = false, output } = options
  const choices: readonly Choice[] =
    chosen.length > 0 ? chosen : [{ kind: 'placement', name: placements[0] }]
  if (choices.length > MOST_ALLOCATORS) {
    throw new UsageError(
      `${choices.length} allocators; at most ${MOST_ALLOCATORS} fit side by side`
    )
  }
  const [{ readTrace }, { humanBytes, humanCount }] = await Promise.all([
    import('../trace/read.js'),
    import('../sizes.js')
  ])
  const trace = await readTrace(path)
  const progress = startProgress(io, choices.length)
  const timelines: Timeline[] = []
  try {
    for (const [index, choice] of choices.entries()) {
      timelines.push(
        await timelineOf(trace, choice, { size, slabs }, share =>
          progress.update(index + share, choice.name)
        )
      )
    }
  } finally {
    progress.stop()
  }
  const source = { trace, timelines }
  const text = svg
    ? (await import('../report/view-svg.js')).viewSvg(source)
    : (await import('../report/view-page.js')).viewPage(source)
  writeOutput(output, text)
  io.out.write(
    `${output}: ${humanCount(trace.length)} operations, ${humanBytes(Buffer.byteLength(text))}\n`
  )
}

/** The options of the heaps. */
interface Wishes {
  readonly size: number | undefined
  readonly slabs: boolean | undefined
}

async function timelineOf(
  trace: Trace,
  choice: Choice,
  wishes: Wishes,
  progress: (share: number) => void
): Promise<Timeline> {
  const { recordTimeline } = await import('../report/timeline.js')
  const { target, label, close } = await openAllocator(trace, choice, wishes)
  try {
    return recordTimeline(trace, target, label, progress)
  } finally {
    close()
  }
}

async function openAllocator(
  trace: Trace,
  { kind, name }: Choice,
  { size, slabs }: Wishes
): Promise<{ target: TimelineTarget; label: string; close(): void }> {
  if (kind === 'file') {
    const { openSubmission, roomForSubmission } = await import('../lab/view-target.js')
    const describes = trace.length <= MOST_DESCRIBED
    const label = describes ? name : `${name}, without describe() for so long a trace`
    const room = size ?? roomForSubmission(trace)
    return { ...(await openSubmission(name, room, describes)), label }
  }
  const [{ Heap }, { roomFor }, { heapTarget }] = await Promise.all([
    import('../heap/heap.js'),
    import('../trace/room.js'),
    import('../report/heap-target.js')
  ])
  const heap = Heap.map({
    size: size ?? roomFor(trace),
    ...(isPlacement(name) ? { placement: name } : {}),
    ...(slabs === undefined ? {} : { slabs })
  })
  const target = heapTarget(heap)
  const label = target.slabs === undefined ? name : `${name}, with slabs`
  return { target, label, close: () => heap.close() }
}

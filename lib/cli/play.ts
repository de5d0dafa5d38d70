/** `offheap play`: a page to make calls and step through them store by store. */

import { basename } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { PlacementName } from '../placement/placement.js'
import { isPlacement, placements } from '../placement/policies.js'
import type { PlayConfig } from '../play/config.js'
import { parseBytes, UsageError } from './arguments.js'
import type { Io } from './io.js'
import { writeOutput } from './output.js'

interface PlayOptions {
  readonly placement?: PlacementName
  readonly slabs?: boolean
  readonly size?: number
  readonly trace?: string
  readonly at?: number
  readonly output?: string
}

/** The page compares and copies the whole memory, so the heap is small. */
const MOST_BYTES = 16 * 2 ** 20
/** The size for a lab's allocator, without a trace. */
const SUBMISSION_BYTES = 2 ** 16

export function playCommand(io: Io): Command {
  return new Command('play')
    .summary('open a page to make calls and step through them store by store')
    .description(
      'Opens a page on which you type or click malloc, free and realloc, see every word ' +
        'of the heap, and step through each call, store by store, with the source beside it. ' +
        'Serves the page to browsers on this machine, or writes it to a file.'
    )
    .argument('[allocator]', "a lab's allocator.ts (default: the allocator of offheap itself)")
    .addOption(
      new Option(
        '-p, --placement <policy>',
        `which free block a request gets: ${placements.join(', ')}`
      ).argParser(name => {
        if (isPlacement(name)) return name
        throw new InvalidArgumentError(`Allowed choices are ${placements.join(', ')}.`)
      })
    )
    .option('--slabs', 'serve small requests from slabs')
    .option(
      '-s, --size <bytes>',
      "size of the heap: 1K, 2K, 4K, 8K, 64K or 256K; any for a lab's allocator (default: 4K, " +
        'or ample for the trace)',
      parseBytes
    )
    .option('-t, --trace <file>', 'begin with the calls of a .rep or .rep.gz file')
    .option(
      '--at <operation>',
      'with --trace: make this many calls, and stop before the last of them',
      parseOperation
    )
    .option('-o, --output <file>', 'write the page to a file instead of serving it')
    .addHelpText(
      'after',
      `
The address of the page contains your calls and options: copy it to open the page at the same moment
again. If you change your own allocator, save the file and reload the page.

Examples:
  offheap play
  offheap play --placement best-fit -o heap.html
  offheap play allocator.ts
  offheap play allocator.ts --trace traces/hello.rep --at 8`
    )
    .action((allocator: string | undefined, options: PlayOptions) => play(io, allocator, options))
}

function parseOperation(text: string): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('Give the number of an operation, from 1.')
}

async function play(io: Io, allocator: string | undefined, options: PlayOptions): Promise<void> {
  const { output } = options
  if (allocator !== undefined && (options.placement !== undefined || options.slabs !== undefined)) {
    throw new UsageError(
      "--placement and --slabs are for offheap's own allocator, and not for a file"
    )
  }
  if (options.at !== undefined && options.trace === undefined)
    throw new UsageError('--at needs --trace')
  const [config, { playPage }] = await Promise.all([
    configFor(allocator, options),
    import('../play/play-page.js')
  ])
  const makePage = async () => {
    if (allocator === undefined) return playPage(config)
    const { compileAllocator } = await import('../play/compile.js')
    return playPage(config, await compileAllocator(allocator))
  }
  if (output !== undefined) {
    const page = await makePage()
    writeOutput(output, page)
    const { humanBytes } = await import('../sizes.js')
    io.out.write(`${output}: ${humanBytes(Buffer.byteLength(page))}\n`)
    return
  }
  // Report an error in the file here too, not only in the browser.
  await makePage()
  const { servePage } = await import('../play/serve.js')
  const { url } = await servePage(makePage)
  io.out.write(`${url}\n`)
  io.err.write('offheap: open this address in a browser on this machine; Ctrl-C ends\n')
}

async function configFor(allocator: string | undefined, options: PlayOptions): Promise<PlayConfig> {
  const [{ DEFAULT_SIZE, HEAP_SIZES }, { encodeCalls, MOST_CALLS }] = await Promise.all([
    import('../play/config.js'),
    import('../play/calls.js')
  ])
  const slabs = options.slabs ?? false
  const base = {
    placement: options.placement ?? placements[0],
    slabs,
    calls: '',
    ...(allocator === undefined ? {} : { submission: basename(allocator) })
  }
  const standard = allocator !== undefined ? SUBMISSION_BYTES : slabs ? 65_536 : DEFAULT_SIZE
  if (options.trace === undefined)
    return { ...base, size: checkSize(options.size ?? standard, allocator, slabs, HEAP_SIZES) }
  const [{ readTrace }, { callsOfTrace }, { roomForSubmission }, { peaksOf }] = await Promise.all([
    import('../trace/read.js'),
    import('../play/trace-calls.js'),
    import('../lab/view-target.js'),
    import('../trace/trace.js')
  ])
  const trace = await readTrace(options.trace)
  const count = options.at ?? trace.length
  if (count > trace.length)
    throw new UsageError(`--at ${count}: ${options.trace} has ${trace.length} operations`)
  if (count > MOST_CALLS) {
    throw new UsageError(
      `${options.trace} has ${trace.length} operations, and the page takes ${MOST_CALLS}; ` +
        `choose some with --at`
    )
  }
  const { blocks } = peaksOf(trace)
  const ample =
    HEAP_SIZES.find(bytes => bytes >= 2 * blocks + standard) ?? HEAP_SIZES[HEAP_SIZES.length - 1]
  const size =
    options.size ??
    (allocator === undefined ? ample : Math.min(roomForSubmission(trace), MOST_BYTES))
  return {
    ...base,
    size: checkSize(size, allocator, slabs, HEAP_SIZES),
    calls: encodeCalls(callsOfTrace(trace, count)),
    ...(options.at === undefined ? {} : { at: count - 1 })
  }
}

function checkSize(
  size: number,
  allocator: string | undefined,
  slabs: boolean,
  sizes: readonly number[]
): number {
  if (size > MOST_BYTES)
    throw new UsageError(`a heap of ${size} bytes is too large to look at; at most ${MOST_BYTES}`)
  if (allocator !== undefined) return size
  if (!sizes.includes(size))
    throw new UsageError(`--size ${size}: choose one of ${sizes.join(', ')} bytes`)
  if (slabs && size < 65_536) throw new UsageError('--slabs needs a heap of 64K or 256K')
  return size
}

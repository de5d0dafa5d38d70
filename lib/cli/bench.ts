/**
 * `offheap bench`: compares the time to allocate blocks of some sizes with that of Node's Buffers.
 */

import { Command, InvalidArgumentError, Option } from 'commander'
import { type As, KINDS, MOST_LIVE_BYTES } from '../bench/work.js'
import { parseBytes, UsageError } from './arguments.js'
import type { Io } from './io.js'
import { writeOutput } from './output.js'
import { startProgress } from './progress.js'

interface BenchOptions {
  readonly sizes: readonly number[]
  readonly live: number
  readonly as: As
  readonly cleared?: boolean
  readonly json?: boolean
  readonly svg?: string
}

const SIZES = '48,1024,65536'

function sizeList(text: string): number[] {
  return text.split(',').map(parseBytes)
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('Give a whole number from 1.')
  return value
}

/** The subcommand; calls `done` with the exit code. */
export function benchCommand(io: Io, done: (code: number) => void): Command {
  return new Command('bench')
    .summary('compare the time per allocation with Buffer.alloc and others')
    .description(
      'Measures the time per allocation for each size: this heap, Buffer.alloc, ' +
        'Buffer.allocUnsafe, Uint8Array and, if it is installed, @thi.ng/malloc.'
    )
    .option(
      '--sizes <bytes,...>',
      'sizes of the blocks, such as 48,4KiB',
      sizeList,
      sizeList(SIZES)
    )
    .option('--live <n>', 'number of live blocks', count, 1000)
    .addOption(
      new Option('--as <kind>', 'what an allocation returns').choices(KINDS).default('buffer')
    )
    .option('--cleared', 'zero the blocks')
    .option('--json', 'print the results as JSON')
    .option('--svg <file>', 'also write a picture')
    .addHelpText(
      'after',
      `
Takes about four seconds for each size. docs/reading-benchmarks.md explains how to measure recorded
programs, and how to compare with allocators in C and WebAssembly.

Examples:
  offheap bench --sizes 100,2000 --live 50000
  offheap bench --as pointer --sizes 64 --svg pointers.svg`
    )
    .action(async (options: BenchOptions) => done(await bench(io, options)))
}

/** Resolves to the exit code: 1 if a contender failed. */
async function bench(
  io: Io,
  { sizes, live, as, cleared = false, json = false, svg }: BenchOptions
): Promise<number> {
  const largest = Math.max(...sizes)
  if (largest * live > MOST_LIVE_BYTES) {
    const most = Math.floor(MOST_LIVE_BYTES / largest)
    throw new UsageError(
      `${live} blocks of ${largest} bytes are more than 1 GiB; give --live ${most} or less`
    )
  }
  const { present } = await import('../bench/contenders.js')
  const { DEFAULT_RACE, race } = await import('../bench/race.js')
  const { machine } = await import('../bench/results.js')
  const contenders = present()
  const progress = startProgress(io, sizes.length * contenders.length * (DEFAULT_RACE.rounds + 1))
  const results = []
  let steps = 0
  for (const size of sizes) {
    const onStep = (contender: string) => progress.update(++steps, contender)
    const figures = await race(contenders, { size, live, as, cleared }, { ...DEFAULT_RACE, onStep })
    results.push({ size, figures })
  }
  progress.stop()
  const all = { ...machine(), as, cleared, live, sizes: results }
  if (svg !== undefined) writeOutput(svg, (await import('../bench/svg.js')).svgChart(all))
  const { chart } = await import('../bench/chart.js')
  io.out.write(`${json ? JSON.stringify(all, null, 2) : chart(all, io)}\n`)
  return results.some(({ figures }) => figures.some(({ error }) => error !== undefined)) ? 1 : 0
}

/**
 * `npm run bench -- --shared`: what it costs to share a heap, and what it saves. Measures the
 * throughput of recorded programs, and of a SharedMap, by the number of threads; passing bytes to
 * another thread by message, file, SharedArrayBuffer and heap; and opening a heap file that was
 * closed, or whose process was killed.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { median, significant } from '#lib/bench/statistics.js'
import { Heap } from '#lib/index.js'
import { SharedMap } from '#lib/map/index.js'
import { humanBytes } from '#lib/sizes.js'
import { type Labels, type Line, lineChart } from '../page/draw.js'
import { SHIPPED } from '../paths.js'
import type { Clock } from '../process/entry.js'
import type { Grid } from '../report/grids.js'
import {
  ENTRIES,
  type HeapSource,
  keysOf,
  type LookTask,
  type Parcel,
  type ReceiveTask,
  type ReplayTask,
  VALUE
} from './child.js'

const CHILD = new URL('./child.js', import.meta.url)
const MIB = 2 ** 20
const SIZE = 256 * MIB
const COLORS = ['#868e96', '#1864ab', '#2b8a3e', '#c92a2a', '#862e9c']

export interface SharedOptions {
  readonly quick: boolean
  readonly rounds: number
  readonly clock: Clock
  onStep(label: string): void
}

/** A table and its picture. Each line is a row, each x a column. */
export interface Chart {
  readonly file: string
  readonly labels: Labels
  readonly xTitle: string
  readonly x: readonly { readonly value: number; readonly label: string }[]
  /** Nanoseconds. */
  readonly lines: readonly Line[]
}

/** A line for each label, of the medians of its samples. */
function linesOf(
  labels: readonly string[],
  colors: readonly string[],
  samples: readonly (readonly number[][])[]
): Line[] {
  return labels.map((label, row) => ({
    label,
    color: colors[row],
    values: samples[row].map(median)
  }))
}

// ---- throughput by threads ----------------------------------------------------------------------

const THREADS = [1, 2, 3, 4]
const TRACES = ['sqlite', 'python', 'git', 'jq'].map(name => `${SHIPPED}/${name}.rep.gz`)

interface Kind {
  readonly label: string
  /** Makes the heap. Returns what each thread opens, and a function that closes the heap. */
  make(threads: number, folder: string): [source: HeapSource, end: () => void]
}

const shared = (arenas: number): [HeapSource, () => void] => {
  const heap = Heap.map({ size: SIZE, shared: true, arenas, placement: 'segregated-fit' })
  return [{ kind: 'shared', handle: heap.handle() }, () => heap.close()]
}

const KINDS: readonly Kind[] = [
  { label: 'private heaps', make: () => [{ kind: 'private', size: SIZE }, () => {}] },
  // The main thread has an arena, too.
  { label: 'shared heap', make: threads => shared(threads + 1) },
  {
    label: 'shared file',
    make: (threads, folder) => {
      const path = join(folder, 'threads.heap')
      const options = { size: SIZE, arenas: threads + 1, placement: 'segregated-fit' } as const
      const heap = Heap.open(path, { ...options, create: true, shared: true })
      return [
        { kind: 'file', path },
        () => {
          heap.close()
          rmSync(path)
        }
      ]
    }
  },
  { label: 'one arena for all', make: () => shared(1) }
]

/** A thread's work, without its gate. */
type Work = Omit<ReplayTask, 'gate'> | Omit<LookTask, 'gate'>

/**
 * Nanoseconds per operation: of elapsed time, all threads together, or of processor time. Another
 * thread works beside them if `beside` is given, and is terminated at the end.
 */
async function throughput(
  work: Work,
  threads: number,
  clock: Clock,
  beside?: Work
): Promise<number> {
  const gate = new Int32Array(new SharedArrayBuffer(8))
  const start = (task: Work): Worker => new Worker(CHILD, { workerData: { ...task, gate } })
  const workers = Array.from({ length: threads }, () => start(work))
  const other = beside === undefined ? undefined : start(beside)
  const answers = workers.map(worker => once(worker, 'message'))
  const ends = workers.map(worker => once(worker, 'exit'))
  const all = threads + (other === undefined ? 0 : 1)
  for (let ready = 0; ready < all; ready = Atomics.load(gate, 0)) {
    await Atomics.waitAsync(gate, 0, ready).value
  }
  const before = process.cpuUsage()
  Atomics.store(gate, 1, 1)
  Atomics.notify(gate, 1)
  const results: { begin: number; end: number; operations: number }[] = (
    await Promise.all(answers)
  ).map(([result]) => result)
  const { user, system } = process.cpuUsage(before)
  await other?.terminate()
  await Promise.all(ends)
  const operations = results.reduce((sum, one) => sum + one.operations, 0)
  if (clock === 'cpu') return ((user + system) * 1000) / operations
  const begin = Math.min(...results.map(one => one.begin))
  return (Math.max(...results.map(one => one.end)) - begin) / operations
}

async function measureThreads({ quick, rounds, clock, onStep }: SharedOptions): Promise<Chart> {
  const folder = mkdtempSync(join(tmpdir(), 'offheap-bench-'))
  const samples = KINDS.map(() => THREADS.map((): number[] => []))
  for (let round = 0; round < rounds; round++) {
    for (const [column, threads] of THREADS.entries()) {
      for (const [row, kind] of KINDS.entries()) {
        const [source, end] = kind.make(threads, folder)
        const work = {
          task: 'replay',
          heap: source,
          traces: TRACES,
          repeats: quick ? 2 : 10
        } as const
        samples[row][column].push(await throughput(work, threads, clock))
        end()
        onStep(`${kind.label}, ${threads}`)
      }
    }
  }
  rmSync(folder, { recursive: true })
  return {
    file: 'threads.svg',
    labels: {
      title: 'Recorded programs in 1 to 4 threads',
      subtitle:
        clock === 'cpu'
          ? 'processor time for one operation; lower is better'
          : 'time for one operation, all threads together; lower is better'
    },
    xTitle: 'threads',
    x: THREADS.map(value => ({ value, label: String(value) })),
    lines: linesOf(
      KINDS.map(({ label }) => label),
      COLORS,
      samples
    )
  }
}

// ---- readers of a map ---------------------------------------------------------------------------

const READERS = ['Map of each thread', 'SharedMap', 'SharedMap, another thread sets']

async function measureReaders({ quick, rounds, clock, onStep }: SharedOptions): Promise<Chart> {
  const counts = [1, 2, 3]
  const heap = Heap.map({ size: SIZE, shared: true, arenas: 5 })
  const map = SharedMap.create<string, string>(heap)
  for (const key of keysOf(ENTRIES)) map.set(key, VALUE)
  const samples = READERS.map(() => counts.map((): number[] => []))
  for (let round = 0; round < rounds; round++) {
    for (const [column, threads] of counts.entries()) {
      for (const row of READERS.keys()) {
        const pointer = row === 0 ? undefined : map.pointer
        const all = { handle: heap.handle(), pointer, repeats: quick ? 2 : 10 }
        const beside = row === 2 ? ({ ...all, task: 'set' } as const) : undefined
        samples[row][column].push(
          await throughput({ ...all, task: 'look' }, threads, clock, beside)
        )
        onStep(`${READERS[row]}, ${threads}`)
      }
    }
  }
  map.check()
  heap.close()
  return {
    file: 'readers.svg',
    labels: {
      title: 'Looking up keys in 1 to 3 threads',
      subtitle: 'time for one get, all threads together; lower is better'
    },
    xTitle: 'threads that read',
    x: counts.map(value => ({ value, label: String(value) })),
    lines: linesOf(READERS, COLORS, samples)
  }
}

// ---- bytes for another thread -------------------------------------------------------------------

const WAYS = ['clone', 'transfer', 'file', 'shared', 'heap'] as const
const WAY_LABELS = {
  clone: 'message, cloned',
  transfer: 'message, transferred',
  file: 'file in memory',
  shared: 'SharedArrayBuffer',
  heap: 'shared heap'
}

/** Passes bytes to a worker, which answers. Writes a byte of each page; the worker reads it. */
class Sender {
  readonly heap = Heap.map({ size: 4 * SIZE, shared: true, arenas: 2 })
  private readonly shared = new SharedArrayBuffer(32 * MIB)
  private readonly path = join(mkdtempSync('/dev/shm/offheap-bench-'), 'bytes')
  private readonly workerData: ReceiveTask = {
    task: 'receive',
    handle: this.heap.handle(),
    shared: this.shared
  }
  readonly worker = new Worker(CHILD, { workerData: this.workerData })

  parcel(way: (typeof WAYS)[number], length: number): [Parcel, ArrayBuffer[]] {
    const write = <Bytes extends Uint8Array>(bytes: Bytes): Bytes => {
      for (let at = 0; at < bytes.length; at += 4096) bytes[at] = 1
      return bytes
    }
    if (way === 'shared') {
      write(new Uint8Array(this.shared, 0, length))
      return [{ way, length }, []]
    }
    if (way === 'heap') {
      const pointer = write(this.heap.alloc(length)).byteOffset
      return [{ way, pointer, length }, []]
    }
    const bytes = write(new Uint8Array(length))
    if (way !== 'file') return [{ way, bytes }, way === 'transfer' ? [bytes.buffer] : []]
    writeFileSync(this.path, bytes)
    return [{ way, path: this.path }, []]
  }

  /** Nanoseconds per hand-over and its answer. */
  async time(way: (typeof WAYS)[number], length: number, count: number): Promise<number> {
    const begin = process.hrtime.bigint()
    for (let i = 0; i < count; i++) {
      const [parcel, transfer] = this.parcel(way, length)
      const answer = once(this.worker, 'message')
      this.worker.postMessage(parcel, transfer)
      const [sum] = await answer
      if (sum !== Math.ceil(length / 4096)) throw new Error(`${way}: ${sum} is not what was sent`)
    }
    return Number(process.hrtime.bigint() - begin) / count
  }

  async end(): Promise<void> {
    await this.worker.terminate()
    this.heap.close()
    rmSync(join(this.path, '..'), { recursive: true })
  }
}

async function measureParcels({ quick, rounds, onStep }: SharedOptions): Promise<Chart> {
  const lengths = Array.from(
    { length: quick ? 4 : 8 },
    (_, i) => 1024 * (quick ? 16 : 4) ** i
  ).filter(length => length <= 16 * MIB)
  const samples = WAYS.map(() => lengths.map((): number[] => []))
  const sender = new Sender()
  await once(sender.worker, 'message')
  for (let round = 0; round <= rounds; round++) {
    for (const [column, length] of lengths.entries()) {
      const count = Math.max(10, Math.min(quick ? 100 : 1000, (64 * MIB) / length))
      for (const [row, way] of WAYS.entries()) {
        const time = await sender.time(way, length, count)
        // The first round warms up.
        if (round > 0) samples[row][column].push(time)
        onStep(WAY_LABELS[way])
      }
    }
  }
  await sender.end()
  return {
    file: 'handover.svg',
    labels: {
      title: 'Passing bytes to another thread',
      subtitle: 'one hand-over and the answer to it; lower is better'
    },
    xTitle: 'bytes passed',
    x: lengths.map(value => ({ value, label: humanBytes(value) })),
    lines: linesOf(
      WAYS.map(way => WAY_LABELS[way]),
      [0, 4, 3, 2, 1].map(color => COLORS[color]),
      samples
    )
  }
}

// ---- opening a file -----------------------------------------------------------------------------

const STATES = ['closed', 'killed', 'shared, closed', 'shared, killed']

function measureOpening({ quick, rounds, onStep }: SharedOptions): Chart {
  const sizes = (quick ? [1, 16] : [1, 16, 128, 1024]).map(one => one * MIB)
  const folder = mkdtempSync(join(tmpdir(), 'offheap-bench-'))
  const samples = STATES.map(() => sizes.map((): number[] => []))
  const child = fileURLToPath(CHILD)
  const open = (path: string, isShared: boolean): number => {
    const words = [child, 'open', path, '0', String(isShared)]
    const answer: { milliseconds: number } = JSON.parse(
      execFileSync(process.execPath, words, { encoding: 'utf8' })
    )
    return answer.milliseconds * 1e6
  }
  for (const [column, size] of sizes.entries()) {
    for (const isShared of [false, true]) {
      const made = join(folder, 'made.heap')
      spawnSync(process.execPath, [child, 'make', made, String(size), String(isShared)])
      for (let round = 0; round < rounds; round++) {
        const path = join(folder, 'opened.heap')
        copyFileSync(made, path)
        const row = isShared ? 2 : 0
        samples[row + 1][column].push(open(path, isShared))
        samples[row][column].push(open(path, isShared))
        onStep(`${isShared ? 'shared, ' : ''}${humanBytes(size)}`)
      }
      rmSync(made)
    }
  }
  rmSync(folder, { recursive: true })
  return {
    file: 'open.svg',
    labels: {
      title: 'Opening a heap file full of blocks of 1,000 bytes',
      subtitle: 'after it was closed, and after its process was killed; lower is better'
    },
    xTitle: 'size of the file',
    x: sizes.map(value => ({ value, label: humanBytes(value) })),
    lines: linesOf(STATES, COLORS.slice(1), samples)
  }
}

// ---- all of it ----------------------------------------------------------------------------------

/** The parts by name. */
export const SHARED_PARTS: ReadonlyMap<string, (options: SharedOptions) => Promise<Chart> | Chart> =
  new Map<string, (options: SharedOptions) => Promise<Chart> | Chart>([
    ['threads', measureThreads],
    ['readers', measureReaders],
    ['handover', measureParcels],
    ['open', measureOpening]
  ])

function told(nanoseconds: number): string {
  if (nanoseconds < 10_000) return significant(nanoseconds)
  return Math.round(nanoseconds).toLocaleString('en')
}

/** The table of a part. */
export function sharedGrid({ labels, x, lines }: Chart): Grid {
  return {
    title: labels.title,
    head: ['', ...x.map(({ label }) => label)],
    rows: lines.map(({ label, values }) => [label, ...values.map(told)]),
    numbers: x.length,
    note: `Nanoseconds: ${labels.subtitle}.`
  }
}

export function sharedPicture({ labels, x, xTitle, lines }: Chart): string {
  return lineChart(labels, x, xTitle, lines)
}

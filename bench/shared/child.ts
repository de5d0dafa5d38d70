/**
 * The part of the benchmark of shared heaps that runs in workers (threads, maps and hand-overs) and
 * in child processes (heap files): `node child.js make|open PATH BYTES SHARED`.
 */
import { readFileSync } from 'node:fs'
import { isMainThread, parentPort, workerData } from 'node:worker_threads'
import { Heap } from '#lib/index.js'
import { SharedMap } from '#lib/map/index.js'
import { readTrace } from '#lib/trace/read.js'
import { fromTrace, leftovers } from '../work/columns.js'
import { type Columns, freeAll, replay } from '../work/replay.js'

/** A thread of the first part. */
export interface ReplayTask {
  readonly task: 'replay'
  readonly heap: HeapSource
  readonly traces: readonly string[]
  readonly repeats: number
  /** Two words: the number of threads that are ready, and whether they may begin. */
  readonly gate: Int32Array
}

export type HeapSource =
  | { readonly kind: 'private'; readonly size: number }
  | { readonly kind: 'shared'; readonly handle: ReturnType<Heap['handle']> }
  | { readonly kind: 'file'; readonly path: string }

/** A thread that looks up keys in a map, or one that sets them until it is terminated. */
export interface LookTask {
  readonly task: 'look' | 'set'
  readonly handle: ReturnType<Heap['handle']>
  /** The SharedMap; undefined: a Map of this thread. */
  readonly pointer: number | undefined
  readonly repeats: number
  readonly gate: Int32Array
}

/** The worker of the second part, which receives bytes and answers. */
export interface ReceiveTask {
  readonly task: 'receive'
  readonly handle: ReturnType<Heap['handle']>
  readonly shared: SharedArrayBuffer
}

/** A hand-over: where the bytes are. */
export type Parcel =
  | { readonly way: 'clone'; readonly bytes: Uint8Array }
  | { readonly way: 'transfer'; readonly bytes: Uint8Array }
  | { readonly way: 'shared'; readonly length: number }
  | { readonly way: 'heap'; readonly pointer: number; readonly length: number }
  | { readonly way: 'file'; readonly path: string }

const PAGE = 4096

/** Reads a byte of each page. */
export function sumOf(bytes: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < bytes.length; at += PAGE) sum += bytes[at]
  return sum
}

function openHeap(source: HeapSource): Heap {
  if (source.kind === 'private') {
    return Heap.map({ size: source.size, placement: 'segregated-fit' })
  }
  if (source.kind === 'shared') return Heap.attach(source.handle)
  return Heap.open(source.path, { shared: true })
}

async function replayTraces({ heap: source, traces, repeats, gate }: ReplayTask): Promise<void> {
  const heap = openHeap(source)
  const work: { columns: Columns; rest: Int32Array; table: Float64Array }[] = []
  for (const path of traces) {
    const columns = fromTrace(await readTrace(path))
    const table = new Float64Array(columns.slotCount)
    work.push({ columns, rest: leftovers(columns), table })
  }
  const run = (): void => {
    for (const { columns, rest, table } of work) {
      replay(heap, columns, table, 0, 0, columns.kinds.length)
      freeAll(heap, rest, table, 0)
    }
  }
  warmUp(run, gate)
  measure(
    run,
    work.reduce((sum, { columns }) => sum + columns.kinds.length, 0),
    repeats
  )
  heap.close()
}

/** Warms up, and waits until all threads have. */
function warmUp(run: () => void, gate: Int32Array): void {
  for (let warm = 0; warm < 3; warm++) run()
  Atomics.add(gate, 0, 1)
  Atomics.notify(gate, 0)
  Atomics.wait(gate, 1, 0)
}

/** Runs `run`, of so many operations, several times, and reports when that began and ended. */
function measure(run: () => void, operations: number, repeats: number): void {
  const begin = Number(process.hrtime.bigint())
  for (let repeat = 0; repeat < repeats; repeat++) run()
  const end = Number(process.hrtime.bigint())
  parentPort?.postMessage({ begin, end, operations: repeats * operations })
}

/** The keys of a map, in the order in which they are set and looked up. */
export const keysOf = (entries: number): string[] =>
  Array.from({ length: entries }, (_, i) => `key ${(i * 48_271) % entries}`)

export const ENTRIES = 100_000
export const VALUE = 'x'.repeat(100)

function look({ task, handle, pointer, repeats, gate }: LookTask): void {
  const keys = keysOf(ENTRIES)
  const heap = Heap.attach(handle)
  const map =
    pointer === undefined
      ? new Map(keys.map(key => [key, VALUE]))
      : SharedMap.open<string, string>(heap, pointer)
  const run = (): void => {
    for (const key of keys) if (map.get(key) !== VALUE) throw new Error(`${key} is not there`)
  }
  warmUp(run, gate)
  while (task === 'set') for (const key of keys) map.set(key, VALUE)
  measure(run, keys.length, repeats)
  heap.close()
}

function receive({ handle, shared }: ReceiveTask): void {
  const heap = Heap.attach(handle)
  const all = new Uint8Array(shared)
  parentPort?.on('message', (parcel: Parcel) => {
    let sum = 0
    if (parcel.way === 'clone' || parcel.way === 'transfer') sum = sumOf(parcel.bytes)
    else if (parcel.way === 'shared') sum = sumOf(all.subarray(0, parcel.length))
    else if (parcel.way === 'file') sum = sumOf(readFileSync(parcel.path))
    else {
      sum = sumOf(heap.u8.subarray(parcel.pointer, parcel.pointer + parcel.length))
      heap.free(parcel.pointer)
    }
    parentPort?.postMessage(sum)
  })
  parentPort?.postMessage('ready')
}

const BLOCK = 1000

/** Fills a heap file with blocks, and kills this process. */
function make(path: string, size: number, shared: boolean): void {
  const heap = Heap.open(path, { size, create: true, shared, ...(shared ? { arenas: 4 } : {}) })
  while (heap.malloc(BLOCK) !== 0);
  process.kill(process.pid, 'SIGKILL')
}

/** Opens a heap file, prints how long that took, and closes it. */
function open(path: string, shared: boolean): void {
  const begin = performance.now()
  const heap = Heap.open(path, { shared })
  const milliseconds = performance.now() - begin
  const { blocks } = heap.stats()
  heap.close()
  process.stdout.write(JSON.stringify({ milliseconds, blocks }))
}

if (!isMainThread) {
  const task: ReplayTask | LookTask | ReceiveTask = workerData
  if (task.task === 'replay') await replayTraces(task)
  else if (task.task === 'receive') receive(task)
  else look(task)
} else if (process.argv[2] === 'make') {
  make(process.argv[3], Number(process.argv[4]), process.argv[5] === 'true')
} else if (process.argv[2] === 'open') {
  open(process.argv[3], process.argv[5] === 'true')
}

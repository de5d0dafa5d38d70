/**
 * Arbitrary bytes as a file for readTrace, gzipped or not: the result is an error, or a trace that
 * is the same after it was written and read again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OffheapError } from '../../lib/errors.js'
import { Heap } from '../../lib/index.js'
import { parseTrace } from '../../lib/trace/parse.js'
import { readTrace } from '../../lib/trace/read.js'
import { pointersFor, replay } from '../../lib/trace/replay.js'
import type { Trace } from '../../lib/trace/trace.js'
import { verifiedReplay } from '../../lib/trace/verify.js'
import { formatTrace } from '../../lib/trace/write.js'
import { codeOf } from './outcome.js'

/** Bytes of the heap for replaying the traces that could be read. */
const HEAP_BYTES = 65536
/** Longer traces are only read. */
const REPLAYED = 2000

let folder: string | undefined

/** One file for all inputs, deleted at the end of the process. */
export function scratch(name: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'offheap-fuzz-'))
    process.on('exit', () => rmSync(made, { recursive: true, force: true }))
    folder = made
  }
  return join(folder, name)
}

/** Reads `data` as a trace. Returns what it ended in. Throws a finding. */
export async function fuzzTrace(data: Uint8Array): Promise<string[]> {
  const path = scratch('input.rep')
  writeFileSync(path, data)
  let trace: Trace
  try {
    trace = await readTrace(path)
  } catch (error) {
    if (!(error instanceof OffheapError) || error.code !== 'ERR_OFFHEAP_TRACE')
      throw unnamed('readTrace', error)
    if (!error.message.startsWith(`${path}:`))
      throw new Error(`the message names no line: ${error.message}`)
    // The message, without the place and the values.
    return [error.message.slice(path.length).replace(/[^a-zA-Z ]+/g, '')]
  }
  if (trace.length > REPLAYED) return ['long']
  const again = parseTrace(formatTrace(trace))
  for (const column of ['kinds', 'idOf', 'sizes', 'extras'] as const) {
    if (Buffer.compare(bytesOf(trace[column]), bytesOf(again[column])) !== 0) {
      throw new Error(`${column} are other ones when the trace is written and read again`)
    }
  }
  return [`read, ${trace.notes?.length ?? 0} notes`, ...replayed(trace)]
}

function bytesOf(column: NodeJS.TypedArray): Uint8Array {
  return new Uint8Array(column.buffer, column.byteOffset, column.byteLength)
}

/** A plain and a verified replay on a small heap have the same outcome. */
function replayed(trace: Trace): string[] {
  const heap = Heap.format(new ArrayBuffer(HEAP_BYTES))
  const plain = ending('replay', () => replay(trace, heap, pointersFor(trace, HEAP_BYTES)))
  heap.check()
  heap.reset()
  const verified = ending('verified replay', () => verifiedReplay(trace, heap).run())
  if (plain !== verified)
    throw new Error(`a replay ends with ${plain}, a verified one with ${verified}`)
  heap.check()
  return [plain]
}

function ending(name: string, run: () => void): string {
  try {
    run()
    return 'ok'
  } catch (error) {
    if (codeOf(error) === undefined) throw unnamed(name, error)
    return String(codeOf(error))
  }
}

function unnamed(name: string, error: unknown): Error {
  return new Error(`${name} ended with ${String(error)}`, { cause: error })
}
